//! Every check by its id: what it looks at, why that matters, and how bad it is in which profile.
//!
//! `docs/doctor.md` shows this table; a test keeps the two equal.

/// What the machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Virtual devices, a laptop: only what stops the start is a fault.
    Dev,
    /// A real NIC, and latencies that are quoted.
    Lab,
    /// Orders leave the machine: what is left as it is, is left so by decision.
    Live,
}

impl Profile {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Lab, Self::Live];

    /// As it is typed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Lab => "lab",
            Self::Live => "live",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Told, so that two runs can be compared.
    Info,
    /// It could not be looked at.
    Skip,
    /// It will be slow or uneven.
    Warn,
    /// It will not start, or lose data.
    Fail,
}

impl Level {
    /// As it is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One check.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called in output, configuration and documents.
    pub id: &'static str,
    /// How bad a bad finding is, in the order of [`Profile::ALL`].
    pub levels: [Level; 3],
    /// What it looks at.
    pub what: &'static str,
    /// Why that matters.
    pub why: &'static str,
}

impl Entry {
    /// How bad a bad finding is.
    #[must_use]
    pub const fn level(&self, profile: Profile) -> Level {
        self.levels[profile as usize]
    }

    /// True where `doctor.accept` may name it: it warns somewhere, and stops nothing.
    #[must_use]
    pub const fn may_be_accepted(&self) -> bool {
        matches!(self.levels[Profile::Live as usize], Level::Warn)
    }
}

const FAIL: [Level; 3] = [Level::Fail; 3];
const INFO: [Level; 3] = [Level::Info; 3];
/// A laptop may be so; where figures are quoted it must not.
const WARN: [Level; 3] = [Level::Info, Level::Warn, Level::Warn];
/// Costs a little, or comes at a price of its own.
const LIVE: [Level; 3] = [Level::Info, Level::Info, Level::Warn];
/// Hides behind good figures until it loses data.
const GRAVE: [Level; 3] = [Level::Warn, Level::Fail, Level::Fail];
/// Runs, and must not where orders leave.
const UNSAFE: [Level; 3] = [Level::Warn, Level::Warn, Level::Fail];

const fn entry_of(id: &'static str, levels: [Level; 3], what: &'static str, why: &'static str) -> Entry {
    Entry { id, levels, what, why }
}

/// All checks, in the order in which they are printed.
#[rustfmt::skip]
pub static CATALOGUE: &[Entry] = &[
    // What stops the start.
    entry_of("lcores", FAIL, "the CPUs that `-l`, `-c` or `--lcores` ask for, and those that are online and allowed",
        "EAL cannot pin a thread to a CPU that is not there, and one CPU cannot both control and poll"),
    entry_of("options", FAIL, "EAL options that exclude each other",
        "EAL refuses them together, after pages of text"),
    entry_of("hugepages", FAIL, "hugepages that are reserved and free, and `-m`",
        "buffers for packets lie in hugepages; EAL calls the lack of them `Permission denied`"),
    entry_of("hugetlbfs", FAIL, "a mount of type hugetlbfs that this user may write to",
        "EAL makes its memory as files there"),
    entry_of("prefix.busy", FAIL, "the lock on EAL's directory for this `--file-prefix`",
        "one primary process has a prefix; a second one needs another"),
    entry_of("pmd", FAIL, "the drivers that the devices need, among EAL's plugins or linked into the program",
        "without its driver EAL passes a device over and finds no port"),
    entry_of("port.present", FAIL, "the PCI devices that `-a` and the configuration name",
        "EAL passes over what is not there and finds no port"),
    entry_of("iommu", FAIL, "the IOMMU group of a port",
        "vfio-pci hands out devices that an IOMMU can keep apart"),
    entry_of("port.driver", FAIL, "the kernel driver that a port is bound to",
        "DPDK needs it bound to vfio-pci; some cards it shares with their own driver"),
    entry_of("iommu.group", FAIL, "what else is in the port's IOMMU group",
        "VFIO hands out whole groups: the kernel must drive nothing else in it"),
    entry_of("vfio", FAIL, "VFIO's modules and files, and the right to open them",
        "without them the port cannot be opened"),
    entry_of("port.held", FAIL, "processes that have the port's IOMMU group open",
        "one process has a port at a time"),
    entry_of("memlock", FAIL, "the limit for locked memory, where this process may not pass over it",
        "VFIO locks what a device may reach"),
    entry_of("nofile", FAIL, "the limit for open files",
        "EAL keeps a file open for each hugepage; it raises the limit itself, up to the hard one"),
    entry_of("fifo", FAIL, "`determinism.fifo_priority`, and the highest priority that this process may take",
        "the start is refused where the loop's thread cannot have what it is to have"),
    entry_of("cgroup.quota", GRAVE, "`cpu.max` of this process's cgroup and those above it",
        "a quota stops a thread that polls as soon as it has used its share, for milliseconds, while packets come"),
    entry_of("hugefiles.stale", LIVE, "files of the hugepage mount that no process has locked",
        "a killed program leaves its pages taken until the next start with its prefix"),
    entry_of("iommu.unsafe", UNSAFE, "`enable_unsafe_noiommu_mode` of vfio",
        "a device without an IOMMU can write to all of memory"),
    entry_of("port.route", UNSAFE, "the interfaces of a port, and the default route",
        "taking the port takes the machine off its network"),
    // Placement.
    entry_of("numa.port", WARN, "the NUMA nodes of each port and of the CPUs that poll",
        "every packet crosses the link between the sockets, both ways"),
    entry_of("numa.mem", WARN, "free hugepages on the node of each port",
        "packets would lie in memory of another node"),
    entry_of("core0", WARN, "whether CPU 0 polls",
        "CPU 0 keeps the time, and has work that cannot be moved"),
    entry_of("llc", WARN, "the last-level caches of the CPUs that poll",
        "workers that share frames through two caches pay for each line that crosses"),
    entry_of("smt", WARN, "hardware threads that share a core with one that polls",
        "a sibling takes half of the core's units and caches while it runs"),
    entry_of("hybrid", WARN, "whether an efficiency core polls",
        "it is slower, and its clock is another"),
    // Kept from the kernel.
    entry_of("isolated", WARN, "CPUs taken from the scheduler, by `isolcpus` or by an isolated cpuset",
        "the scheduler may put any other thread on a CPU that polls"),
    entry_of("nohz_full", WARN, "CPUs that `nohz_full` keeps free of the timer",
        "the timer interrupts a busy CPU 100 to 1000 times a second"),
    entry_of("rcu_nocbs", WARN, "CPUs whose RCU callbacks run elsewhere (`rcu_nocbs`, or implied by `nohz_full`)",
        "callbacks that others queued run in the middle of the loop"),
    entry_of("irq.affinity", WARN, "interrupts that may be delivered to a CPU that polls",
        "each costs microseconds, and leaves the caches to somebody else"),
    entry_of("irqbalance", WARN, "a running `irqbalance`",
        "it moves interrupts about every ten seconds, and undoes what was set by hand"),
    entry_of("workqueue", WARN, "the CPUs that the kernel's unbound work queues may use",
        "the kernel's own work is queued to the CPU that polls"),
    entry_of("watchdog", WARN, "`kernel.nmi_watchdog`",
        "it interrupts every CPU by a counter of its own, and takes that counter from perf"),
    entry_of("watchdog.cpus", WARN, "`kernel.watchdog_cpumask`, where a watchdog runs",
        "a thread of the watchdog wakes on each of these CPUs"),
    entry_of("rt.throttle", GRAVE, "`kernel.sched_rt_runtime_us`, where loops run under `SCHED_FIFO`",
        "a loop that never sleeps is stopped for the rest of each period, 50 ms of a second as the kernel is delivered"),
    entry_of("vmstat", WARN, "`vm.stat_interval`",
        "each CPU folds its memory statistics so often, once a second as the kernel is delivered"),
    entry_of("timer_migration", INFO, "`kernel.timer_migration`",
        "timers armed on an idle CPU move to a busy one where it is 1"),
    entry_of("ksm", WARN, "`/sys/kernel/mm/ksm/run`",
        "merging equal pages write-protects memory under the loop"),
    entry_of("console", LIVE, "the console's level in `kernel.printk`",
        "a message to a serial console holds a CPU with interrupts off, a byte at a time"),
    // Power and clock.
    entry_of("governor", WARN, "the frequency governor of the CPUs that poll",
        "any other than `performance` changes the clock under the loop"),
    entry_of("epp", LIVE, "`energy_performance_preference` of the CPUs that poll",
        "the processor trades clock for power by itself"),
    entry_of("minfreq", LIVE, "lowest and highest frequency of the CPUs that poll",
        "between the two the clock changes, and each change stops the core for microseconds"),
    entry_of("turbo", INFO, "whether turbo is on",
        "figures with and without are not to be compared; which is better differs by vendor"),
    entry_of("cstates", WARN, "idle states that take more than 10 us to leave",
        "a CPU that polls never idles, but those that wake it, and the clocks that they share, do"),
    entry_of("aspm", LIVE, "PCIe power management (`pcie_aspm` policy)",
        "a link that sleeps wakes with the packet that comes, microseconds late"),
    entry_of("tsc", GRAVE, "`constant_tsc` and `nonstop_tsc` of the processor",
        "every latency is counted by it; a counter that stops or changes makes them void"),
    entry_of("clocksource", WARN, "the kernel's own clock source",
        "another than `tsc` means slow clock reads, and that the kernel may have found the TSC unstable (see dmesg)"),
    // Memory and health.
    entry_of("thp", WARN, "transparent hugepages",
        "the books ask for 2 MiB pages by madvise: `never` refuses them, `always` gives them to everybody and compacts for it"),
    entry_of("thp.defrag", WARN, "`defrag` of transparent hugepages",
        "`always` stops a thread that touches memory while the kernel compacts"),
    entry_of("numa_balancing", WARN, "`kernel.numa_balancing`",
        "it unmaps pages to see who touches them: a fault each"),
    entry_of("compaction", LIVE, "`vm.compaction_proactiveness`",
        "moving pages interrupts every CPU that may have them in its TLB"),
    entry_of("swap", WARN, "swap that is on",
        "a page that comes back from a disk takes milliseconds"),
    entry_of("virtual", INFO, "whether a hypervisor is below",
        "it takes CPUs away unseen: figures taken here must say so"),
    entry_of("mitigations", INFO, "what the kernel does against faults of the processor",
        "figures with and without are not to be compared; a loop that makes no system calls pays little"),
    entry_of("rt.kernel", INFO, "whether this is a PREEMPT_RT kernel",
        "polling does not need one; figures must say so"),
    entry_of("edac", WARN, "errors of memory that were corrected, or not, since boot",
        "correcting one is a pause; a module that corrects many is about to fail"),
    entry_of("thermal", LIVE, "how often a CPU that polls was throttled for heat since boot",
        "the clock was lower meanwhile"),
    entry_of("pcie.link", WARN, "speed and width of each port's PCIe link, and what it could have",
        "the wrong slot or a loose card: bursts wait at the link"),
    entry_of("pcie.aer", WARN, "PCIe errors of each port since boot",
        "an error that is corrected is sent again"),
    entry_of("pci.power", LIVE, "`power/control` of each port",
        "`auto` lets the kernel put the card to sleep"),
    entry_of("privileges", LIVE, "whether this runs as root",
        "whoever finds a hole in it has the machine"),
    entry_of("journal", LIVE, "whether orders that may leave are journalled",
        "after a crash nobody knows what was sent, and why"),
    // Measured.
    entry_of("tick", WARN, "timer interrupts on a CPU that polls, while it spins",
        "the sum of `nohz_full` and everything that prevents it"),
    entry_of("irqs", WARN, "other interrupts on a CPU that polls, while it spins",
        "who comes in spite of all settings, by name"),
    entry_of("steal", WARN, "time that a hypervisor took from a CPU that polls, while it spins",
        "the loop stood still and could not know"),
    entry_of("jitter", WARN, "gaps in a loop that only reads the clock, on each CPU that polls",
        "the sum of all of the above, and what no file shows"),
];

/// What a misspelt id stands for in code: a test looks for it, and it is never printed.
static NOT_LISTED: Entry = entry_of("", FAIL, "", "");

/// The check of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.id == id)
}

/// The check of an id that the code itself names.
pub(crate) fn entry(id: &str) -> &'static Entry {
    debug_assert!(find(id).is_some(), "{id} is not in the catalogue");
    find(id).unwrap_or(&NOT_LISTED)
}

/// All ids, in order.
pub fn ids() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|entry| entry.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_is_explained_once() {
        let unique: BTreeSet<_> = ids().collect();
        assert_eq!(unique.len(), CATALOGUE.len());
        for entry in CATALOGUE {
            assert!(entry.what.len() > 10 && entry.why.len() > 20, "{entry:?}");
            assert!(
                !entry.id.is_empty()
                    && entry.id.bytes().all(|b| b.is_ascii_lowercase() || b"._0".contains(&b))
            );
            assert!(
                !entry.what.contains('|') && !entry.why.contains('|'),
                "it would end a cell of the table"
            );
            assert!(entry.levels.is_sorted(), "{} is worse in a milder profile", entry.id);
        }
    }

    #[test]
    fn the_document_has_the_table_of_the_code() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
        let text = std::fs::read_to_string(path).unwrap();
        let in_document: Vec<_> =
            text.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 7).collect();
        let in_code: Vec<_> = CATALOGUE
            .iter()
            .map(|entry| {
                let [dev, lab, live] = Profile::ALL.map(|profile| entry.level(profile).word());
                format!("| `{}` | {dev} | {lab} | {live} | {} | {} |", entry.id, entry.what, entry.why)
            })
            .collect();
        assert_eq!(in_document, in_code, "write this table into docs/doctor.md:\n{}", in_code.join("\n"));
    }
}
