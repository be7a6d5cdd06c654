use super::*;
use crate::journal::Kind;

fn ring(capacity: u64) -> (tempfile::TempDir, PathBuf, JournalWriter, JournalTaker) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ring");
    let head = RingHead { run: 42, worker: 3, capacity, journal: "/a/journal".into() };
    let (writer, taker) = create(&path, &head).unwrap();
    (place, path, writer, taker)
}

fn sent(order: u32) -> Record {
    Record { kind: Kind::Sent, order, ..Record::default() }
}

fn read(bytes: &[u8]) -> Vec<Record> {
    bytes.chunks_exact(RECORD).map(|b| Record::from_bytes(b.first_chunk().unwrap(), 42).unwrap()).collect()
}

#[test]
fn records_come_out_in_order_and_stay_until_they_are_committed() {
    let (_place, path, mut writer, mut taker) = ring(8);
    let mut order = 0;
    for round in 0..100_u64 {
        for _ in 0..round % 8 {
            order += 1;
            writer.put(&sent(order));
        }
        let mut first = Vec::new();
        let count = taker.take(100, &mut first);
        assert_eq!(count, round % 8);
        let mut again = Vec::new();
        assert_eq!(taker.take(3, &mut again), count.min(3));
        assert!(first.starts_with(&again));
        let records = read(&first);
        let last = u64::from(order);
        assert!(records.iter().zip(last - count + 1..).all(|(r, n)| (
            r.sequence,
            u64::from(r.order),
            r.worker
        ) == (n, n, 3)));
        // What was not committed is what somebody else finds, too.
        assert_eq!(LeftRing::open(&path).unwrap().unwrap().records().unwrap(), records);
        taker.commit(count);
    }
    assert_eq!(*writer.counters(), JournalCounters { records: u64::from(order), dropped: 0 });
}

#[test]
fn a_half_full_ring_shuts_the_gate_and_a_full_one_drops_and_says_so() {
    let (_place, _path, mut writer, mut taker) = ring(8);
    for order in 1..=5 {
        assert!(writer.is_open(), "{order}");
        writer.put(&sent(order));
    }
    assert!(!writer.is_open());
    for order in 6..=11 {
        writer.put(&sent(order));
    }
    assert_eq!(*writer.counters(), JournalCounters { records: 8, dropped: 3 });
    let mut bytes = Vec::new();
    taker.take(7, &mut bytes);
    taker.commit(1);
    // Room for the word, and not for what comes behind it.
    writer.put(&sent(12));
    assert_eq!(writer.counters().dropped, 4);
    taker.commit(6);
    writer.put(&sent(13));
    bytes.clear();
    assert_eq!(taker.take(100, &mut bytes), 3);
    let records = read(&bytes);
    assert_eq!([records[0].order, records[2].order], [8, 13]);
    assert_eq!((records[1].kind, records[1].number), (Kind::Lost, 4));
    taker.commit(3);
    assert!(writer.is_open());
    taker.shut(true);
    assert!(!writer.is_open());
    taker.shut(false);
    assert!(writer.is_open());
}

#[test]
fn what_is_torn_or_not_yet_counted_is_told_apart() {
    let (_place, path, mut writer, taker) = ring(8);
    for order in 1..=3 {
        writer.put(&sent(order));
    }
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    // The process died between the record and the count: the record counts.
    let fourth = Record { sequence: 4, worker: 3, ..sent(4) }.to_bytes(42);
    let place = (HEAD + 3 * RECORD) as u64;
    file.write_all_at(&fourth, place).unwrap();
    let left = || LeftRing::open(&path).unwrap().unwrap().records().unwrap();
    assert_eq!(left().len(), 4);
    // It died half way through the record: that one does not.
    file.write_all_at(&[0xA5; 64], place + 64).unwrap();
    assert_eq!(left().iter().map(|r| r.order).collect::<Vec<_>>(), [1, 2, 3]);
    // A ring that was cut short.
    file.set_len((HEAD + 2 * RECORD + 5) as u64).unwrap();
    assert_eq!(left().len(), 2);
    drop(taker);
}

#[test]
fn a_ring_is_over_when_its_taker_is_gone() {
    let (_place, path, writer, taker) = ring(8);
    assert!(!LeftRing::open(&path).unwrap().unwrap().is_over());
    assert_eq!(
        create(&path, &LeftRing::open(&path).unwrap().unwrap().head).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    drop((writer, taker));
    let left = LeftRing::open(&path).unwrap().unwrap();
    assert!(left.is_over());
    assert_eq!(left.head, RingHead { run: 42, worker: 3, capacity: 8, journal: "/a/journal".into() });
}

#[test]
fn what_is_no_ring_is_none() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ring");
    let head = RingHead { run: 1, worker: 0, capacity: 8, journal: "/j".into() };
    let mut whole = head.to_bytes();
    whole.resize(HEAD, 0);
    assert_eq!(RingHead::from_bytes(&whole), Some(head.clone()));
    for bit in 0..(PATH + 2) * 8 {
        let mut wrong = whole.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        // Between the checksum and the path nothing is said.
        let unused = (56..64).contains(&(bit / 8));
        assert_eq!(RingHead::from_bytes(&wrong).is_none(), !unused, "bit {bit}");
    }
    for bytes in [&b""[..], &whole[..40], &[0xFF; 5000], &[0; 5000]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(LeftRing::open(&path).unwrap().is_none());
    }
    assert!(LeftRing::open(&place.path().join("none")).is_err());
}
