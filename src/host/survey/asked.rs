//! What the configuration asks for beyond CPUs and ports, and whether the machine has it.

use super::Subject;
use crate::host::{Finding, Fix, Host, Unread};

/// The capability to take any scheduling priority, as a bit of `CapEff`.
const CAP_SYS_NICE: u64 = 1 << 23;

const RUNTIME: &str = "proc/sys/kernel/sched_rt_runtime_us";

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    vec![fifo(host, subject), throttling(host, subject), journal(subject)]
}

/// What the start would be refused for.
fn fifo(host: &Host, subject: &Subject) -> Finding {
    let Some(priority) = subject.fifo else {
        return Finding::note("fifo", "not asked for");
    };
    let (status, limits) = match (host.text("proc/self/status"), host.text("proc/self/limits")) {
        (Ok(status), Ok(limits)) => (status, limits),
        (Err(why), _) | (_, Err(why)) => return Finding::unread("fifo", &why),
    };
    let capable = (status.lines().find_map(|line| line.strip_prefix("CapEff:")))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAP_SYS_NICE != 0);
    if capable {
        return Finding::good("fifo", format!("priority {priority}, by capability"));
    }
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max realtime priority"));
    match limit.and_then(|rest| rest.split_whitespace().next()).map(str::parse::<u32>) {
        Some(Ok(limit)) if limit >= u32::from(priority) => {
            Finding::good("fifo", format!("priority {priority} of {limit}"))
        }
        Some(Ok(limit)) => {
            Finding::bad("fifo", format!("up to {limit}"), priority.to_string()).fix(Fix::Words(format!(
                "run as root, give the program CAP_SYS_NICE (setcap cap_sys_nice=ep FILE), raise `ulimit -r` to {priority} \
                 (limits.conf: rtprio; systemd: LimitRTPRIO), or leave out determinism.fifo_priority"
            )))
        }
        _ => Finding::unknown("fifo", "/proc/self/limits has no limit for the realtime priority"),
    }
}

fn throttling(host: &Host, subject: &Subject) -> Finding {
    if subject.fifo.is_none() {
        return Finding::note("rt.throttle", "no loop asks for SCHED_FIFO");
    }
    let text = match host.text(RUNTIME) {
        Ok(text) => text,
        Err(why) => return Finding::unread("rt.throttle", &why),
    };
    match text.trim().parse::<i64>() {
        Ok(us) if us < 0 => Finding::good("rt.throttle", "no limit"),
        Ok(us) => Finding::bad("rt.throttle", format!("{us} us of each period"), "-1")
            .fix(Fix::Now("sysctl -w kernel.sched_rt_runtime_us=-1".into())),
        Err(_) => Finding::unread("rt.throttle", &Unread::Malformed(RUNTIME.into(), text)),
    }
}

fn journal(subject: &Subject) -> Finding {
    match subject.journalled {
        None => Finding::note("journal", "no order may leave"),
        Some(true) => Finding::good("journal", "orders are journalled"),
        Some(false) => Finding::bad("journal", "orders may leave and are not journalled", "a journal")
            .fix(Fix::Words("name a directory in [journal] of the configuration".into())),
    }
}
