//! Captures of our own, read by others: an independent crate, tshark, capinfos; cut off as by a kill, and on a full disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use wirebook::capture::own::{LINK_NOTES, Note, OPTION};
use wirebook::capture::{LINK_ETHERNET, Reader, Tail};
use wirebook::control::capture::{self, Anchor, Captured, Head, Writer};
use wirebook::nic::replay::{Frames, ReplayRx};
use wirebook::nic::{HW_STAMP, IP_CSUM_GOOD, RxQueue};
use wirebook::pipeline::tap::{self, Tap, When};
use wirebook::stats::clock::{CALIBRATION, Clock};

/// No whole number of ns.
const HZ: u64 = 2_100_000_000;
const UNIX: u64 = 1_700_000_000_123_456_789;
/// Ticks of the first frame.
const FIRST: u64 = 1 << 52;

fn head() -> Head {
    Head {
        hardware: "a processor".into(),
        os: "an operating system".into(),
        ports: vec!["feed0".into(), "orders0".into()],
    }
}

/// Frame `n`: from the shortest to the longest of a port, lengths of every remainder modulo 4.
fn bytes(n: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..60 + n * 7 % 8_900).map(|at| (at + n) as u8).collect();
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

fn flags(n: usize) -> u32 {
    [0, HW_STAMP, IP_CSUM_GOOD, HW_STAMP | IP_CSUM_GOOD][n % 4]
}

fn when(n: usize) -> When {
    let ticks = FIRST + n as u64 * 2_101;
    When { ticks, feed: ticks - (n as u64 / 10) * 1_000 }
}

/// Frame `n` into the tap, every third by the second port; after every fifth a note.
fn frame(tap: &mut Tap, n: usize) {
    let mut frames = Frames::new();
    frames.push_with(&bytes(n), n as u64 + 5, flags(n));
    tap.burst(u8::from(n.is_multiple_of(3)), when(n), &ReplayRx::new(frames).poll());
    if n.is_multiple_of(5) {
        tap.note(when(n), &Note::Abandon(n as u64));
    }
}

fn writer(file: File, from: tap::FromTap) -> Writer {
    let anchor = Anchor { ticks: FIRST, unix_ns: UNIX };
    Writer::new(file, from, Clock::from_hz(HZ).unwrap(), anchor, &head()).unwrap()
}

fn write(path: &Path, frames: usize) -> Captured {
    let (mut tap, from) = tap::tap(1 << 20);
    let mut writer = writer(File::create(path).unwrap(), from);
    for n in 0..frames {
        frame(&mut tap, n);
        if n.is_multiple_of(16) {
            while writer.round() {}
        }
    }
    writer.finish()
}

fn stamp(n: usize) -> u64 {
    UNIX + Clock::from_hz(HZ).unwrap().ns(when(n).ticks - FIRST)
}

#[test]
fn every_frame_and_note_comes_back_with_its_stamps_and_flags() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.pcapng");
    let captured = write(&path, 2_000);
    assert_eq!((captured.frames, captured.notes, captured.failure), (2_000, 400, None));
    assert_eq!(captured.bytes, fs::metadata(&path).unwrap().len());

    let mut reader = Reader::open(&path).unwrap();
    for n in 0..2_000 {
        let record = reader.next_record().unwrap().unwrap();
        let own = record.own.unwrap();
        assert_eq!((record.bytes, record.link_type), (&bytes(n)[..], LINK_ETHERNET), "frame {n}");
        assert_eq!((record.stamp_ns, record.original_len as usize), (Some(stamp(n)), record.bytes.len()));
        assert_eq!((own.ticks, own.hz, own.flags), (when(n).feed, HZ, flags(n)));
        assert_eq!(own.nic_stamp, if flags(n) & HW_STAMP == 0 { 0 } else { n as u64 + 5 });
        if n.is_multiple_of(5) {
            let record = reader.next_record().unwrap().unwrap();
            assert_eq!((record.link_type, record.stamp_ns), (LINK_NOTES, Some(stamp(n))));
            assert_eq!(record.own.unwrap().ticks, when(n).feed);
            assert_eq!(Note::parse(record.bytes), Some(Note::Abandon(n as u64)));
        }
    }
    assert_eq!(reader.next_record().unwrap(), None);
    assert_eq!(reader.tail(), None);
}

#[test]
fn an_independent_reader_sees_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.pcapng");
    write(&path, 100);
    let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
    let (mut frames, mut notes, mut statistics) = (0, 0, Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(interface) => {
                assert!(interface.options.contains(&InterfaceDescriptionOption::IfTsResol(9)));
                let name = |wanted: &str| {
                    interface.options.iter().any(
                        |option| matches!(option, InterfaceDescriptionOption::IfName(name) if name == wanted),
                    )
                };
                assert!(name("feed0") || name("orders0") || name("loop"));
            }
            Block::EnhancedPacket(packet) if packet.interface_id == 2 => notes += 1,
            Block::EnhancedPacket(packet) => {
                assert_eq!(packet.data[..], bytes(frames));
                assert_eq!(packet.interface_id, u32::from(frames % 3 == 0));
                let of_ours = |option: &EnhancedPacketOption<'_>| matches!(option, EnhancedPacketOption::Unknown(option) if option.code == OPTION);
                assert!(packet.options.iter().any(of_ours));
                frames += 1;
            }
            Block::InterfaceStatistics(block) => statistics.push(block.interface_id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((frames, notes, statistics), (100, 20, vec![0, 1, 2]));
}

#[test]
fn tshark_and_capinfos_read_it() {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !there("tshark") || !there("capinfos") {
        println!("SKIPPED: tshark and capinfos are not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.pcapng");
    write(&path, 500);
    let said = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = said(Command::new("tshark").arg("-r").arg(&path).args([
        "-n",
        "-T",
        "fields",
        "-e",
        "frame.time_epoch",
        "-e",
        "frame.len",
        "-e",
        "frame.interface_name",
        "-Y",
        "frame.interface_id < 2",
    ]));
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 500);
    for (n, row) in rows.iter().enumerate() {
        let (s, ns) = (stamp(n) / 1_000_000_000, stamp(n) % 1_000_000_000);
        let port = if n.is_multiple_of(3) { "orders0" } else { "feed0" };
        assert_eq!(*row, format!("{s}.{ns:09}\t{}\t{port}", bytes(n).len()));
    }
    let text = said(Command::new("capinfos").arg(&path));
    for part in
        ["a processor", "an operating system", "nanoseconds", "Number of interfaces in file: 3", "wirebook"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// What a killed process leaves: everything up to the last whole block, however the file ends.
#[test]
fn a_file_that_ends_anywhere_gives_all_whole_records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.pcapng");
    write(&path, 12);
    let whole = fs::read(&path).unwrap();
    let read = |file: &[u8]| {
        let mut reader = Reader::new("cut", file).unwrap();
        let mut records = 0;
        while reader.next_record().unwrap().is_some() {
            records += 1;
        }
        (records, matches!(reader.tail(), Some(Tail::Truncated { .. })))
    };
    assert_eq!(read(&whole), (15, false));
    let mut before = 0;
    let mut clean = 0;
    for len in 24..whole.len() {
        let (records, cut) = read(&whole[..len]);
        assert!(records == before || records == before + 1);
        before = records;
        clean += u32::from(!cut);
    }
    // Cuts between blocks: behind the section, 3 interfaces, 15 packets, 2 of 3 statistics.
    assert_eq!((before, clean), (15, 21));
}

#[test]
fn on_a_full_disk_the_capture_ends_and_says_so() {
    let clock = Clock::from_hz(HZ).unwrap();
    let refused = capture::start(Path::new("/dev/full"), 0, clock, &head()).err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);

    // Gone after the head, like a disk that filled up: the loop's side goes on, and so does the thread.
    let (file, other_end) = UnixStream::pair().unwrap();
    let (mut tap, from) = tap::tap(0);
    let mut writer = writer(File::from(OwnedFd::from(file)), from);
    assert_eq!(writer.failure(), None);
    drop(other_end);
    (0..100).for_each(|n| frame(&mut tap, n));
    let began = Instant::now();
    while writer.failure().is_none() {
        writer.round();
        assert!(began.elapsed() < Duration::from_secs(60), "no failure is noticed");
    }
    (0..100).for_each(|n| frame(&mut tap, n));
    assert!(!writer.round(), "it has given up");
    let captured = writer.finish();
    assert!(captured.failure.is_some_and(|why| why.contains("pipe")));
}

#[test]
fn the_thread_writes_while_the_loop_goes_on_and_sets_stamps_by_the_clock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.pcapng");
    let clock = Clock::calibrate(CALIBRATION).unwrap();
    let before = Anchor::now().unix_ns;
    let (mut tap, thread) = capture::start(&path, 1 << 20, clock, &head()).unwrap();
    let mut frames = Frames::new();
    frames.push(&bytes(1));
    let ticks = wirebook::tsc::now();
    tap.burst(0, When { ticks, feed: ticks }, &ReplayRx::new(frames.clone()).poll());
    // It is in the file long before the end: a killed process would have left it.
    let began = Instant::now();
    let count = || {
        let mut reader = Reader::open(&path).unwrap();
        let mut stamps = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            stamps.push(record.stamp_ns.unwrap());
        }
        stamps
    };
    while count().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
    // A stamp before the one before: another CPU's counter.
    tap.burst(0, When { ticks: ticks - 1_000, feed: ticks }, &ReplayRx::new(frames).poll());
    let captured = thread.finish();
    let after = Anchor::now().unix_ns;
    assert_eq!((captured.frames, captured.failure), (2, None));
    let stamps = count();
    assert_eq!(stamps[0], stamps[1]);
    // The calibration is off by some ppm, and the system's clock may be slewed meanwhile.
    let slack = 1_000_000 + (after - before) / 1_000;
    assert!((before - slack..after + slack).contains(&stamps[0]), "{before} {stamps:?} {after}");
}
