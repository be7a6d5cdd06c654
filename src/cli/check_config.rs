//! `wirebook check-config FILE`: is it right, and what would run.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::complain;
use super::exit::Exit;
use crate::config::{Config, Framing, Instruments, Recovery, Stack, StrategyKind};
use crate::worker::{AssembleError, book_limits, model};

/// `check-config`
#[derive(Args, Debug)]
pub(super) struct CheckConfigArgs {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn main(args: &CheckConfigArgs) -> Exit {
    match Config::load(&args.file) {
        Err(errors) => complain(Exit::Usage, &errors.to_string()),
        Ok(config) => {
            if let Err(why) = model(&config.strategy) {
                return complain(Exit::Usage, &AssembleError::Model(why).to_string());
            }
            // A closed pipe is the reader's choice.
            let _ = std::io::stdout().write_all(describe(&config).as_bytes());
            Exit::Done
        }
    }
}

/// What a wirebook with this configuration would do, in a few lines.
pub(super) fn describe(config: &Config) -> String {
    let mut text = String::from("configuration is right\n");
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12} {value}\n"));
    for (name, feed_line) in [("line A", Some(&config.feed.line_a)), ("line B", config.feed.line_b.as_ref())]
    {
        line(
            name,
            feed_line.map_or_else(
                || "none: holes of line A stay open".to_owned(),
                |l| {
                    let vlan = l.vlan.map_or_else(String::new, |v| format!(", VLAN {v}"));
                    let source = l.source.map_or_else(String::new, |s| format!(", from {s} only"));
                    format!("{}:{}{vlan}{source}", l.group, l.port)
                },
            ),
        );
    }
    line("recovery", recovery(config.recovery.as_ref()));
    line(
        "books",
        format!(
            "{} instruments, {} orders, {} levels: {} MiB",
            config.book.max_locates,
            config.book.max_orders,
            config.book.max_levels,
            book_limits(config).memory_bytes() >> 20
        ),
    );
    let workers = config.lcores.count();
    if workers > 1 {
        let share = book_limits(&config.share(0));
        line(
            "workers",
            format!(
                "{workers}, the instruments divided among them; each has room for {} orders and {} levels",
                share.orders, share.levels
            ),
        );
    }
    line(
        "strategy",
        match config.strategy.kind {
            StrategyKind::None => "none: books only".to_owned(),
            kind => format!(
                "{} on {}",
                match kind {
                    StrategyKind::Model => "model",
                    StrategyKind::Maker => "maker",
                    StrategyKind::Template => "template",
                    StrategyKind::None | StrategyKind::Imbalance => "imbalance",
                },
                match &config.instruments {
                    Instruments::All => "all instruments".to_owned(),
                    Instruments::Listed(list) => format!("{} instruments", list.len()),
                }
            ),
        },
    );
    line(
        "orders",
        match &config.gateway {
            None => "none: there is no [gateway]".to_owned(),
            Some(g) => format!(
                "from {}{} to {}:{}, {}, {}",
                g.local_ip,
                match (g.local_port, workers) {
                    (0, _) => String::new(),
                    (port, 1) => format!(":{port}"),
                    (port, _) => format!(":{port}-{}", port + workers - 1),
                },
                g.ip,
                g.port,
                match (g.framing, g.ouch.stack) {
                    (Framing::WutfUdp, _) => "test framing over UDP".to_owned(),
                    (Framing::OuchTcp, Stack::Own) => format!("OUCH over our own TCP as {}", g.ouch.username),
                    (Framing::OuchTcp, Stack::Kernel) => {
                        format!("OUCH over the kernel's TCP as {}", g.ouch.username)
                    }
                },
                if config.risk.armed { "ARMED" } else { "disarmed: none leaves until it is armed" }
            ),
        },
    );
    line(
        "journal",
        config.journal.as_ref().map_or_else(
            || "none: nothing will say afterwards what was sent".to_owned(),
            |journal| {
                format!("{}, rings in {}", journal.directory.display(), journal.ring_directory.display())
            },
        ),
    );
    text
}

/// Who is asked for what both lines lost; names no credentials.
fn recovery(recovery: Option<&Recovery>) -> String {
    let Some(recovery) = recovery else {
        return "none: a gap makes the books stale for good".to_owned();
    };
    let requests = recovery.requests.as_ref().map(|requests| {
        let servers: Vec<_> = requests.servers.iter().map(ToString::to_string).collect();
        format!("requests to {}", servers.join(" and "))
    });
    let snapshot = recovery.snapshot.as_ref().map(|snapshot| format!("snapshots from {}", snapshot.server));
    let ways: Vec<_> = requests.into_iter().chain(snapshot).collect();
    format!("{}; {} MiB of live messages may wait", ways.join(", "), recovery.buffer_bytes >> 20)
}
