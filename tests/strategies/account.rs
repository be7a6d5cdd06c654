//! What a journal comes to, record by record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wirebook::journal::ring::{self, JournalTaker, RingHead};
use wirebook::journal::{Action, JournalWriter, Kind, RECORD, Record};
use wirebook::market::{Side, Symbol};

const RUN: u64 = 1;

/// Takes records out of the ring and adds them up.
pub(crate) struct Account {
    taker: JournalTaker,
    /// Holds the ring.
    _directory: tempfile::TempDir,
    bytes: Vec<u8>,
    records: u64,
    counts: BTreeMap<(u8, u8), u64>,
    sides: BTreeMap<u32, Side>,
    fills: BTreeMap<(u32, u64), (Symbol, i64)>,
}

impl Account {
    pub(crate) fn open() -> (JournalWriter, Self) {
        let directory = tempfile::tempdir().unwrap();
        let head = RingHead { run: RUN, worker: 0, capacity: 1 << 14, journal: PathBuf::from("none") };
        let (writer, taker) = ring::create(&directory.path().join("ring"), &head).unwrap();
        let account = Self {
            taker,
            _directory: directory,
            bytes: Vec::new(),
            records: 0,
            counts: BTreeMap::new(),
            sides: BTreeMap::new(),
            fills: BTreeMap::new(),
        };
        (writer, account)
    }

    /// Everything that was journalled since the last call.
    pub(crate) fn take(&mut self) {
        self.bytes.clear();
        let taken = self.taker.take(u64::MAX, &mut self.bytes);
        self.taker.commit(taken);
        for bytes in std::mem::take(&mut self.bytes).as_chunks::<RECORD>().0 {
            let record = Record::from_bytes(bytes, RUN).unwrap();
            self.records += 1;
            assert_eq!(record.sequence, self.records, "nothing is missing in the journal");
            self.add(&record);
        }
    }

    fn add(&mut self, record: &Record) {
        *self.counts.entry((record.kind as u8, record.action as u8)).or_default() += 1;
        let fill = (record.order, record.number);
        match (record.kind, record.action) {
            (Kind::Cleared, Action::Enter) => {
                self.sides.insert(record.order, record.side());
            }
            (Kind::Cleared, Action::Replace) => {
                self.sides.insert(record.order, self.sides[&record.other]);
            }
            (Kind::Event, Action::Executed) => {
                let shares = i64::from(record.shares);
                let signed = if self.sides[&record.order] == Side::Buy { shares } else { -shares };
                assert!(
                    self.fills.insert(fill, (record.symbol, signed)).is_none(),
                    "a fill twice: {record:?}"
                );
            }
            (Kind::Event, Action::Broken) => {
                assert!(self.fills.remove(&fill).is_some(), "a trade that was none is broken: {record:?}");
            }
            _ => {}
        }
    }

    pub(crate) fn count(&self, kind: Kind, action: Action) -> u64 {
        self.counts.get(&(kind as u8, action as u8)).copied().unwrap_or(0)
    }

    /// Net shares by symbol, sorted, those that are not 0.
    pub(crate) fn positions(&self) -> Vec<(Symbol, i64)> {
        let mut net = BTreeMap::new();
        self.fills.values().for_each(|(symbol, shares)| *net.entry(*symbol).or_default() += shares);
        net.into_iter().filter(|(_, shares)| *shares != 0).collect()
    }
}
