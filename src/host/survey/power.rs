//! Clock and power of the CPUs that poll.

use super::{NO_CPU, Subject};
use crate::host::machine::has_flag;
use crate::host::{Finding, Fix, Host, Unread};

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    let mut findings = vec![turbo(host), tsc(host)];
    if subject.polling.is_empty() {
        findings.extend(["governor", "epp", "minfreq", "cstates"].map(|id| Finding::unknown(id, NO_CPU)));
        return findings;
    }
    let polling = &subject.polling;
    let set = |file: &str, value: &str| {
        let all: Vec<_> = polling.iter().map(|cpu| cpu.to_string()).collect();
        Fix::Now(format!(
            "for i in {}; do echo {value} > /sys/devices/system/cpu/cpu$i/cpufreq/{file}; done",
            all.join(" ")
        ))
    };
    findings.push(each(
        host,
        subject,
        "governor",
        "scaling_governor",
        |word| word == "performance",
        "performance",
        || set("scaling_governor", "performance"),
    ));
    let preference = "energy_performance_preference";
    findings.push(each(
        host,
        subject,
        "epp",
        preference,
        |word| word == "performance" || word == "0",
        "performance",
        || set(preference, "performance"),
    ));
    findings.push(frequencies(host, subject));
    findings.push(idle_states(host, subject));
    findings
}

fn cpufreq(cpu: u32, file: &str) -> String {
    format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/{file}")
}

/// One file of each CPU that polls.
fn each(
    host: &Host,
    subject: &Subject,
    id: &str,
    file: &str,
    good: impl Fn(&str) -> bool,
    wanted: &str,
    fix: impl FnOnce() -> Fix,
) -> Finding {
    let mut bad = Vec::new();
    for cpu in subject.polling.iter() {
        match host.text(&cpufreq(cpu, file)) {
            Ok(word) if good(&word) => {}
            Ok(word) => bad.push(format!("CPU {cpu}: {word}")),
            Err(Unread::Absent(path)) => {
                return Finding::unknown(
                    id,
                    format!("there is no /{path}: no frequency driver, or a virtual machine"),
                );
            }
            Err(why) => return Finding::unread(id, &why),
        }
    }
    if bad.is_empty() {
        Finding::good(id, wanted)
    } else {
        Finding::bad(id, bad.join(", "), wanted).fix(fix())
    }
}

fn frequencies(host: &Host, subject: &Subject) -> Finding {
    let (mut apart, mut fixes) = (Vec::new(), Vec::new());
    for cpu in subject.polling.iter() {
        let [min, max] =
            ["scaling_min_freq", "scaling_max_freq"].map(|file| host.number(&cpufreq(cpu, file)));
        match (min, max) {
            (Ok(min), Ok(max)) if min == max => {}
            (Ok(min), Ok(max)) => {
                apart.push(format!("CPU {cpu}: {} to {} MHz", min / 1_000, max / 1_000));
                fixes.push(Fix::Now(format!("echo {max} > /{}", cpufreq(cpu, "scaling_min_freq"))));
            }
            (Err(why), _) | (_, Err(why)) => return Finding::unread("minfreq", &why),
        }
    }
    if apart.is_empty() {
        return Finding::good("minfreq", "lowest and highest are equal");
    }
    fixes.into_iter().fold(Finding::bad("minfreq", apart.join(", "), "equal"), Finding::fix)
}

/// Two drivers, two files, opposite meanings.
fn turbo(host: &Host) -> Finding {
    let intel = host.number("sys/devices/system/cpu/intel_pstate/no_turbo").map(|off| off == 0);
    let on = intel.or_else(|_| host.number("sys/devices/system/cpu/cpufreq/boost").map(|on| on != 0));
    match on {
        Ok(on) => Finding::note("turbo", if on { "on" } else { "off" }),
        Err(why) => Finding::unread("turbo", &why),
    }
}

fn tsc(host: &Host) -> Finding {
    let cpuinfo = match host.text("proc/cpuinfo") {
        Ok(cpuinfo) => cpuinfo,
        Err(why) => return Finding::unread("tsc", &why),
    };
    if !cpuinfo.lines().any(|line| line.starts_with("flags")) {
        return Finding::unknown("tsc", "/proc/cpuinfo has no flags");
    }
    let missing: Vec<_> =
        ["constant_tsc", "nonstop_tsc"].into_iter().filter(|flag| !has_flag(&cpuinfo, flag)).collect();
    if missing.is_empty() {
        return Finding::good("tsc", "constant and nonstop");
    }
    Finding::bad("tsc", format!("{} not stated", missing.join(" and ")), "constant_tsc and nonstop_tsc").fix(Fix::Words(
        "in a virtual machine: pass the host's TSC on (QEMU: -cpu host,+invtsc); else take another machine for figures".into(),
    ))
}

/// Longest way out of an idle state, us, that costs nothing to speak of.
const WAKES_IN_US: u64 = 10;

fn idle_states(host: &Host, subject: &Subject) -> Finding {
    let (mut deep, mut looked) = (Vec::new(), false);
    let mut off = Vec::new();
    for cpu in subject.polling.iter().chain(subject.control) {
        let base = format!("sys/devices/system/cpu/cpu{cpu}/cpuidle");
        for state in host.names(&base).iter().filter(|name| name.starts_with("state")) {
            let path = format!("{base}/{state}");
            let (latency, disabled) =
                match (host.number(&format!("{path}/latency")), host.number(&format!("{path}/disable"))) {
                    (Ok(latency), Ok(disabled)) => (latency, disabled),
                    (Err(why), _) | (_, Err(why)) => return Finding::unread("cstates", &why),
                };
            looked = true;
            if latency > WAKES_IN_US && disabled == 0 {
                let name = host.text(&format!("{path}/name")).unwrap_or_default();
                deep.push(format!("CPU {cpu}: {name} {latency} us"));
                off.push(Fix::Now(format!("echo 1 > /{path}/disable")));
            }
        }
    }
    match (looked, deep.is_empty()) {
        (false, _) => {
            Finding::unknown("cstates", "no idle states are told: a virtual machine, or no idle driver")
        }
        (true, true) => {
            Finding::good("cstates", format!("all wake in {WAKES_IN_US} us, or are switched off"))
        }
        (true, false) => {
            let bad = Finding::bad("cstates", deep.join(", "), format!("{WAKES_IN_US} us or less"));
            let boot = Fix::Boot("intel_idle.max_cstate=1 processor.max_cstate=1".into());
            off.into_iter().fold(bad, Finding::fix).fix(boot)
        }
    }
}
