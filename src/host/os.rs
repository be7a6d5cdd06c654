//! The few questions to the operating system that the standard library has no words for.
#![allow(unsafe_code, reason = "access, fcntl and flock have no safe equivalent in std")]

use std::{ffi::CString, fs::File, os::fd::AsRawFd, os::unix::ffi::OsStrExt, path::Path};

/// True where the process runs as root.
pub(super) fn is_root() -> bool {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// True where this user may write to `path`.
pub(super) fn is_writable(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a terminated string that outlives the call; only reads.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

/// The process that holds a lock on any part of `file` which would refuse a write lock.
pub(super) fn write_lock_holder(file: &File) -> Option<i32> {
    // SAFETY: a plain C struct of integers; all zero is a valid value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // From the beginning (start 0) to the end (len 0).
    (lock.l_type, lock.l_whence) = (libc::F_WRLCK as _, libc::SEEK_SET as _);
    // SAFETY: the descriptor is open for the whole call and `lock` is a valid flock to read and write.
    let rc = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) };
    (rc == 0 && i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid)
}

/// True where a process has locked this whole file by `flock`.
pub(super) fn is_flocked(file: &File) -> bool {
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open for the whole call.
    if unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return true;
    }
    // SAFETY: as above; gives back what the line above took.
    unsafe { libc::flock(fd, libc::LOCK_UN) };
    false
}
