//! What a capture costs the loop: the same day of market data through the whole loop without and with a tap, in turns.
//! `cargo bench --no-default-features --bench tap`
//!
//! The loop is the demo's, disarmed: frames, both lines, stream, books, strategy, risk. Frames lie in memory, in bursts of
//! 32. The ring holds the whole day, and nobody reads it meanwhile: the figure is the copy and what it displaces from the
//! caches, not the writer's share of a CPU or of the disk. Printed are medians, since a shared machine can only add time,
//! and the median of the ratios of neighbouring runs.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::time::Instant;

use exchange::frames::{Addressing, Framer};
use exchange::market::{self, Market};
use wirebook::config::Config;
use wirebook::nic::replay::{Frames, LinkConfig, ReplayRx, link};
use wirebook::pipeline::Pipeline;
use wirebook::pipeline::tap::{Tap, tap};
use wirebook::stats::clock::{CALIBRATION, Clock};
use wirebook::tsc;
use wirebook::worker::{Worker, assemble};

/// Messages of the day, and of a packet.
const MESSAGES: usize = 400_000;
const IN_A_PACKET: usize = 4;

/// Runs of each kind.
const RUNS: usize = 41;

/// Room for the day.
const RING: usize = 64 << 20;

/// The day as frames of both lines, one behind the other.
fn day(config: &Config) -> Result<Frames, Box<dyn Error>> {
    let symbols = 200;
    let mut market =
        Market::new(market::Config { symbols, live_orders: 20_000, ..market::Config::default() })?;
    let mut messages: Vec<Vec<u8>> = Vec::new();
    while messages.len() < MESSAGES {
        market.step(&mut |message| messages.push(message.to_vec()));
    }
    let lines = std::iter::once(&config.feed.line_a).chain(&config.feed.line_b);
    let mut framers: Vec<Framer> = lines
        .map(|line| {
            Framer::new(Addressing::multicast([2; 6], [10, 0, 0, 1].into(), line.group, line.port, line.vlan))
        })
        .collect();
    let mut frames = Frames::new();
    for (at, group) in messages.chunks(IN_A_PACKET).enumerate() {
        let mut packet = b"WIREBOOK01".to_vec();
        packet.extend((1 + (at * IN_A_PACKET) as u64).to_be_bytes());
        packet.extend((group.len() as u16).to_be_bytes());
        for message in group {
            packet.extend((message.len() as u16).to_be_bytes());
            packet.extend(message);
        }
        for framer in &mut framers {
            frames.push(framer.frame(&packet).ok_or("a packet that is too long")?);
        }
    }
    Ok(frames)
}

/// ns of one run through the day.
fn run(
    config: &Config,
    clock: Clock,
    frames: &Frames,
    tap: Option<Tap>,
) -> Result<(f64, u64), Box<dyn Error>> {
    let (worker, _handles) = assemble(config, [2; 6], clock)?;
    let Worker::Imbalance(parts) = worker else { return Err("the demo trades on imbalance".into()) };
    let (tx, _far) = link(LinkConfig::default());
    let mut pipeline = Pipeline::new(*parts, vec![ReplayRx::new(frames.clone())], tx).with_tap(tap);
    let began = Instant::now();
    while pipeline.poll() {}
    let took = began.elapsed().as_secs_f64() * 1e9;
    pipeline.tick(tsc::now());
    let tally = pipeline.tally();
    if tally.stream.messages < MESSAGES as u64 || tally.tap.dropped > 0 {
        return Err(format!("not a whole day: {:?}, {:?}", tally.stream, tally.tap).into());
    }
    Ok((took, tally.tap.bytes))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (text, _recovery) =
        include_str!("../config/demo.toml").split_once("[recovery]").ok_or("no [recovery]")?;
    let text =
        text.replace("max_orders = 1000000", "max_orders = 200000").replace("armed = true", "armed = false");
    let config = Config::parse(&text, "demo.toml")?;
    let clock = Clock::calibrate(CALIBRATION)?;
    let frames = day(&config)?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    println!("{}, {} frames, {RUNS} runs of each", cpu.trim_start_matches([' ', '\t', ':']), frames.len());
    let (mut without, mut with, mut ratios, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for turn in 0..RUNS {
        let (end, _from) = tap(RING);
        // Each goes first every other time.
        let (off, on) = if turn % 2 == 0 {
            let off = run(&config, clock, &frames, None)?;
            (off, run(&config, clock, &frames, Some(end))?)
        } else {
            let on = run(&config, clock, &frames, Some(end))?;
            (run(&config, clock, &frames, None)?, on)
        };
        bytes = on.1;
        without.push(off.0);
        with.push(on.0);
        ratios.push(on.0 / off.0);
    }
    let each = |times| median(times) / frames.len() as f64;
    println!(
        "{:.1} ns a frame without, {:.1} with, ratio {:.3}; {:.0} bytes a frame on the average",
        each(without),
        each(with),
        median(ratios),
        bytes as f64 / frames.len() as f64,
    );
    Ok(())
}
