//! The journal of orders, judged by others: it says what the exchange says; what left before a kill is in it; it costs the loop no
//! allocation and no system call; and the kill switch ends what it records.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod counting;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

use wirebook::config::Config;
use wirebook::control::journal::{self, JournalThread, Who};
use wirebook::journal::file::{self, Findings, Head, Reader};
use wirebook::journal::ring::{self, LeftRing, RingHead};
use wirebook::journal::{Action, Kind, Record};
use wirebook::market::{Side, Symbol};
use wirebook::nic::replay::{End, LinkConfig, LinkRx, ReplayTx, pair};
use wirebook::order::venue::Venue as Session;
use wirebook::pipeline::{Pipeline, Switches, TICK};
use wirebook::stats::clock::{CALIBRATION, Clock};
use wirebook::stop::{KillCause, StopFlag};
use wirebook::strategy::imbalance::Imbalance;
use wirebook::tsc::{TimeSource, Tsc, now};
use wirebook::venue::{Setup, Venue, exchange_config};
use wirebook::worker::{Worker, assemble};

/// ns in one step of the lockstep, of the exchange's time and of ours.
const STEP: u64 = 100_000;

/// The demo's configuration with a journal, and without recovery: no thread runs here that could recover anything.
fn config(place: &Path, style: &str) -> Config {
    let (text, _recovery) = include_str!("../config/demo.toml").split_once("[recovery]").unwrap();
    let text = text
        .replace("reorder_wait_us = 50000", "reorder_wait_us = 1000000")
        .replace("cooldown_us = 20000", "cooldown_us = 200")
        .replace("style = \"join\"", &format!("style = \"{style}\""));
    let journal = format!("\n[journal]\ndirectory = {place:?}\nring_directory = {place:?}\nring_mib = 1\n");
    Config::parse(&(text + &journal), "demo.toml").unwrap()
}

type Loop<C> = Pipeline<LinkRx, ReplayTx, Imbalance, Session, C>;

/// Exchange, loop and journal on one thread.
struct Bed<C> {
    venue: Venue,
    venue_rx: LinkRx,
    venue_tx: ReplayTx,
    pipeline: Loop<C>,
    switches: Arc<Switches>,
    thread: JournalThread,
}

fn bed<C: TimeSource>(config: &Config, seed: u64, loss_ppm: u32, clock: Clock, time: C) -> Bed<C> {
    let (End { rx: venue_rx, tx: venue_tx }, End { rx, tx }) =
        pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
    let exchange = exchange_config(200_000, 40, seed, loss_ppm);
    let venue = Venue::new(&Setup::new(config, exchange, StopFlag::new())).unwrap();
    let (mut worker, handles) = assemble(config, [2; 6], clock).unwrap();
    let (writers, thread) = journal::start(config, clock, &Who::default()).unwrap().unwrap();
    writers.into_iter().for_each(|writer| worker.set_journal(writer));
    let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
    let pipeline = Pipeline::with_time(*parts, vec![rx], tx, time);
    Bed { venue, venue_rx, venue_tx, pipeline, switches: handles.switches, thread }
}

impl Bed<Rc<Cell<u64>>> {
    fn step(&mut self, time: &Cell<u64>, step: u64) {
        time.set(step * STEP);
        while self.venue.pump(&mut self.venue_rx, &mut self.venue_tx, step * STEP) {}
        while self.pipeline.poll() {}
        self.pipeline.tick(time.get());
    }
}

fn read(path: &Path) -> (Head, Vec<Record>, Findings) {
    let mut reader = Reader::new(BufReader::new(File::open(path).unwrap())).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        records.push(record);
    }
    (reader.head().clone(), records, *reader.findings())
}

/// Net shares by ticker, from executions and broken trades alone.
fn positions(records: &[Record]) -> Vec<(Symbol, i64)> {
    let (mut sides, mut net) = (BTreeMap::new(), BTreeMap::<Symbol, i64>::new());
    let mut matches = BTreeMap::new();
    for record in records {
        let moved = match (record.kind, record.action) {
            (Kind::Cleared, Action::Enter) => {
                sides.insert(record.order, record.side());
                continue;
            }
            (Kind::Cleared, Action::Replace) => {
                sides.insert(record.order, sides[&record.other]);
                continue;
            }
            (Kind::Event, Action::Executed) => {
                let sign = if sides[&record.order] == Side::Buy { 1 } else { -1 };
                let moved = sign * i64::from(record.shares);
                assert_eq!(matches.insert((record.order, record.number), moved), None, "{record:?}");
                moved
            }
            (Kind::Event, Action::Broken) => -matches.remove(&(record.order, record.number)).unwrap(),
            _ => continue,
        };
        let position = net.entry(record.symbol).or_default();
        *position += moved;
        assert_eq!(*position, record.position, "{record:?}");
    }
    net.retain(|_, position| *position != 0);
    net.into_iter().collect()
}

fn wirebook(args: &[&str], file: &Path) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_wirebook")).arg("journal").args(args).arg(file).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_journal_says_what_the_exchange_says_and_what_was_sent() {
    for (seed, style) in [(1, "take"), (2, "join")] {
        let place = tempfile::tempdir().unwrap();
        let config = config(place.path(), style);
        let time = Rc::new(Cell::new(0));
        let mut bed = bed(&config, seed, 20_000, Clock::from_hz(1_000_000_000).unwrap(), Rc::clone(&time));
        const STEPS: u64 = 10_000;
        for step in 1..=STEPS + 40 {
            if step == STEPS {
                bed.venue.close(&mut bed.venue_tx, step * STEP);
            }
            bed.step(&time, step);
        }
        let finished = bed.pipeline.finish();
        let legacy = bed.venue.leave();
        let done = bed.thread.finish();
        let tally = &finished.tally;
        let (_, records, found) = read(&done.path);
        assert_eq!((found.records, found.missing, found.damaged), (tally.journal.records, 0, 0));
        assert_eq!((done.records, tally.journal.dropped), (found.records, 0));

        let count =
            |kind, action| records.iter().filter(|r| (r.kind, r.action) == (kind, action)).count() as u64;
        let all = |kind| records.iter().filter(|r| r.kind == kind).count() as u64;
        let sent = [Action::Enter, Action::Replace, Action::Cancel].map(|action| count(Kind::Sent, action));
        assert_eq!(sent, [tally.session.enters, tally.session.replaces, tally.session.cancels]);
        assert_eq!(all(Kind::Cleared), all(Kind::Sent) + all(Kind::Unsent));
        assert_eq!(all(Kind::Refused), tally.risk.all_refused());
        assert_eq!(all(Kind::Event), tally.desk.replies);
        assert!(sent[0] > 100 && all(Kind::Refused) > 10 && count(Kind::Event, Action::Executed) > 10);
        // In front of every order that left stands what cleared it.
        let mut cleared = BTreeMap::new();
        for record in &records {
            match record.kind {
                Kind::Cleared => drop(cleared.insert((record.order, record.action as u8), record.sequence)),
                Kind::Sent => {
                    assert_eq!(cleared[&(record.order, record.action as u8)] + 1, record.sequence);
                }
                _ => {}
            }
        }
        assert_eq!(positions(&records), legacy.positions, "seed {seed}");

        let (code, text) = wirebook(&["--summary"], &done.path);
        assert_eq!(code, 0, "{text}");
        for (symbol, position) in &legacy.positions {
            let row = text.lines().find(|line| line.trim_start().starts_with(&symbol.to_string())).unwrap();
            assert_eq!(row.split_whitespace().nth(4), Some(position.to_string().as_str()), "{row}");
        }
        let (code, text) = wirebook(&[], &done.path);
        assert!(code == 0 && text.lines().count() as u64 > found.records);
    }
}

#[test]
fn what_is_no_journal_is_refused_with_exit_code_4() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("x");
    assert_eq!(wirebook(&[], &file).0, 4);
    for bytes in [&b""[..], b"wirebook journal", &[0xFF; 4_000], &[0; 4_000]] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(wirebook(&["--json"], &file), (4, String::new()));
    }
}

#[test]
fn journalling_allocates_nothing_in_the_loop() {
    let place = tempfile::tempdir().unwrap();
    let config = config(place.path(), "join");
    let time = Rc::new(Cell::new(0));
    let mut bed = bed(&config, 5, 20_000, Clock::from_hz(1_000_000_000).unwrap(), Rc::clone(&time));
    let mut calls = 0;
    for step in 1..=3_000 {
        time.set(step * STEP);
        while bed.venue.pump(&mut bed.venue_rx, &mut bed.venue_tx, step * STEP) {}
        calls += counting::calls(|| {
            while bed.pipeline.poll() {}
            bed.pipeline.tick(time.get());
        });
    }
    assert_eq!(calls, 0);
    let tally = bed.pipeline.tally();
    assert!(tally.journal.records > 1_000 && tally.journal.dropped == 0, "{:?}", tally.journal);
    drop(bed.pipeline);
    assert_eq!(bed.thread.finish().records, tally.journal.records);
}

#[test]
fn after_the_kill_switch_no_order_leaves_and_all_are_cancelled() {
    let place = tempfile::tempdir().unwrap();
    let config = config(place.path(), "join");
    let time = Rc::new(Cell::new(0));
    let mut bed = bed(&config, 7, 0, Clock::from_hz(1_000_000_000).unwrap(), Rc::clone(&time));
    let mut step = 0;
    while step < 3_000 || bed.pipeline.blotter().open_orders() == 0 {
        step += 1;
        bed.step(&time, step);
    }
    bed.switches.kill.throw(KillCause::Signal);
    let killed_at = step;
    for _ in 0..200 {
        step += 1;
        bed.step(&time, step);
        // Arming changes nothing any more.
        bed.switches.armed.store(step % 2 == 0, std::sync::atomic::Ordering::Relaxed);
    }
    assert_eq!(bed.pipeline.blotter().open_orders(), 0);
    let tally = bed.pipeline.tally();
    assert_eq!(tally.desk.kills, 1);
    drop(bed.pipeline);
    let done = bed.thread.finish();
    let (head, records, _) = read(&done.path);
    let at = records.iter().position(|record| record.kind == Kind::Killed).unwrap();
    assert_eq!(records[at].kill_cause(), Some(KillCause::Signal));
    assert_eq!(records[at].time, (killed_at + 1) * STEP);
    let after = &records[at..];
    let sent: Vec<_> = after.iter().filter(|record| record.kind == Kind::Sent).collect();
    assert!(!sent.is_empty() && sent.iter().all(|record| record.action == Action::Cancel), "{sent:?}");
    // All in the tick that saw the switch.
    assert!(sent.iter().all(|record| record.time == records[at].time), "{sent:?}");
    let wanted = after.iter().filter(|record| record.kind == Kind::Refused);
    assert!(wanted.clone().count() > 0, "the strategy wanted nothing any more");
    assert!(
        wanted
            .filter(|r| r.action != Action::Cancel)
            .all(|r| r.refusal().unwrap().name() == "refused_killed")
    );
    assert!(after[0].line(&head).contains("KILLED"));
}

/// By the processor's own clock: from the switch to the last frame that leaves. Prints it; what is sure is the order of
/// events, since a busy machine may stop this thread at any time.
#[test]
fn the_kill_switch_acts_within_a_tick() {
    let clock = Clock::calibrate(CALIBRATION).unwrap();
    let mut took = Vec::new();
    let mut cancels = 0;
    for seed in 1..=20 {
        let place = tempfile::tempdir().unwrap();
        let config = config(place.path(), "join");
        let mut bed = bed(&config, seed, 0, clock, Tsc);
        let tick = clock.ticks(TICK);
        let began = now();
        let mut next_tick = began + tick;
        // As `run` does, with the exchange between two rounds until the switch is thrown.
        let mut round = |bed: &mut Bed<Tsc>| {
            bed.pipeline.poll();
            let at = now();
            let ticked = at >= next_tick;
            if ticked {
                bed.pipeline.tick(at);
                next_tick = at + tick;
            }
            ticked
        };
        let mut exchange_ns = 0;
        while bed.pipeline.blotter().open_orders() < 10 {
            exchange_ns += STEP;
            while bed.venue.pump(&mut bed.venue_rx, &mut bed.venue_tx, exchange_ns) {}
            round(&mut bed);
        }
        round(&mut bed);
        let thrown = now();
        bed.switches.kill.throw(KillCause::Command);
        while !round(&mut bed) {}
        let ended = clock.ns(now() - thrown);
        drop(bed.pipeline);
        let (_, records, _) = read(&bed.thread.finish().path);
        let killed = records.iter().position(|record| record.kind == Kind::Killed).unwrap();
        let sent = records[killed..].iter().filter(|record| record.kind == Kind::Sent);
        cancels += sent.clone().count();
        assert!(sent.clone().all(|record| record.action == Action::Cancel));
        // All of them left before the round ended.
        took.push(ended);
    }
    took.sort_unstable();
    println!(
        "kill switch to last frame: {} ns at the median, {} ns at most of 20 (a tick is {TICK} ns); {} cancels left",
        took[10], took[19], cancels
    );
    assert!(cancels > 100, "{cancels}");
}

/// Journals orders and says each behind it, as if it were sent, until it is killed.
#[test]
#[ignore = "the child of the next test"]
fn child_that_is_killed() {
    let Some(place) = std::env::var_os("WIREBOOK_JOURNAL_CHILD").map(PathBuf::from) else { return };
    let clock = Clock::from_hz(1_000_000_000).unwrap();
    let (mut writers, _thread) =
        journal::start(&config(&place, "join"), clock, &Who::default()).unwrap().unwrap();
    let mut out = std::io::stdout().lock();
    for order in 1.. {
        while !writers[0].is_open() {
            std::hint::spin_loop();
        }
        writers[0].put(&Record { kind: Kind::Cleared, order, ..Record::default() });
        // What a peer has seen has left for good.
        out.write_all(format!("sent {order}\n").as_bytes()).unwrap();
    }
}

#[test]
fn nothing_that_left_before_a_kill_is_missing() {
    let mut from_rings = 0;
    for round in 0..20 {
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_killed", "--ignored", "--nocapture"])
            .env("WIREBOOK_JOURNAL_CHILD", place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut last = 0;
        while last < 50 + 997 * round {
            let line = lines.next().expect("the child ended");
            last = line.strip_prefix("sent ").map_or(last, |order| order.parse().unwrap());
        }
        // SIGKILL.
        child.kill().unwrap();
        let rest = lines.filter_map(|line| line.strip_prefix("sent ")?.parse::<u64>().ok());
        // The last line may be cut off, and is then too small.
        let left = rest.max().unwrap_or(0).max(last);
        child.wait().unwrap();

        let find = |end: &str| {
            let mut all = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
            all.find(|path| path.to_string_lossy().contains(end)).unwrap()
        };
        let (journal, left_ring) = (find(".journal"), LeftRing::open(&find(".ring0")).unwrap().unwrap());
        let mut reader = Reader::new(File::open(&journal).unwrap()).unwrap();
        while reader.next_record().unwrap().is_some() {}
        reader.ring(&left_ring).unwrap();
        let found = *reader.findings();
        assert!(found.records >= left, "{left} left and {} are known", found.records);
        assert_eq!((found.missing, found.damaged), (0, 0));
        from_rings += found.from_rings;
        // Read by the command while the ring is there, and after the next start has put it back.
        drop(left_ring);
        assert_eq!(wirebook(&["--summary"], &journal).0, 0);
        let next = journal::start(
            &config(place.path(), "join"),
            Clock::from_hz(1_000_000_000).unwrap(),
            &Who::default(),
        );
        drop(next.unwrap());
        let (_, records, after) = read(&journal);
        assert_eq!((after.records, after.missing), (found.records, 0));
        assert!(records.iter().zip(1..).all(|(record, order)| record.order == order));
    }
    assert!(from_rings > 0, "the thread was never behind: the rings were not needed");
}

/// Any bytes as a ring: read without harm, and never put into a journal that is not its own.
#[test]
fn hostile_rings_do_no_harm() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ring");
    let head = RingHead { run: 5, worker: 0, capacity: 32, journal: place.path().join("none") };
    let (mut writer, taker) = ring::create(&path, &head).unwrap();
    (0..32).for_each(|order| writer.put(&Record { kind: Kind::Sent, order, ..Record::default() }));
    drop((writer, taker));
    let whole = std::fs::read(&path).unwrap();
    let mut seed = 99_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..500 {
        let mut bytes = whole.clone();
        for _ in 0..random(6) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        bytes.truncate(random(whole.len() + 1));
        std::fs::write(&path, &bytes).unwrap();
        if let Some(ring) = LeftRing::open(&path).unwrap() {
            let _ = ring.records().map(|records| assert!(records.len() <= 32));
            assert!(file::recover(&ring).is_err());
        }
    }
}
