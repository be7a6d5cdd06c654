//! Judgement of what was measured while a thread span on each CPU that polls.

use super::Measured;
use crate::host::interrupts::Growth;
use crate::host::jitter::Limits;
use crate::host::{Finding, Fix, Profile};

/// Timer interrupts each second that a CPU without a tick still has.
const TICKS_PER_SECOND: u64 = 2;

/// Interrupts told one by one.
const SHOWN: usize = 6;

pub(super) fn findings(measured: Result<&[Measured], &str>, profile: Profile) -> Vec<Finding> {
    match measured {
        Err(why) => ["tick", "irqs", "steal", "jitter"].map(|id| Finding::unknown(id, why)).into(),
        Ok(measured) => measured.iter().flat_map(|one| of_one(one, profile)).collect(),
    }
}

fn of_one(measured: &Measured, profile: Profile) -> Vec<Finding> {
    let cpu = measured.cpu;
    let jitter = match &measured.jitter {
        Ok(jitter) => *jitter,
        Err(why) => return vec![Finding::unknown("jitter", format!("CPU {cpu}: {why}"))],
    };
    let mut findings = Vec::new();
    let grown = measured.interrupts.as_ref().map(|(before, after)| after.since(before, cpu));
    match &grown {
        None => findings
            .extend(["tick", "irqs"].map(|id| Finding::unknown(id, "/proc/interrupts cannot be read"))),
        Some(grown) => {
            let ticks = grown.iter().find(|row| row.label == "LOC").map_or(0, |row| row.times);
            findings.push(tick(cpu, ticks, jitter.length_ns));
            findings.push(others(cpu, grown));
        }
    }
    findings.push(match measured.stolen {
        None => Finding::unknown("steal", format!("CPU {cpu}: /proc/stat does not tell")),
        Some(0) => Finding::good("steal", format!("CPU {cpu}: none")),
        Some(ticks) => Finding::bad("steal", format!("CPU {cpu}: {} ms", ticks * 10), "none").fix(
            Fix::Words("give the virtual machine CPUs of its own, or take figures on bare metal".into()),
        ),
    });
    let seen = format!("CPU {cpu}  {jitter}");
    findings.push(match Limits::of(profile) {
        None => Finding::note("jitter", seen),
        Some(limits) if jitter.keeps(limits) => Finding::good("jitter", seen),
        Some(limits) => Finding::bad("jitter", seen, limits.to_string()).fix(Fix::Words(format!(
            "mend what stands above, then ask who comes: `rtla osnoise top -c {cpu} -T 1`"
        ))),
    });
    findings
}

fn tick(cpu: u32, ticks: u64, length_ns: u64) -> Finding {
    let tenths = u128::from(ticks) * 10_000_000_000 / u128::from(length_ns.max(1));
    let seen = format!("CPU {cpu}: {}.{} timer interrupts a second", tenths / 10, tenths % 10);
    if tenths < u128::from(TICKS_PER_SECOND) * 10 {
        return Finding::good("tick", seen);
    }
    Finding::bad("tick", seen, format!("fewer than {TICKS_PER_SECOND}"))
        .fix(Fix::Words("nohz_full for this CPU, and nothing else to run on it".into()))
}

fn others(cpu: u32, grown: &[Growth]) -> Finding {
    let mut rows: Vec<_> = grown.iter().filter(|row| row.label != "LOC").collect();
    if rows.is_empty() {
        return Finding::good("irqs", format!("CPU {cpu}: none"));
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.times));
    let mut shown: Vec<_> =
        rows.iter().take(SHOWN).map(|row| format!("{} {} ({})", row.times, row.label, row.name)).collect();
    if rows.len() > SHOWN {
        shown.push("…".into());
    }
    Finding::bad("irqs", format!("CPU {cpu}: {}", shown.join(", ")), "none").fix(Fix::Words(
        "numbered ones: irq.affinity; RES, CAL and TLB come from other threads on this CPU or of this process".into(),
    ))
}
