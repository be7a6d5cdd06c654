//! Memory that is there before the first packet.
//!
//! A vector is reserved at once and every page of it written, so that no page fault is left for later. Vectors of 2 MiB and
//! more are put on pages of 2 MiB where the system gives them (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`
//! or `always`): a random access then misses the cache but hardly ever the TLB as well.
#![allow(unsafe_code, reason = "calls to the kernel about memory")]

use std::collections::TryReserveError;
use std::{fs, io};

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

/// Keeps all memory of the process where it is, that which it has and that which it takes from now on: nothing is swapped out,
/// and nothing is first touched in the loop.
///
/// # Errors
/// The process may not lock so much (`CAP_IPC_LOCK`, or `RLIMIT_MEMLOCK`), or there is not so much.
pub fn lock_all() -> io::Result<()> {
    // SAFETY: two flags; the call changes nothing that the program sees.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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

/// Bytes of this process that are on 2 MiB pages, those that were reserved for DPDK not counted. `None` where the kernel does
/// not tell (`/proc/self/smaps_rollup`, Linux 4.14).
#[must_use]
pub fn on_huge_pages() -> Option<u64> {
    huge_bytes(&fs::read_to_string("/proc/self/smaps_rollup").ok()?)
}

/// The line `AnonHugePages: <n> kB`.
fn huge_bytes(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Why memory may be on small pages, and what to do about it, by what the system says of huge ones.
#[must_use]
pub fn remedy_for_small_pages() -> &'static str {
    const SWITCH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    match fs::read_to_string(SWITCH) {
        Ok(modes) if !modes.contains("[never]") => {
            "memory is short or in pieces: echo 1 > /proc/sys/vm/compact_memory before the start"
        }
        Ok(_) => "they are switched off: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        Err(_) => "this kernel has no transparent huge pages",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_huge_pages_is_found_and_nothing_else_believed() {
        let text = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 5 kB\nAnonHugePages:    6144 kB\nShmemPmdMapped: 0 kB\n";
        assert_eq!(huge_bytes(text), Some(6144 * 1024));
        for end in 0..text.find("kB\nShmem").unwrap() {
            assert_eq!(huge_bytes(&text[..end]), None, "{end}");
        }
        for wrong in [
            "AnonHugePages: kB",
            "AnonHugePages: -1 kB",
            "AnonHugePages: 18446744073709551615 kB",
            "AnonHugePages: 1 MB",
        ] {
            assert_eq!(huge_bytes(wrong), None, "{wrong}");
        }
    }
}
