//! Everything that is looked at, for the CPUs and ports of one configuration.

use super::args::EalArgs;
use super::cpus::CpuSet;
use super::interrupts::Interrupts;
use super::jitter::Jitter;
use super::{Finding, Host, Profile, catalogue};

mod asked;
mod health;
mod measured;
mod place;
mod ports;
mod power;
mod quiet;
mod settings;
mod start;

pub use start::port_addresses;

/// What the checks are for.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The CPUs of the poll loops, by the kernel's numbers; empty where none is given to a loop.
    pub polling: CpuSet,
    /// The CPU of the thread that controls; `None` where it has none of its own.
    pub control: Option<u32>,
    /// PCI addresses of the ports, in full.
    pub ports: Vec<String>,
    /// The ports are driven by a driver of our own, over VFIO.
    pub own_driver: bool,
    /// What EAL is started with; `None` where it is not.
    pub eal: Option<EalArgs>,
    /// What is wrong with the lcores themselves, and EAL does not see: a sentence.
    pub lcores: Option<String>,
    /// The `SCHED_FIFO` priority that the loops are to have.
    pub fifo: Option<u8>,
    /// Whether orders are journalled; `None` where none may leave.
    pub journalled: Option<bool>,
}

/// What was measured on one CPU.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which.
    pub cpu: u32,
    /// What its thread missed, or why it could not be measured.
    pub jitter: Result<Jitter, String>,
    /// `/proc/interrupts` before and after.
    pub interrupts: Option<(Interrupts, Interrupts)>,
    /// Time that a hypervisor took meanwhile, in ticks of the kernel (1/100 s); `None` where it is not told.
    pub stolen: Option<u64>,
}

/// Looks at everything. `measured` has one element a CPU, or says why nothing was measured. In the order of the
/// [`catalogue`].
#[must_use]
pub fn survey(
    host: &Host,
    subject: &Subject,
    measured: Result<&[Measured], &str>,
    profile: Profile,
) -> Vec<Finding> {
    let mut findings = start::findings(host, subject);
    findings.extend(place::findings(host, subject));
    findings.extend(quiet::findings(host, subject));
    findings.extend(settings::findings(host, subject));
    findings.extend(asked::findings(host, subject));
    findings.extend(power::findings(host, subject));
    findings.extend(health::findings(host, subject));
    findings.extend(ports::findings(host, subject));
    findings.extend(measured::findings(measured, profile));
    // Stable: what has one id stays in its order.
    findings.sort_by_key(|finding| catalogue::ids().position(|id| id == finding.id()));
    findings
}

/// Why a check of the polling CPUs has nothing to say.
const NO_CPU: &str = "no CPU is given to a loop";

#[cfg(test)]
mod tests;
