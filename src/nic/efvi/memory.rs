//! Memory that a NIC reads and writes: mapped, touched, never copied by a fork.
#![allow(unsafe_code, reason = "mmap")]

use std::io;
use std::ptr::{self, NonNull};

use super::BUFFER;

/// Size of the huge pages that are tried first: fewer entries in the NIC's buffer table, and in the TLB.
const HUGE: usize = 2 << 20;

/// Buffers of [`BUFFER`] bytes in one piece, page-aligned.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    len: usize,
    buffers: usize,
}

// SAFETY: owns its mapping, and nothing of it belongs to a thread.
unsafe impl Send for Memory {}

impl Memory {
    /// Maps at least `buffers` of them, in huge pages where there are some. Every byte has a value.
    ///
    /// # Errors
    /// The kernel has no memory to give.
    pub fn new(buffers: usize) -> io::Result<Self> {
        let len = (buffers.max(1) * BUFFER).next_multiple_of(HUGE);
        let base = match map(len, libc::MAP_HUGETLB) {
            Ok(base) => base,
            Err(_) => map(len, 0)?,
        };
        // A child's copy-on-write would move our pages away from under the NIC.
        // SAFETY: the mapping was just made, with that length.
        if unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_DONTFORK) } != 0 {
            let why = io::Error::last_os_error();
            drop(Self { base, len, buffers });
            return Err(why);
        }
        Ok(Self { base, len, buffers })
    }

    /// Number of buffers.
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.buffers
    }

    /// The first byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes mapped: whole pages.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.len
    }
}

fn map(len: usize, flags: i32) -> io::Result<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE | flags;
    // SAFETY: a new mapping wherever the kernel likes; the result is checked before use.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or_else(|| io::Error::other("the kernel mapped the zero page"))
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, once; whoever used it held it.
        let _ = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
