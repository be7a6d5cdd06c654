//! What is known of a connection beside the stack: how far it was written, acknowledged and allowed, the frames that it
//! has to be told of, and the bytes that may have to be sent again.
//!
//! Sequence numbers wrap: they are compared by the sign of their difference (RFC 9293, 3.4).

use super::counters::TcpCounters;
use super::head::{FRAME, Head, LEAST_DATA, MOST_DATA};

/// Most frames that leave before the stack is told of the first; then a write goes the stack's way.
const RING: usize = 8;

/// Most bytes that may be written and not acknowledged: as many as 16 bits of a sequence number can tell apart.
pub(super) const MOST_UNACKNOWLEDGED: usize = 1 << 16;

/// Probes without any progress of the peer.
const MOST_PROBES: u32 = 3;

/// Shortest and longest wait before the first probe, ns.
const PROBE_NS: (u64, u64) = (1_000_000, 500_000_000);

/// True if `a` comes before `b`.
pub(super) const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// A frame that has left.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Sent {
    frame: [u8; FRAME],
    sequence: u32,
    data_at: usize,
    end: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flight {
    /// The latest frames; counted from 0, in place `number % RING`. The stack knows of those before `settled`.
    ring: Box<[Sent; RING]>,
    settled: u32,
    next: u32,
    /// What was written and is not acknowledged, each byte in the place that the lower half of its sequence number says.
    bytes: Box<[u8; MOST_UNACKNOWLEDGED]>,
    /// Data can be written at all.
    pub(super) open: bool,
    /// The sequence after what was written.
    pub(super) written: u32,
    /// The sequence after what the stack has sent, as far as it knows.
    pub(super) stack_next: u32,
    /// The first sequence that is not acknowledged.
    pub(super) acknowledged: u32,
    /// The first sequence beyond the peer's window.
    pub(super) edge: u32,
    /// Bytes that the stack has room for.
    pub(super) room: usize,
    /// Where in its ring the stack puts the next byte. It begins at the front when the ring is empty, and sends what goes
    /// round the end as two segments.
    place: usize,
    /// Bytes that a segment may have.
    pub(super) most: usize,
    /// A written sequence and when that was; its acknowledgment tells the round trip.
    sample: Option<(u32, u64)>,
    round_trip_ns: u64,
    probes: u32,
    /// When the next probe is due; `u64::MAX`: nothing is under way, or it was probed enough.
    pub(super) probe_at: u64,
}

impl Flight {
    pub(super) fn new() -> Self {
        let empty = Sent { frame: [0; FRAME], sequence: 0, data_at: 0, end: 0 };
        Self {
            ring: Box::new(std::array::from_fn(|_| empty.clone())),
            settled: 0,
            next: 0,
            // Not zero: such memory would be mapped page by page, at the first orders.
            bytes: Box::new([0xA5; MOST_UNACKNOWLEDGED]),
            open: false,
            written: 0,
            stack_next: 0,
            acknowledged: 0,
            edge: 0,
            room: 0,
            place: 0,
            most: 0,
            sample: None,
            round_trip_ns: 0,
            probes: 0,
            probe_at: u64::MAX,
        }
    }

    /// A new connection: nothing of the one before is known any more.
    pub(super) fn reset(&mut self) {
        self.settled = self.next;
        self.open = false;
        (self.room, self.most) = (0, 0);
        self.sample = None;
        self.round_trip_ns = 0;
        self.probes = 0;
        self.probe_at = u64::MAX;
    }

    /// The first byte will have this number.
    pub(super) const fn begin(&mut self, sequence: u32) {
        self.written = sequence;
        self.stack_next = sequence;
        self.acknowledged = sequence;
        self.edge = sequence;
    }

    /// May `len` bytes leave as a prepared frame? Only if the stack would send just them, now, in one segment.
    #[inline]
    pub(super) const fn may_be_hot(&self, len: usize) -> bool {
        self.open
            && self.caught_up()
            && len >= LEAST_DATA
            && len <= MOST_DATA
            && len <= self.most
            && len <= self.room
            && (self.place + len <= MOST_UNACKNOWLEDGED || self.acknowledged == self.written)
            && !before(self.edge, self.written.wrapping_add(len as u32))
            && self.next.wrapping_sub(self.settled) < RING as u32
    }

    /// The stack has sent all that it was given. What it was not told of yet does not count against it.
    const fn caught_up(&self) -> bool {
        let unsettled = if self.next == self.settled {
            self.written
        } else {
            self.ring[self.settled as usize % RING].sequence
        };
        // What was sent, rewound, and acknowledged meanwhile needs no sending.
        self.stack_next == unsettled || self.acknowledged == unsettled
    }

    /// Writes a frame for `data`; [`Flight::commit`] makes it one that has left.
    #[inline]
    pub(super) fn prepare(&mut self, head: &Head, data: &[u8]) -> &[u8] {
        let sent = &mut self.ring[self.next as usize % RING];
        sent.sequence = self.written;
        sent.data_at = head.data_at();
        sent.end = head.write(&mut sent.frame, self.written, data);
        sent.frame.get(..sent.end).unwrap_or_default()
    }

    /// The prepared frame around `data` has left, and the stack has to be told.
    #[inline]
    pub(super) fn commit(&mut self, data: &[u8], now: u64) {
        self.next = self.next.wrapping_add(1);
        self.room -= data.len().min(self.room);
        self.wrote(data, now);
    }

    /// `data` was written, one way or the other.
    #[inline]
    pub(super) fn wrote(&mut self, data: &[u8], now: u64) {
        let begins = if self.acknowledged == self.written { 0 } else { self.place };
        self.place = (begins + data.len()) % MOST_UNACKNOWLEDGED;
        let at = self.written as usize % MOST_UNACKNOWLEDGED;
        let (front, rest) = data.split_at(data.len().min(MOST_UNACKNOWLEDGED - at));
        self.bytes[at..at + front.len()].copy_from_slice(front);
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.written = self.written.wrapping_add(data.len() as u32);
        if self.sample.is_none() {
            self.sample = Some((self.written, now));
        }
        if self.probe_at == u64::MAX && self.probes == 0 {
            self.probe_at = now.saturating_add(self.patience());
        }
    }

    /// True where the stack has to be told of frames that have left.
    #[inline]
    pub(super) const fn is_unsettled(&self) -> bool {
        self.settled != self.next
    }

    /// The first frame that the stack does not know of, and its data.
    pub(super) fn unsettled(&self) -> Option<(&[u8], &[u8])> {
        let sent = &self.ring[self.settled as usize % RING];
        let frame = sent.frame.get(..sent.end)?;
        if self.is_unsettled() { Some((frame, frame.get(sent.data_at..)?)) } else { None }
    }

    /// The stack knows of it now.
    pub(super) const fn settle_one(&mut self) {
        self.settled = self.settled.wrapping_add(1);
    }

    /// The stack sent a segment with `len` bytes of data; true where it had sent some of them before.
    pub(super) const fn stack_sent(&mut self, sequence: u32, len: usize) -> bool {
        let again = before(sequence, self.stack_next);
        self.stack_next = sequence.wrapping_add(len as u32);
        if again {
            // Whose acknowledgment comes cannot be told.
            self.sample = None;
        }
        again
    }

    /// The peer has everything before `acknowledged`.
    pub(super) fn on_acknowledged(&mut self, acknowledged: u32, now: u64) {
        if acknowledged == self.acknowledged {
            return;
        }
        self.acknowledged = acknowledged;
        if let Some((end, at)) = self.sample
            && !before(acknowledged, end)
        {
            self.sample = None;
            self.on_round_trip(now.saturating_sub(at));
        }
        self.probes = 0;
        self.probe_at = match acknowledged == self.written {
            true => u64::MAX,
            false => now.saturating_add(self.patience()),
        };
    }

    /// Something was answered after so many ns.
    pub(super) const fn on_round_trip(&mut self, ns: u64) {
        self.round_trip_ns =
            if self.round_trip_ns == 0 { ns } else { (7 * (self.round_trip_ns / 8)) + ns / 8 };
    }

    /// A few round trips; twice as long with each probe.
    const fn patience(&self) -> u64 {
        let (least, most) = PROBE_NS;
        let wait = self.round_trip_ns.saturating_mul(4);
        let wait = if wait < least {
            least
        } else if wait > most {
            most
        } else {
            wait
        };
        wait << self.probes
    }

    /// A frame with the first unacknowledged bytes, if it is time to send them again. The stack's own time-out is a second
    /// at the least, too long for an order that was the last.
    pub(super) fn probe(
        &mut self,
        head: &Head,
        frame: &mut [u8; FRAME],
        now: u64,
        counters: &mut TcpCounters,
    ) -> Option<usize> {
        if now < self.probe_at || !self.open {
            return None;
        }
        self.probe_at = u64::MAX;
        let allowed =
            self.edge.wrapping_sub(self.acknowledged).min(self.written.wrapping_sub(self.acknowledged));
        let len = (allowed as usize).min(MOST_DATA).min(self.most);
        if len == 0 || before(self.edge, self.acknowledged) || self.probes == MOST_PROBES {
            return None;
        }
        self.probes += 1;
        self.probe_at = now.saturating_add(self.patience());
        self.sample = None;
        counters.probes += 1;
        let mut data = [0; MOST_DATA];
        let at = self.acknowledged as usize % MOST_UNACKNOWLEDGED;
        for (to, from) in data[..len].iter_mut().zip(self.bytes.iter().cycle().skip(at)) {
            *to = *from;
        }
        Some(head.write(frame, self.acknowledged, &data[..len]))
    }
}
