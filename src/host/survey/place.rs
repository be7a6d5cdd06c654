//! Are the CPUs that poll the right ones?

use super::{NO_CPU, Subject};
use crate::host::cpus::CpuSet;
use crate::host::preflight::{memory, numa};
use crate::host::{Finding, Fix, Host};

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    let nodes = numa::nodes(host);
    let mut findings = Vec::new();
    for port in subject.ports.iter().filter(|port| host.pci(port).exists()) {
        findings.push(near(host, subject, &nodes, port));
        findings.extend(near_memory(host, subject, port));
    }
    if subject.polling.is_empty() {
        findings.extend(["core0", "smt", "hybrid"].map(|id| Finding::unknown(id, NO_CPU)));
        return findings;
    }
    findings.push(core0(subject));
    findings.extend(cache(host, subject));
    findings.push(siblings(host, subject));
    findings.push(efficiency(host, subject));
    findings
}

/// A port and the CPUs that poll it.
fn near(host: &Host, subject: &Subject, nodes: &[(u32, CpuSet)], port: &str) -> Finding {
    let Some(node) = numa::device_node(host, port) else {
        return Finding::note("numa.port", format!("{port}: the firmware does not say on which node it is"));
    };
    let Some((_, local)) = nodes.iter().find(|(number, _)| *number == node) else {
        return Finding::unknown("numa.port", format!("{port} is on node {node}, and no CPU is"));
    };
    let far = subject.polling.without(local);
    if far.is_empty() {
        return Finding::good("numa.port", format!("{port} and the CPUs that poll are on node {node}"));
    }
    Finding::bad(
        "numa.port",
        format!("{port} is on node {node}, CPU {far} on another"),
        format!("CPUs of {local}"),
    )
    .fix(Fix::Words(format!("choose lcores among {local} (-l, lcores.worker)")))
}

/// Hugepages on the port's node.
fn near_memory(host: &Host, subject: &Subject, port: &str) -> Option<Finding> {
    let args = subject.eal.as_ref().filter(|args| !args.no_huge && !args.maybe_secondary)?;
    let node = numa::device_node(host, port)?;
    let base = format!("sys/devices/system/node/node{node}/hugepages");
    if !host.exists(&base) {
        return Some(Finding::unknown("numa.mem", format!("there is no /{base}")));
    }
    let mut free_kib = 0_u64;
    for size in host.names(&base) {
        let kib = size.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("kB")?.parse().ok());
        let Some(kib): Option<u64> = kib else { continue };
        match host.number(&format!("{base}/{size}/free_hugepages")) {
            Ok(pages) => free_kib = free_kib.saturating_add(kib.saturating_mul(pages)),
            Err(why) => return Some(Finding::unread("numa.mem", &why)),
        }
    }
    let (free, wanted) = (free_kib / 1024, memory::wanted_mib(args));
    Some(if free >= wanted {
        Finding::good("numa.mem", format!("node {node}: {free} MiB free, {wanted} MiB wanted"))
    } else {
        Finding::bad("numa.mem", format!("node {node}: {free} MiB free"), format!("{wanted} MiB"))
            .fix(Fix::Now(format!("tools/hugepages.sh --node {node} {wanted}M")))
    })
}

fn core0(subject: &Subject) -> Finding {
    if subject.polling.contains(0) {
        Finding::bad("core0", "CPU 0 polls", "any other")
            .fix(Fix::Words("let CPU 0 control: -l 0-1, or lcores.worker = another".into()))
    } else {
        Finding::good("core0", format!("CPU {} polls", subject.polling))
    }
}

/// Of no meaning for one loop.
fn cache(host: &Host, subject: &Subject) -> Option<Finding> {
    let first = subject.polling.iter().next()?;
    if subject.polling.iter().count() < 2 {
        return None;
    }
    let path = format!("sys/devices/system/cpu/cpu{first}/cache/index3/shared_cpu_list");
    Some(match host.cpus(&path) {
        Err(why) => Finding::unread("llc", &why),
        Ok(shared) => {
            let apart = subject.polling.without(&shared);
            if apart.is_empty() {
                Finding::good("llc", format!("CPUs {} share one", subject.polling))
            } else {
                Finding::bad(
                    "llc",
                    format!("CPU {apart} has another than CPU {first}"),
                    format!("CPUs of {shared}"),
                )
                .fix(Fix::Words(format!("choose lcores.workers among {shared}")))
            }
        }
    })
}

fn siblings(host: &Host, subject: &Subject) -> Finding {
    let online = host.online_cpus();
    let (mut others, mut unread) = (CpuSet::default(), None);
    for cpu in subject.polling.iter() {
        match host.cpus(&format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")) {
            Ok(siblings) => others.extend(&siblings.and(&online).without(&CpuSet::from_iter([cpu]))),
            Err(why) => unread = Some(why),
        }
    }
    if let Some(why) = unread {
        return Finding::unread("smt", &why);
    }
    if others.is_empty() {
        return Finding::good("smt", format!("CPU {} has its core for itself", subject.polling));
    }
    let bad = Finding::bad("smt", format!("CPU {others} shares a core with one that polls"), "none");
    let own = subject.polling.iter().chain(subject.control).find(|cpu| others.contains(*cpu));
    if let Some(own) = own {
        return bad.fix(Fix::Words(format!("CPU {own} is one of ours: choose lcores on cores of their own")));
    }
    let off = others.iter().map(|cpu| format!("echo 0 > /sys/devices/system/cpu/cpu{cpu}/online"));
    off.fold(bad, |bad, line| bad.fix(Fix::Now(line))).fix(Fix::Boot("nosmt".into()))
}

fn efficiency(host: &Host, subject: &Subject) -> Finding {
    let path = "sys/devices/cpu_atom/cpus";
    if !host.exists(path) {
        return Finding::good("hybrid", "all cores are of one kind");
    }
    match host.cpus(path) {
        Err(why) => Finding::unread("hybrid", &why),
        Ok(slow) if subject.polling.and(&slow).is_empty() => {
            Finding::good("hybrid", format!("CPU {} is no efficiency core", subject.polling))
        }
        Ok(slow) => {
            let fast = host.cpus("sys/devices/cpu_core/cpus").unwrap_or_default();
            Finding::bad(
                "hybrid",
                format!("CPU {} is an efficiency core", subject.polling.and(&slow)),
                fast.to_string(),
            )
            .fix(Fix::Words(format!("choose lcores among {fast}")))
        }
    }
}
