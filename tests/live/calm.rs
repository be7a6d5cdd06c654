//! `[determinism]`, as the kernel sees it: who of the program's threads runs before others, what of it is locked, which file it
//! holds.

use std::fs;
use std::path::Path;

use wirebook::host::cpus::CpuSet;

use crate::place::{OBSERVE, alone, config, is_root, no_driver, private_eal, skip};
use crate::programs::wirebook;
use crate::running::Running;

const DEVICE: &str = "net_ring0";
const LATENCY: &str = "/dev/cpu_dma_latency";

/// As `proc_pid_stat(5)` has them: `SCHED_OTHER`, `SCHED_FIFO`.
const OTHER: u32 = 0;
const FIFO: u32 = 1;

#[test]
fn live_determinism() {
    let _alone = alone();
    if !is_root() {
        return skip("live_determinism", "needs root, for SCHED_FIFO and locked memory");
    }
    if CpuSet::allowed().iter().count() < 2 {
        return skip("live_determinism", "needs two CPUs: nothing else runs on the loop's");
    }
    if let Some(why) = no_driver(DEVICE) {
        return skip("live_determinism", &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let holds = Path::new(LATENCY).exists();
    let awake = if holds { "cpu_dma_latency_us = 5\n" } else { "" };
    let asked = format!("{OBSERVE}[determinism]\nlock_memory = true\nfifo_priority = 37\n{awake}");
    let config = config(directory.path(), DEVICE, None, &asked);
    let mut program = wirebook();
    program
        .args(private_eal())
        .arg(format!("--vdev={DEVICE}"))
        .args(["--", "--for", "600", "--config"])
        .arg(config);
    let mut handler = Running::start(&mut program);
    handler.wait_for("messages_per_s");

    let process = format!("/proc/{}", handler.pid());
    let tasks = fs::read_dir(format!("{process}/task")).unwrap().map(|task| task.unwrap().path());
    let mut ranks: Vec<(u32, u32)> = tasks.map(|task| rank(&task)).collect();
    ranks.sort_unstable();
    let last = ranks.pop();
    assert_eq!(last, Some((FIFO, 37)), "the loop");
    assert!(!ranks.is_empty() && ranks.iter().all(|rank| *rank == (OTHER, 0)), "all others: {ranks:?}");

    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap()
    };
    // Not all that is mapped can be locked: devices, and what the kernel lends.
    let (locked, resident) = (kib("VmLck:"), kib("VmRSS:"));
    assert!(locked >= resident / 10 * 9, "{locked} kB locked of {resident}");

    let links =
        fs::read_dir(format!("{process}/fd")).unwrap().map(|file| fs::read_link(file.unwrap().path()));
    let held = links.flatten().any(|to| to == Path::new(LATENCY));
    assert_eq!(held, holds, "{LATENCY}");

    handler.signal("TERM");
    let ended = handler.end();
    assert!(ended.code.is_some(), "{}", ended.stderr);
}

/// Scheduling policy and realtime priority of a thread.
fn rank(task: &Path) -> (u32, u32) {
    let stat = fs::read_to_string(task.join("stat")).unwrap();
    // The name, in parentheses, may hold anything; the fields behind it begin with the third.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
    let field = |number: usize| fields[number - 3].parse().unwrap();
    (field(41), field(40))
}
