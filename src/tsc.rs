//! The processor's time-stamp counter, read directly.
//!
//! A hardware register like a NIC's, so it stands on the lowest floor. Calibration and conversion to ns are
//! [`crate::stats::clock`]'s business. Whoever acts by time takes it from a [`TimeSource`], so that a simulation can drive
//! it under a time of its own.
#![allow(unsafe_code, reason = "RDTSC has no safe intrinsic")]

use std::cell::Cell;
use std::rc::Rc;

/// Ticks since reset. Not serialising: about what `rte_rdtsc` gives. Use for intervals only.
#[inline(always)]
#[must_use]
pub fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has RDTSC, and Linux leaves it enabled in user mode.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    compile_error!("wirebook runs on x86-64: the stage clock needs an invariant TSC");
}

/// Where a loop takes its time from, in ticks that never go back by more than noise.
pub trait TimeSource {
    /// Longest time between two looks at the clock that counts in full, ns. A loop that was off its CPU for longer finds
    /// in its ring what came meanwhile: what it did not look at in time must not be called lost.
    const LONGEST_ROUND: u64 = u64::MAX;

    /// Ticks now.
    fn now(&self) -> u64;
}

/// The processor's own counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tsc;

impl TimeSource for Tsc {
    const LONGEST_ROUND: u64 = 200_000;

    #[inline(always)]
    fn now(&self) -> u64 {
        now()
    }
}

/// Time that stands still until somebody sets it.
impl TimeSource for Rc<Cell<u64>> {
    fn now(&self) -> u64 {
        self.get()
    }
}
