//! Spins on each CPU that polls, all at the same time, and notes what the kernel counted meanwhile.

use std::thread;
use std::time::Duration;

use crate::host::cpus::CpuSet;
use crate::host::interrupts::Interrupts;
use crate::host::jitter::probe;
use crate::host::{Host, Measured};
use crate::nic::cpu;
use crate::stats::clock::{CALIBRATION, Clock};

/// What each CPU went through in `length`.
pub(super) fn all(host: &Host, cpus: &CpuSet, length: Duration) -> Result<Vec<Measured>, String> {
    let clock = Clock::calibrate(CALIBRATION).map_err(|why| format!("not measured: {why}"))?;
    let hz = clock.hz();
    let before = Counts::read(host);
    let threads: Vec<_> = cpus
        .iter()
        .map(|number| {
            let spin = move || {
                cpu::run_on(&[number as usize]).map_err(|why| format!("no thread may run there: {why}"))?;
                Ok(probe(length, hz))
            };
            (number, thread::spawn(spin))
        })
        .collect();
    let ended: Vec<_> = threads
        .into_iter()
        .map(|(number, thread)| {
            (number, thread.join().unwrap_or_else(|_| Err("its thread failed".to_owned())))
        })
        .collect();
    let after = Counts::read(host);
    let measured = ended.into_iter().map(|(cpu, jitter)| Measured {
        cpu,
        jitter,
        interrupts: before.interrupts.clone().zip(after.interrupts.clone()),
        stolen: stolen(&before.stat, cpu)
            .zip(stolen(&after.stat, cpu))
            .map(|(old, new)| new.saturating_sub(old)),
    });
    Ok(measured.collect())
}

/// What the kernel counts.
struct Counts {
    interrupts: Option<Interrupts>,
    stat: String,
}

impl Counts {
    fn read(host: &Host) -> Self {
        let interrupts = host.text("proc/interrupts").ok().and_then(|text| Interrupts::parse(&text));
        Self { interrupts, stat: host.text("proc/stat").unwrap_or_default() }
    }
}

/// The eighth number of a CPU's line in /proc/stat.
fn stolen(stat: &str, cpu: u32) -> Option<u64> {
    let name = format!("cpu{cpu}");
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name.as_str()))?;
    line.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_read_for_the_right_cpu() {
        let stat = "cpu  1 1 1 1 1 1 1 99 0 0\ncpu1 1 2 3 4 5 6 7 8 9 10\ncpu11 1 2 3 4 5 6 7 42 0 0\n";
        assert_eq!((stolen(stat, 1), stolen(stat, 11)), (Some(8), Some(42)));
        for (stat, cpu) in [(stat, 2), ("cpu1 1 2", 1), ("cpu1 1 2 3 4 5 6 7 x", 1), ("", 0)] {
            assert_eq!(stolen(stat, cpu), None, "{stat:?}");
        }
    }

    #[test]
    fn a_cpu_is_measured_and_another_is_not_there() {
        let host = Host::this("", &[]);
        let mine = host.allowed_cpus().iter().next().unwrap();
        let cpus = CpuSet::from_iter([mine, 4_000]);
        let measured = all(&host, &cpus, Duration::from_millis(50)).unwrap();
        let jitter = measured[0].jitter.as_ref().unwrap();
        // The clock is calibrated: here it is real time.
        assert!((50_000_000..5_000_000_000).contains(&jitter.length_ns), "{jitter:?}");
        assert!(measured[1].jitter.is_err());
    }
}
