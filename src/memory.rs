//! Memory that is there before the first packet.
//!
//! A vector is reserved at once and every page of it written, so that no page fault is left for later. Vectors of 2 MiB and
//! more are put on pages of 2 MiB where the system gives them (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`
//! or `always`): a random access then misses the cache but hardly ever the TLB as well.
#![allow(unsafe_code, reason = "one call to the kernel about memory that is reserved and not yet used")]

use std::collections::TryReserveError;

/// Bytes of a huge page.
pub const HUGE_PAGE: usize = 2 << 20;

/// A vector of exactly `len` copies of `value`, every page of which has been written.
///
/// # Errors
/// The system does not give that much memory.
pub fn touched<T: Clone>(len: usize, value: T) -> Result<Vec<T>, TryReserveError> {
    let mut all = Vec::new();
    all.try_reserve_exact(len)?;
    ask_for_huge_pages(all.as_ptr() as usize, len * size_of::<T>());
    // Written one by one into reserved memory: `vec![0; n]` would leave zero pages to the kernel until first use.
    all.resize(len, value);
    Ok(all)
}

/// Has the kernel put what lies between `start` and `start + len` on huge pages when it is first written.
fn ask_for_huge_pages(start: usize, len: usize) {
    let first = start.next_multiple_of(HUGE_PAGE);
    let end = (start + len) / HUGE_PAGE * HUGE_PAGE;
    if first < end && !cfg!(miri) {
        // SAFETY: the range lies inside memory that the caller has just been given. The advice changes only how the kernel
        // backs it; where it is refused (no such kernel, or switched off), small pages serve as well.
        unsafe {
            libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE);
        }
    }
}
