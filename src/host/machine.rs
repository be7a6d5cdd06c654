//! What machine a figure was taken on. Every rate and latency that is printed names it.

use std::collections::BTreeSet;

use super::Host;

/// A machine in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// `Linux 6.8.0`.
    pub system: String,
    /// The processor's name and the number of CPUs.
    pub processor: String,
    /// Processors in sockets of their own; 0 where the kernel does not say.
    pub sockets: usize,
    /// It runs under a hypervisor.
    pub is_virtual: bool,
    /// The TSC's rate does not change (`constant_tsc`) and it does not stop (`nonstop_tsc`).
    pub tsc_invariant: bool,
}

impl Machine {
    /// That of `host`.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let cpuinfo = host.text("proc/cpuinfo").unwrap_or_default();
        let ids = cpuinfo.lines().filter(|line| line.starts_with("physical id"));
        let sockets: BTreeSet<_> =
            ids.filter_map(|line| line.split_once(':')).map(|(_, id)| id.trim()).collect();
        Self {
            name: host.text("proc/sys/kernel/hostname").unwrap_or_default(),
            system: kernel(&host.text("proc/sys/kernel/osrelease").unwrap_or_default()),
            processor: named(&cpuinfo),
            sockets: sockets.len(),
            is_virtual: has_flag(&cpuinfo, "hypervisor"),
            tsc_invariant: has_flag(&cpuinfo, "constant_tsc") && has_flag(&cpuinfo, "nonstop_tsc"),
        }
    }
}

/// Processor, number of CPUs, and kernel of this machine, in one line.
#[must_use]
pub fn describe() -> String {
    format!("{}, {}", processor(), system())
}

/// Processor and number of CPUs of this machine.
#[must_use]
pub fn processor() -> String {
    named(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

/// Kernel of this machine and its version.
#[must_use]
pub fn system() -> String {
    kernel(&std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default())
}

fn kernel(release: &str) -> String {
    format!("Linux {}", release.trim())
}

fn named(cpuinfo: &str) -> String {
    let processor = model(cpuinfo).unwrap_or_else(|| "unknown processor".to_owned());
    // Not those that this thread may use: the EAL pins it to one.
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let plural = if cpus == 1 { "" } else { "s" };
    format!("{processor}, {cpus} CPU{plural}")
}

/// The first `model name` of /proc/cpuinfo.
fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Does the first processor state this feature?
pub(crate) fn has_flag(cpuinfo: &str, flag: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_ascii_whitespace().any(|word| word == flag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::made_up::Machine as MadeUp;

    #[test]
    fn the_model_is_read_and_its_blanks_are_closed_up() {
        let text = "processor\t: 0\nmodel name\t: Some  CPU @ 3.0GHz\nflags\t: x\nmodel name\t: other\n";
        assert_eq!(model(text).as_deref(), Some("Some CPU @ 3.0GHz"));
        assert_eq!(model("processor: 0\n"), None);
        assert!(describe().contains("CPU"));
    }

    #[test]
    fn a_machine_in_a_few_words() {
        let made = MadeUp::empty();
        let bare = Machine::of(&made.host);
        assert_eq!(
            (bare.processor.as_str(), bare.sockets, bare.is_virtual),
            ("unknown processor, 0 CPUs", 0, false)
        );
        made.write(
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: X\nphysical id\t: 0\nflags\t: hypervisor constant_tsc\n\n\
             processor\t: 1\nphysical id\t: 1\nflags\t: \n",
        );
        made.write("proc/sys/kernel/hostname", "epyc-7\n");
        let machine = Machine::of(&made.host);
        assert_eq!((machine.name.as_str(), machine.processor.as_str()), ("epyc-7", "X, 2 CPUs"));
        assert!(machine.is_virtual && !machine.tsc_invariant);
        assert_eq!(machine.sockets, 2);
    }
}
