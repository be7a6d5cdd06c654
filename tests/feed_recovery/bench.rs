//! A client, both ends of its link, and servers played by hand.

use std::collections::BTreeSet;
use std::ops::Range;

use wirebook::feed::handover::{ClientEnd, Hole, Item, LoopEnd, Need, link};
use wirebook::feed::recovery::{
    Action, Notice, Recovery, RecoveryConfig, RequestsConfig, SnapshotConfig, Stated,
};

pub(crate) const SESSION: [u8; 10] = *b"DAY1      ";
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) const REQUESTS: RequestsConfig = RequestsConfig {
    servers: 2,
    max_messages: 100,
    timeout: 20 * MS,
    retries: 3,
    per_second: 10_000,
    outstanding: 4,
    max_hole: 10_000,
};

pub(crate) const SNAPSHOT: SnapshotConfig = SnapshotConfig {
    username: *b"wireb ",
    password: *b"secret    ",
    check_session: true,
    stated: Stated::Next,
    login_timeout: 2 * SECOND,
    silence_timeout: 5 * SECOND,
    total_timeout: 60 * SECOND,
    max_messages: 1_000,
    back_off: SECOND,
    back_off_max: 5 * SECOND,
};

/// What the client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    /// Server, first sequence, count.
    Asked(usize, u64, u16),
    Connected,
    Sent(Vec<u8>),
    HungUp,
}

/// What the loop was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Packet(Vec<u8>),
    Abandon(u64),
    Begin(u64),
    Message(Vec<u8>),
    End(u64),
    Failed,
}

/// A MoldUDP64 packet with a message of one byte for each sequence.
pub(crate) fn data(session: [u8; 10], range: Range<u64>) -> Vec<u8> {
    let count = u16::try_from(range.end - range.start).unwrap();
    let mut packet = control(session, range.start, count);
    for sequence in range {
        packet.extend([0, 1, sequence.to_be_bytes()[7]]);
    }
    packet
}

pub(crate) fn control(session: [u8; 10], sequence: u64, count: u16) -> Vec<u8> {
    [&session[..], &sequence.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// A SoupBinTCP packet.
pub(crate) fn soup(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 1).unwrap();
    [&len.to_be_bytes()[..], &[kind], payload].concat()
}

pub(crate) fn accepted(session: &str, sequence: u64) -> Vec<u8> {
    soup(b'A', format!("{session:>10}{sequence:>20}").as_bytes())
}

pub(crate) fn end(sequence: u64) -> Vec<u8> {
    soup(b'S', format!("G{sequence:020}").as_bytes())
}

pub(crate) struct Bench {
    pub(crate) client: Recovery,
    pub(crate) of_loop: LoopEnd,
    pub(crate) of_client: ClientEnd,
    pub(crate) need: Need,
    pub(crate) now: u64,
    did: Vec<Did>,
}

impl Bench {
    pub(crate) fn new(requests: Option<RequestsConfig>, snapshot: Option<SnapshotConfig>) -> Self {
        let (of_loop, of_client) = link(0);
        let client = Recovery::new(RecoveryConfig { requests, snapshot });
        let need = Need { epoch: 1, session: SESSION, expected: 1, ..Need::default() };
        Self { client, of_loop, of_client, need, now: 5 * SECOND, did: Vec::new() }
    }

    /// The loop misses these now.
    pub(crate) fn holes(&mut self, holes: &[Range<u64>]) {
        self.need.holes = Default::default();
        for (place, hole) in self.need.holes.iter_mut().zip(holes) {
            *place = Hole { first: hole.start, end: hole.end };
        }
    }

    /// The loop takes what it was given, and misses that much less.
    pub(crate) fn settle(&mut self) -> Vec<Given> {
        let given = self.given();
        let mut missing: BTreeSet<u64> = self.need.open().flat_map(|hole| hole.first..hole.end).collect();
        for given in &given {
            match given {
                Given::Packet(packet) => {
                    let first = u64::from_be_bytes(packet[10..18].try_into().unwrap());
                    let count = u16::from_be_bytes(packet[18..20].try_into().unwrap());
                    missing.retain(|at| !(first..first + u64::from(count)).contains(at));
                }
                Given::Abandon(end) => missing.retain(|at| at >= end),
                _ => {}
            }
        }
        let mut holes: Vec<Range<u64>> = Vec::new();
        for at in missing {
            match holes.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => holes.push(at..at + 1),
            }
        }
        self.holes(&holes);
        given
    }

    /// The client looks at the need `after` ns; what it did since the last call.
    pub(crate) fn round(&mut self, after: u64) -> Vec<Did> {
        self.now += after;
        self.of_loop.need.publish(&self.need);
        let need = self.of_client.need.read();
        let did = &mut self.did;
        self.client.on_need(self.now, &need, &mut self.of_client.giver, &mut |action| note(did, action));
        std::mem::take(did)
    }

    pub(crate) fn answer(&mut self, server: usize, payload: &[u8]) {
        self.client.on_answer(self.now, server, payload, &mut self.of_client.giver);
    }

    pub(crate) fn connected(&mut self) -> Vec<Did> {
        let did = &mut self.did;
        self.client.on_connected(self.now, &mut |action| note(did, action));
        std::mem::take(did)
    }

    pub(crate) fn disconnected(&mut self) {
        self.client.on_disconnected(self.now, &mut self.of_client.giver);
    }

    /// Bytes from the snapshot server; how many it took, and what it did.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> (usize, Vec<Did>) {
        let did = &mut self.did;
        let giver = &mut self.of_client.giver;
        let taken = self.client.on_bytes(self.now, bytes, giver, &mut |action| note(did, action));
        (taken, std::mem::take(did))
    }

    /// What the loop was given since the last call.
    pub(crate) fn given(&mut self) -> Vec<Given> {
        let mut given = Vec::new();
        while let Some(item) = self.of_loop.taker.take() {
            given.push(match item {
                Item::Packet { epoch, payload } => {
                    assert_eq!(epoch, self.need.epoch);
                    Given::Packet(payload.to_vec())
                }
                Item::Abandon { epoch, end } => {
                    assert_eq!(epoch, self.need.epoch);
                    Given::Abandon(end)
                }
                Item::SnapshotBegin { epoch, number } => {
                    assert_eq!(epoch, self.need.epoch);
                    Given::Begin(number)
                }
                Item::SnapshotMessage { message } => Given::Message(message.to_vec()),
                Item::SnapshotEnd { next } => Given::End(next),
                Item::SnapshotFailed => Given::Failed,
            });
        }
        given
    }

    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        self.client.notices().collect()
    }

    /// Nothing more fits the link.
    pub(crate) fn fill_the_link(&mut self) {
        while self.of_client.giver.give(&Item::SnapshotMessage { message: &[7; 60_000] }) {}
        while self.of_client.giver.give(&Item::SnapshotFailed) {}
    }
}

fn note(did: &mut Vec<Did>, action: Action<'_>) {
    did.push(match action {
        Action::Request { server, payload } => {
            assert_eq!(payload[..10], SESSION);
            let sequence = u64::from_be_bytes(payload[10..18].try_into().unwrap());
            Did::Asked(server, sequence, u16::from_be_bytes(payload[18..].try_into().unwrap()))
        }
        Action::Connect => Did::Connected,
        Action::Send(bytes) => Did::Sent(bytes.to_vec()),
        Action::Disconnect => Did::HungUp,
    });
}
