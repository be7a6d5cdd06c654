//! `wirebook doctor [EAL arguments] -- --config FILE …`: what this machine lacks for the live form of the same line.
//!
//! Reads, measures and tells; changes nothing, needs no root, and starts no EAL. Exit codes are its own: 0 nothing that counts,
//! 1 a warning under `--strict` or in the profile `live`, 2 something that stops the start or loses data, 3 the doctor
//! itself could not work (arguments, configuration).

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use super::exit::Exit;
use super::live::Backend;
use super::{LiveArgs, complain, say};
use crate::config::{Config, PortRef};
use crate::host::args::EalArgs;
use crate::host::cpus::CpuSet;
use crate::host::survey::port_addresses;
use crate::host::{Host, Measured, Profile, Subject, catalogue, lcores, script, survey};

mod measure;
mod report;

use report::Report;

// A doc comment here would become the heading of the help.
#[derive(Parser)]
#[command(
    name = "wirebook doctor [EAL arguments] --",
    override_usage = "wirebook doctor [EAL arguments] -- --config FILE [--profile dev|lab|live] [options of the live form]\n       \
                            wirebook doctor --explain ID"
)]
struct DoctorArgs {
    #[command(flatten)]
    live: LiveArgs,
    /// What the machine is for. Without it: `live` where orders may leave, `lab` with a real port, else `dev`.
    #[arg(long)]
    profile: Option<Profile>,
    /// Print JSON.
    #[arg(long, conflicts_with = "script")]
    json: bool,
    /// Print a shell script with what can be mended until the next boot.
    #[arg(long)]
    script: bool,
    /// Exit with 1 where a warning is left that `doctor.accept` does not name; the profile `live` always does.
    #[arg(long)]
    strict: bool,
    /// How long to spin on each CPU that polls, to see what interrupts it; 0: not at all. Without it: 1 (dev), 5 (lab),
    /// 60 (live).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=3_600))]
    seconds: Option<u64>,
}

#[derive(Parser)]
#[command(name = "wirebook doctor", override_usage = "wirebook doctor --explain ID")]
struct ExplainArgs {
    /// Say what a check looks at, and why.
    #[arg(long, value_name = "ID")]
    explain: String,
}

/// How the doctor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that counts.
    Well = 0,
    /// A warning that counts.
    Warned = 1,
    /// It will not start, or lose data.
    Ill = 2,
    /// Nobody knows: arguments or configuration are wrong.
    NotSeen = 3,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}

pub(super) fn main(eal: &[OsString], app: Vec<OsString>) -> Outcome {
    let line = || std::iter::once(OsString::from("wirebook"));
    let is_explain = |arg: &OsString| arg.to_str().is_some_and(|arg| arg.starts_with("--explain"));
    if app.iter().any(is_explain) {
        return match ExplainArgs::try_parse_from(line().chain(app)) {
            Ok(args) => explain(&args.explain),
            Err(refusal) => told(say(&refusal)),
        };
    }
    match DoctorArgs::try_parse_from(line().chain(app)) {
        Err(refusal) => told(say(&refusal)),
        Ok(args) => match examine(eal, &args) {
            Ok(outcome) => outcome,
            Err(why) => not_seen(&why),
        },
    }
}

/// Help is no failure.
fn told(exit: Exit) -> Outcome {
    if exit == Exit::Done { Outcome::Well } else { Outcome::NotSeen }
}

fn not_seen(why: &str) -> Outcome {
    complain(Exit::Usage, why);
    Outcome::NotSeen
}

/// A closed pipe is the reader's choice.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn explain(id: &str) -> Outcome {
    let Some(entry) = catalogue::find(id) else {
        let hint = match crate::config::nearest(id, catalogue::ids()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are: {}", catalogue::ids().collect::<Vec<_>>().join(" ")),
        };
        return not_seen(&format!("there is no check {id:?}\n  {hint}"));
    };
    print(&report::explanation(entry));
    Outcome::Well
}

fn examine(eal: &[OsString], args: &DoctorArgs) -> Result<Outcome, String> {
    let config = Config::load(&args.live.config).map_err(|errors| errors.to_string())?;
    let eal: Vec<String> = eal
        .iter()
        .map(|arg| arg.clone().into_string())
        .collect::<Result<_, _>>()
        .map_err(|arg| format!("the EAL argument {arg:?} is not UTF-8"))?;
    let host = host(&args.live.nic)?;
    let subject = subject(&host, &eal, &config, &args.live.nic)?;
    let armed = (config.risk.armed || args.live.arm) && config.gateway.is_some();
    let subject = Subject {
        fifo: config.determinism.fifo_priority,
        journalled: armed.then_some(config.journal.is_some()),
        ..subject
    };
    let profile = args.profile.unwrap_or(match (subject.ports.is_empty(), armed) {
        (true, _) => Profile::Dev,
        (false, true) => Profile::Live,
        (false, false) => Profile::Lab,
    });
    let seconds = args.seconds.unwrap_or(match profile {
        Profile::Dev => 1,
        Profile::Lab => 5,
        Profile::Live => 60,
    });
    let measured = measured(&host, &subject, seconds);
    let findings = survey(&host, &subject, measured.as_deref().map_err(String::as_str), profile);
    let report = Report {
        host: &host,
        subject: &subject,
        profile,
        strict: args.strict || profile == Profile::Live,
        accepted: &config.doctor.accept,
        measured: measured.as_deref().unwrap_or_default(),
        findings: &findings,
    };
    if args.script {
        print(&script::script(&findings, profile));
    } else if args.json {
        print(&report.json()?);
    } else {
        print(&report.text());
    }
    Ok(report.outcome())
}

/// What was measured, or why nothing was.
fn measured(host: &Host, subject: &Subject, seconds: u64) -> Result<Vec<Measured>, String> {
    let running = subject.eal.as_ref().and_then(|args| host.running(args));
    match (seconds, running) {
        (0, _) => Err("not measured: --seconds 0".to_owned()),
        // Two loops on one CPU would measure each other.
        (_, Some(refusal)) => Err(format!("not measured: {refusal}")),
        _ if subject.polling.is_empty() => Err("not measured: no CPU is given to a loop".to_owned()),
        _ => measure::all(host, &subject.polling, Duration::from_secs(seconds)),
    }
}

/// The machine, with the drivers that the backend would find.
fn host(nic: &Backend) -> Result<Host, String> {
    match nic {
        #[cfg(feature = "dpdk")]
        Backend::Dpdk => Ok(crate::eal::this_host()),
        #[cfg(not(feature = "dpdk"))]
        Backend::Dpdk => {
            Err("this wirebook was built without DPDK\n  build it with the feature `dpdk`, or name another \
                              --nic"
                .to_owned())
        }
        _ => Ok(Host::this("", &[])),
    }
}

/// Which CPUs and ports that line would use.
fn subject(host: &Host, eal: &[String], config: &Config, nic: &Backend) -> Result<Subject, String> {
    if !eal.is_empty() && *nic != Backend::Dpdk {
        return Err("EAL arguments mean nothing without DPDK\n  leave them out: wirebook doctor -- --nic … --config FILE".to_owned());
    }
    let workers = &config.lcores.workers;
    let named: CpuSet = workers.iter().map(|cpu| u32::from(*cpu)).collect();
    let none = Subject::default();
    Ok(match nic {
        Backend::Dpdk => {
            let mut args = EalArgs::parse(eal);
            let names = config.port.distinct();
            let names = names.iter().filter_map(|port| match port {
                PortRef::Name(name) => Some(name.as_str()),
                PortRef::Index(_) => None,
            });
            let ports = if args.no_pci { Vec::new() } else { port_addresses(Some(&args), names) };
            if args.allow.is_empty() {
                // EAL takes every port that is bound for it then; those of the configuration are the ones that matter.
                args.allow.clone_from(&ports);
            }
            let (places, why) = match lcores::places(host, &args, workers) {
                Ok(places) => (places, None),
                Err(why) => (None, Some(why.to_string())),
            };
            let (control, polling) =
                places.map_or((None, CpuSet::default()), |places| (Some(places.control), places.polling));
            Subject { polling, control, ports, eal: Some(args), lcores: why, ..none }
        }
        // The threads go where the kernel puts them.
        Backend::Udp(_) => none,
        Backend::Direct(bdf) => {
            // As the driver chooses: the second CPU that it may use.
            let second = || host.allowed_cpus().iter().nth(1).into_iter().collect();
            let polling = if workers.is_empty() { second() } else { named };
            Subject { polling, ports: vec![bdf.to_string()], own_driver: true, ..none }
        }
        Backend::Efvi(interface) => {
            Subject { polling: named, ports: host.port_of(interface).into_iter().collect(), ..none }
        }
    })
}

#[cfg(test)]
mod tests;
