//! One run: the exchange, the handler, and the jitter probe around them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wirebook::host::jitter::{self, Jitter};
use wirebook::nic::cpu;
use wirebook::stats::clock::{CALIBRATION, Clock};

use super::model::perceptron;
use super::{Trouble, line};

/// How long a program may take to come up, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the probe spins before and after a run.
const PROBE: Duration = Duration::from_secs(2);

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    OneAtATime,
    Cold,
    Load,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::OneAtATime, Self::Cold, Self::Load];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one at a time",
            Self::Cold => "cold",
            Self::Load => "load",
        }
    }

    const fn feed(self) -> &'static [&'static str] {
        match self {
            Self::OneAtATime => &["--rate", "50000", "--packet-messages", "1"],
            Self::Cold => &["--rate", "200", "--packet-messages", "1"],
            Self::Load => {
                &["--rate", "100000", "--burst-every-ms", "100", "--burst-ms", "10", "--burst-factor", "5"]
            }
        }
    }
}

/// Latencies of one stage, ns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// By stage.
pub(crate) type Latencies = BTreeMap<String, Quantiles>;

/// What a run left.
pub(crate) struct Run {
    pub(crate) before: Jitter,
    pub(crate) after: Jitter,
    pub(crate) all: Latencies,
    pub(crate) warm: Latencies,
    pub(crate) cold: Latencies,
    counters: BTreeMap<String, u64>,
}

impl Run {
    fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        let way = self.all.get("rx_to_tx").copied().unwrap_or_default();
        format!(
            "{} messages, {} orders sent, {} replies, {} gaps; rx→tx p50 {} p99 {} ns",
            self.count("desk_messages"),
            self.count("desk_orders_sent"),
            self.count("desk_replies"),
            self.count("stream_gaps"),
            way.p50,
            way.p99
        )
    }

    /// How far the loop came in its rounds.
    pub(crate) fn rounds(&self) -> String {
        let polls = self.count("loop_polls").max(1) as f64;
        let cell =
            |words: &str, name: &str| format!("{words} {:.4} %", self.count(name) as f64 * 100.0 / polls);
        [
            cell("received", "loop_busy_polls"),
            cell("changed a book", "loop_message_polls"),
            cell("decided", "loop_decision_polls"),
            cell("ordered", "loop_order_polls"),
        ]
        .join(", ")
    }
}

/// Where it runs.
pub(crate) struct Machine {
    /// The CPU of the loop.
    pub(crate) hot: usize,
    /// That of everything else.
    pub(crate) other: usize,
    hz: u64,
}

/// A child that does not outlive us.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// With its standard error in `log`.
    fn start(command: &mut Command, log: &Path) -> Result<Self, Trouble> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?).spawn();
        Ok(Self(child.map_err(|why| format!("{command:?}: {why}"))?))
    }

    fn wait_for(&mut self, text: &str, log: &Path) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            let said = fs::read_to_string(log)?;
            if said.contains(text) {
                return Ok(());
            }
            if self.0.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                return Err(format!("'{text}' did not come:\n{said}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(mut self, within: Duration, log: &Path) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{status}:\n{}", fs::read_to_string(log)?).into()),
                None if began.elapsed() > within => return Err("it did not end".into()),
                None => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl Machine {
    pub(crate) fn find() -> Result<Self, Trouble> {
        let cpus = cpu::allowed()?;
        let [other, .., hot] = cpus[..] else {
            return Err("needs two CPUs: the loop takes one for itself".into());
        };
        Ok(Self { hot, other, hz: Clock::calibrate(CALIBRATION)?.hz() })
    }

    fn probe(&self) -> Result<Jitter, Trouble> {
        let (hot, hz) = (self.hot, self.hz);
        let spin = move || cpu::run_on(&[hot]).map(|()| jitter::probe(PROBE, hz));
        Ok(thread::spawn(spin).join().map_err(|_| "the probe failed")??)
    }

    /// ns that a cache line takes between the two CPUs.
    pub(crate) fn line(&self) -> Result<f64, Trouble> {
        line::transfer(self.hot, self.other, self.hz)
    }

    /// Both programs for so long, with the configuration of the file instead of the one that is built in; with `huge`, on huge
    /// pages and without memif's copies.
    pub(crate) fn run(
        &self,
        kind: Kind,
        seconds: u64,
        config: Option<&str>,
        huge: bool,
    ) -> Result<Run, Trouble> {
        let scratch = tempfile::tempdir()?;
        let file = |name: &str| scratch.path().join(name);
        let text = match config {
            Some(path) => fs::read_to_string(path).map_err(|why| format!("{path}: {why}"))?,
            None => include_str!("feed.toml").to_owned(),
        };
        fs::write(file("model.safetensors"), perceptron())?;
        let text = text
            .replace("MODEL", &file("model.safetensors").display().to_string())
            .replace("JOURNAL", &scratch.path().display().to_string());
        fs::write(file("feed.toml"), text)?;
        let socket = file("memif.sock");
        let vdev = |role: &str| {
            format!("--vdev=net_memif0,role={role},socket={},socket-abstract=no", socket.display())
        };
        let pages: &[&str] =
            if huge { &["--in-memory", "--single-file-segments"] } else { &["--no-huge", "--no-shconf"] };
        let eal = || pages.iter().chain(&["--no-pci", "-m", "256", "--no-telemetry", "--"]);
        let client = if huge { vdev("client") + ",zero-copy=yes" } else { vdev("client") };
        let wirebook = || Command::new(env!("CARGO_BIN_EXE_wirebook"));
        let before = self.probe()?;
        let mut venue = wirebook();
        venue
            .args(["exchange", &format!("--lcores=0@{0},1@{0}", self.other), &vdev("server")])
            .args(eal())
            .args(["--port", "net_memif0", "--for", &seconds.to_string(), "--config"])
            .arg(file("feed.toml"))
            .args(kind.feed());
        let venue_log = file("exchange.log");
        let mut venue = Program::start(&mut venue, &venue_log)?;
        venue.wait_for("waiting for the link", &venue_log)?;
        let mut handler = wirebook();
        handler
            .args([format!("--lcores=0@{},1@{}", self.other, self.hot), client])
            .args(eal())
            .args(["--stop-when-idle", "2", "--config"])
            .arg(file("feed.toml"))
            .arg("--report")
            .arg(file("report.toml"));
        let log = file("wirebook.log");
        let handler = Program::start(&mut handler, &log)?;
        handler.end(Duration::from_secs(seconds) + PATIENCE, &log)?;
        drop(venue);
        let after = self.probe()?;
        let report: toml::Table = fs::read_to_string(file("report.toml"))?.parse()?;
        let counters = (report.get("counters").and_then(toml::Value::as_table).into_iter().flatten())
            .filter_map(|(name, value)| Some((name.clone(), u64::try_from(value.as_integer()?).ok()?)))
            .collect();
        let latencies = |name: &str| latencies(report.get(name).and_then(toml::Value::as_table));
        let run = Run {
            before,
            after,
            all: latencies("latency_ns"),
            warm: latencies("warm_latency_ns"),
            cold: latencies("cold_latency_ns"),
            counters,
        };
        if run.count("desk_orders_sent") == 0 || run.count("stream_gaps") > 0 {
            return Err(
                format!("not a run to measure: {}\n{}", run.summary(), fs::read_to_string(&log)?).into()
            );
        }
        Ok(run)
    }
}

fn latencies(table: Option<&toml::Table>) -> Latencies {
    let row = |(name, value): (&String, &toml::Value)| {
        let of = |key: &str| {
            value.get(key).and_then(toml::Value::as_integer).and_then(|ns| u64::try_from(ns).ok())
        };
        let quantiles = Quantiles {
            count: of("count")?,
            p50: of("p50")?,
            p90: of("p90")?,
            p99: of("p99")?,
            p999: of("p999")?,
            max: of("max")?,
        };
        Some((name.clone(), quantiles))
    };
    table.into_iter().flatten().filter_map(row).collect()
}
