use std::os::unix::fs::FileExt;
use std::path::Path;

use super::*;
use crate::journal::ring::{self, JournalTaker, JournalWriter, RingHead};

fn head() -> Head {
    let text = "program = wirebook\nring = /dev/shm/a\nring = /dev/shm/b\n".to_owned();
    Head { run: 42, began_unix_ns: 1_000, began_ns: 100, workers: 2, text }
}

fn sent(order: u32) -> Record {
    Record { kind: Kind::Sent, order, sequence: order.into(), ..Record::default() }
}

fn file_of(orders: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut bytes = head().to_bytes();
    orders.into_iter().for_each(|order| bytes.extend(sent(order).to_bytes(42)));
    bytes
}

fn read(bytes: &[u8]) -> (Vec<u32>, Findings) {
    let mut reader = Reader::new(bytes).unwrap();
    let mut orders = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        orders.push(record.order);
    }
    (orders, *reader.findings())
}

#[test]
fn a_head_comes_back_as_it_was() {
    let bytes = head().to_bytes();
    assert_eq!(bytes.len() % RECORD, 0);
    let read = Head::read(&mut &bytes[..]).unwrap();
    assert_eq!(read, head());
    assert_eq!(read.rings().collect::<Vec<_>>(), [Path::new("/dev/shm/a"), Path::new("/dev/shm/b")]);
    assert_eq!([read.unix_ns(150), read.unix_ns(40)], [1_050, 940]);
    let long = Head { text: "x".repeat(LONGEST_TEXT + 5), ..head() };
    assert_eq!(Head::read(&mut &long.to_bytes()[..]).unwrap().text.len(), LONGEST_TEXT);
}

#[test]
fn what_is_no_journal_is_said_to_be_none() {
    let bytes = head().to_bytes();
    for cut in 0..bytes.len() {
        let why = Head::read(&mut &bytes[..cut]).unwrap_err();
        assert!(
            matches!(why, HeadError::NoJournal if cut < 16) || matches!(why, HeadError::Damaged if cut >= 16),
            "{cut}"
        );
    }
    for bit in 0..(FIXED + head().text.len()) * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(Head::read(&mut &wrong[..]).is_err(), "bit {bit}");
    }
    let mut newer = bytes;
    newer[16] = 9;
    assert!(matches!(Head::read(&mut &newer[..]), Err(HeadError::Version(9))));
}

#[test]
fn records_are_read_past_damage_and_the_damage_is_counted() {
    let whole = file_of(1..=5);
    assert_eq!(read(&whole), (vec![1, 2, 3, 4, 5], Findings { records: 5, ..Findings::default() }));
    // Cut off within the last.
    let (orders, found) = read(&whole[..whole.len() - 1]);
    assert_eq!((orders, found.torn_bytes, found.damaged), (vec![1, 2, 3, 4], 127, 0));
    // One bit in the third.
    let mut wrong = whole.clone();
    let third = head().to_bytes().len() + 2 * RECORD;
    wrong[third + 60] ^= 4;
    let (orders, found) = read(&wrong);
    assert_eq!((orders, found.damaged, found.missing), (vec![1, 2, 4, 5], 1, 1));
    // Zeros in its place.
    wrong[third..third + RECORD].fill(0);
    let (orders, found) = read(&wrong);
    assert_eq!((orders, found.empty, found.missing), (vec![1, 2, 4, 5], 1, 1));
    // Some again, as a recovery may write them.
    let (orders, found) = read(&file_of([1, 2, 3, 2, 3, 4]));
    assert_eq!((orders, found.repeated, found.missing), (vec![1, 2, 3, 4], 2, 0));
}

fn killed_run(place: &Path) -> (PathBuf, PathBuf, JournalWriter, JournalTaker) {
    let (journal, ring) = (place.join("journal"), place.join("ring"));
    std::fs::write(&journal, head().to_bytes()).unwrap();
    let ring_head = RingHead { run: 42, worker: 0, capacity: 16, journal: journal.clone() };
    let (mut writer, mut taker) = ring::create(&ring, &ring_head).unwrap();
    for order in 1..=10 {
        writer.put(&sent(order));
    }
    let mut bytes = Vec::new();
    taker.take(6, &mut bytes);
    let file = OpenOptions::new().append(true).open(&journal).unwrap();
    let end = file.metadata().unwrap().len();
    // Six are written, four of them were noted, and a part of the seventh came to the file.
    taker.commit(4);
    taker.take(3, &mut bytes);
    file.set_len(end).unwrap();
    let seventh = bytes[8 * RECORD..].to_vec();
    bytes.truncate(6 * RECORD);
    bytes.extend(&seventh[..30]);
    file.write_all_at(&bytes, end).unwrap();
    (journal, ring, writer, taker)
}

#[test]
fn what_a_killed_run_left_in_its_ring_is_read_and_put_back() {
    let place = tempfile::tempdir().unwrap();
    let (journal, ring, writer, taker) = killed_run(place.path());
    drop((writer, taker));
    let left = LeftRing::open(&ring).unwrap().unwrap();
    // By the reader, which changes nothing.
    let mut reader = Reader::new(File::open(&journal).unwrap()).unwrap();
    let mut orders = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        orders.push(record.order);
    }
    assert_eq!(orders, [1, 2, 3, 4, 5, 6]);
    orders.extend(reader.ring(&left).unwrap().iter().map(|record| record.order));
    assert_eq!(orders, (1..=10).collect::<Vec<_>>());
    assert_eq!((reader.findings().from_rings, reader.findings().missing), (4, 0));
    // By the next start; twice does no harm.
    let first = recover(&left).unwrap();
    assert_eq!(first, Recovered { records: 6, torn_bytes: 30 });
    assert_eq!(recover(&left).unwrap().torn_bytes, 0);
    let (orders, found) = read(&std::fs::read(&journal).unwrap());
    assert_eq!(orders, (1..=10).collect::<Vec<_>>());
    assert_eq!((found.damaged, found.missing, found.torn_bytes), (1, 0, 0));
}

#[test]
fn a_ring_is_never_put_into_another_runs_journal() {
    let place = tempfile::tempdir().unwrap();
    let (journal, ring, writer, taker) = killed_run(place.path());
    drop((writer, taker));
    let left = LeftRing::open(&ring).unwrap().unwrap();
    let other = Head { run: 43, ..head() }.to_bytes();
    std::fs::write(&journal, &other).unwrap();
    assert_eq!(recover(&left).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(std::fs::read(&journal).unwrap(), other);
    assert!(Reader::new(&other[..]).unwrap().ring(&left).unwrap().is_empty());
    std::fs::remove_file(&journal).unwrap();
    assert_eq!(recover(&left).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn any_bytes_are_read_without_harm() {
    let mut state = 7_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    let whole = file_of(1..=20);
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..random() % 8 {
            let at = (usize::from(random()) << 8 | usize::from(random())) % bytes.len();
            bytes[at] = random();
        }
        bytes.truncate((usize::from(random()) << 8 | usize::from(random())) % (bytes.len() + 1));
        if let Ok(mut reader) = Reader::new(&bytes[..]) {
            while let Some(record) = reader.next_record().unwrap() {
                assert_eq!(record, sent(record.order));
            }
        }
    }
}
