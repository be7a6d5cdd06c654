//! The machine that it runs on: what it is, and one CPU of it.

#![allow(unsafe_code, reason = "sched_setaffinity has no safe form in std")]

use std::fs;
use std::io;
use std::time::Instant;

/// A file of `/proc` or `/sys`, without the end of its last line.
pub(crate) fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(path).map(|text| text.trim_end().to_owned())
}

/// The figure of a line `name:   123 kB`.
pub(crate) fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the machine is, each line a name and what there is.
#[must_use]
pub fn describe() -> Vec<(&'static str, String)> {
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    let of = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let processors = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let virtual_machine =
        if of("flags").split(' ').any(|flag| flag == "hypervisor") { ", virtual" } else { "" };
    let vectors = ["avx2", "avx512vbmi"].map(|flag| (flag, of("flags").split(' ').any(|have| have == flag)));
    let vectors =
        vectors.map(|(flag, have)| format!("{flag} {}", if have { "yes" } else { "no" })).join(", ");
    let memory = read("/proc/meminfo").unwrap_or_default();
    let gib = field_kib(&memory, "MemTotal").unwrap_or(0) as f64 / f64::from(1 << 20);
    vec![
        ("Processor", format!("{} (family {}, model {})", of("model name"), of("cpu family"), of("model"))),
        ("CPUs", format!("{processors}{virtual_machine}; {vectors}")),
        ("Caches", caches()),
        ("Memory", format!("{gib:.1} GiB")),
        ("Kernel", read("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".to_owned())),
    ]
}

fn caches() -> String {
    let caches: Vec<_> = (0..8)
        .map_while(|index| {
            let of = |what| read(&format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{what}")).ok();
            let kind = of("type")?;
            let letter = match kind.as_str() {
                "Data" => "d",
                "Instruction" => "i",
                _ => "",
            };
            Some(format!("L{}{letter} {}", of("level")?, of("size")?))
        })
        .collect();
    if caches.is_empty() { "unknown".to_owned() } else { caches.join(", ") }
}

/// The CPUs that this process may run on.
///
/// # Errors
/// `/proc` cannot be read.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let status = read("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    Ok(cpu_list(list))
}

/// `0-3,8` as numbers.
fn cpu_list(list: &str) -> Vec<usize> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Ties this thread to `cpu`.
///
/// # Errors
/// It may not run there, or there is no such CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = [0_u64; 16];
    let word = set.get_mut(cpu / 64).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    *word |= 1 << (cpu % 64);
    // SAFETY: the kernel reads `size_of_val(&set)` bytes from an array of that size.
    let done = unsafe { libc::sched_setaffinity(0, size_of_val(&set), set.as_ptr().cast()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How much of a time others had the CPU.
pub struct Disturbance {
    cpu: usize,
    waited: u64,
    stolen: u64,
    began: Instant,
}

impl Disturbance {
    /// Begins; this thread is tied to `cpu`.
    #[must_use]
    pub fn begin(cpu: usize) -> Self {
        Self { cpu, waited: waited(), stolen: stolen(cpu), began: Instant::now() }
    }

    /// Since then, percent: this thread could run but another one did, and the host had the CPU for others.
    #[must_use]
    pub fn percent(&self) -> [f64; 2] {
        let elapsed = self.began.elapsed().as_secs_f64();
        // Stolen time is told in hundredths of a second.
        let stolen = stolen(self.cpu).saturating_sub(self.stolen) as f64 / 100.0;
        let waited = waited().saturating_sub(self.waited) as f64 / 1e9;
        [waited, stolen].map(|seconds| 100.0 * seconds / elapsed)
    }
}

/// For how long this thread waited for its CPU, ns; 0 where the kernel does not tell.
fn waited() -> u64 {
    let told = read("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// For how long the host had `cpu`, hundredths of a second; 0 where the kernel does not tell.
fn stolen(cpu: usize) -> u64 {
    let told = read("/proc/stat").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix(&format!("cpu{cpu} ")));
    line.and_then(|line| line.split(' ').nth(7)).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpu_list("\t0-2,5"), [0, 1, 2, 5]);
        assert_eq!(cpu_list(""), [0; 0]);
        assert!(!allowed_cpus().unwrap().is_empty());
    }

    #[test]
    fn figures_of_proc() {
        assert_eq!(field_kib("Rss:       12 kB\nRssAnon: 3 kB", "Rss"), Some(12));
        assert_eq!(field_kib("Rss:       12 kB", "Pss"), None);
    }

    #[test]
    fn disturbance_is_a_part() {
        let disturbance = Disturbance::begin(0);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(disturbance.percent().iter().all(|percent| (0.0..=150.0).contains(percent)));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused() {
        assert!(pin(5_000).is_err());
    }
}
