use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;
use crate::journal::file::Reader;
use crate::journal::{Kind, Record};

fn config(directory: &Path, rings: &Path) -> Config {
    let text = include_str!("../../../config/feed.toml")
        .replace("directory = \"/tmp\"", &format!("directory = {directory:?}"))
        .replace("ring_directory = \"/dev/shm\"", &format!("ring_directory = {rings:?}"))
        .replace("#workers = [1, 2]", "workers = [1, 2]")
        .replace("ring_mib = 8", "ring_mib = 1");
    Config::parse(&text, "journal").unwrap()
}

fn begin(place: &Path) -> (Vec<JournalWriter>, JournalThread) {
    let clock = Clock::from_hz(1_000_000_000).unwrap();
    start(&config(place, place), clock, &Who::default()).unwrap().unwrap()
}

fn sent(order: u32) -> Record {
    Record { kind: Kind::Sent, order, ..Record::default() }
}

fn orders(path: &Path) -> (Vec<(u16, u32)>, file::Findings) {
    let mut reader = Reader::new(io::BufReader::new(File::open(path).unwrap())).unwrap();
    let mut orders = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        orders.push((record.worker, record.order));
    }
    (orders, *reader.findings())
}

fn files(place: &Path, part: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all.filter(|path| path.to_string_lossy().contains(part)).collect();
    found.sort();
    found
}

#[test]
fn what_two_loops_write_is_in_one_file_and_the_rings_are_gone() {
    let place = tempfile::tempdir().unwrap();
    let (mut writers, thread) = begin(place.path());
    assert_eq!((writers.len(), files(place.path(), ".ring").len()), (2, 2));
    for order in 1..=20_000 {
        // More than a ring holds: the thread keeps up, or the gate shuts.
        while !writers[0].is_open() {
            thread::yield_now();
        }
        writers[0].put(&sent(order));
        if order % 4 == 0 {
            writers[1].put(&sent(order));
        }
    }
    let done = thread.finish();
    assert_eq!((done.records, done.failure, done.failures), (25_000, None, 0));
    let (read, found) = orders(&done.path);
    assert_eq!((found.records, found.missing, found.damaged, found.torn_bytes), (25_000, 0, 0, 0));
    let of = |worker: u16| read.iter().filter(move |(w, _)| *w == worker).map(|(_, order)| *order);
    assert!(of(0).eq(1..=20_000) && of(1).eq((4..=20_000).step_by(4)));
    assert_eq!(files(place.path(), ".ring"), [] as [PathBuf; 0]);
    // The next run has a file of its own.
    let again = begin(place.path()).1.finish();
    assert_ne!(again.path, done.path);
    assert_eq!(files(place.path(), ".journal").len(), 2);
    let mode = fs::metadata(&done.path).unwrap().mode() & 0o777;
    assert_eq!(mode & 0o007, 0, "{mode:o}: others may not read it");
}

#[test]
fn the_next_start_completes_the_journal_of_a_killed_run() {
    let place = tempfile::tempdir().unwrap();
    let clock = Clock::from_hz(1_000_000_000).unwrap();
    // A run without its thread, whose taker is dropped as if the process had gone.
    let (head, journal, rings) =
        head(&config(place.path(), place.path()), &clock, &Who::default(), Anchor::now());
    fs::write(&journal, head.to_bytes()).unwrap();
    let (mut kept, mut writers) = (Vec::new(), Vec::new());
    for (worker, ring) in (0..).zip(&rings) {
        let ring_head = RingHead { run: head.run, worker, capacity: 64, journal: journal.clone() };
        let (writer, taker) = ring::create(ring, &ring_head).unwrap();
        kept.push(taker);
        writers.push(writer);
    }
    writers[0].put(&sent(1));
    writers[1].put(&sent(2));
    // While it lives, nobody takes its rings.
    recover_all(place.path());
    assert_eq!(files(place.path(), ".ring").len(), 2);
    drop((kept, writers));
    let (_writers, thread) = begin(place.path());
    assert_eq!(orders(&journal).0.len(), 2, "the journal is complete before the next run begins");
    assert!(rings.iter().all(|ring| !ring.exists()));
    let _ = thread.finish();
}

#[test]
fn what_cannot_be_put_back_stays() {
    let place = tempfile::tempdir().unwrap();
    let ring = place.path().join("wirebook-x.ring0");
    let head = RingHead { run: 1, worker: 0, capacity: 8, journal: place.path().join("gone") };
    drop(ring::create(&ring, &head).unwrap());
    let odd = place.path().join("wirebook-y.ring0");
    fs::write(&odd, "no ring").unwrap();
    recover_all(place.path());
    assert!(ring.exists() && odd.exists());
}

#[test]
fn what_stands_in_the_way_of_a_journal_is_said_with_its_remedy() {
    let place = tempfile::tempdir().unwrap();
    let clock = Clock::from_hz(1_000_000_000).unwrap();
    let try_with = |directory: &Path, rings: &Path| {
        start(&config(directory, rings), clock, &Who::default()).map(|_| ()).unwrap_err().to_string()
    };
    let gone = place.path().join("gone");
    let why = try_with(&gone, place.path());
    assert!(why.contains("gone/wirebook-") && why.contains("journal.directory"), "{why}");
    let why = try_with(place.path(), &gone);
    assert!(why.contains("gone/wirebook-") && why.contains("journal.ring_directory"), "{why}");
    assert_eq!(
        files(place.path(), "wirebook"),
        [] as [PathBuf; 0],
        "nothing is left of what could not begin"
    );
}

/// `/dev/full` takes nothing, as a full disk.
#[test]
fn a_full_disk_shuts_the_gate_loses_nothing_and_opens_it_again() {
    let place = tempfile::tempdir().unwrap();
    let ring = place.path().join("ring");
    let head = RingHead { run: 1, worker: 0, capacity: 64, journal: place.path().join("j") };
    let (mut writer, taker) = ring::create(&ring, &head).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut work = Work::new("/dev/full".into(), full, vec![taker]);
    assert_eq!(work.go_on(), PAUSE);
    assert!(writer.is_open());
    writer.put(&sent(1));
    assert_eq!(work.go_on(), RETRY);
    assert_eq!(work.go_on(), RETRY);
    assert!(!writer.is_open());
    assert_eq!(work.done.failures, 1, "said once");
    writer.put(&sent(2));
    // There is room again.
    work.file = File::create_new(place.path().join("room")).unwrap();
    assert_eq!(work.go_on(), PAUSE);
    assert!(writer.is_open());
    let done = work.finish();
    assert_eq!((done.records, done.failure), (2, None));
    let mut bytes = [0; 2 * RECORD];
    File::open(place.path().join("room")).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    let second = Record::from_bytes(bytes[RECORD..].first_chunk().unwrap(), 1).unwrap();
    assert_eq!(second.order, 2);
}

#[test]
fn memory_is_told_from_disks() {
    if Path::new("/dev/shm").is_dir() {
        assert!(is_memory(Path::new("/dev/shm")));
    }
    assert!(!is_memory(Path::new("/proc")) && !is_memory(Path::new("/no/such/place")));
}
