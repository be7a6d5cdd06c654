//! Asking for a cache line before it is needed.
#![allow(unsafe_code, reason = "one instruction that has no safe form")]

/// Asks for the cache line at `at`, to be written soon. Any address will do: one that is not mapped costs a little time and
/// does nothing else.
#[inline(always)]
pub(crate) fn line<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing into the program and never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
