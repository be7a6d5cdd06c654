//! The loop makes no system call between its start and its end, while books change, orders leave, replies come and all of it is
//! journalled: its thread is under a seccomp filter that ends the process at the first one. In a process of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unsafe_code, reason = "a seccomp filter is installed by two calls of the kernel")]

use std::ops::{Deref, DerefMut};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};
use wirebook::config::Config;
use wirebook::control::journal::{self, Who};
use wirebook::nic::{Frame, RxBurst, RxQueue, TxQueue};
use wirebook::stats::clock::{CALIBRATION, Clock};
use wirebook::stop::StopFlag;
use wirebook::venue::{Setup, Venue, exchange_config};
use wirebook::worker::assemble;

/// What the parent tells the child by the environment: where to work, and what to do.
const PLACE: &str = "WIREBOOK_SECCOMP_PLACE";
const CHEAT: &str = "WIREBOOK_SECCOMP_CHEAT";

/// Exit status of a child that may not have a filter.
const NOT_ALLOWED: i32 = 77;

const LONGEST: usize = 1_600;

/// A frame that changes threads by value.
struct Carried {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Deref for Carried {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl DerefMut for Carried {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

struct RingTx(Producer<Carried>);

impl TxQueue for RingTx {
    type Slot = Carried;

    fn reserve(&mut self) -> Option<Carried> {
        (!self.0.is_full()).then_some(Carried { bytes: [0; LONGEST], len: LONGEST })
    }

    fn send(&mut self, slot: Carried, len: u16) -> Result<(), Carried> {
        self.0.push(Carried { len: usize::from(len), ..slot }).map_err(|rtrb::PushError::Full(slot)| slot)
    }
}

struct RingRx {
    ring: Consumer<Carried>,
    held: Vec<Carried>,
}

struct Burst<'q>(&'q mut Vec<Carried>);

impl RxQueue for RingRx {
    type Burst<'q> = Burst<'q>;

    fn poll(&mut self) -> Burst<'_> {
        self.held.clear();
        while self.held.len() < self.held.capacity()
            && let Ok(frame) = self.ring.pop()
        {
            self.held.push(frame);
        }
        Burst(&mut self.held)
    }
}

impl RxBurst for Burst<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn frame(&self, at: usize) -> Frame<'_> {
        Frame { bytes: &self.0[at], stamp: 0, flags: 0 }
    }
}

fn cable() -> (RingTx, RingRx) {
    let (tx, ring) = RingBuffer::new(4_096);
    (RingTx(tx), RingRx { ring, held: Vec::with_capacity(32) })
}

/// From here on, the first system call of this thread ends the process; false where the kernel does not allow filters.
fn forbid_system_calls() -> bool {
    // BPF_RET | BPF_K
    let mut kill = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_KILL_PROCESS }];
    let program = libc::sock_fprog { len: 1, filter: kill.as_mut_ptr() };
    // SAFETY: plain calls; the program lives until the second returns.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}

#[test]
#[ignore = "the child of the next test"]
fn child_without_system_calls() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let cheat = std::env::var_os(CHEAT).is_some();
    let (text, _recovery) = include_str!("../config/demo.toml").split_once("[recovery]").unwrap();
    let text = format!(
        "{}\n[journal]\ndirectory = {place:?}\nring_directory = {place:?}\nring_mib = 1\n",
        text.replace("cooldown_us = 20000", "cooldown_us = 200")
            .replace("reorder_wait_us = 50000", "reorder_wait_us = 1000000"),
    );
    let config = Config::parse(&text, "demo.toml").unwrap();
    let clock = Clock::calibrate(CALIBRATION).unwrap();
    let (mut worker, handles) = assemble(&config, [2; 6], clock).unwrap();
    let (writers, journal) = journal::start(&config, clock, &Who::default()).unwrap().unwrap();
    writers.into_iter().for_each(|writer| worker.set_journal(writer));
    let ((mut venue_tx, rx), (tx, mut venue_rx)) = (cable(), cable());
    let exchange = exchange_config(100_000, 40, 11, 20_000);
    let mut venue = Venue::new(&Setup::new(&config, exchange, StopFlag::new())).unwrap();

    let ended = Arc::new(AtomicBool::new(false));
    let (switches, said) = (Arc::clone(&handles.switches), Arc::clone(&ended));
    thread::spawn(move || {
        let wirebook::worker::Worker::Imbalance(parts) = worker else { panic!("it trades on imbalance") };
        let mut pipeline = wirebook::pipeline::Pipeline::new(*parts, vec![rx], tx);
        if !forbid_system_calls() {
            std::process::exit(NOT_ALLOWED);
        }
        if cheat {
            // SAFETY: a system call without arguments.
            unsafe { libc::getppid() };
        }
        pipeline.run();
        said.store(true, Ordering::Release);
        // Even ending is a system call.
        loop {
            std::hint::spin_loop();
        }
    });
    let count = |name: &str| handles.board.row(name).unwrap_or(0);
    let began = Instant::now();
    // Until enough happened, whatever the machine has to do besides.
    while (count("desk_orders_sent") < 500 || count("orders_executed") < 10 || count("desk_replies") < 500)
        && began.elapsed() < Duration::from_secs(120)
    {
        let now = u64::try_from(began.elapsed().as_nanos()).unwrap();
        for _ in 0..100 {
            venue.pump(&mut venue_rx, &mut venue_tx, now);
        }
    }
    switches.stop.store(true, Ordering::Relaxed);
    while !ended.load(Ordering::Acquire) {
        venue_rx.poll();
        thread::sleep(Duration::from_millis(1));
    }
    let done = journal.finish();
    println!(
        "without a system call: {} polls, {} messages, {} orders sent, {} replies, {} records journalled",
        count("loop_polls"),
        count("desk_messages"),
        count("desk_orders_sent"),
        count("desk_replies"),
        done.records
    );
    assert!(count("desk_orders_sent") >= 500 && count("orders_executed") >= 10);
    assert_eq!((done.records, done.failure), (count("journal_records"), None));
    // The loop's thread still spins: it must not be waited for.
    std::process::exit(0);
}

fn child(cheat: bool) -> std::process::Output {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_without_system_calls", "--ignored", "--nocapture"])
        .env(PLACE, place.path());
    if cheat {
        command.env(CHEAT, "1");
    }
    command.output().unwrap()
}

#[test]
fn the_loop_makes_no_system_call() {
    let output = child(false);
    if output.status.code() == Some(NOT_ALLOWED) {
        println!("skipped: seccomp filters are not allowed here");
        return;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{:?}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let line = text.lines().find(|line| line.contains("without a system call:")).unwrap();
    println!("{line}");
    // The filter bites: one call, and the process is gone.
    assert_eq!(child(true).status.signal(), Some(libc::SIGSYS));
}
