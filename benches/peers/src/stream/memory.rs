//! Hints to the machine, which change nothing but time: an exchange of millions of orders is made of cache misses.
#![allow(unsafe_code, reason = "one instruction that cannot fault, and one call that changes no memory")]

/// Begins to fetch the element at `at`; nothing happens where there is none.
#[inline]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = slice.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in (0..size_of::<T>()).step_by(64) {
            let address = std::ptr::from_ref(element).cast::<i8>().wrapping_add(line);
            // SAFETY: a prefetch reads nothing that a program could see and never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}

/// An empty vector with room for so many elements, on large pages if the system has some.
pub(super) fn roomy<T>(capacity: usize) -> Vec<T> {
    let vec: Vec<T> = Vec::with_capacity(capacity);
    #[cfg(target_os = "linux")]
    {
        let start = (vec.as_ptr() as usize).next_multiple_of(4096);
        let end = (vec.as_ptr() as usize + vec.capacity() * size_of::<T>()) & !4095;
        if let Some(length) = end.checked_sub(start).filter(|length| *length > 0) {
            // SAFETY: whole pages within an allocation of ours; the advice leaves what is in them as it is. That it was
            // not taken is no failure.
            unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_HUGEPAGE) };
        }
    }
    vec
}
