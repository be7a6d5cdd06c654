//! The command line: what a user types, and what they read when it fails.
//!
//! Two forms. DPDK's own, for live work: `wirebook [EAL arguments] -- --config FILE`, the same behind the word
//! `exchange` for the other side of the wire, and behind `doctor` to hear what the machine lacks for it. And subcommands
//! that need no EAL, no root and no hugepages: `check-config`, `journal`, `replay`, `features`, `demo`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

mod check_config;
#[cfg(feature = "dpdk")]
mod demo;
mod doctor;
mod dump;
#[cfg(feature = "dpdk")]
mod exchange;
pub mod exit;
mod journal;
mod live;
mod log;

pub mod replay;
mod report;
mod tables;
#[cfg(feature = "dpdk")]
mod telemetry;
mod version;

use exit::Exit;

/// What `--help` says below the options: the form that clap cannot know.
const LIVE_FORM: &str = "\
Live:
  wirebook [EAL arguments] -- --config FILE [options]     on DPDK ports
  wirebook -- --nic udp:IP --config FILE [options]        on kernel sockets, without DPDK
  wirebook -- --nic direct:PCI --config FILE [options]    on an Intel 82574L or 82576, by our own driver
  wirebook -- --nic efvi:INTERFACE --config FILE          on a Solarflare NIC by ef_vi (feature `efvi`)
  wirebook exchange [EAL arguments] -- --config FILE      the other side of the wire, on a DPDK port
  wirebook doctor [EAL arguments] -- --config FILE        what this machine lacks for any of the first four

  wirebook -l 0-1 -a 0000:01:00.0 -- --config config/feed.toml
  wirebook -l 0-1 --no-pci --vdev=net_af_packet0,iface=eth1 -- --config config/feed.toml
  `wirebook -- --help` lists the options.

Exit codes (`doctor` has its own):
  0 done   1 done, but books are flagged   2 usage or configuration   3 environment (hugepages, ports, rights)
  4 input unreadable or corrupt";

/// Market data off the wire into full-depth order books, and orders back onto it.
#[derive(Parser)]
#[command(name = "wirebook", version, long_version = version::long(), after_help = LIVE_FORM, subcommand_required = true, arg_required_else_help = true,
          override_usage = "wirebook <COMMAND>\n       wirebook [EAL arguments] -- --config FILE [options]")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration file and say what would run.
    CheckConfig(check_config::CheckConfigArgs),
    /// Print a journal of orders: what was wanted, decided, sent and answered.
    Journal(journal::JournalArgs),
    /// Build the books from a capture (ITCH BinaryFILE, pcap, pcapng) and print them.
    Replay(replay::ReplayArgs),
    /// Write the features and labels of a capture to a Parquet file, to train a model on.
    #[cfg(feature = "export")]
    Features(replay::export::ExportArgs),
    /// Play against a built-in exchange over virtual DPDK ports: no NIC, no root, no hugepages.
    #[cfg(feature = "dpdk")]
    Demo(demo::DemoArgs),
}

// A doc comment here would become the heading of the help.
#[derive(Args, Clone, Debug)]
struct LiveArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// `dpdk`; `udp:IP`: kernel sockets on the interface that has this address; `direct:PCI_ADDRESS`: our own driver;
    /// `efvi:INTERFACE`: ef_vi.
    #[arg(long, value_name = "BACKEND", default_value = "dpdk")]
    nic: live::Backend,
    /// Stop after this many seconds. Without it: run until SIGINT or SIGTERM.
    #[arg(long = "for", value_name = "SECONDS")]
    run_for: Option<u64>,
    /// Stop when neither line brought a packet for this many seconds (after the first).
    #[arg(long, value_name = "SECONDS")]
    stop_when_idle: Option<u64>,
    /// Write the final books, order by order, to this file.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Write every received frame to this pcapng file, to look at and to `replay`.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// MB of memory between the loop and the file; frames that find it full are not captured, and counted.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..),
          requires = "capture")]
    capture_buffer: u16,
    /// Write the final report as TOML, for scripts, to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Let orders leave, whatever `risk.armed` says.
    #[arg(long)]
    arm: bool,
    /// Least severe level that is logged: error, warn, info, debug, trace; the configuration's otherwise.
    #[arg(long, value_name = "LEVEL")]
    log: Option<tracing::Level>,
}

#[derive(Parser)]
#[command(name = "wirebook [EAL arguments] --", version, long_version = version::long(), after_help = LIVE_FORM,
          override_usage = "wirebook [EAL arguments] -- --config FILE [options]")]
struct Live {
    #[command(flatten)]
    args: LiveArgs,
}

/// Which of the two forms the arguments have.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Subcommand,
    Live { eal: Vec<OsString>, app: Vec<OsString> },
    Exchange { eal: Vec<OsString>, app: Vec<OsString> },
    Doctor { eal: Vec<OsString>, app: Vec<OsString> },
}

/// The word that begins [`Form::Exchange`].
const EXCHANGE: &str = "exchange";
/// The word that begins [`Form::Doctor`].
const DOCTOR: &str = "doctor";

/// EAL arguments come first and are DPDK's: only a known word in first place makes it a subcommand.
fn form(args: &[OsString]) -> Result<Form, String> {
    let Some((first, rest)) = args.split_first() else { return Ok(Form::Subcommand) };
    let first = first.to_string_lossy();
    if first == EXCHANGE || first == DOCTOR {
        let at = rest.iter().position(|arg| arg == "--");
        // Without the dashes there are no EAL arguments: what stands there is for clap to judge.
        let (eal, app) = at.map_or((&[][..], rest), |at| (&rest[..at], &rest[at + 1..]));
        let (eal, app) = (eal.to_vec(), app.to_vec());
        return Ok(if first == DOCTOR { Form::Doctor { eal, app } } else { Form::Exchange { eal, app } });
    }
    let known = Cli::command().get_subcommands().any(|command| command.get_name() == first);
    if known || matches!(first.as_ref(), "help" | "-h" | "--help" | "-V" | "--version") {
        return Ok(Form::Subcommand);
    }
    match args.iter().position(|arg| arg == "--") {
        Some(at) => Ok(Form::Live { eal: args[..at].to_vec(), app: args[at + 1..].to_vec() }),
        None if first.starts_with('-') => Err(format!(
            "there is no `--` behind the EAL arguments, so no configuration was named\n  write: wirebook {} -- --config config/feed.toml",
            args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
        )),
        None => Ok(Form::Subcommand),
    }
}

/// Runs the command; the exit code says how it ended (see [`exit`]).
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match form(&args) {
        Ok(Form::Doctor { eal, app }) => doctor::main(&eal, app).into(),
        form => dispatch(form, &args).into(),
    }
}

/// Everything but the doctor, whose exit codes are its own.
fn dispatch(form: Result<Form, String>, args: &[OsString]) -> Exit {
    match form {
        Err(why) => complain(Exit::Usage, &why),
        Ok(Form::Live { eal, app }) => {
            match Live::try_parse_from(std::iter::once(OsString::from("wirebook")).chain(app)) {
                Ok(parsed) => live::main(&eal, &parsed.args),
                Err(refusal) if refusal.kind() == ErrorKind::MissingRequiredArgument => {
                    complain(Exit::Usage, "no configuration is named behind the `--`: add --config FILE")
                }
                Err(refusal) => say(&refusal),
            }
        }
        #[cfg(feature = "dpdk")]
        Ok(Form::Exchange { eal, app }) => {
            match exchange::ExchangeArgs::try_parse_from(
                std::iter::once(OsString::from("wirebook")).chain(app),
            ) {
                Ok(args) => exchange::main(&eal, &args),
                Err(refusal) => say(&refusal),
            }
        }
        #[cfg(not(feature = "dpdk"))]
        Ok(Form::Exchange { .. }) => complain(
            Exit::Usage,
            "this wirebook was built without DPDK\n  build it with the feature `dpdk`, or use the program `exchange`",
        ),
        // A doctor among them would be a subcommand that nobody knows.
        Ok(Form::Subcommand | Form::Doctor { .. }) => {
            match Cli::try_parse_from(std::iter::once(OsString::from("wirebook")).chain(args.iter().cloned()))
            {
                Ok(Cli { command: Command::CheckConfig(args) }) => check_config::main(&args),
                Ok(Cli { command: Command::Journal(args) }) => journal::main(&args),
                Ok(Cli { command: Command::Replay(args) }) => replay::main(&args),
                #[cfg(feature = "export")]
                Ok(Cli { command: Command::Features(args) }) => replay::export::main(&args),
                #[cfg(feature = "dpdk")]
                Ok(Cli { command: Command::Demo(args) }) => demo::main(&args),
                Err(refusal) => say(&refusal),
            }
        }
    }
}

/// Prints clap's help, version or refusal where each belongs.
fn say(message: &clap::Error) -> Exit {
    // A closed pipe (`wirebook --help | head -1`) is no reason to fail.
    let _ = message.print();
    if message.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// One message on stderr, then the exit code.
#[expect(clippy::print_stderr, reason = "the command line is where messages to people are printed")]
fn complain(exit: Exit, why: &str) -> Exit {
    eprintln!("wirebook: {why}");
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn eal_arguments_stop_at_the_first_double_dash() {
        let Ok(Form::Live { eal, app }) = form(&words("-l 0-1 --no-pci -- --config f.toml -- x")) else {
            panic!("live form expected")
        };
        assert_eq!(eal, words("-l 0-1 --no-pci"));
        assert_eq!(app, words("--config f.toml -- x"));
    }

    #[test]
    fn the_exchange_has_the_form_of_dpdk_programs() {
        let Ok(Form::Exchange { eal, app }) = form(&words("exchange -l 0-1 -- --config f")) else {
            panic!("the exchange's form expected")
        };
        assert_eq!((eal, app), (words("-l 0-1"), words("--config f")));
        assert_eq!(form(&words("exchange --help")), Ok(Form::Exchange { eal: vec![], app: words("--help") }));
    }

    #[test]
    fn the_doctor_takes_the_line_of_the_live_form() {
        let expected = Form::Doctor { eal: words("-l 0-1 -a 1:0.0"), app: words("--config f --arm") };
        assert_eq!(form(&words("doctor -l 0-1 -a 1:0.0 -- --config f --arm")), Ok(expected));
        let explain = Form::Doctor { eal: vec![], app: words("--explain smt") };
        assert_eq!(form(&words("doctor --explain smt")), Ok(explain));
    }

    #[test]
    fn no_eal_arguments_is_still_the_live_form() {
        assert_eq!(form(&words("-- --config f")), Ok(Form::Live { eal: vec![], app: words("--config f") }));
    }

    #[test]
    fn a_forgotten_double_dash_is_named() {
        let why = form(&words("-l 0-1")).unwrap_err();
        assert!(why.contains("-l 0-1 -- --config"), "{why}");
    }

    #[test]
    fn known_words_are_subcommands() {
        for line in ["", "--help", "-V", "demo", "replay f", "check-config f", "unheard-of"] {
            assert_eq!(form(&words(line)), Ok(Form::Subcommand), "{line}");
        }
    }

    #[test]
    fn clap_agrees_with_itself() {
        Cli::command().debug_assert();
        Live::command().debug_assert();
    }
}
