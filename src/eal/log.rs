//! EAL's log, line by line, into `tracing` under the target `dpdk`.
//!
//! Errors and warnings keep their level; notices and information become `debug`, debug output becomes `trace`: what
//! EAL tells at every start is of no interest unless asked for. At most [`BURST`] lines at once and [`PER_SECOND`]
//! after that, for a driver that complains once per packet; suppressed lines are counted and the count is told.

use std::{
    ffi::c_char,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use dpdk_sys as sys;

/// Lines let through at once.
const BURST: f64 = 64.0;
/// Lines a second after that.
const PER_SECOND: f64 = 10.0;

static STATE: Mutex<State> = Mutex::new(State { limit: None, last_error: String::new() });

struct State {
    limit: Option<Limit>,
    last_error: String,
}

/// A token bucket.
struct Limit {
    tokens: f64,
    at: Instant,
    suppressed: u64,
}

impl Limit {
    fn new(now: Instant) -> Self {
        Self { tokens: BURST, at: now, suppressed: 0 }
    }

    /// `Some(suppressed since the last line)` where a line may pass.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = elapsed.mul_add(PER_SECOND, self.tokens).min(BURST);
        self.at = now;
        if self.tokens < 1.0 {
            self.suppressed += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Sends EAL's log to `tracing` from now on.
pub(super) fn redirect() -> std::io::Result<()> {
    // SAFETY: `receive` never unwinds into C (a panic in an extern "C" function aborts) and lives as long as the
    // program.
    let rc = unsafe { sys::shim_log_to(Some(receive)) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(-rc)) }
}

/// The last error line EAL wrote since this was last asked, without its prefix; empty if none.
pub(super) fn take_last_error() -> String {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut state.last_error)
}

extern "C" fn receive(level: u32, text: *const c_char, len: usize) {
    if text.is_null() {
        return;
    }
    // SAFETY: the shim passes the bytes that stdio asks it to write, valid during this call.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    for line in String::from_utf8_lossy(bytes).lines().map(str::trim).filter(|l| !l.is_empty()) {
        log_line(level, line);
    }
}

fn log_line(level: u32, line: &str) {
    let is_error = level <= sys::RTE_LOG_ERR;
    let enabled = if is_error {
        tracing::enabled!(target: "dpdk", tracing::Level::ERROR)
    } else if level == sys::RTE_LOG_WARNING {
        tracing::enabled!(target: "dpdk", tracing::Level::WARN)
    } else if level < sys::RTE_LOG_DEBUG {
        tracing::enabled!(target: "dpdk", tracing::Level::DEBUG)
    } else {
        tracing::enabled!(target: "dpdk", tracing::Level::TRACE)
    };
    let suppressed = {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        if is_error {
            state.last_error.clear();
            state.last_error.push_str(line.strip_prefix("EAL: ").unwrap_or(line));
        }
        if !enabled {
            return;
        }
        let now = Instant::now();
        match state.limit.get_or_insert_with(|| Limit::new(now)).pass(now) {
            Some(suppressed) => suppressed,
            None => return,
        }
    };
    if suppressed > 0 {
        tracing::warn!(target: "dpdk", suppressed, "log lines were suppressed: too many at once");
    }
    if is_error {
        tracing::error!(target: "dpdk", "{line}");
    } else if level == sys::RTE_LOG_WARNING {
        tracing::warn!(target: "dpdk", "{line}");
    } else if level < sys::RTE_LOG_DEBUG {
        tracing::debug!(target: "dpdk", "{line}");
    } else {
        tracing::trace!(target: "dpdk", "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let start = Instant::now();
        let mut limit = Limit::new(start);
        let passed = (0..1_000).filter(|_| limit.pass(start).is_some()).count();
        assert_eq!(passed, 64);
        assert_eq!(limit.pass(start + Duration::from_secs(1)), Some(936));
        assert_eq!((0..100).filter(|_| limit.pass(start + Duration::from_secs(1)).is_some()).count(), 9);
    }
}
