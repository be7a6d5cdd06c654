//! The loop's side of the link, as far as recovery sees it: says what is missing, takes what comes.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::time::{Duration, Instant};

use wirebook::config::{Config, Recovery};
use wirebook::control::recovery::{RecoveryThread, spawn};
use wirebook::feed::handover::{HOLES, Hole, Item, LoopEnd, Need, link};
use wirebook::pipeline::health::{Health, HealthView};
use wirebook::wire::moldudp64::Packet;

use crate::servers::SESSION;

/// Much longer than anything takes, for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a configuration says.
pub(crate) fn config(requests: &[SocketAddrV4], snapshot: Option<SocketAddrV4>) -> Recovery {
    let mut text =
        "[port]\nname = \"0\"\n[feed.line.a]\ngroup = \"239.1.1.1\"\nport = 26400\n[recovery]\nhandover_kib = 256\n".to_owned();
    if !requests.is_empty() {
        let servers: Vec<_> = requests.iter().map(|server| format!("\"{server}\"")).collect();
        text.push_str(&format!(
            "[recovery.requests]\nservers = [{}]\nmax_messages = 100\ntimeout_ms = 30\nretries = 30\n",
            servers.join(", ")
        ));
    }
    if let Some(server) = snapshot {
        text.push_str(&format!(
            "[recovery.snapshot]\nserver = \"{server}\"\nusername = \"WIRE01\"\npassword = \"secret\"\n\
             login_timeout_ms = 500\nsilence_timeout_ms = 1000\nback_off_ms = 20\nback_off_max_ms = 100\n"
        ));
    }
    Config::parse(&text, "test").unwrap().recovery.unwrap()
}

/// A loop, and the recovery thread beside it.
pub(crate) struct FakeLoop {
    end: LoopEnd,
    health: Health,
    /// The thread, until it is stopped.
    pub(crate) thread: Option<RecoveryThread>,
    pub(crate) need: Need,
    missing: Vec<Range<u64>>,
    /// Messages that came, by sequence.
    pub(crate) got: BTreeMap<u64, Vec<u8>>,
    /// Ends of holes that were given up.
    pub(crate) abandoned: Vec<u64>,
    /// The messages of the snapshot that came last, and where it goes on.
    pub(crate) snapshot: Vec<Vec<u8>>,
    pub(crate) next: Option<u64>,
    /// Snapshots that broke off.
    pub(crate) failed: usize,
    /// Takes nothing while set.
    pub(crate) asleep: bool,
}

impl FakeLoop {
    pub(crate) fn new(config: &Recovery) -> Self {
        let (end, client) = link(config.handover_bytes);
        let health = Health::default();
        let mut this = Self {
            end,
            thread: Some(spawn(config, client, health.clone()).unwrap()),
            health,
            need: Need { epoch: 1, session: SESSION, expected: 1, ..Need::default() },
            missing: Vec::new(),
            got: BTreeMap::new(),
            abandoned: Vec::new(),
            snapshot: Vec::new(),
            next: None,
            failed: 0,
            asleep: false,
        };
        this.end.need.publish(&this.need);
        this
    }

    pub(crate) fn health(&self) -> HealthView {
        self.health.view()
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.health().rows.iter().find(|(row, _)| *row == name).map_or(0, |(_, value)| *value)
    }

    pub(crate) fn miss(&mut self, missing: &[Range<u64>]) {
        assert!(missing.len() <= HOLES);
        self.missing = missing.to_vec();
        self.need.expected = missing.first().map_or(self.need.expected, |hole| hole.start);
        self.shrink();
    }

    pub(crate) fn miss_one(&mut self, missing: Range<u64>) {
        self.miss(std::slice::from_ref(&missing));
    }

    pub(crate) fn want_snapshot(&mut self, oldest: u64) {
        self.need.snapshot += 1;
        self.need.oldest = oldest;
        self.end.need.publish(&self.need);
    }

    pub(crate) fn want_nothing(&mut self) {
        self.need.snapshot = 0;
        self.missing.clear();
        self.need.holes = Default::default();
        self.end.need.publish(&self.need);
    }

    /// Takes what is there.
    fn round(&mut self) {
        if self.asleep {
            return;
        }
        while let Some(item) = self.end.taker.take() {
            match item {
                Item::Packet { epoch, payload } => {
                    assert_eq!(epoch, self.need.epoch);
                    let packet = Packet::new_checked(payload).unwrap();
                    assert_eq!(packet.session(), SESSION);
                    for (sequence, message) in (packet.sequence()..).zip(packet.blocks()) {
                        self.got.insert(sequence, message.to_vec());
                    }
                }
                Item::Abandon { end, .. } => self.abandoned.push(end),
                Item::SnapshotBegin { number, .. } => {
                    assert_eq!(number, self.need.snapshot);
                    self.snapshot.clear();
                    self.next = None;
                }
                Item::SnapshotMessage { message } => self.snapshot.push(message.to_vec()),
                Item::SnapshotEnd { next } => self.next = Some(next),
                Item::SnapshotFailed => {
                    self.failed += 1;
                    self.snapshot.clear();
                    self.next = None;
                }
            }
        }
        self.shrink();
    }

    /// What came is missing no more: holes become smaller, or two, as a stream's do; the first of them are told.
    fn shrink(&mut self) {
        let mut left: Vec<Hole> = Vec::new();
        for sequence in
            self.missing.iter().cloned().flatten().filter(|sequence| !self.got.contains_key(sequence))
        {
            match left.last_mut() {
                Some(hole) if hole.end == sequence => hole.end += 1,
                _ => left.push(Hole { first: sequence, end: sequence + 1 }),
            }
        }
        left.resize(HOLES, Hole::default());
        let holes: [Hole; HOLES] = left.try_into().unwrap();
        if holes != self.need.holes {
            self.need.holes = holes;
            self.end.need.publish(&self.need);
        }
    }

    /// Goes on until `done`; what it was waiting for is said where it takes too long.
    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}\n{:?}", self.need, self.health());
            self.round();
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    pub(crate) fn is_whole(&self, range: Range<u64>) -> bool {
        self.got.range(range.clone()).count() as u64 == range.end - range.start
            && self.got.range(range).all(|(sequence, message)| *message == crate::servers::message(*sequence))
    }
}
