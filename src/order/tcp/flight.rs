//! What is known of a connection beside the stack: how far it was written, acknowledged and allowed, and the frames that
//! are under way.
//!
//! Sequence numbers wrap: they are compared by the sign of their difference (RFC 9293, 3.4).

use super::counters::TcpCounters;
use super::head::{FRAME, Head, LEAST_DATA, MOST_DATA};

/// Frames that are kept until they are acknowledged, and most that leave before the stack is told of the first.
const RING: usize = 16;

/// Frames that the stack is told of one by one afterwards may wait so long; then a write goes the stack's way.
const MOST_UNSETTLED: u32 = 8;

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

impl Sent {
    fn data(&self) -> &[u8] {
        self.frame.get(self.data_at..self.end).unwrap_or_default()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flight {
    /// The latest frames; counted from 0, in place `number % RING`. Those before `first` are acknowledged.
    ring: Box<[Sent; RING]>,
    first: u32,
    /// The stack knows of those before this one.
    settled: u32,
    next: u32,
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
            first: 0,
            settled: 0,
            next: 0,
            open: false,
            written: 0,
            stack_next: 0,
            acknowledged: 0,
            edge: 0,
            room: 0,
            most: 0,
            sample: None,
            round_trip_ns: 0,
            probes: 0,
            probe_at: u64::MAX,
        }
    }

    /// A new connection: nothing of the one before is known any more.
    pub(super) fn reset(&mut self) {
        (self.first, self.settled) = (self.next, self.next);
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
            && !before(self.edge, self.written.wrapping_add(len as u32))
            && self.next.wrapping_sub(self.first) < RING as u32
            && self.next.wrapping_sub(self.settled) < MOST_UNSETTLED
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

    /// The prepared frame, with `len` bytes of data, has left, and the stack has to be told.
    #[inline]
    pub(super) fn commit(&mut self, len: usize, now: u64) {
        self.next = self.next.wrapping_add(1);
        self.room -= len.min(self.room);
        self.wrote(len, now);
    }

    /// `len` bytes were written, one way or the other.
    #[inline]
    pub(super) const fn wrote(&mut self, len: usize, now: u64) {
        self.written = self.written.wrapping_add(len as u32);
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

    /// The data of the first frame that the stack does not know of.
    pub(super) fn unsettled(&self) -> Option<&[u8]> {
        self.is_unsettled().then(|| self.ring[self.settled as usize % RING].data())
    }

    /// That frame itself.
    pub(super) fn unsettled_frame(&self) -> Option<&[u8]> {
        let sent = &self.ring[self.settled as usize % RING];
        self.is_unsettled().then(|| sent.frame.get(..sent.end).unwrap_or_default())
    }

    /// The stack knows of it now.
    pub(super) const fn settle_one(&mut self) {
        self.settled = self.settled.wrapping_add(1);
    }

    /// The stack sent a segment with `len` bytes of data; true where it had sent some of them before. A short one in
    /// its place is kept, to be probed with.
    pub(super) fn stack_sent(&mut self, head: &Head, sequence: u32, data: &[u8]) -> bool {
        let end = sequence.wrapping_add(data.len() as u32);
        let again = before(sequence, self.stack_next);
        self.stack_next = end;
        if again {
            self.sample = None;
        } else if !self.is_unsettled()
            && self.next.wrapping_sub(self.first) < RING as u32
            && (1..=MOST_DATA).contains(&data.len())
        {
            let sent = &mut self.ring[self.next as usize % RING];
            sent.sequence = sequence;
            sent.data_at = head.data_at();
            sent.end = head.write(&mut sent.frame, sequence, data);
            self.next = self.next.wrapping_add(1);
            self.settled = self.next;
        }
        again
    }

    /// The peer has everything before `acknowledged`.
    pub(super) fn on_acknowledged(&mut self, acknowledged: u32, now: u64) {
        if acknowledged == self.acknowledged {
            return;
        }
        self.acknowledged = acknowledged;
        while self.first != self.settled {
            let sent = &self.ring[self.first as usize % RING];
            if before(acknowledged, sent.sequence.wrapping_add(sent.data().len() as u32)) {
                break;
            }
            self.first = self.first.wrapping_add(1);
        }
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
        self.round_trip_ns = if self.round_trip_ns == 0 { ns } else { (7 * (self.round_trip_ns / 8)) + ns / 8 };
    }

    /// A few round trips; twice as long with each probe.
    const fn patience(&self) -> u64 {
        let (least, most) = PROBE_NS;
        let wait = self.round_trip_ns.saturating_mul(4);
        let wait = if wait < least { least } else if wait > most { most } else { wait };
        wait << self.probes
    }

    /// The first unacknowledged frame, headers as they have to be now, if it is time to send it again. The stack's own
    /// time-out is a second at the least, too long for an order that was the last.
    pub(super) fn probe(&mut self, head: &Head, now: u64, counters: &mut TcpCounters) -> Option<&[u8]> {
        if now < self.probe_at || !self.open {
            return None;
        }
        self.probe_at = u64::MAX;
        let sent = &self.ring[self.first as usize % RING];
        if self.first == self.settled || sent.sequence != self.acknowledged || self.probes == MOST_PROBES {
            return None;
        }
        let mut data = [0; MOST_DATA];
        let len = sent.data().len().min(MOST_DATA);
        data[..len].copy_from_slice(&sent.data()[..len]);
        self.probes += 1;
        self.probe_at = now.saturating_add(self.patience());
        self.sample = None;
        counters.probes += 1;
        let sent = &mut self.ring[self.first as usize % RING];
        sent.end = head.write(&mut sent.frame, sent.sequence, &data[..len]);
        sent.frame.get(..sent.end)
    }
}
