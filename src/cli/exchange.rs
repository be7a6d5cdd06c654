//! `wirebook exchange [EAL arguments] -- --config FILE …`: the exchange as a DPDK program of its own.
//!
//! It takes the configuration of the handler that it is the other end of: groups, ports and addresses are read from
//! there. Lines and orders (the UDP test framing) go over the port; request servers, GLIMPSE and OUCH over SoupBinTCP are
//! on kernel sockets. SIGINT and SIGTERM end the day; a second one ends the process.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use exchange::host::{Bursts, Fault};
use exchange::{plan, sockets};

use super::exit::Exit;
use super::{complain, tables};
use crate::config::Config;
use crate::eal::Eal;
use crate::nic::dpdk::{RxHandle, TxHandle};
use crate::pmd::{PmdError, Port, PortConfig};
use crate::stats::clock::{CALIBRATION, Clock};
use crate::venue::{self, Legacy, Venue};

/// How often the main lcore looks.
const ROUND: Duration = Duration::from_millis(20);

/// The exchange as a DPDK program of its own: lines and orders over a port, recovery over kernel sockets.
#[derive(Parser, Debug)]
#[command(
    name = "wirebook exchange [EAL arguments] --",
    override_usage = "wirebook exchange [EAL arguments] -- --config FILE [options]",
    after_help = "  wirebook exchange -l 0-1 --no-pci --vdev=net_memif0,role=server,socket=/tmp/feed.sock,socket-abstract=no \\\n      \
                  -- --config config/feed.toml --for 60 --plan '10s lose 500; 20s requests silent; 21s lose 500'"
)]
pub(super) struct ExchangeArgs {
    /// The handler's configuration: this is the other end of it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The port, by name or index.
    #[arg(long, value_name = "PORT", default_value = "0")]
    port: String,
    /// How long the other side may take to bring the link up.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    link_wait: u64,
    /// Feed messages a second.
    #[arg(long, value_name = "MESSAGES", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    rate: u32,
    /// In a burst, so many times the rate.
    #[arg(long, value_name = "TIMES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    burst_factor: u32,
    /// Time from one burst to the next, in ms; 0: there are none.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    burst_every_ms: u64,
    /// Length of a burst, in ms.
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    burst_ms: u64,
    /// The most messages of a packet; otherwise those of 50 µs share one, as many as fit.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    packet_messages: Option<u16>,
    /// Instruments.
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    symbols: u16,
    /// Names the day: everything random follows from it.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Packets in a million that each line loses.
    #[arg(long, value_name = "PPM", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=500_000))]
    loss: u32,
    /// The lines lose independently of each other; otherwise what one loses the other brings.
    #[arg(long)]
    independent: bool,
    /// Faults at their times, such as "3s lose 500; 6s line-a dead 2s; 8s requests silent".
    #[arg(long, value_name = "PLAN", default_value = "")]
    plan: FaultPlan,
    /// Close the day after this many messages.
    #[arg(long, value_name = "COUNT")]
    messages: Option<u64>,
    /// Close the day after this many seconds. Without it: at SIGINT or SIGTERM.
    #[arg(long = "for", value_name = "SECONDS")]
    run_for: Option<u64>,
    /// How long clients are answered after the close, in ms.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    linger_ms: u64,
    /// The address that the services listen on.
    #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST)]
    services_ip: Ipv4Addr,
    /// UDP ports of the request servers of lines A and B.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    requests: Vec<u16>,
    /// TCP port of GLIMPSE.
    #[arg(long, value_name = "PORT")]
    glimpse: Option<u16>,
    /// TCP port of OUCH over SoupBinTCP.
    #[arg(long, value_name = "PORT")]
    ouch: Option<u16>,
    /// Write the books as they were last, order by order, to this file.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
}

/// What goes wrong at the exchange, and when (ns), as `--plan` says it.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultPlan(pub(super) Vec<(u64, Fault)>);

impl FromStr for FaultPlan {
    type Err = plan::PlanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        plan::parse(text).map(Self)
    }
}

/// What stops it before it begins.
struct Failure(Exit, String);

impl From<PmdError> for Failure {
    fn from(why: PmdError) -> Self {
        Self(Exit::Environment, why.to_string())
    }
}

impl From<crate::eal::EalError> for Failure {
    fn from(why: crate::eal::EalError) -> Self {
        Self(Exit::Environment, why.to_string())
    }
}

pub(super) fn main(eal: &[OsString], args: &ExchangeArgs) -> Exit {
    // The memif driver warns of what --no-shconf implies.
    super::log::start(tracing::Level::INFO, tracing::Level::ERROR);
    match run(eal, args) {
        Ok(()) => Exit::Done,
        Err(Failure(exit, why)) => complain(exit, &why),
    }
}

fn run(eal_args: &[OsString], args: &ExchangeArgs) -> Result<(), Failure> {
    let usage = |why: String| Failure(Exit::Usage, why);
    let environment = |why: String| Failure(Exit::Environment, why);
    let config = Config::load(&args.config).map_err(|why| usage(why.to_string()))?;
    let exchange = exchange_config(args).map_err(usage)?;
    let eal_args: Vec<String> = eal_args
        .iter()
        .map(|arg| arg.clone().into_string())
        .collect::<Result<_, _>>()
        .map_err(|arg| usage(format!("the EAL argument {arg:?} is not UTF-8")))?;
    let eal = Eal::init(&eal_args)?;
    let lcore = *eal.worker_lcores().first().ok_or_else(|| {
        environment(
            "there is one lcore, and two are needed: one to control, one to poll; give the EAL two, such as -l 0-1"
                .to_owned(),
        )
    })?;
    let port = Port::probe(&eal, &args.port)?.start(&PortConfig {
        rx_descriptors: config.port.rx_descriptors,
        tx_descriptors: config.port.tx_descriptors,
        mtu: config.port.mtu,
        ..PortConfig::default()
    })?;
    let clock = Clock::calibrate(CALIBRATION).map_err(|why| environment(why.to_string()))?;
    let venue = Venue::new(&venue::Setup {
        config: &config,
        exchange,
        services: Some(sockets::Config {
            requests: [args.requests.first().copied(), args.requests.get(1).copied()],
            glimpse: args.glimpse,
            orders: args.ouch,
            ..sockets::Config::none(args.services_ip)
        }),
        messages: args.messages,
        linger: Duration::from_millis(args.linger_ms),
        stop: eal.stop_flag().clone(),
    })
    .map_err(environment)?;
    let closing = venue.closing();
    closing.set_on_signals().map_err(|why| environment(format!("signals cannot be handled: {why}")))?;
    tracing::info!(port = port.name(), "waiting for the link");
    port.wait_for_link(Duration::from_secs(args.link_wait))?;

    let (send, legacy) = mpsc::sync_channel(1);
    let (rx, tx) = (port.rx_handle(0)?, port.tx_handle(0)?);
    eal.launch(lcore, move || {
        // The receiver lives as long as the program.
        let _ = send.send(venue.run(&mut RxHandle::attach(rx), &mut TxHandle::attach(tx), &clock));
    })?;
    tracing::info!(lcore = lcore.id(), "publishing");
    let began = Instant::now();
    while eal.is_running(lcore) {
        thread::sleep(ROUND);
        if args.run_for.is_some_and(|seconds| began.elapsed() >= Duration::from_secs(seconds)) {
            closing.set();
        }
    }
    eal.wait()?;
    let legacy: Legacy =
        legacy.recv().map_err(|_| environment("the exchange ended without leaving its books".to_owned()))?;
    if let Some(path) = &args.dump {
        std::fs::write(path, &legacy.books)
            .map_err(|why| environment(format!("{}: {why}", path.display())))?;
    }
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(report(&legacy).as_bytes());
    let _ = std::io::stdout().flush();
    // Drivers of shared memory take it from under a loop whose other side leaves: the handler goes first.
    let waits = Instant::now();
    while waits.elapsed() < Duration::from_secs(args.link_wait) && port.link().is_ok_and(|link| link.up) {
        thread::sleep(ROUND);
    }
    Ok(())
}

fn exchange_config(args: &ExchangeArgs) -> Result<exchange::host::Config, String> {
    let mut config = venue::exchange_config(args.rate, args.symbols, args.seed, args.loss);
    config.publisher.lines.disjoint = !args.independent;
    config.publisher.most = args.packet_messages.unwrap_or(config.publisher.most);
    config.plan.clone_from(&args.plan.0);
    if args.requests.len() > 2 {
        return Err("--requests takes one port or two: a server for each line".to_owned());
    }
    if args.burst_every_ms != 0 {
        if args.burst_ms >= args.burst_every_ms {
            return Err("--burst-ms must be less than --burst-every-ms".to_owned());
        }
        config.bursts = Some(Bursts {
            every_ns: args.burst_every_ms * 1_000_000,
            length_ns: args.burst_ms * 1_000_000,
            factor: args.burst_factor,
        });
    }
    Ok(config)
}

/// Counters and positions, and the rate that was reached.
fn report(legacy: &Legacy) -> String {
    let rows = legacy.rows.iter().filter(|(_, value)| *value != 0);
    let mut text = tables::columns(
        &rows.map(|(name, value)| vec![name.clone(), tables::grouped(*value)]).collect::<Vec<_>>(),
    );
    for (symbol, shares) in &legacy.positions {
        text.push_str(&format!("  position {symbol} {shares}\n"));
    }
    let per_second = legacy.messages as f64 / legacy.played.as_secs_f64().max(f64::MIN_POSITIVE);
    text.push_str(&format!(
        "  said {} messages in {:.1} s: {} a second\n",
        tables::grouped(legacy.messages),
        legacy.played.as_secs_f64(),
        tables::grouped(per_second as u64),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn clap_agrees_with_itself() {
        ExchangeArgs::command().debug_assert();
    }

    #[test]
    fn options_become_an_exchange() {
        let parse = |line: &str| {
            ExchangeArgs::try_parse_from(["x", "--config", "f"].into_iter().chain(line.split_whitespace()))
        };
        let args =
            parse("--requests 1,2 --burst-every-ms 100 --burst-ms 10 --independent --loss 7").expect("good");
        assert_eq!(args.requests, [1, 2]);
        let config = exchange_config(&args).expect("good");
        assert_eq!(
            config.bursts.map(|bursts| (bursts.every_ns, bursts.length_ns, bursts.factor)),
            Some((100_000_000, 10_000_000, 10))
        );
        assert!(!config.publisher.lines.disjoint && config.publisher.lines.a.loss_ppm == 7);
        let why =
            exchange_config(&parse("--burst-every-ms 5 --burst-ms 5").expect("good")).expect_err("overlap");
        assert!(why.contains("--burst-ms"), "{why}");
        let plan = |text: &str| ExchangeArgs::try_parse_from(["x", "--config", "f", "--plan", text]);
        assert_eq!(exchange_config(&plan("1s roll").expect("good")).expect("good").plan.len(), 1);
        assert!(plan("1s dance").expect_err("no fault").to_string().contains("entry 1 '1s dance'"));
        let why = exchange_config(&parse("--requests 1,2,3").expect("good")).expect_err("three servers");
        assert!(why.contains("--requests"), "{why}");
    }
}
