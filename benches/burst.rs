//! What our receive and transmit bursts cost, beside DPDK's own inlines compiled by C and beside calls into C.
//!
//! `cargo bench --bench burst --features bench-c`. No root, no hugepages, no hardware: net_null (a driver that does
//! almost nothing, so that the burst itself is most of the cost) and net_ring (which passes pointers). The three take
//! turns in one run, in changing order, and the ratio is the median of the ratios of neighbours: a machine that slows
//! down slows all three. Target: Rust at most 1.05 times C inline.
//!
//! Arguments: `--cpu N` (default: the last this process may use), `--repeats N` (default 101).
#![allow(unsafe_code, reason = "raw bursts are what is measured")]
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::{error::Error, fs, hint::black_box, ptr, time::Instant};

use dpdk_sys::{self as sys, rte_mbuf};
use wirebook::{
    eal::{Eal, cpus::CpuSet},
    nic::{RxBurst, RxQueue, dpdk::DpdkRx},
    pmd::{Port, PortConfig, burst},
};

const BURST: u16 = 32;
const TARGET: f64 = 1.05;

/// One way to do the work: (port, its packets, calls or rounds) -> frames seen.
type Run = fn(u16, &mut [*mut rte_mbuf], u64) -> u64;

/// The same work in three ways.
struct Case {
    name: &'static str,
    port: u16,
    calls: u64,
    sends: bool,
    c_inline: Run,
    c_shim: Run,
    rust: Run,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1));
    let cpu = match value("--cpu") {
        Some(cpu) => cpu.clone(),
        None => last_cpu().ok_or("no CPU list in /proc/self/status: give --cpu")?,
    };
    let repeats: usize = value("--repeats").map_or(Ok(101), |n| n.parse())?;

    let eal = Eal::init(&[
        "--no-huge",
        "--no-pci",
        "--no-shconf",
        "--no-telemetry",
        "-m",
        "256",
        "-l",
        &cpu,
        "--vdev=net_null0,no-rx=1",
        "--vdev=net_null1,size=64",
        "--vdev=net_ring0",
    ])?;
    let start = |name| Port::probe(&eal, name)?.start(&PortConfig::default());
    let (silent, null, ring) = (start("net_null0")?, start("net_null1")?, start("net_ring0")?);

    println!(
        "bursts of {}, {}",
        eal.version(),
        if burst::OWN { "our own" } else { "shim path: not our own" }
    );
    println!("on {}, CPU {cpu}, 4 KiB pages, {repeats} repeats, ns per call", cpu_model());
    println!(
        "{:<28}{:>10}{:>10}{:>10}{:>14}{:>12}",
        "", "C inline", "C shim", "Rust", "Rust/C inline", "shim/inline"
    );
    let cases = [
        Case { name: "net_null, empty poll", port: silent.id(), calls: 200_000, ..POLL },
        Case { name: "net_ring, empty poll", port: ring.id(), calls: 200_000, ..POLL },
        Case { name: "net_null, rx 32 + tx 32", port: null.id(), calls: 5_000, ..LOOPBACK },
        Case { name: "net_ring, rx 32 + tx 32", port: ring.id(), calls: 10_000, ..LOOPBACK },
    ];
    let mut worst = 0.0_f64;
    for case in &cases {
        worst = worst.max(measure(case, &null, repeats)?);
    }
    for (name, port) in [("net_null", &silent), ("net_ring", &ring)] {
        let mut rx = port.rx_handle(0)?.attach();
        let mut times: Vec<_> = (0..repeats).map(|_| seam(&mut rx, 200_000)).collect();
        println!(
            "{:<28}{:>30.2}  (RxQueue::poll, burst dropped)",
            format!("{name}, through the seam"),
            median(&mut times)
        );
    }
    println!("worst ratio {worst:.3}, target {TARGET}: {}", if worst <= TARGET { "kept" } else { "MISSED" });
    Ok(())
}

const POLL: Case = Case {
    name: "",
    port: 0,
    calls: 0,
    sends: false,
    // SAFETY: a started port with queue 0, which nobody else uses; what arrives is freed by the loop.
    c_inline: |port, _, calls| unsafe { sys::shim_bench_poll(port, 0, calls) },
    // SAFETY: as above.
    c_shim: |port, _, calls| unsafe { poll(calls, |pkts| sys::shim_eth_rx_burst(port, 0, pkts, BURST)) },
    // SAFETY: as above.
    rust: |port, _, calls| unsafe { poll(calls, |pkts| burst::rx(port, 0, pkts, BURST)) },
};

const LOOPBACK: Case = Case {
    name: "",
    port: 0,
    calls: 0,
    sends: true,
    // SAFETY: as with POLL, and `pkts` holds mbufs that are ours; as many come back.
    c_inline: |port, pkts, rounds| unsafe {
        sys::shim_bench_loopback(port, 0, pkts.as_mut_ptr(), pkts.len() as u16, rounds)
    },
    // SAFETY: as above.
    c_shim: |port, pkts, rounds| unsafe {
        loopback(
            pkts,
            rounds,
            |pkts, n| sys::shim_eth_tx_burst(port, 0, pkts, n),
            |pkts, n| sys::shim_eth_rx_burst(port, 0, pkts, n),
        )
    },
    // SAFETY: as above.
    rust: |port, pkts, rounds| unsafe {
        loopback(pkts, rounds, |pkts, n| burst::tx(port, 0, pkts, n), |pkts, n| burst::rx(port, 0, pkts, n))
    },
};

#[inline(always)]
unsafe fn poll(calls: u64, rx: impl Fn(*mut *mut rte_mbuf) -> u16) -> u64 {
    let mut pkts = [ptr::null_mut(); BURST as usize];
    let mut seen = 0;
    for _ in 0..calls {
        let n = rx(pkts.as_mut_ptr());
        if n != 0 {
            // SAFETY: n mbufs that were just received.
            unsafe { give_back(pkts.as_mut_ptr(), n) };
            seen += u64::from(n);
        }
    }
    seen
}

/// Unlikely here, as the C loop says it too.
#[cold]
unsafe fn give_back(pkts: *mut *mut rte_mbuf, n: u16) {
    // SAFETY: n mbufs of the caller's.
    unsafe { sys::rte_pktmbuf_free_bulk(pkts, n.into()) };
}

#[inline(always)]
unsafe fn loopback(
    pkts: &mut [*mut rte_mbuf],
    rounds: u64,
    tx: impl Fn(*mut *mut rte_mbuf, u16) -> u16,
    rx: impl Fn(*mut *mut rte_mbuf, u16) -> u16,
) -> u64 {
    let (first, n) = (pkts.as_mut_ptr(), pkts.len() as u16);
    let mut seen = 0;
    for _ in 0..rounds {
        let sent = tx(first, n);
        seen += u64::from(rx(first, sent));
    }
    seen
}

/// Prints a row; returns the ratio of Rust to C inline.
fn measure(case: &Case, source: &Port, repeats: usize) -> Result<f64, Box<dyn Error>> {
    let mut pkts = [ptr::null_mut(); BURST as usize];
    if case.sends {
        // net_null makes packets out of nothing.
        // SAFETY: a started port with queue 0, which nobody else uses.
        let n = unsafe { burst::rx(source.id(), 0, pkts.as_mut_ptr(), BURST) };
        if n != BURST {
            return Err("net_null gave no packets".into());
        }
    }
    let expected = if case.sends { case.calls * u64::from(BURST) } else { 0 };
    let runs = [case.c_inline, case.c_shim, case.rust];
    let mut times = [const { Vec::new() }; 3];
    for repeat in 0..=repeats {
        for turn in 0..3 {
            let which = (repeat + turn) % 3;
            let start = Instant::now();
            let seen = black_box(runs[which])(case.port, &mut pkts, case.calls);
            let ns = start.elapsed().as_nanos() as f64 / case.calls as f64;
            if seen != expected {
                return Err(format!("{}: {seen} frames, {expected} expected", case.name).into());
            }
            // The first repeat warms up.
            if repeat > 0 {
                times[which].push(ns);
            }
        }
    }
    if case.sends {
        // SAFETY: the packets came back with the last round.
        unsafe { sys::rte_pktmbuf_free_bulk(pkts.as_mut_ptr(), BURST.into()) };
    }
    let ratio = |which: usize| {
        median(&mut times[which].iter().zip(&times[0]).map(|(a, c)| a / c).collect::<Vec<_>>())
    };
    let (shim, rust) = (ratio(1), ratio(2));
    let [inline_ns, shim_ns, rust_ns] = times.each_mut().map(|t| median(t));
    println!("{:<28}{inline_ns:>10.2}{shim_ns:>10.2}{rust_ns:>10.2}{rust:>14.3}{shim:>12.3}", case.name);
    Ok(rust)
}

fn seam(rx: &mut DpdkRx, calls: u64) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(rx.poll().len());
    }
    start.elapsed().as_nanos() as f64 / calls as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn last_cpu() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?;
    Some(CpuSet::parse_list(list.trim())?.iter().last()?.to_string())
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
    model.trim_start_matches([' ', '\t', ':']).to_owned()
}
