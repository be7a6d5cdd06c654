//! What machine a figure was taken on. Every rate and latency that is printed names it.

/// Processor, number of CPUs, and kernel, in one line.
#[must_use]
pub(super) fn describe() -> String {
    format!("{}, {}", processor(), system())
}

/// Processor and number of CPUs.
#[must_use]
pub(super) fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = model(&cpuinfo).unwrap_or_else(|| "unknown processor".to_owned());
    // Not those that this thread may use: the EAL pins it to one.
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let plural = if cpus == 1 { "" } else { "s" };
    format!("{processor}, {cpus} CPU{plural}")
}

/// Kernel and its version.
#[must_use]
pub(super) fn system() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", kernel.trim())
}

/// The first `model name` of /proc/cpuinfo.
fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_and_its_blanks_are_closed_up() {
        let text = "processor\t: 0\nmodel name\t: Some  CPU @ 3.0GHz\nflags\t: x\nmodel name\t: other\n";
        assert_eq!(model(text).as_deref(), Some("Some CPU @ 3.0GHz"));
        assert_eq!(model("processor: 0\n"), None);
        assert!(describe().contains("CPU"));
    }
}
