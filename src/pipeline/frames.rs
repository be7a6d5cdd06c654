//! Whole frames between the poll loop and the control core: ARP and IGMP up, answers and reports down.
//!
//! A port that DPDK drives has no kernel behind it, so the control core ([`crate::control::port`]) joins groups and speaks
//! ARP. The loop only carries: what [`parse_udp`](crate::wire::frame::parse_udp) rejected as ARP or IGMP goes up through a
//! bounded byte ring, and what comes down is transmitted in housekeeping, a few frames at a time. Nothing waits for
//! anything: a full ring drops, and that is counted. Each protocol has a ring of its own, so that a storm of the one does
//! not drown the other.
//!
//! A record of a ring is `kind[0,1] port[1,1] length[2,2] bytes`.

use rtrb::{Consumer, Producer, RingBuffer};

use crate::wire::ethernet::Mac;
use crate::wire::frame::Reject;

/// Longest frame that is carried: any that an MTU of 1500 allows, with two tags. ARP and IGMP need no more.
pub const LONGEST: usize = 1_522;

/// Bytes of each ring. The control core looks every 20 ms; shortest frames may come at 50,000 a second until then.
const RING: usize = 1 << 16;

/// Records taken from the control core in one round of housekeeping.
pub const MOST_AT_ONCE: usize = 4;

const HEADER: usize = 4;
const FRAME: u8 = 0;
const NEXT_HOP: u8 = 1;
const NO_NEXT_HOP: u8 = 2;

/// A port of the loop, by its place among the receive queues: each port once, that of line A, that of line B, that of the
/// orders ([`Port::distinct`](crate::config::Port::distinct)).
pub type PortIndex = u8;

/// What the control core sends down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down<'a> {
    /// Transmit this frame by this port.
    Frame(PortIndex, &'a [u8]),
    /// Orders go to this hardware address; `None`: it is not known, and none may leave.
    NextHop(Option<Mac>),
}

/// What became of the frames that were carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarryCounters {
    /// ARP and IGMP frames handed to the control core.
    pub handed_up: u64,
    /// Of those that came: dropped because the control core had not yet taken the ones before.
    pub ring_full: u64,
    /// Of those that came: longer than any that is carried.
    pub too_long: u64,
    /// Frames of the control core that were transmitted.
    pub sent: u64,
    /// Frames of the control core that found no room in the transmit queue. Its protocols repeat themselves.
    pub unsent: u64,
}

impl CarryCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("carry_handed_up", self.handed_up),
            ("carry_ring_full", self.ring_full),
            ("carry_too_long", self.too_long),
            ("carry_sent", self.sent),
            ("carry_unsent", self.unsent),
        ]
    }
}

/// Makes both ends.
#[must_use]
pub fn link() -> (Carrier, ControlEnd) {
    make(true)
}

/// Both ends of a loop that hands nothing up: where several receive the same frames, one of them does.
#[must_use]
pub fn silent_link() -> (Carrier, ControlEnd) {
    make(false)
}

fn make(speaks: bool) -> (Carrier, ControlEnd) {
    let (arp, arp_up) = RingBuffer::new(RING);
    let (igmp, igmp_up) = RingBuffer::new(RING);
    let (down, from_control) = RingBuffer::new(RING);
    let scratch = || vec![0; LONGEST].into_boxed_slice();
    (
        Carrier { speaks, arp, igmp, from_control, scratch: scratch(), counters: CarryCounters::default() },
        ControlEnd {
            up: FromLoop { rings: [arp_up, igmp_up], scratch: scratch() },
            down: ToLoop { ring: down, full: 0 },
        },
    )
}

/// The loop's end.
#[derive(Debug)]
pub struct Carrier {
    speaks: bool,
    arp: Producer<u8>,
    igmp: Producer<u8>,
    from_control: Consumer<u8>,
    scratch: Box<[u8]>,
    pub(super) counters: CarryCounters,
}

impl Carrier {
    /// Hands up a frame that came by `port`, where `reject` says that it is one for the control core.
    #[cold]
    pub fn offer(&mut self, port: PortIndex, reject: Reject, frame: &[u8]) {
        let ring = match reject {
            _ if !self.speaks => return,
            Reject::Arp => &mut self.arp,
            Reject::Igmp => &mut self.igmp,
            _ => return,
        };
        if frame.len() > LONGEST {
            self.counters.too_long += 1;
        } else if push(ring, FRAME, port, frame) {
            self.counters.handed_up += 1;
        } else {
            self.counters.ring_full += 1;
        }
    }

    /// The next thing to do for the control core, valid until the next call.
    #[inline]
    pub fn take(&mut self) -> Option<Down<'_>> {
        if self.from_control.is_empty() {
            return None;
        }
        let (kind, port, bytes) = pop(&mut self.from_control, &mut self.scratch)?;
        match (kind, bytes.first_chunk()) {
            (FRAME, _) => Some(Down::Frame(port, bytes)),
            (NEXT_HOP, Some(mac)) => Some(Down::NextHop(Some(*mac))),
            _ => Some(Down::NextHop(None)),
        }
    }
}

/// The control core's end.
#[derive(Debug)]
pub struct ControlEnd {
    /// What the loop handed up.
    pub up: FromLoop,
    /// What the loop is to do.
    pub down: ToLoop,
}

/// See [`ControlEnd`].
#[derive(Debug)]
pub struct FromLoop {
    rings: [Consumer<u8>; 2],
    scratch: Box<[u8]>,
}

/// See [`ControlEnd`].
#[derive(Debug)]
pub struct ToLoop {
    ring: Producer<u8>,
    full: u64,
}

impl FromLoop {
    /// The next frame that the loop handed up and the port that it came by, valid until the next call.
    pub fn take(&mut self) -> Option<(PortIndex, &[u8])> {
        let ring = self.rings.iter_mut().find(|ring| !ring.is_empty())?;
        pop(ring, &mut self.scratch).map(|(_, port, bytes)| (port, bytes))
    }
}

impl ToLoop {
    /// Has the loop transmit `frame` by `port`. False where there was no room, or where it is longer than [`LONGEST`].
    pub fn send(&mut self, port: PortIndex, frame: &[u8]) -> bool {
        let sent = frame.len() <= LONGEST && push(&mut self.ring, FRAME, port, frame);
        self.full += u64::from(!sent);
        sent
    }

    /// Tells the loop where orders go; `None`: nowhere. False where there was no room: to be tried again.
    #[must_use]
    pub fn next_hop(&mut self, mac: Option<Mac>) -> bool {
        match mac {
            Some(mac) => push(&mut self.ring, NEXT_HOP, 0, &mac),
            None => push(&mut self.ring, NO_NEXT_HOP, 0, &[]),
        }
    }

    /// True once the loop has taken everything.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.ring.slots() == self.ring.buffer().capacity()
    }

    /// True where there is nobody at the other end any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Frames that found no room on their way to the loop.
    #[must_use]
    pub fn full(&self) -> u64 {
        self.full
    }
}

/// One record into `ring`, whole or not at all. At most [`LONGEST`] bytes.
fn push(ring: &mut Producer<u8>, kind: u8, port: PortIndex, bytes: &[u8]) -> bool {
    let len = bytes.len() as u16;
    let [high, low] = len.to_be_bytes();
    let head = [kind, port, high, low];
    let Ok(chunk) = ring.write_chunk_uninit(HEADER + bytes.len()) else { return false };
    chunk.fill_from_iter(head.iter().chain(bytes).copied());
    true
}

/// One record out of `ring`. Records are written whole, so one that has begun is there.
fn pop<'s>(ring: &mut Consumer<u8>, scratch: &'s mut [u8]) -> Option<(u8, PortIndex, &'s [u8])> {
    let mut head = [0; HEADER];
    copy_out(ring, &mut head)?;
    let [kind, port, high, low] = head;
    let bytes = scratch.get_mut(..usize::from(u16::from_be_bytes([high, low])))?;
    copy_out(ring, bytes)?;
    Some((kind, port, bytes))
}

fn copy_out(ring: &mut Consumer<u8>, into: &mut [u8]) -> Option<()> {
    let chunk = ring.read_chunk(into.len()).ok()?;
    let (first, second) = chunk.as_slices();
    let (into_first, into_second) = into.split_at_mut_checked(first.len())?;
    into_first.copy_from_slice(first);
    into_second.copy_from_slice(second);
    chunk.commit_all();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED_PORT: PortIndex = 0;
    const ORDER_PORT: PortIndex = 1;

    #[test]
    fn a_loop_that_does_not_speak_hears_the_next_hop_all_the_same() {
        let (mut looped, mut control) = silent_link();
        looped.offer(FEED_PORT, Reject::Arp, b"who has");
        assert_eq!((control.up.take(), looped.counters.handed_up), (None, 0));
        assert!(control.down.next_hop(Some([2, 0, 0, 0, 0, 1])));
        assert_eq!(looped.take(), Some(Down::NextHop(Some([2, 0, 0, 0, 0, 1]))));
    }

    #[test]
    fn frames_go_up_by_protocol_and_down_by_port() {
        let (mut looped, mut control) = link();
        looped.offer(FEED_PORT, Reject::Igmp, b"query");
        looped.offer(ORDER_PORT, Reject::Arp, b"who has");
        looped.offer(FEED_PORT, Reject::Ipv6, b"not for us");
        assert_eq!(control.up.take(), Some((ORDER_PORT, &b"who has"[..])));
        assert_eq!(control.up.take(), Some((FEED_PORT, &b"query"[..])));
        assert_eq!(control.up.take(), None);

        assert!(control.down.send(FEED_PORT, b"report"));
        assert!(control.down.next_hop(Some([2, 0, 0, 0, 0, 1])));
        assert!(control.down.next_hop(None));
        assert!(!control.down.is_taken());
        assert_eq!(looped.take(), Some(Down::Frame(FEED_PORT, b"report")));
        assert_eq!(looped.take(), Some(Down::NextHop(Some([2, 0, 0, 0, 0, 1]))));
        assert_eq!(looped.take(), Some(Down::NextHop(None)));
        assert_eq!(looped.take(), None);
        assert!(control.down.is_taken());
        assert_eq!(looped.counters, CarryCounters { handed_up: 2, ..CarryCounters::default() });
    }

    #[test]
    fn a_storm_of_one_protocol_leaves_room_for_the_other() {
        let (mut looped, mut control) = link();
        for _ in 0..2 * RING / 64 {
            looped.offer(FEED_PORT, Reject::Arp, &[0xA; 60]);
        }
        looped.offer(FEED_PORT, Reject::Igmp, &[0xB; 60]);
        assert_eq!(looped.counters.ring_full, (RING / 64) as u64);
        let mut taken = [0; 2];
        while let Some((_, frame)) = control.up.take() {
            taken[usize::from(frame[0] - 0xA)] += 1;
        }
        assert_eq!(taken, [RING / 64, 1]);
    }

    #[test]
    fn what_is_too_long_is_told_and_what_just_fits_is_whole() {
        let (mut looped, mut control) = link();
        let frame: Vec<u8> = (0..=LONGEST).map(|at| at as u8).collect();
        looped.offer(FEED_PORT, Reject::Arp, &frame);
        assert_eq!((looped.counters.too_long, control.up.take()), (1, None));
        assert!(!control.down.send(FEED_PORT, &frame));
        assert_eq!(control.down.full(), 1);
        // Often enough that records wrap round the end of the ring.
        for _ in 0..200 {
            looped.offer(FEED_PORT, Reject::Arp, &frame[..LONGEST]);
            assert_eq!(control.up.take(), Some((FEED_PORT, &frame[..LONGEST])));
        }
    }

    #[test]
    fn a_full_way_down_drops_and_says_so() {
        let (mut looped, mut control) = link();
        while control.down.send(FEED_PORT, &[1; 60]) {}
        assert!(!control.down.next_hop(None) || control.down.ring.slots() < HEADER);
        assert_eq!(control.down.full(), 1);
        while looped.take().is_some() {}
        assert!(control.down.is_taken());
        drop(looped);
        assert!(control.down.is_abandoned());
    }
}
