//! Asking for cache lines before they are needed.
#![allow(unsafe_code, reason = "one instruction that has no safe form")]

/// Asks for the cache line at `at`, to be written soon. Any address will do: one that is not mapped costs a little time and
/// does nothing else.
#[inline(always)]
pub(crate) fn line<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads nothing into the program and never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = at;
}

/// Asks for all lines of `bytes`. A packet's messages are found by walking from one length to the next, each of which would
/// else wait for its own line.
#[inline]
pub fn bytes(bytes: &[u8]) {
    for at in bytes.iter().step_by(64) {
        line(at);
    }
}

/// Asks for all lines of what is at `at`.
#[inline(always)]
pub(crate) fn lines<T>(at: *const T) {
    let from = at.cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(64) {
        line(from.wrapping_add(offset));
    }
    // It need not begin with a line.
    line(from.wrapping_add(size_of::<T>().saturating_sub(1)));
}
