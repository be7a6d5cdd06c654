//! The live form: frames in, books kept, orders out, until told to stop.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use super::exit::Exit;
use super::{LiveArgs, complain, dump, report, tables};
use crate::config::{Config, Level};
use crate::control::Handles;
use crate::control::capture::{self, CaptureThread, Captured, Head};
use crate::control::recovery::{self, RecoveryThread};
use crate::control::{Ending, Moment, Plan};
use crate::host::machine;
use crate::nic::vfio::Bdf;
use crate::pipeline::finished::{self, Finished};
use crate::pipeline::health::FeedState;
use crate::pipeline::tap::Tap;
use crate::stats::clock::Clock;
use crate::stats::rate::Rate;

mod calm;
mod direct;
#[cfg(feature = "dpdk")]
mod dpdk;
#[cfg(feature = "efvi")]
mod efvi;
mod link;
mod orders;
mod sockets;

use orders::{journaled, look_after};

/// What carries the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// DPDK ports, as the EAL arguments say.
    Dpdk,
    /// Kernel UDP sockets on the interface that has this address.
    Udp(Ipv4Addr),
    /// A PCI device, by our own driver.
    Direct(Bdf),
    /// The Solarflare interface of this name, through ef_vi.
    Efvi(String),
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "dpdk" => Ok(Self::Dpdk),
            Some(("udp", address)) => {
                address.parse().map(Self::Udp).map_err(|_| format!("`{address}` is no IPv4 address"))
            }
            Some(("direct", address)) => address.parse().map(Self::Direct),
            Some(("efvi", name)) if !name.is_empty() => Ok(Self::Efvi(name.to_owned())),
            _ => {
                Err("write `dpdk`, `udp:IP` with the IPv4 address of an interface, `direct:PCI_ADDRESS`, or \
                      `efvi:INTERFACE`"
                    .to_owned())
            }
        }
    }
}

pub(super) fn main(eal: &[OsString], args: &LiveArgs) -> Exit {
    let mut config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => return complain(Exit::Usage, &errors.to_string()),
    };
    config.risk.armed |= args.arm;
    super::log::start(args.log.unwrap_or_else(|| of(config.log.level)), of(config.log.dpdk));
    // Held to the end.
    let _calm = match calm::Calm::begin(&config.determinism) {
        Ok(calm) => calm,
        Err(why) => return complain(Exit::Environment, &why),
    };
    match &args.nic {
        Backend::Udp(_) if !eal.is_empty() => complain(
            Exit::Usage,
            "EAL arguments mean nothing to kernel sockets\n  leave them out: wirebook -- --nic udp:IP --config FILE",
        ),
        Backend::Direct(_) if !eal.is_empty() => complain(
            Exit::Usage,
            "EAL arguments mean nothing to the direct driver\n  leave them out: wirebook -- --nic direct:PCI_ADDRESS \
             --config FILE; the polling CPU is lcores.worker",
        ),
        Backend::Efvi(_) if !eal.is_empty() => complain(
            Exit::Usage,
            "EAL arguments mean nothing to ef_vi\n  leave them out: wirebook -- --nic efvi:INTERFACE --config FILE",
        ),
        Backend::Udp(address) => sockets::main(*address, &config, args),
        Backend::Direct(bdf) => direct::main(*bdf, &config, args),
        #[cfg(feature = "efvi")]
        Backend::Efvi(interface) => efvi::main(interface, &config, args),
        #[cfg(not(feature = "efvi"))]
        Backend::Efvi(_) => complain(
            Exit::Usage,
            "this wirebook was built without ef_vi\n  build it with the feature `efvi` (docs/porting-to-ef_vi.md says how)",
        ),
        #[cfg(feature = "dpdk")]
        Backend::Dpdk => dpdk::main(eal, &config, args),
        #[cfg(not(feature = "dpdk"))]
        Backend::Dpdk => complain(
            Exit::Usage,
            "this wirebook was built without DPDK\n  build it with the feature `dpdk`, or use --nic udp:IP",
        ),
    }
}

/// A level of the configuration as `tracing` knows it.
const fn of(level: Level) -> tracing::Level {
    match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
        Level::Trace => tracing::Level::TRACE,
    }
}

/// Longest time between two tables for telemetry.
const SHOW: Duration = Duration::from_secs(1);

fn plan(config: &Config, args: &LiveArgs) -> Plan {
    Plan {
        run_for: args.run_for.map(Duration::from_secs),
        stop_when_idle: args.stop_when_idle.map(Duration::from_secs),
        // Telemetry answers with what was made last, whether or not it is printed.
        show_every: Some(match config.latency.print_every {
            Duration::ZERO => SHOW,
            print_every => print_every.min(SHOW),
        }),
    }
}

/// Starts the recovery thread, where one is configured. It must be started by the thread that controls, whose CPUs it shares.
fn recover(config: &Config, handles: &mut Handles) -> Result<Option<RecoveryThread>, String> {
    let thread = recovery::start(config.recovery.as_ref(), handles)
        .map_err(|why| format!("recovery cannot be started: {why}"))?;
    if thread.is_none() {
        tracing::info!("no [recovery]: a gap makes the books stale for good");
    }
    Ok(thread)
}

/// Starts to write what the loop receives from `ports` to a file, where that is asked for.
fn tap(args: &LiveArgs, clock: Clock, ports: Vec<String>) -> Result<Option<(Tap, CaptureThread)>, String> {
    let Some(path) = &args.capture else { return Ok(None) };
    let head = Head { hardware: machine::processor(), os: machine::system(), ports };
    let made = capture::start(path, usize::from(args.capture_buffer) << 20, clock, &head);
    let made = made.map_err(|why| format!("{}: cannot be written: {why}", path.display()))?;
    tracing::info!(file = %path.display(), buffer_mb = args.capture_buffer, "capturing");
    Ok(Some(made))
}

/// Ends a capture after its loop, and says what came of it.
fn captured(thread: Option<CaptureThread>) -> Vec<(&'static str, u64)> {
    let Some(captured) = thread.map(CaptureThread::finish) else { return Vec::new() };
    let Captured { frames, notes, bytes, failure } = &captured;
    match failure {
        None => tracing::info!(frames, notes, bytes, "capture written"),
        Some(why) => tracing::error!(frames, notes, bytes, "capture not complete: {why}"),
    }
    captured.rows().to_vec()
}

/// What is amiss with packets of the feed, by counters that rise with it.
const AMISS: [(&[&str], &str); 6] = [
    (
        &["line_a_wrong_session", "line_b_wrong_session"],
        "packets of another session: does somebody else send to the group?",
    ),
    (
        &["line_a_implausible", "line_b_implausible"],
        "packets with a sequence far from the feed's: does somebody else send to the group?",
    ),
    (
        &["line_a_after_end", "line_b_after_end"],
        "packets from after the end of the session: it was none, or they are",
    ),
    (
        &[
            "line_a_sequence_zero",
            "line_a_mold_too_short",
            "line_a_mold_block_overrun",
            "line_a_mold_sequence_overflow",
            "line_b_sequence_zero",
            "line_b_mold_too_short",
            "line_b_mold_block_overrun",
            "line_b_mold_sequence_overflow",
        ],
        "packets that are not MoldUDP64: is another feed on this group and port?",
    ),
    (&["stream_jumps"], "the feed's sequence jumped far: every book was given up"),
    (
        &["stream_rewinds"],
        "the feed's sequence was set back, and all books begun anew: did the venue lose its memory?",
    ),
];

/// One line of a run now and then, for the log.
struct Progress {
    /// Time between two lines; zero: none.
    every: Duration,
    /// When the next one is due, by the run's own time.
    due: Duration,
    frames: Rate,
    messages: Rate,
    patience_ms: u64,
    /// How much of each of [`AMISS`] was told.
    amiss: [u64; AMISS.len()],
}

impl Progress {
    /// Rates count from now.
    fn new(config: &Config) -> Self {
        let [mut frames, mut messages] = [Rate::default(); 2];
        let _ = (frames.update(0, 0), messages.update(0, 0));
        let patience_ms = u64::try_from(config.feed.heartbeat_timeout.as_millis()).unwrap_or(u64::MAX);
        let every = config.latency.print_every;
        Self { every, due: every, frames, messages, patience_ms, amiss: [0; AMISS.len()] }
    }

    /// Says how the run stands, where that is due.
    fn show(&mut self, now: &Moment) {
        if self.every.is_zero() || now.elapsed < self.due {
            return;
        }
        self.due = now.elapsed + self.every;
        let now_ns = u64::try_from(now.elapsed.as_nanos()).unwrap_or(u64::MAX);
        let [live, recovering, stale] =
            ["books_live", "books_recovering", "books_stale"].map(|name| now.count(name));
        tracing::info!(
            frames_per_s = self.frames.update(now.count("loop_frames"), now_ns).unwrap_or(0),
            messages_per_s = self.messages.update(now.count("desk_messages"), now_ns).unwrap_or(0),
            gaps = now.count("stream_gaps"),
            orders = now.count("desk_orders_sent"),
            live,
            recovering,
            stale,
            "running"
        );
        if let Some(health) = &now.health
            && matches!(health.state, FeedState::Recovering | FeedState::Stale)
        {
            tracing::warn!(
                state = health.state.word(),
                missing = health.missing,
                lasts = ?health.lasts,
                "books are out of use"
            );
        }
        for (line, silent) in [("A", "line_a_silent_ms"), ("B", "line_b_silent_ms")] {
            let silent_ms = now.count(silent);
            if silent_ms > self.patience_ms {
                tracing::warn!(line, silent_ms, "a line is dead: not even heartbeats come");
            }
        }
        for ((names, what), told) in AMISS.iter().zip(&mut self.amiss) {
            let count = names.iter().map(|name| now.count(name)).sum::<u64>();
            if count > *told {
                tracing::warn!(more = count - *told, "{what}");
                *told = count;
            }
        }
    }
}

/// The last word of a run of one or several workers: what was seen, what it took, what was lost. Says whether the books may be believed.
fn conclude(
    ending: Ending,
    last: &Moment,
    finished: &[Finished],
    extra: &[(&'static str, u64)],
    args: &LiveArgs,
) -> Exit {
    let mut rows = finished::all_rows(finished);
    rows.extend_from_slice(extra);
    rows.extend(last.health.iter().flat_map(|health| &health.rows));
    let stale: usize = finished.iter().map(Finished::stale).sum();
    let known: usize = finished.iter().map(Finished::books_known).sum();
    let mut text =
        format!("\nended after {:.1} s: {}\n\nbooks\n", last.elapsed.as_secs_f64(), ending.words());
    text.push_str(&tables::tops(&last.books));
    if let Some(book) = last.books.first() {
        text.push_str(&format!("\n{}\n{}", book.symbol, tables::depth(book)));
    }
    text.push_str(&format!("\nlatency, ns, on {}\n", machine::describe()));
    text.push_str("  from the beginning of the poll that brought the frame, without the NIC and its ring");
    text.push_str(&format!("; TSC reads, {} ns each, are in no figure\n", last.read_cost));
    text.push_str(&tables::time(last));
    text.push_str("\norders\n");
    text.push_str(&tables::orders(last));
    text.push_str("\nlines\n");
    text.push_str(&tables::lines(&rows));
    if let Some(health) = &last.health {
        text.push_str("\nrecovery\n");
        text.push_str(&tables::recovery(health, &rows));
    }
    text.push_str("\nlost or refused\n");
    text.push_str(&tables::losses(&rows));
    text.push_str("\ncounters\n");
    text.push_str(&tables::counters(&rows));
    if finished.len() > 1 {
        text.push_str("\nworkers\n");
        text.push_str(&tables::workers(finished));
    }
    text.push_str(&match (known, stale) {
        (0, _) => "\nno instrument was announced: there are no books\n".to_owned(),
        (known, 0) => format!("\n{known} books, all live\n"),
        (known, stale) => format!("\n{known} books, {stale} of them STALE: they may be wrong\n"),
    });
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if let Some(path) = &args.dump
        && let Err(why) =
            dump::to_file(&finished.iter().map(|worker| &worker.books).collect::<Vec<_>>(), path)
    {
        return complain(Exit::Environment, &why);
    }
    if let Some(path) = &args.report
        && let Err(why) = report::to_file(&report::Report::new(ending, last, finished, &rows), path)
    {
        return complain(Exit::Environment, &why);
    }
    if stale == 0 { Exit::Done } else { Exit::Flagged }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that no counter has would never be told.
    #[test]
    fn what_is_amiss_is_counted() {
        let names: Vec<_> = crate::pipeline::board::Tally::default().rows().map(|(name, _)| name).collect();
        for name in AMISS.iter().flat_map(|(of, _)| *of) {
            assert!(names.contains(name), "{name} is counted nowhere");
        }
    }

    #[test]
    fn backends_are_named_as_documented() {
        assert_eq!("dpdk".parse(), Ok(Backend::Dpdk));
        assert_eq!("udp:10.0.0.2".parse(), Ok(Backend::Udp(Ipv4Addr::new(10, 0, 0, 2))));
        assert_eq!("direct:01:00.0".parse(), Ok(Backend::Direct("0000:01:00.0".parse().unwrap())));
        assert_eq!("efvi:enp1s0f0".parse(), Ok(Backend::Efvi("enp1s0f0".to_owned())));
        for wrong in
            ["", "udp", "udp:", "udp:x", "tcp:10.0.0.2", "direct", "direct:", "direct:eth0", "efvi", "efvi:"]
        {
            assert!(wrong.parse::<Backend>().is_err(), "{wrong}");
        }
    }
}
