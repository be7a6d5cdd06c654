// Written into the copy by tests/canaries.
#![allow(unsafe_code, reason = "reads an environment variable without an allocation")]

use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

const UNREAD: u32 = u32::MAX;

static CHOSEN: AtomicU32 = AtomicU32::new(UNREAD);

/// Is canary `number` the one that was chosen?
#[inline]
pub(crate) fn is(number: u32) -> bool {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    number == if chosen == UNREAD { read() } else { chosen }
}

/// Some judges count allocations, so `std::env` will not do.
#[cold]
fn read() -> u32 {
    // SAFETY: the name ends in zero, and no judge changes its environment.
    let value = unsafe { libc::getenv(c"WIREBOOK_CANARY".as_ptr()) };
    let chosen = if value.is_null() {
        0
    } else {
        // SAFETY: what getenv returns ends in zero.
        let value = unsafe { CStr::from_ptr(value) };
        value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    CHOSEN.store(chosen, Ordering::Relaxed);
    chosen
}
