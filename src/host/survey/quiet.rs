//! Are the CPUs that poll kept free of everything else?

use super::{NO_CPU, Subject};
use crate::host::cpus::CpuSet;
use crate::host::interrupts::Interrupts;
use crate::host::{Finding, Fix, Host, Unread};

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    if subject.polling.is_empty() {
        let of_cpus = ["isolated", "nohz_full", "rcu_nocbs", "irq.affinity", "workqueue", "watchdog.cpus"];
        let mut findings: Vec<_> = of_cpus.map(|id| Finding::unknown(id, NO_CPU)).into();
        findings.push(irqbalance(host));
        return findings;
    }
    vec![
        isolated(host, subject),
        nohz_full(host, subject),
        rcu_nocbs(host, subject),
        affinity(host, subject),
        irqbalance(host),
        workqueue(host, subject),
        watchdog(host, subject),
    ]
}

/// The polling CPUs that are missing in `has` make the finding.
fn covered(id: &str, polling: &CpuSet, has: &CpuSet, fixes: Vec<Fix>) -> Finding {
    let missing = polling.without(has);
    if missing.is_empty() {
        return Finding::good(id, format!("{has}"));
    }
    let seen = if has.is_empty() { "none".to_owned() } else { has.to_string() };
    fixes.into_iter().fold(Finding::bad(id, seen, format!("CPU {polling} among them")), Finding::fix)
}

fn isolated(host: &Host, subject: &Subject) -> Finding {
    let mut isolated = match host.cpus("sys/devices/system/cpu/isolated") {
        Ok(isolated) => isolated,
        Err(why) => return Finding::unread("isolated", &why),
    };
    // Or the own cgroup is an isolated partition.
    let group = host.text("proc/self/cgroup").unwrap_or_default();
    if let Some(path) = group.lines().find_map(|line| line.strip_prefix("0::")) {
        let base = format!("sys/fs/cgroup/{}", path.trim_matches('/'));
        if host.text(&format!("{base}/cpuset.cpus.partition")).is_ok_and(|kind| kind == "isolated") {
            isolated.extend(&host.cpus(&format!("{base}/cpuset.cpus.effective")).unwrap_or_default());
        }
    }
    let polling = &subject.polling;
    covered(
        "isolated",
        polling,
        &isolated,
        vec![
            Fix::Boot(format!("isolcpus=managed_irq,domain,{polling}")),
            Fix::Words(format!(
                "or, without a reboot, a cgroup: `echo {polling} > cpuset.cpus; echo isolated > cpuset.cpus.partition`, and \
             start in it"
            )),
        ],
    )
}

fn nohz_full(host: &Host, subject: &Subject) -> Finding {
    match host.cpus("sys/devices/system/cpu/nohz_full") {
        Ok(has) => covered(
            "nohz_full",
            &subject.polling,
            &has,
            vec![Fix::Boot(format!("nohz_full={}", subject.polling))],
        ),
        Err(Unread::Absent(path)) => Finding::unknown(
            "nohz_full",
            format!("there is no /{path}: the kernel is without CONFIG_NO_HZ_FULL"),
        ),
        Err(why) => Finding::unread("nohz_full", &why),
    }
}

/// There is no file for it: the command line says it.
fn rcu_nocbs(host: &Host, subject: &Subject) -> Finding {
    let words = match host.command_line() {
        Ok(words) => words,
        Err(why) => return Finding::unread("rcu_nocbs", &why),
    };
    let mut has = host.cpus("sys/devices/system/cpu/nohz_full").unwrap_or_default();
    for word in &words {
        if word == "rcu_nocbs" || word == "rcu_nocbs=all" {
            has.extend(&host.online_cpus());
        } else if let Some(list) = word.strip_prefix("rcu_nocbs=") {
            match CpuSet::parse_list(list) {
                Some(list) => has.extend(&list),
                None => return Finding::unknown("rcu_nocbs", format!("`{word}` is not understood")),
            }
        }
    }
    covered("rcu_nocbs", &subject.polling, &has, vec![Fix::Boot(format!("rcu_nocbs={}", subject.polling))])
}

/// Interrupts told one by one.
const SHOWN: usize = 8;

fn affinity(host: &Host, subject: &Subject) -> Finding {
    let table = match host.text("proc/interrupts") {
        Ok(text) => Interrupts::parse(&text),
        Err(why) => return Finding::unread("irq.affinity", &why),
    };
    let Some(table) = table else {
        return Finding::unknown("irq.affinity", "/proc/interrupts has no heading");
    };
    let (mut may, mut unread) = (Vec::new(), 0);
    for (irq, name) in table.numbered() {
        // The effective one is empty for an interrupt that nobody has started.
        let files = ["effective_affinity_list", "smp_affinity_list"];
        let cpus = files.iter().find_map(|file| {
            let cpus = host.cpus(&format!("proc/irq/{irq}/{file}")).ok()?;
            (!cpus.is_empty()).then_some(cpus)
        });
        match cpus {
            Some(cpus) if !cpus.and(&subject.polling).is_empty() => may.push((irq, name)),
            Some(_) => {}
            None => unread += 1,
        }
    }
    if may.is_empty() && unread > 0 {
        return Finding::unknown("irq.affinity", format!("the CPUs of {unread} interrupts cannot be read"));
    }
    if may.is_empty() {
        return Finding::good("irq.affinity", format!("none may come to CPU {}", subject.polling));
    }
    let mut shown: Vec<_> = may.iter().take(SHOWN).map(|(irq, name)| format!("{irq} ({name})")).collect();
    if may.len() > SHOWN {
        shown.push("…".to_owned());
    }
    let seen = format!("{} may come to CPU {}: {}", may.len(), subject.polling, shown.join(" "));
    let rest = host.online_cpus().without(&subject.polling);
    let bad = Finding::bad("irq.affinity", seen, "none");
    if rest.is_empty() {
        return bad.fix(Fix::Words("every CPU polls: leave one out".into()));
    }
    let numbers: Vec<_> = may.iter().map(|(irq, _)| irq.to_string()).collect();
    bad.fix(Fix::Now(format!(
        "for i in {}; do echo {rest} > /proc/irq/$i/smp_affinity_list; done",
        numbers.join(" ")
    )))
    .fix(Fix::Boot(format!("irqaffinity={rest}")))
}

fn irqbalance(host: &Host) -> Finding {
    let pids = host.names("proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let mut any = false;
    for pid in pids {
        any = true;
        if host.text(&format!("proc/{pid}/comm")).is_ok_and(|name| name == "irqbalance") {
            return Finding::bad(
                "irqbalance",
                format!("process {pid}"),
                "none, or CPUs that poll are banned from it",
            )
            .fix(Fix::Now("systemctl disable --now irqbalance".into()));
        }
    }
    if any {
        Finding::good("irqbalance", "does not run")
    } else {
        Finding::unknown("irqbalance", "no process is seen in /proc")
    }
}

fn workqueue(host: &Host, subject: &Subject) -> Finding {
    let path = "sys/devices/virtual/workqueue/cpumask";
    let text = match host.text(path) {
        Ok(text) => text,
        Err(why) => return Finding::unread("workqueue", &why),
    };
    let Some(mask) = CpuSet::parse_kernel_mask(&text) else {
        return Finding::unread("workqueue", &Unread::Malformed(path.into(), text));
    };
    if mask.and(&subject.polling).is_empty() {
        return Finding::good("workqueue", format!("on CPUs {mask}"));
    }
    let rest = host.online_cpus().without(&subject.polling);
    let bad = Finding::bad("workqueue", format!("on CPUs {mask}"), format!("not on CPU {}", subject.polling));
    if rest.is_empty() { bad } else { bad.fix(Fix::Now(format!("echo {} > /{path}", rest.kernel_mask()))) }
}

fn watchdog(host: &Host, subject: &Subject) -> Finding {
    if host.number("proc/sys/kernel/watchdog").is_ok_and(|on| on == 0) {
        return Finding::good("watchdog.cpus", "no watchdog runs");
    }
    match host.cpus("proc/sys/kernel/watchdog_cpumask") {
        Err(why) => Finding::unread("watchdog.cpus", &why),
        Ok(cpus) if cpus.and(&subject.polling).is_empty() => Finding::good("watchdog.cpus", cpus.to_string()),
        Ok(cpus) => {
            let rest = cpus.without(&subject.polling);
            let bad =
                Finding::bad("watchdog.cpus", cpus.to_string(), format!("without CPU {}", subject.polling));
            if rest.is_empty() {
                return bad.fix(Fix::Now("sysctl -w kernel.watchdog=0".into()));
            }
            bad.fix(Fix::Now(format!("sysctl -w kernel.watchdog_cpumask={rest}")))
        }
    }
}
