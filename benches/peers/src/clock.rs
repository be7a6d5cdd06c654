//! The time-stamp counter around one message, and what reading it costs by itself.

#![allow(unsafe_code, reason = "the fenced reads of the counter have no safe form")]

use std::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
use std::time::Instant;

/// Ticks, when everything before has been executed, and before anything behind begins.
#[inline(always)]
#[must_use]
pub fn start() -> u64 {
    // SAFETY: LFENCE (SSE2) and RDTSC are part of every x86-64, and Linux leaves RDTSC enabled in user mode.
    unsafe {
        _mm_lfence();
        let now = _rdtsc();
        _mm_lfence();
        now
    }
}

/// Ticks, when everything before has been executed; nothing behind begins earlier. Stores may still be on their way to
/// the cache, as they may when the loop goes on to the next message.
#[inline(always)]
#[must_use]
pub fn stop() -> u64 {
    let mut cpu = 0;
    // SAFETY: every x86-64 processor with an invariant counter has RDTSCP; `cpu` is a place that it may write to.
    unsafe {
        let now = __rdtscp(&raw mut cpu);
        _mm_lfence();
        now
    }
}

/// Tells how long a tick is, from its making until it is asked.
pub struct Calibration {
    began: Instant,
    ticks: u64,
}

impl Calibration {
    /// Begins.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now(), ticks: start() }
    }

    /// ns of a tick.
    #[must_use]
    pub fn ns_per_tick(&self) -> f64 {
        self.began.elapsed().as_nanos() as f64 / (stop() - self.ticks) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ticks_pass_as_ns_do() {
        let calibration = Calibration::begin();
        let (began, ticks) = (Instant::now(), start());
        std::thread::sleep(Duration::from_millis(30));
        let (elapsed, ticks) = (began.elapsed().as_nanos() as f64, (stop() - ticks) as f64);
        let ratio = ticks * calibration.ns_per_tick() / elapsed;
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
    }
}
