//! `CLOCK_MONOTONIC_RAW`, which the standard library does not offer.
#![allow(unsafe_code, reason = "clock_gettime is C and has no safe equivalent for the raw clock in std")]

/// Nanoseconds of the hardware's own monotonic clock, not slewed by NTP; `None` if the kernel refuses.
pub(super) fn monotonic_raw_ns() -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec through a pointer to a live, writable one.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut time) };
    if result != 0 {
        return None;
    }
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u64::try_from(time.tv_nsec).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}
