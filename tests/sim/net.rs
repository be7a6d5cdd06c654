//! The network between venue and handler: what is under way, and what happens to it there.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use exchange::frames::{Addressing, Framer};
use exchange::lines::Line;
use exchange::rng::Rng;
use exchange::soup::ConnId;

use crate::faults::Trouble;

pub(crate) const VENUE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const VENUE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Bytes of a MoldUDP64 header.
const HEADER: usize = 20;

/// Something under way.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// A frame of the feed.
    Frame(Vec<u8>),
    /// A frame of the order gateway.
    Reply(Vec<u8>),
    /// A datagram to the order gateway.
    Order(Vec<u8>),
    /// To a request server, and from one.
    Request(usize, [u8; 20]),
    Answer(usize, Vec<u8>),
    /// The client's connection comes to the snapshot server, or its bytes, or its end.
    Connect(ConnId),
    Up(ConnId, Vec<u8>),
    Leave(ConnId),
    /// The same in the other direction.
    Connected(ConnId),
    Down(ConnId, Vec<u8>),
    Closed(ConnId),
}

/// What became of frames, requests and answers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NetCounters {
    pub(crate) frames: u64,
    pub(crate) lost: u64,
    pub(crate) overrun: u64,
    pub(crate) replies_lost: u64,
    pub(crate) spoilt: u64,
}

pub(crate) struct Net {
    rng: Rng,
    pub(crate) trouble: Trouble,
    flying: BTreeMap<(u64, u64), Parcel>,
    serial: u64,
    delay: u64,
    /// When the last bytes up and down the connection arrive.
    up: u64,
    down: u64,
    strays: u32,
    framers: [Framer; 2],
    replies: Framer,
    /// The receive ring.
    pub(crate) ring: VecDeque<Vec<u8>>,
    pub(crate) reply_ring: VecDeque<Vec<u8>>,
    ring_size: usize,
    pub(crate) counters: NetCounters,
}

impl Net {
    pub(crate) fn new(seed: u64, delay: u64, ring_size: usize) -> Self {
        let line = |group| {
            let group = Ipv4Addr::new(239, 1, 1, group);
            Framer::new(Addressing::multicast(VENUE_MAC, VENUE, group, 26_400, None))
        };
        let replies = Addressing {
            src_mac: VENUE_MAC,
            dst_mac: OUR_MAC,
            src: VENUE,
            dst: US,
            src_port: 31_001,
            dst_port: 31_000,
            vlan: None,
            ttl: 64,
        };
        Self {
            rng: Rng::stream(seed, 2),
            trouble: Trouble::default(),
            flying: BTreeMap::new(),
            serial: 0,
            delay,
            up: 0,
            down: 0,
            strays: 0,
            framers: [line(1), line(2)],
            replies: Framer::new(replies),
            ring: VecDeque::new(),
            reply_ring: VecDeque::new(),
            ring_size,
            counters: NetCounters::default(),
        }
    }

    fn send(&mut self, at: u64, parcel: Parcel) {
        self.serial += 1;
        self.flying.insert((at, self.serial), parcel);
    }

    /// When the next parcel arrives.
    pub(crate) fn next_due(&self) -> u64 {
        self.flying.first_key_value().map_or(u64::MAX, |((at, _), _)| *at)
    }

    /// The next parcel that has arrived by `now`.
    pub(crate) fn take(&mut self, now: u64) -> Option<Parcel> {
        let entry = self.flying.first_entry()?;
        if entry.key().0 > now { None } else { Some(entry.remove()) }
    }

    fn happens(&mut self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.rng.chance(in_a_thousand, 1_000)
    }

    /// A payload leaves the venue on a line.
    pub(crate) fn line(&mut self, now: u64, line: Line, payload: &[u8]) {
        let line = usize::from(line == Line::B);
        let trouble = self.trouble;
        if trouble.dead[line] || self.happens(trouble.loss[line]) || self.both_lose(payload) {
            self.counters.lost += 1;
            return;
        }
        if self.happens(trouble.stray) && payload.len() >= HEADER {
            let mut stray = payload.to_vec();
            self.strays += 1;
            stray[..10].copy_from_slice(format!("STRAY{:05}", self.strays).as_bytes());
            self.frame(now, line, &stray);
        }
        if self.happens(trouble.cut_payload) {
            let len = self.rng.index(payload.len());
            self.counters.spoilt += 1;
            self.frame(now, line, &payload[..len]);
        } else {
            self.frame(now, line, payload);
        }
    }

    /// Takes the same packets from both lines, whenever each line brings them.
    fn both_lose(&mut self, payload: &[u8]) -> bool {
        let Some(head) = payload.first_chunk::<HEADER>() else { return false };
        let [.., a, b, c, d, e, f, g, h, _, _] = *head;
        let sequence = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Rng::stream(sequence, 77).chance(self.trouble.loss_both, 1_000)
    }

    /// A frame goes down a line, with what may happen to it there.
    fn frame(&mut self, now: u64, line: usize, payload: &[u8]) {
        let trouble = self.trouble;
        let mut frame = self.framers[line].frame(payload).unwrap().to_vec();
        if self.happens(trouble.cut_frame) {
            frame.truncate(1 + self.rng.index(frame.len() - 1));
            self.counters.spoilt += 1;
        } else if self.happens(trouble.bit_flip) {
            let bit = self.rng.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            self.counters.spoilt += 1;
        }
        if self.happens(trouble.duplicates) {
            let later = now + u64::from(self.rng.below(3_000_000));
            self.send(later, Parcel::Frame(frame.clone()));
        }
        let late = if self.happens(trouble.reorder) { u64::from(self.rng.below(2_000_000)) } else { 0 };
        self.send(now + late, Parcel::Frame(frame));
    }

    /// A datagram leaves the order gateway.
    pub(crate) fn reply(&mut self, now: u64, payload: &[u8]) {
        if self.happens(self.trouble.reply_lost) {
            self.counters.replies_lost += 1;
            return;
        }
        let frame = self.replies.frame(payload).unwrap().to_vec();
        self.send(now + self.delay, Parcel::Reply(frame));
    }

    pub(crate) fn order(&mut self, now: u64, payload: &[u8]) {
        self.send(now + self.delay, Parcel::Order(payload.to_vec()));
    }

    /// A request or an answer: datagrams of a network that promises nothing.
    pub(crate) fn datagram(&mut self, now: u64, parcel: Parcel) {
        let bad = self.trouble.requests_path;
        if self.happens(bad) {
            return;
        }
        if self.happens(bad) {
            let later = now + self.delay + u64::from(self.rng.below(20_000_000));
            self.send(later, parcel.clone());
        }
        let late = if self.happens(bad) { u64::from(self.rng.below(20_000_000)) } else { 0 };
        self.send(now + self.delay + late, parcel);
    }

    /// Something goes up the connection to the snapshot server, behind everything before it.
    pub(crate) fn up(&mut self, now: u64, parcel: Parcel) {
        self.up = self.up.max(now + self.delay);
        self.send(self.up, parcel);
    }

    /// The same down to the client.
    pub(crate) fn down(&mut self, now: u64, parcel: Parcel) {
        self.down = self.down.max(now + self.delay);
        self.send(self.down, parcel);
    }

    /// Bytes go down in pieces that have nothing to do with packets.
    pub(crate) fn down_bytes(&mut self, now: u64, conn: ConnId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let len = if self.rng.chance(1, 2) { bytes.len() } else { 1 + self.rng.index(bytes.len()) };
            let (piece, rest) = bytes.split_at(len);
            bytes = rest;
            let stall = if self.trouble.tcp_stall { u64::from(self.rng.below(50_000_000)) } else { 0 };
            self.down(now + stall, Parcel::Down(conn, piece.to_vec()));
        }
    }

    /// A frame of the feed comes to the receive ring.
    pub(crate) fn receive(&mut self, frame: Vec<u8>) {
        let places = if self.trouble.ring > 0 { self.trouble.ring } else { self.ring_size };
        if self.ring.len() < places {
            self.counters.frames += 1;
            self.ring.push_back(frame);
        } else {
            self.counters.overrun += 1;
        }
    }
}
