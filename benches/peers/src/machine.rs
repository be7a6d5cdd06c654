//! The machine that it runs on: what it is, and one CPU of it.

#![allow(unsafe_code, reason = "sched_setaffinity has no safe form in std")]

use std::fs;
use std::io;

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
    fn a_cpu_that_is_not_there_is_refused() {
        assert!(pin(5_000).is_err());
    }
}
