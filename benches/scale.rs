//! Messages per second of one stream with one worker and with two that divide its instruments, in turns.
//! `cargo bench --bench scale` (without DPDK: `--no-default-features`)
//!
//! The loop is the demo's, disarmed: frames, both lines, stream, books, strategy, risk. Every worker receives every frame
//! and puts the whole stream in order; only the work on the books is divided. So two workers can at best save what one
//! spends on the other's books, and `one of two, alone` says how much that is: half the books on an idle machine.
//!
//! - *memory*: each worker has the frames in memory of its own.
//! - *net_ring*: the first worker takes the frames from a ring of DPDK's, into which it puts them itself beforehand (that
//!   is part of its time), and shares them with the second as on a port with one queue.
//!
//! A run lasts until the last worker has seen the whole day. Printed are medians, since a shared machine can only add time,
//! and the median of the ratios of neighbouring runs. On a machine with fewer idle CPUs than workers the figure for two
//! says nothing.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use exchange::frames::{Addressing, Framer};
use exchange::market::{self, Market};
use wirebook::config::Config;
use wirebook::nic::replay::{Frames, LinkConfig, ReplayRx, link};
use wirebook::nic::{RxQueue, cpu};
use wirebook::pipeline::Pipeline;
use wirebook::stats::clock::{CALIBRATION, Clock};
use wirebook::worker::{Worker, assemble_all};

/// Messages of the day, and of a packet.
const MESSAGES: usize = 400_000;
const IN_A_PACKET: usize = 4;

/// Runs of each kind.
const RUNS: usize = 31;

type Trouble = Box<dyn Error + Send + Sync>;

/// What is measured on. EAL puts its starter on one CPU, and threads inherit that: each worker goes to one of its own.
struct Machine {
    clock: Clock,
    cpus: Vec<usize>,
}

/// The demo's configuration for so many workers.
fn config(workers: u16) -> Result<Config, Trouble> {
    let (text, _recovery) =
        include_str!("../config/demo.toml").split_once("[recovery]").ok_or("no [recovery]")?;
    let text = text
        .replace("max_orders = 1000000", "max_orders = 200000")
        .replace("reorder_packets = 32768", "reorder_packets = 1024")
        .replace("armed = true", "armed = false");
    let lcores: Vec<u16> = (1..=workers).collect();
    Ok(Config::parse(&format!("{text}\n[lcores]\nworkers = {lcores:?}\n"), "demo.toml")?)
}

/// The day as frames, first of line A, then of line B.
fn day(config: &Config) -> Result<Vec<Vec<u8>>, Trouble> {
    let symbols = 200;
    let mut market =
        Market::new(market::Config { symbols, live_orders: 20_000, ..market::Config::default() })
            .map_err(|why| why.to_string())?;
    let mut messages: Vec<Vec<u8>> = Vec::new();
    while messages.len() < MESSAGES {
        market.step(&mut |message| messages.push(message.to_vec()));
    }
    messages.truncate(MESSAGES);
    let lines = std::iter::once(&config.feed.line_a).chain(&config.feed.line_b);
    let mut framers: Vec<Framer> = lines
        .map(|line| {
            Framer::new(Addressing::multicast([2; 6], [10, 0, 0, 1].into(), line.group, line.port, line.vlan))
        })
        .collect();
    let mut frames = Vec::new();
    for (at, group) in messages.chunks(IN_A_PACKET).enumerate() {
        let mut packet = b"WIREBOOK01".to_vec();
        packet.extend((1 + (at * IN_A_PACKET) as u64).to_be_bytes());
        packet.extend((group.len() as u16).to_be_bytes());
        for message in group {
            packet.extend((message.len() as u16).to_be_bytes());
            packet.extend(message);
        }
        for framer in &mut framers {
            frames.push(framer.frame(&packet).ok_or("a packet that is too long")?.to_vec());
        }
    }
    Ok(frames)
}

/// Polls until the whole day was seen; what was missed, and the orders added to books.
fn play<R: RxQueue>(worker: Worker, rx: R) -> Result<u64, Trouble> {
    let Worker::Imbalance(parts) = worker else { return Err("the demo trades on imbalance".into()) };
    let (tx, _far) = link(LinkConfig::default());
    let mut pipeline = Pipeline::new(*parts, vec![rx], tx);
    let mut idle = 0_u32;
    while pipeline.stream().expected() <= MESSAGES as u64 {
        idle = if pipeline.poll() { 0 } else { idle + 1 };
        if idle > 1 << 28 {
            return Err("not a whole day: frames were missed".into());
        }
    }
    let added = pipeline.tally().books.added;
    if pipeline.tally().stream.gaps > 0 || added == 0 {
        return Err(format!("not a whole day: {:?}", pipeline.tally().stream).into());
    }
    Ok(added)
}

/// Runs the first `at_once` of the workers of `config`, each on a thread of its own with the queue that `queues` makes
/// there; seconds until the last has ended, and orders added in all.
fn run<R: RxQueue>(
    config: &Config,
    Machine { clock, cpus }: &Machine,
    at_once: usize,
    queues: impl Fn(usize) -> Result<R, Trouble> + Sync,
) -> Result<(f64, u64), Trouble> {
    let (workers, _handles) = assemble_all(config, [2; 6], *clock)?;
    let (start, queues) = (Barrier::new(at_once), &queues);
    let each = thread::scope(|scope| {
        let threads: Vec<_> = (workers.into_iter().take(at_once).enumerate())
            .map(|(at, worker)| {
                let start = &start;
                let cpu = cpus.get(at % cpus.len().max(1)).copied();
                scope.spawn(move || {
                    let placed = cpu::run_on(cpu.as_slice());
                    let queue = queues(at);
                    start.wait();
                    placed?;
                    let began = Instant::now();
                    play(worker, queue?).map(|added| (began, Instant::now(), added))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a worker failed")?).collect::<Vec<_>>()
    });
    let each: Vec<_> = each.into_iter().collect::<Result<_, Trouble>>()?;
    let began = each.iter().map(|(began, ..)| *began).min().ok_or("no worker")?;
    let ended = each.iter().map(|(_, ended, _)| *ended).max().ok_or("no worker")?;
    Ok(((ended - began).as_secs_f64(), each.iter().map(|(.., added)| added).sum()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What was measured of one kind: seconds of each run.
struct Kind {
    name: &'static str,
    seconds: Vec<f64>,
}

fn show(of: &str, kinds: Vec<Kind>) {
    let base = kinds.first().map(|kind| kind.seconds.clone()).unwrap_or_default();
    for Kind { name, seconds } in kinds {
        let ratios = base.iter().zip(&seconds).map(|(one, this)| one / this).collect();
        let rate = MESSAGES as f64 / median(seconds) / 1e6;
        println!("{of:<9} {name:<19} {rate:7.2} million messages/s   x {:.3}", median(ratios));
    }
}

/// One run: seconds, and orders added to books.
type Run<'r> = &'r mut dyn FnMut() -> Result<(f64, u64), Trouble>;

/// In turns, each kind first every other time.
fn measure(of: &str, kinds: &mut [(&'static str, Run<'_>)]) -> Result<(), Trouble> {
    let mut seconds: Vec<Kind> =
        kinds.iter().map(|(name, _)| Kind { name, seconds: Vec::with_capacity(RUNS) }).collect();
    let mut added = Vec::new();
    for turn in 0..RUNS {
        let mut places: Vec<usize> = (0..kinds.len()).collect();
        if turn % 2 == 1 {
            places.reverse();
        }
        for at in places {
            let (_, run) = kinds.get_mut(at).ok_or("no such kind")?;
            let (took, orders) = run()?;
            seconds.get_mut(at).ok_or("no such kind")?.seconds.push(took);
            if at < 2 {
                added.push(orders);
            }
        }
    }
    // Divided or not, every order was added once.
    if added.iter().any(|orders| Some(orders) != added.first()) {
        return Err(format!("the books differ: {added:?}").into());
    }
    show(of, seconds);
    Ok(())
}

fn main() -> Result<(), Trouble> {
    let (one, two) = (config(1)?, config(2)?);
    let machine = Machine { clock: Clock::calibrate(CALIBRATION)?, cpus: cpu::allowed()? };
    let frames = day(&one)?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    println!(
        "{}, {} CPUs; {MESSAGES} messages, {RUNS} runs",
        cpu.trim_start_matches([' ', '\t', ':']),
        machine.cpus.len()
    );
    let mut memory = Frames::new();
    frames.iter().for_each(|frame| memory.push(frame));
    let queue = |_| Ok(ReplayRx::new(memory.clone()));
    measure(
        "memory",
        &mut [
            ("one worker", &mut || run(&one, &machine, 1, queue)),
            ("two workers", &mut || run(&two, &machine, 2, queue)),
            ("one of two, alone", &mut || run(&two, &machine, 1, queue)),
        ],
    )?;
    #[cfg(feature = "dpdk")]
    ring::measure_ring(&one, &two, &machine, &frames)?;
    Ok(())
}

#[cfg(feature = "dpdk")]
mod ring {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use wirebook::eal::Eal;
    use wirebook::nic::dpdk::{DpdkTx, FanHandle, FanRx, TxHandle};
    use wirebook::nic::{MAX_BURST, RxDrops, RxShared};
    use wirebook::pmd::{Port, PortConfig};

    use super::{Config, Machine, RxQueue, Trouble, measure, run};
    use wirebook::nic::TxQueue;

    /// Frames that the first worker may be ahead of the second: less than the ring between them holds.
    const AHEAD: u64 = 1_000;

    /// A worker's part in the port. The first one's puts frames into the port's ring before it polls.
    struct Fed<'f> {
        rx: FanRx,
        feeder: Option<Feeder<'f>>,
        /// Frames that each worker has polled.
        polled: Arc<[AtomicU64; 2]>,
        at: usize,
    }

    struct Feeder<'f> {
        tx: DpdkTx,
        frames: std::slice::Iter<'f, Vec<u8>>,
        fed: u64,
        shared: bool,
    }

    impl Feeder<'_> {
        fn feed(&mut self, polled: &[AtomicU64; 2]) {
            // SYNC POINT: relaxed; a pace and nothing else.
            let slowest = polled.iter().take(1 + usize::from(self.shared));
            let slowest = slowest.map(|count| count.load(Ordering::Relaxed)).min().unwrap_or(0);
            if self.fed > slowest + AHEAD - MAX_BURST as u64 {
                return;
            }
            for _ in 0..MAX_BURST {
                let Some(mut slot) = self.tx.reserve() else { return };
                let Some(frame) = self.frames.next() else { return };
                slot[..frame.len()].copy_from_slice(frame);
                // The ring holds more than may be under way.
                let _ = self.tx.send(slot, frame.len() as u16);
                self.fed += 1;
            }
        }
    }

    impl RxQueue for Fed<'_> {
        type Burst<'q>
            = <FanRx as RxQueue>::Burst<'q>
        where
            Self: 'q;

        fn poll(&mut self) -> Self::Burst<'_> {
            use wirebook::nic::RxBurst as _;
            if let Some(feeder) = &mut self.feeder {
                feeder.feed(&self.polled);
            }
            let burst = self.rx.poll();
            if let Some(count) = self.polled.get(self.at) {
                count.fetch_add(burst.len() as u64, Ordering::Relaxed);
            }
            burst
        }

        fn drops(&self) -> RxDrops {
            self.rx.drops()
        }

        fn shared(&self) -> RxShared {
            self.rx.shared()
        }
    }

    pub(super) fn measure_ring(
        one: &Config,
        two: &Config,
        machine: &Machine,
        frames: &[Vec<u8>],
    ) -> Result<(), Trouble> {
        let eal = Eal::init(&[
            "--no-huge",
            "--no-pci",
            "--no-shconf",
            "--no-telemetry",
            "-m",
            "256",
            "-l",
            "0",
            "--vdev=net_ring0",
            "--vdev=net_ring1",
        ])?;
        let ports: Vec<Port> = [("net_ring0", 1), ("net_ring1", 2)]
            .into_iter()
            .map(|(name, lcores)| {
                let config = PortConfig { shared_with: lcores - 1, ..PortConfig::default() };
                Port::probe(&eal, name)?.start(&config)
            })
            .collect::<Result<_, _>>()?;
        // The queues of one run, until their threads take them.
        type Parts = (Vec<Option<FanHandle>>, Option<TxHandle>, Arc<[AtomicU64; 2]>);
        let parts = Mutex::new((Vec::new(), None, Arc::default()) as Parts);
        let kind = |config: &Config, port: &Port, workers: u16| {
            let handles = port.fan(workers)?.into_iter().map(Some).collect();
            *parts.lock().unwrap_or_else(PoisonError::into_inner) =
                (handles, Some(port.tx_handle(0)?), Arc::default());
            run(config, machine, usize::from(workers), |at| {
                let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
                let (handles, tx, polled) = &mut *parts;
                let rx = handles.get_mut(at).and_then(Option::take).ok_or("no part")?.attach();
                let tx = if at == 0 { tx.take() } else { None };
                let feeder = tx.map(|tx| Feeder {
                    tx: tx.attach(),
                    frames: frames.iter(),
                    fed: 0,
                    shared: workers > 1,
                });
                // A thread of an EAL lcore would have a cache of buffers; here each takes them from the pool.
                Ok(Fed { rx, feeder, polled: Arc::clone(polled), at })
            })
        };
        let [first, second] = ports.as_slice() else { return Err("two ports were started".into()) };
        measure(
            "net_ring",
            &mut [("one worker", &mut || kind(one, first, 1)), ("two workers", &mut || kind(two, second, 2))],
        )
    }
}
