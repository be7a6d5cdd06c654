//! What is logged goes to stderr, so that stdout stays for results.

use std::io::IsTerminal as _;

/// Starts logging at `level`; a second call changes nothing.
pub(super) fn start(level: tracing::Level) {
    let filter = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only the first subscriber of a process counts; tests start several runs in one.
    let _ = filter.try_init();
}
