//! A made-up machine on which everything is as it should be, and one thing after the other that is not.

use std::collections::BTreeSet;

use super::*;
use crate::host::made_up::Machine;
use crate::host::{Fix, Verdict};

const PORT: &str = "0000:01:00.0";

/// Files of the machine: CPU 0 controls, 1 and 2 poll, 3 is left over.
const FILES: &[(&str, &str)] = &[
    ("sys/devices/system/cpu/online", "0-3\n"),
    (
        "proc/self/status",
        "Name:\twirebook\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0\nCpus_allowed_list:\t0-3\n",
    ),
    (
        "proc/self/limits",
        "Max locked memory         unlimited            unlimited            bytes\n\
         Max open files            1024                 524288               files\n\
         Max realtime priority     50                   50\n",
    ),
    ("proc/sys/kernel/sched_rt_runtime_us", "-1\n"),
    ("proc/self/mounts", "none /dev/hugepages hugetlbfs rw 0 0\n"),
    ("dev/hugepages/other", ""),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "64\n"),
    ("proc/self/cgroup", "0::/a.slice/b.scope\n"),
    ("sys/fs/cgroup/a.slice/cpu.max", "max 100000\n"),
    ("sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n"),
    ("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n"),
    ("sys/module/vfio_iommu_type1/refcnt", "0\n"),
    ("dev/vfio/vfio", ""),
    ("dev/vfio/7", ""),
    ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n"),
    ("sys/bus/pci/devices/0000:01:00.0/device", "0x1592\n"),
    ("sys/bus/pci/devices/0000:01:00.0/numa_node", "0\n"),
    ("sys/bus/pci/devices/0000:01:00.0/net/enp1s0/mtu", "1500\n"),
    ("sys/bus/pci/devices/0000:01:00.0/current_link_speed", "16.0 GT/s PCIe\n"),
    ("sys/bus/pci/devices/0000:01:00.0/max_link_speed", "16.0 GT/s PCIe\n"),
    ("sys/bus/pci/devices/0000:01:00.0/current_link_width", "16\n"),
    ("sys/bus/pci/devices/0000:01:00.0/max_link_width", "16\n"),
    ("sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable", "RxErr 0\nTOTAL_ERR_COR 0\n"),
    ("sys/bus/pci/devices/0000:01:00.0/power/control", "on\n"),
    ("proc/net/route", "Iface\tDestination\tGateway\neth0\t00000000\t0101A8C0\nenp1s0\t0001A8C0\t00000000\n"),
    ("sys/devices/system/node/node0/cpulist", "0-2\n"),
    ("sys/devices/system/node/node1/cpulist", "3\n"),
    ("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "64\n"),
    ("sys/devices/system/cpu/cpu1/cache/index3/shared_cpu_list", "0-3\n"),
    ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,5\n"),
    ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2\n"),
    ("sys/devices/system/cpu/isolated", "1-2\n"),
    ("sys/devices/system/cpu/nohz_full", "1-2\n"),
    ("proc/cmdline", "root=/dev/sda rcu_nocbs=1-2 mitigations=auto\n"),
    (
        "proc/interrupts",
        " CPU0 CPU1 CPU2 CPU3\n 41: 1 0 0 0 PCI-MSI 1-edge nvme0q2\nLOC: 1 1 1 1 Local timer interrupts\n",
    ),
    ("proc/irq/41/effective_affinity_list", "\n"),
    ("proc/irq/41/smp_affinity_list", "0,3\n"),
    ("proc/1/comm", "init\n"),
    ("sys/devices/virtual/workqueue/cpumask", "9\n"),
    ("proc/sys/kernel/watchdog", "1\n"),
    ("proc/sys/kernel/watchdog_cpumask", "0,3\n"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
    ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n"),
    ("sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference", "performance\n"),
    ("sys/devices/system/cpu/cpu2/cpufreq/energy_performance_preference", "0\n"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_min_freq", "3000000\n"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_max_freq", "3000000\n"),
    ("sys/devices/system/cpu/cpu2/cpufreq/scaling_min_freq", "3000000\n"),
    ("sys/devices/system/cpu/cpu2/cpufreq/scaling_max_freq", "3000000\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state0/name", "POLL\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state0/latency", "0\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state0/disable", "0\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state3/name", "C6\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state3/latency", "133\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state3/disable", "1\n"),
    ("sys/devices/system/cpu/cpufreq/boost", "1\n"),
    ("proc/cpuinfo", "processor : 0\nflags : fpu constant_tsc nonstop_tsc\n"),
    ("proc/swaps", "Filename Type Size Used Priority\n"),
    ("sys/devices/system/edac/mc/mc0/ce_count", "0\n"),
    ("sys/devices/system/edac/mc/mc0/ue_count", "0\n"),
    ("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "0\n"),
    ("sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", "0\n"),
    ("proc/sys/kernel/nmi_watchdog", "0\n"),
    ("proc/sys/vm/stat_interval", "60\n"),
    ("proc/sys/kernel/timer_migration", "0\n"),
    ("sys/kernel/mm/ksm/run", "0\n"),
    ("proc/sys/kernel/printk", "4 4 1 7\n"),
    ("sys/module/pcie_aspm/parameters/policy", "[performance]\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "[madvise]\n"),
    ("sys/kernel/mm/transparent_hugepage/defrag", "[madvise]\n"),
    ("proc/sys/kernel/numa_balancing", "0\n"),
    ("proc/sys/vm/compaction_proactiveness", "0\n"),
];

fn good_machine() -> Machine {
    let mut machine = Machine::empty();
    machine.host.linked = ["bus_pci", "mempool_ring", "net_ice"].map(str::to_owned).into();
    for (path, text) in FILES {
        machine.write(path, text);
    }
    machine.link(&format!("sys/bus/pci/devices/{PORT}/driver"), "../../../bus/pci/drivers/vfio-pci");
    let group = machine.dir.path().join("sys/kernel/iommu_groups/7");
    machine.write(&format!("sys/kernel/iommu_groups/7/devices/{PORT}/class"), "");
    machine.link(&format!("sys/bus/pci/devices/{PORT}/iommu_group"), group.to_str().unwrap());
    machine
}

fn args(line: &str) -> EalArgs {
    EalArgs::parse(&line.split_whitespace().collect::<Vec<_>>())
}

fn subject() -> Subject {
    let eal = args(&format!("-l 0-2 -a {PORT}"));
    let ports = port_addresses(Some(&eal), std::iter::empty());
    Subject {
        polling: CpuSet::from_iter([1, 2]),
        control: Some(0),
        ports,
        eal: Some(eal),
        fifo: Some(50),
        journalled: Some(true),
        ..Subject::default()
    }
}

fn quiet_probe(cpu: u32) -> Measured {
    let interrupts = Interrupts::parse("CPU0 CPU1 CPU2\nLOC: 1 1 1 Local timer interrupts\n").unwrap();
    Measured {
        cpu,
        jitter: Ok(Jitter { length_ns: 1_000_000_000, ..Jitter::default() }),
        interrupts: Some((interrupts.clone(), interrupts)),
        stolen: Some(0),
    }
}

fn look(machine: &Machine) -> Vec<Finding> {
    survey(&machine.host, &subject(), Ok(&[quiet_probe(1), quiet_probe(2)]), Profile::Live)
}

fn only<'f>(findings: &'f [Finding], id: &str) -> &'f Finding {
    let mut of_id = findings.iter().filter(|finding| finding.id() == id);
    // Of several the one that is not good.
    let first = of_id.next().unwrap_or_else(|| panic!("nothing is said of {id}"));
    of_id.find(|finding| finding.verdict != Verdict::Good).unwrap_or(first)
}

#[test]
fn nothing_is_wrong_where_nothing_is() {
    nothing_is_wrong_in(&good_machine());
}

fn nothing_is_wrong_in(machine: &Machine) {
    let findings = look(machine);
    for finding in &findings {
        assert!(matches!(finding.verdict, Verdict::Good | Verdict::Note), "{finding:#?}");
        assert!(finding.fixes.is_empty(), "{finding:#?}");
    }
    // Every check of the catalogue has been made.
    let made: BTreeSet<_> = findings.iter().map(Finding::id).collect();
    assert_eq!(made, catalogue::ids().collect());
}

#[test]
fn nothing_is_good_where_nothing_can_be_read() {
    let machine = Machine::empty();
    let findings = survey(&machine.host, &subject(), Err("not measured"), Profile::Live);
    let good: Vec<_> = findings.iter().filter(|f| f.verdict == Verdict::Good).map(Finding::id).collect();
    // What these look for is what is there, or was typed.
    assert_eq!(good, ["options", "prefix.busy", "iommu.unsafe", "core0", "hybrid", "journal"]);
    let bare = survey(&machine.host, &Subject::default(), Err("not measured"), Profile::Dev);
    assert!(bare.iter().all(|f| f.verdict != Verdict::Bad && f.verdict != Verdict::Good), "{bare:#?}");
}

/// What is done to one file.
#[derive(Debug)]
enum Change {
    /// It says this.
    Says(&'static str),
    /// It is not there.
    Absent,
    /// It cannot be read.
    Unreadable,
}

use Change::{Absent, Says, Unreadable};
use Verdict::{Bad, Good, Note, Unknown};

#[test]
fn orders_want_a_journal() {
    let machine = good_machine();
    for (journalled, verdict) in [(None, Note), (Some(true), Good), (Some(false), Bad)] {
        let subject = Subject { journalled, ..subject() };
        let findings = survey(&machine.host, &subject, Err("not measured"), Profile::Live);
        assert_eq!(only(&findings, "journal").verdict, verdict);
    }
}

#[test]
fn each_check_sees_its_file() {
    let cases: &[(&str, &str, Change, Verdict)] = &[
        ("lcores", "sys/devices/system/cpu/online", Says("0-1"), Bad),
        ("hugepages", "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", Says("3"), Bad),
        ("hugepages", "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", Says("many"), Bad),
        ("hugetlbfs", "proc/self/mounts", Says("none /dev/shm tmpfs rw 0 0\n"), Bad),
        ("port.present", "sys/bus/pci/devices/0000:01:00.0", Absent, Bad),
        ("iommu.group", "sys/bus/pci/devices/0000:01:00.0/class", Says("0x020000"), Good),
        ("vfio", "dev/vfio/7", Absent, Bad),
        ("vfio", "sys/module/vfio_iommu_type1", Absent, Bad),
        ("memlock", "proc/self/limits", Says("Max locked memory  8388608  8388608  bytes\n"), Bad),
        ("fifo", "proc/self/limits", Says("Max realtime priority  49  49\n"), Bad),
        ("fifo", "proc/self/limits", Says("Max realtime priority  high\n"), Unknown),
        ("fifo", "proc/self/status", Says("CapEff:\t800000\n"), Good),
        ("rt.throttle", "proc/sys/kernel/sched_rt_runtime_us", Says("950000\n"), Bad),
        ("rt.throttle", "proc/sys/kernel/sched_rt_runtime_us", Says("often\n"), Unknown),
        ("rt.throttle", "proc/sys/kernel/sched_rt_runtime_us", Absent, Unknown),
        ("nofile", "proc/self/limits", Says("Max open files  1024  100  files\n"), Bad),
        ("nofile", "proc/self/limits", Says("Max open files  1024  unlimited  files\n"), Good),
        ("nofile", "proc/self/limits", Says("Max open files  some\n"), Unknown),
        ("nofile", "proc/self/limits", Absent, Unknown),
        ("nofile", "proc/self/limits", Unreadable, Unknown),
        ("cgroup.quota", "sys/fs/cgroup/a.slice/cpu.max", Says("200000 100000\n"), Bad),
        ("cgroup.quota", "sys/fs/cgroup/a.slice/b.scope/cpu.max", Absent, Good),
        ("cgroup.quota", "proc/self/cgroup", Absent, Unknown),
        ("cgroup.quota", "proc/self/cgroup", Unreadable, Unknown),
        ("cgroup.quota", "proc/self/cgroup", Says("nonsense"), Good),
        ("hugefiles.stale", "dev/hugepages/oldmap_3", Says("x"), Bad),
        ("iommu.unsafe", "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", Says("Y\n"), Bad),
        ("iommu.unsafe", "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", Absent, Good),
        ("iommu.unsafe", "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", Unreadable, Unknown),
        ("port.route", "proc/net/route", Says("Iface\tDestination\nenp1s0\t00000000\n"), Bad),
        ("port.route", "proc/net/route", Absent, Unknown),
        ("port.route", "proc/net/route", Unreadable, Unknown),
        ("port.route", "proc/net/route", Says("enp1s0"), Good),
        ("port.route", "sys/bus/pci/devices/0000:01:00.0/net", Absent, Good),
        ("numa.port", "sys/bus/pci/devices/0000:01:00.0/numa_node", Says("1"), Bad),
        ("numa.port", "sys/bus/pci/devices/0000:01:00.0/numa_node", Says("-1"), Note),
        ("numa.port", "sys/bus/pci/devices/0000:01:00.0/numa_node", Says("9"), Unknown),
        (
            "numa.mem",
            "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
            Says("31"),
            Bad,
        ),
        (
            "numa.mem",
            "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
            Unreadable,
            Unknown,
        ),
        ("numa.mem", "sys/devices/system/node/node0/hugepages", Absent, Unknown),
        ("llc", "sys/devices/system/cpu/cpu1/cache/index3/shared_cpu_list", Says("0-1"), Bad),
        ("llc", "sys/devices/system/cpu/cpu1/cache/index3/shared_cpu_list", Absent, Unknown),
        ("llc", "sys/devices/system/cpu/cpu1/cache/index3/shared_cpu_list", Unreadable, Unknown),
        ("llc", "sys/devices/system/cpu/cpu1/cache/index3/shared_cpu_list", Says("all"), Unknown),
        ("smt", "sys/devices/system/cpu/cpu1/topology/thread_siblings_list", Says("1,3"), Bad),
        ("smt", "sys/devices/system/cpu/cpu2/topology/thread_siblings_list", Absent, Unknown),
        ("smt", "sys/devices/system/cpu/cpu2/topology/thread_siblings_list", Unreadable, Unknown),
        ("smt", "sys/devices/system/cpu/cpu2/topology/thread_siblings_list", Says("2;3"), Unknown),
        ("hybrid", "sys/devices/cpu_atom/cpus", Says("2-3"), Bad),
        ("hybrid", "sys/devices/cpu_atom/cpus", Says("3"), Good),
        ("hybrid", "sys/devices/cpu_atom/cpus", Says("three"), Unknown),
        ("hybrid", "sys/devices/cpu_atom/cpus", Unreadable, Unknown),
        ("isolated", "sys/devices/system/cpu/isolated", Says("1"), Bad),
        ("isolated", "sys/devices/system/cpu/isolated", Says("\n"), Bad),
        ("isolated", "sys/devices/system/cpu/isolated", Absent, Unknown),
        ("isolated", "sys/devices/system/cpu/isolated", Unreadable, Unknown),
        ("isolated", "sys/devices/system/cpu/isolated", Says("1-"), Unknown),
        ("nohz_full", "sys/devices/system/cpu/nohz_full", Says(" (null)\n"), Bad),
        ("nohz_full", "sys/devices/system/cpu/nohz_full", Absent, Unknown),
        ("nohz_full", "sys/devices/system/cpu/nohz_full", Unreadable, Unknown),
        ("nohz_full", "sys/devices/system/cpu/nohz_full", Says("yes"), Unknown),
        ("rcu_nocbs", "proc/cmdline", Says("quiet"), Good),
        ("rcu_nocbs", "proc/cmdline", Says("rcu_nocbs=one"), Unknown),
        ("rcu_nocbs", "proc/cmdline", Absent, Unknown),
        ("rcu_nocbs", "proc/cmdline", Unreadable, Unknown),
        ("irq.affinity", "proc/irq/41/smp_affinity_list", Says("0-3"), Bad),
        ("irq.affinity", "proc/irq/41/effective_affinity_list", Says("2"), Bad),
        ("irq.affinity", "proc/irq/41", Absent, Unknown),
        ("irq.affinity", "proc/irq/41/smp_affinity_list", Says("x"), Unknown),
        ("irq.affinity", "proc/interrupts", Absent, Unknown),
        ("irq.affinity", "proc/interrupts", Unreadable, Unknown),
        ("irq.affinity", "proc/interrupts", Says("41: 1\n"), Unknown),
        ("irqbalance", "proc/1", Absent, Unknown),
        ("irqbalance", "proc/77/comm", Says("irqbalance\n"), Bad),
        ("workqueue", "sys/devices/virtual/workqueue/cpumask", Says("f"), Bad),
        ("workqueue", "sys/devices/virtual/workqueue/cpumask", Says("0-3"), Unknown),
        ("workqueue", "sys/devices/virtual/workqueue/cpumask", Absent, Unknown),
        ("workqueue", "sys/devices/virtual/workqueue/cpumask", Unreadable, Unknown),
        ("watchdog.cpus", "proc/sys/kernel/watchdog_cpumask", Says("0-3"), Bad),
        ("watchdog.cpus", "proc/sys/kernel/watchdog_cpumask", Says("f f"), Unknown),
        ("watchdog.cpus", "proc/sys/kernel/watchdog_cpumask", Absent, Unknown),
        ("watchdog.cpus", "proc/sys/kernel/watchdog_cpumask", Unreadable, Unknown),
        ("watchdog.cpus", "proc/sys/kernel/watchdog", Says("0"), Good),
        ("governor", "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", Says("powersave"), Bad),
        ("governor", "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", Absent, Unknown),
        ("governor", "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", Unreadable, Unknown),
        ("epp", "sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference", Says("power"), Bad),
        ("epp", "sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference", Absent, Unknown),
        ("epp", "sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference", Unreadable, Unknown),
        ("minfreq", "sys/devices/system/cpu/cpu1/cpufreq/scaling_min_freq", Says("800000"), Bad),
        ("minfreq", "sys/devices/system/cpu/cpu1/cpufreq/scaling_min_freq", Says("slow"), Unknown),
        ("minfreq", "sys/devices/system/cpu/cpu1/cpufreq/scaling_min_freq", Absent, Unknown),
        ("minfreq", "sys/devices/system/cpu/cpu1/cpufreq/scaling_max_freq", Unreadable, Unknown),
        ("turbo", "sys/devices/system/cpu/cpufreq/boost", Says("0"), Note),
        ("turbo", "sys/devices/system/cpu/cpufreq/boost", Says("on"), Unknown),
        ("turbo", "sys/devices/system/cpu/cpufreq/boost", Absent, Unknown),
        ("turbo", "sys/devices/system/cpu/cpufreq/boost", Unreadable, Unknown),
        ("cstates", "sys/devices/system/cpu/cpu1/cpuidle/state3/disable", Says("0"), Bad),
        ("cstates", "sys/devices/system/cpu/cpu1/cpuidle/state3/disable", Says("no"), Unknown),
        ("cstates", "sys/devices/system/cpu/cpu1/cpuidle/state3/latency", Absent, Unknown),
        ("cstates", "sys/devices/system/cpu/cpu1/cpuidle/state3/latency", Unreadable, Unknown),
        ("cstates", "sys/devices/system/cpu/cpu1/cpuidle", Absent, Unknown),
        ("tsc", "proc/cpuinfo", Says("flags : constant_tsc\n"), Bad),
        ("tsc", "proc/cpuinfo", Says("Features : fp\n"), Unknown),
        ("tsc", "proc/cpuinfo", Absent, Unknown),
        ("tsc", "proc/cpuinfo", Unreadable, Unknown),
        ("virtual", "proc/cpuinfo", Absent, Unknown),
        ("mitigations", "proc/cmdline", Absent, Unknown),
        ("swap", "proc/swaps", Says("Filename\n/dev/sda2 partition 1 0 -2\n"), Bad),
        ("swap", "proc/swaps", Absent, Unknown),
        ("swap", "proc/swaps", Unreadable, Unknown),
        ("rt.kernel", "sys/kernel/realtime", Says("1"), Note),
        ("rt.kernel", "sys/kernel/realtime", Says("perhaps"), Unknown),
        ("rt.kernel", "sys/kernel/realtime", Unreadable, Unknown),
        ("edac", "sys/devices/system/edac/mc/mc0/ue_count", Says("1"), Bad),
        ("edac", "sys/devices/system/edac", Absent, Unknown),
        ("edac", "sys/devices/system/edac/mc/mc0/ue_count", Says("none"), Unknown),
        ("thermal", "sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", Says("4"), Bad),
        ("thermal", "sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", Says("hot"), Unknown),
        ("thermal", "sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", Absent, Unknown),
        ("thermal", "sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", Unreadable, Unknown),
        ("pcie.link", "sys/bus/pci/devices/0000:01:00.0/current_link_width", Says("8"), Bad),
        ("pcie.link", "sys/bus/pci/devices/0000:01:00.0/current_link_speed", Says("8.0 GT/s PCIe"), Bad),
        ("pcie.link", "sys/bus/pci/devices/0000:01:00.0/current_link_speed", Says("Unknown"), Unknown),
        ("pcie.link", "sys/bus/pci/devices/0000:01:00.0/current_link_speed", Absent, Unknown),
        ("pcie.link", "sys/bus/pci/devices/0000:01:00.0/max_link_width", Unreadable, Unknown),
        (
            "pcie.aer",
            "sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable",
            Says("RxErr 2\nTOTAL_ERR_COR 2"),
            Bad,
        ),
        (
            "pcie.aer",
            "sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable",
            Says("TOTAL_ERR_COR many"),
            Unknown,
        ),
        ("pcie.aer", "sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable", Absent, Unknown),
        ("pcie.aer", "sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable", Unreadable, Unknown),
        ("pci.power", "sys/bus/pci/devices/0000:01:00.0/power/control", Says("auto"), Bad),
        ("pci.power", "sys/bus/pci/devices/0000:01:00.0/power/control", Absent, Unknown),
        ("pci.power", "sys/bus/pci/devices/0000:01:00.0/power/control", Unreadable, Unknown),
        ("privileges", "proc/self/status", Says("Uid:\t1000\t0\t0\t0\nCpus_allowed_list:\t0-3\n"), Bad),
        ("privileges", "proc/self/status", Says("Name:\tx\n"), Unknown),
        ("privileges", "proc/self/status", Absent, Unknown),
        ("privileges", "proc/self/status", Unreadable, Unknown),
    ];
    let mut machine = good_machine();
    for (id, path, change, wanted) in cases {
        match change {
            Says(text) => machine.write(path, text),
            Absent => machine.remove(path),
            Unreadable => machine.forbid(path),
        }
        let findings = look(&machine);
        let finding = only(&findings, id);
        assert_eq!(finding.verdict, *wanted, "{id}: {path} {change:?}: {finding:#?}");
        assert!(!finding.seen.is_empty() && !finding.seen.contains('\n'), "{finding:?}");
        // As it was: a new machine costs a hundred files.
        if *id == "port.present" {
            machine = good_machine();
            continue;
        }
        if machine.dir.path().join(path).exists() {
            machine.remove(path);
        }
        for (below, text) in FILES.iter().filter(|(file, _)| file.starts_with(path)) {
            machine.write(below, text);
        }
    }
    nothing_is_wrong_in(&machine);
    // Behind a refusal nothing of that port is looked at; a link is no file that could say something else.
    let machine = good_machine();
    machine.remove("dev/vfio/7");
    let findings = look(&machine);
    assert_eq!([only(&findings, "port.held").verdict, only(&findings, "memlock").verdict], [Unknown; 2]);
    machine.remove(&format!("sys/bus/pci/devices/{PORT}/driver"));
    assert_eq!(only(&look(&machine), "port.driver").verdict, Bad);
}

#[test]
fn older_cgroups_have_their_quota_elsewhere() {
    let machine = good_machine();
    machine.write("proc/self/cgroup", "9:name=systemd:/\n3:cpu,cpuacct:/docker/ab\n");
    machine.write("sys/fs/cgroup/cpu/docker/ab/cpu.cfs_quota_us", "-1\n");
    assert_eq!(only(&look(&machine), "cgroup.quota").verdict, Good);
    machine.write("sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us", "50000\n");
    let findings = look(&machine);
    let quota = only(&findings, "cgroup.quota");
    assert_eq!(quota.fixes, [Fix::Now("echo -1 > /sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us".into())]);
}

#[test]
fn an_isolated_cpuset_isolates() {
    let machine = good_machine();
    machine.write("sys/devices/system/cpu/isolated", "\n");
    machine.write("sys/fs/cgroup/a.slice/b.scope/cpuset.cpus.partition", "isolated\n");
    machine.write("sys/fs/cgroup/a.slice/b.scope/cpuset.cpus.effective", "1-2\n");
    assert_eq!(only(&look(&machine), "isolated").verdict, Good);
    machine.write(
        "sys/fs/cgroup/a.slice/b.scope/cpuset.cpus.partition",
        "isolated invalid (Parent unlimited)\n",
    );
    assert_eq!(only(&look(&machine), "isolated").verdict, Bad);
}

#[test]
fn callbacks_are_kept_off_by_either_word() {
    let machine = good_machine();
    let verdict = |nohz: &str, line: &str| {
        machine.write("sys/devices/system/cpu/nohz_full", nohz);
        machine.write("proc/cmdline", line);
        only(&look(&machine), "rcu_nocbs").verdict
    };
    assert_eq!(verdict("", "rcu_nocbs=1"), Bad);
    assert_eq!(verdict("2", "rcu_nocbs=1"), Good);
    assert_eq!(verdict("", "rcu_nocbs"), Good);
    assert_eq!(verdict("", "rcu_nocbs=all"), Good);
}

#[test]
fn fixes_name_what_is_there() {
    let machine = good_machine();
    machine.write("proc/irq/41/smp_affinity_list", "0-3");
    machine.write("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,3");
    machine.write("sys/devices/virtual/workqueue/cpumask", "f");
    machine.write("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave");
    let findings = look(&machine);
    let first = |id: &str| match &only(&findings, id).fixes[0] {
        Fix::Now(line) => line.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(first("irq.affinity"), "for i in 41; do echo 0,3 > /proc/irq/$i/smp_affinity_list; done");
    assert_eq!(first("smt"), "echo 0 > /sys/devices/system/cpu/cpu3/online");
    assert_eq!(first("workqueue"), "echo 00000009 > /sys/devices/virtual/workqueue/cpumask");
    assert!(first("governor").contains("for i in 1 2; do echo performance > "), "{}", first("governor"));
    // A sibling that is ours is not to be switched off.
    machine.write("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1-2");
    assert!(matches!(only(&look(&machine), "smt").fixes[0], Fix::Words(_)));
}

#[test]
fn what_was_measured_is_judged_by_profile() {
    let machine = good_machine();
    let text = "CPU0 CPU1\nLOC: 0 250 Local timer interrupts\nTLB: 0 3 TLB shootdowns\n41: 0 9 PCI-MSI 1-edge eth0-rx\n";
    let noisy = Measured {
        jitter: Ok(Jitter {
            length_ns: 1_000_000_000,
            max_ns: 15_000,
            gaps: 9,
            over_1us: 9,
            ..Jitter::default()
        }),
        interrupts: Some((Interrupts::parse("CPU0 CPU1\n").unwrap(), Interrupts::parse(text).unwrap())),
        stolen: Some(2),
        ..quiet_probe(1)
    };
    let of = |one: &Measured, profile, id: &str| {
        let findings = survey(&machine.host, &subject(), Ok(std::slice::from_ref(one)), profile);
        only(&findings, id).clone()
    };
    assert_eq!(of(&noisy, Profile::Lab, "jitter").verdict, Good);
    assert_eq!(of(&noisy, Profile::Live, "jitter").verdict, Bad);
    assert_eq!(of(&noisy, Profile::Dev, "jitter").verdict, Note);
    assert_eq!(of(&noisy, Profile::Lab, "tick").seen, "CPU 1: 250.0 timer interrupts a second");
    assert_eq!(of(&noisy, Profile::Lab, "irqs").seen, "CPU 1: 9 41 (eth0-rx), 3 TLB (TLB shootdowns)");
    assert_eq!(of(&noisy, Profile::Lab, "steal").seen, "CPU 1: 20 ms");
    let blind = Measured { interrupts: None, stolen: None, ..noisy.clone() };
    for id in ["tick", "irqs", "steal"] {
        assert_eq!(of(&blind, Profile::Lab, id).verdict, Unknown, "{id}");
    }
    let failed = Measured { jitter: Err("no thread may run there".into()), ..noisy };
    assert_eq!(of(&failed, Profile::Lab, "jitter").verdict, Unknown);
}

#[test]
fn a_driver_of_our_own_needs_vfio_and_no_eal() {
    let machine = good_machine();
    let subject = Subject { eal: None, own_driver: true, ..subject() };
    let look = || survey(&machine.host, &subject, Err("not measured"), Profile::Lab);
    let findings = look();
    assert_eq!(only(&findings, "vfio").verdict, Good);
    assert!(findings.iter().all(|finding| !["hugetlbfs", "pmd", "lcores"].contains(&finding.id())));
    machine.remove("dev/vfio/7");
    assert_eq!(only(&look(), "vfio").verdict, Bad);
}

/// Whatever the files of a machine hold, there is a finding and no panic.
#[test]
fn garbage_everywhere() {
    let texts = [
        "",
        "\n",
        "\0\0",
        "-1",
        "99999999999999999999",
        "[",
        "0-4095",
        "CPU0 CPU1\nLOC:",
        "é\u{1b}[2J",
        ":::::",
    ];
    let machine = good_machine();
    for text in texts {
        for (path, _) in FILES {
            machine.write(path, text);
        }
        for finding in look(&machine) {
            assert!(finding.seen.chars().all(|c| !c.is_control()), "{finding:?}");
        }
    }
    // The files as they are, torn at any place.
    for cut in (0..40).step_by(3) {
        for (path, text) in FILES {
            machine.write(path, &text[..cut.min(text.len())]);
        }
        let _ = look(&machine);
    }
}
