//! What machine it is, and whether something in it is about to break.

use super::Subject;
use crate::host::machine::has_flag;
use crate::host::{Finding, Fix, Host, Unread};

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    let mut findings = vec![
        swap(host),
        hypervisor(host),
        mitigations(host),
        real_time(host),
        memory_errors(host),
        privileges(host),
    ];
    if !subject.polling.is_empty() {
        findings.push(heat(host, subject));
    }
    findings
}

fn swap(host: &Host) -> Finding {
    let text = match host.text("proc/swaps") {
        Ok(text) => text,
        Err(why) => return Finding::unread("swap", &why),
    };
    let areas: Vec<_> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if areas.is_empty() {
        return Finding::good("swap", "none");
    }
    Finding::bad("swap", areas.join(" "), "none").fix(Fix::Now("swapoff -a".into()))
}

fn hypervisor(host: &Host) -> Finding {
    match host.text("proc/cpuinfo") {
        Ok(cpuinfo) if has_flag(&cpuinfo, "hypervisor") => Finding::note("virtual", "a virtual machine"),
        Ok(_) => Finding::note("virtual", "no hypervisor is stated"),
        Err(why) => Finding::unread("virtual", &why),
    }
}

fn mitigations(host: &Host) -> Finding {
    match host.command_line() {
        Err(why) => Finding::unread("mitigations", &why),
        Ok(words) => match words.iter().find(|word| word.starts_with("mitigations=")) {
            Some(word) => Finding::note("mitigations", word),
            None => Finding::note("mitigations", "as the kernel chooses"),
        },
    }
}

fn real_time(host: &Host) -> Finding {
    match host.number("sys/kernel/realtime") {
        Ok(1) => Finding::note("rt.kernel", "yes"),
        Ok(_) | Err(Unread::Absent(_)) => Finding::note("rt.kernel", "no"),
        Err(why) => Finding::unread("rt.kernel", &why),
    }
}

fn memory_errors(host: &Host) -> Finding {
    let base = "sys/devices/system/edac/mc";
    let (mut errors, mut looked) = (Vec::new(), false);
    for controller in host.names(base) {
        for (file, kind) in [("ce_count", "corrected"), ("ue_count", "not corrected")] {
            match host.number(&format!("{base}/{controller}/{file}")) {
                Ok(0) => looked = true,
                Ok(count) => {
                    looked = true;
                    errors.push(format!("{controller}: {count} {kind}"));
                }
                // Not everything in that directory is a controller.
                Err(Unread::Absent(_)) => {}
                Err(why) => return Finding::unread("edac", &why),
            }
        }
    }
    match (looked, errors.is_empty()) {
        (false, _) => Finding::unknown("edac", format!("no memory controller in /{base}")),
        (true, true) => Finding::good("edac", "none"),
        (true, false) => Finding::bad("edac", errors.join(", "), "none")
            .fix(Fix::Words("find the module (`ras-mc-ctl --error-count`) and replace it".into())),
    }
}

fn heat(host: &Host, subject: &Subject) -> Finding {
    let mut throttled = Vec::new();
    for cpu in subject.polling.iter() {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count");
        match host.number(&path) {
            Ok(0) => {}
            Ok(times) => throttled.push(format!("CPU {cpu}: {times} times")),
            Err(why) => return Finding::unread("thermal", &why),
        }
    }
    if throttled.is_empty() {
        return Finding::good("thermal", "never");
    }
    Finding::bad("thermal", throttled.join(", "), "never")
        .fix(Fix::Words("look after fans, air and BIOS power limits".into()))
}

fn privileges(host: &Host) -> Finding {
    let status = match host.text("proc/self/status") {
        Ok(status) => status,
        Err(why) => return Finding::unread("privileges", &why),
    };
    // Real, effective, saved, file system.
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    match ids.and_then(|ids| ids.split_whitespace().nth(1)) {
        None => Finding::unknown("privileges", "/proc/self/status has no Uid"),
        Some("0") => Finding::bad("privileges", "root", "an ordinary user")
            .fix(Fix::Words("docs/real-nics.md: an ordinary user".into())),
        Some(id) => Finding::good("privileges", format!("user {id}")),
    }
}
