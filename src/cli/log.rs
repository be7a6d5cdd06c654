//! What is logged goes to stderr, so that stdout stays for results.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging: ours at `level`, DPDK's own messages at `dpdk`. A second call changes nothing.
pub(super) fn start(level: tracing::Level, dpdk: tracing::Level) {
    let filter = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("{level},dpdk={dpdk}")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only the first subscriber of a process counts; tests start several runs in one.
    let _ = filter.try_init();
}
