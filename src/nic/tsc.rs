//! The processor's time-stamp counter, read directly.
//!
//! A hardware register like a NIC's, so it stands on the lowest floor. Calibration and conversion to ns are
//! [`crate::stats::clock`]'s business.
#![allow(unsafe_code, reason = "RDTSC has no safe intrinsic")]

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
