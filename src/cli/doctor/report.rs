//! What the doctor says: for people, and for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::Outcome;
use crate::host::catalogue::Entry;
use crate::host::jitter::Jitter;
use crate::host::machine::Machine;
use crate::host::{Finding, Fix, Host, Level, Measured, Profile, Subject, Verdict};

/// Everything that was found.
pub(super) struct Report<'a> {
    pub(super) host: &'a Host,
    pub(super) subject: &'a Subject,
    pub(super) profile: Profile,
    /// Warnings count.
    pub(super) strict: bool,
    /// Ids whose warnings do not.
    pub(super) accepted: &'a [&'static str],
    pub(super) measured: &'a [Measured],
    pub(super) findings: &'a [Finding],
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    ok: usize,
    info: usize,
    skip: usize,
    warn: usize,
    accepted: usize,
    fail: usize,
}

/// What `--explain` prints.
pub(super) fn explanation(entry: &Entry) -> String {
    let [dev, lab, live] = Profile::ALL.map(|profile| entry.level(profile).word());
    let mut text = format!("{}\n  looks at  {}\n  because   {}\n", entry.id, entry.what, entry.why);
    let _ = writeln!(text, "  if wrong  {dev} in profile dev, {lab} in lab, {live} in live");
    if entry.may_be_accepted() {
        let _ = writeln!(text, "  to accept it in this configuration: [doctor] accept = [\"{}\"]", entry.id);
    }
    text
}

/// How long a fix lasts, and what it is.
fn told(fix: &Fix) -> (&'static str, &str) {
    match fix {
        Fix::Now(line) => ("until reboot", line),
        Fix::Boot(words) => ("kernel command line", words),
        Fix::Firmware(what) => ("BIOS or hardware", what),
        Fix::Words(what) => ("", what),
    }
}

/// Fixes shown of one finding; `--script` has all.
const SHOWN: usize = 4;

impl Report<'_> {
    fn is_accepted(&self, finding: &Finding) -> bool {
        finding.level(self.profile) == Level::Warn && self.accepted.contains(&finding.id())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for finding in self.findings {
            let count = match finding.level(self.profile) {
                Level::Ok => &mut counts.ok,
                Level::Info => &mut counts.info,
                Level::Skip => &mut counts.skip,
                Level::Warn if self.is_accepted(finding) => &mut counts.accepted,
                Level::Warn => &mut counts.warn,
                Level::Fail => &mut counts.fail,
            };
            *count += 1;
        }
        counts
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.counts() {
            Counts { fail: 1.., .. } => Outcome::Ill,
            Counts { warn: 1.., .. } if self.strict => Outcome::Warned,
            _ => Outcome::Well,
        }
    }

    /// The CPUs and ports, in words.
    fn places(&self) -> (String, String) {
        let Subject { polling, control, ports, .. } = self.subject;
        let control = control.map_or("any".to_owned(), |cpu| cpu.to_string());
        let polling = if polling.is_empty() { "any".to_owned() } else { polling.to_string() };
        let ports = if ports.is_empty() { "none on PCI".to_owned() } else { ports.join(" ") };
        (format!("control {control}, polling {polling}"), ports)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let machine = Machine::of(self.host);
        let (cpus, ports) = self.places();
        let tsc = if machine.tsc_invariant { "TSC invariant" } else { "TSC not stated to be invariant" };
        let kind = if machine.is_virtual { "virtual machine" } else { "bare metal" };
        let mut text = format!(
            "host    {} · {} · {} · {tsc} · {kind}\n",
            machine.name, machine.system, machine.processor
        );
        let _ = writeln!(text, "CPUs    {cpus}        ports  {ports}\nprofile {}\n", self.profile.word());
        for finding in self.findings {
            self.line(&mut text, finding);
        }
        let Counts { ok, info, skip, warn, accepted, fail } = self.counts();
        let taken = if accepted == 0 { String::new() } else { format!(" · {accepted} accepted") };
        let _ = writeln!(
            text,
            "\n{ok} ok · {warn} warn · {fail} FAIL · {skip} skip · {info} info{taken}        details: wirebook doctor --explain ID"
        );
        text
    }

    fn line(&self, text: &mut String, finding: &Finding) {
        let level = finding.level(self.profile);
        let accepted = if self.is_accepted(finding) { "   (accepted)" } else { "" };
        let wanted =
            if finding.wanted.is_empty() { String::new() } else { format!("; wanted: {}", finding.wanted) };
        let _ =
            writeln!(text, "  {:<5} {:<16} {}{wanted}{accepted}", level.word(), finding.id(), finding.seen);
        if level < Level::Warn || !accepted.is_empty() {
            return;
        }
        let _ = writeln!(text, "{:24}{}", "", finding.entry.why);
        for fix in finding.fixes.iter().take(SHOWN) {
            match told(fix) {
                ("", what) => {
                    let _ = writeln!(text, "{:24}fix: {what}", "");
                }
                (lasts, what) => {
                    let _ = writeln!(text, "{:24}fix ({lasts}): {what}", "");
                }
            }
        }
        if finding.fixes.len() > SHOWN {
            let _ = writeln!(text, "{:24}{} more of this kind: --script", "", finding.fixes.len() - SHOWN);
        }
    }

    /// For machines.
    pub(super) fn json(&self) -> Result<String, String> {
        let machine = Machine::of(self.host);
        let findings = self.findings.iter().map(|finding| Told {
            id: finding.id(),
            level: finding.level(self.profile).word(),
            good: match finding.verdict {
                Verdict::Good => Some(true),
                Verdict::Bad => Some(false),
                Verdict::Note | Verdict::Unknown => None,
            },
            accepted: self.is_accepted(finding),
            seen: &finding.seen,
            wanted: &finding.wanted,
            why: finding.entry.why,
            fixes: finding.fixes.iter().map(|fix| Remedy { lasts: told(fix).0, text: told(fix).1 }).collect(),
        });
        let page = Page {
            wirebook: env!("CARGO_PKG_VERSION"),
            profile: self.profile.word(),
            host: HostPage {
                name: &machine.name,
                system: &machine.system,
                processor: &machine.processor,
                sockets: machine.sockets,
                is_virtual: machine.is_virtual,
                tsc_invariant: machine.tsc_invariant,
            },
            control: self.subject.control,
            polling: self.subject.polling.iter().collect(),
            ports: &self.subject.ports,
            findings: findings.collect(),
            jitter: self
                .measured
                .iter()
                .filter_map(|one| Some(OfCpu { cpu: one.cpu, gaps: *one.jitter.as_ref().ok()? }))
                .collect(),
            summary: self.counts(),
            exit: self.outcome() as u8,
        };
        let mut text =
            serde_json::to_string_pretty(&page).map_err(|why| format!("no JSON can be made of it: {why}"))?;
        text.push('\n');
        Ok(text)
    }
}

#[derive(Serialize)]
struct Page<'a> {
    wirebook: &'static str,
    profile: &'static str,
    host: HostPage<'a>,
    control: Option<u32>,
    polling: Vec<u32>,
    ports: &'a [String],
    findings: Vec<Told<'a>>,
    jitter: Vec<OfCpu>,
    summary: Counts,
    exit: u8,
}

#[derive(Serialize)]
struct HostPage<'a> {
    name: &'a str,
    system: &'a str,
    processor: &'a str,
    sockets: usize,
    #[serde(rename = "virtual")]
    is_virtual: bool,
    tsc_invariant: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    id: &'static str,
    level: &'static str,
    /// `null` where it is not judged, or could not be seen.
    good: Option<bool>,
    accepted: bool,
    seen: &'a str,
    wanted: &'a str,
    why: &'static str,
    fixes: Vec<Remedy<'a>>,
}

#[derive(Serialize)]
struct Remedy<'a> {
    /// `until reboot`, `kernel command line`, `BIOS or hardware`; empty where it is for people to decide.
    lasts: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct OfCpu {
    cpu: u32,
    #[serde(flatten)]
    gaps: Jitter,
}
