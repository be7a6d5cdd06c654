//! The heap: on 2 MiB pages, taken and written before the first contestant runs, and never given back.
//!
//! One allocator serves every contestant, so all of them get the same pages. glibc (2.35 or newer) is told by its tunables
//! to ask the kernel for huge pages (`madvise`), to take everything from one heap and to keep what is freed. Tunables are read
//! when a program starts, so the program starts itself again with them.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::machine::{field_kib, read};

/// The variable that glibc reads.
pub const TUNABLES: &str = "GLIBC_TUNABLES";

/// 2 MiB pages; one heap, kept.
const ONE_HEAP: &str = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=0x7fffffffffff:\
                        glibc.malloc.top_pad=0x4000000";

/// 2 MiB pages only, for a process whose memory is measured.
pub const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1";

/// Starts the program again with the tunables, unless that was done, or somebody set some.
///
/// # Errors
/// It cannot be started again.
pub fn start_on_one_heap() -> io::Result<()> {
    if env::var_os(TUNABLES).is_some() {
        return Ok(());
    }
    Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(TUNABLES, ONE_HEAP).exec())
}

/// Takes and writes so many bytes of the heap and gives them back to the allocator, which keeps them.
pub fn populate(bytes: usize) {
    // Asks for huge pages itself: glibc's own asking did not reach the heap on every kernel.
    std::hint::black_box(&mut wirebook::memory::touched(bytes, 1_u8));
}

/// What this process has in memory.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// Bytes in memory, reserved huge pages included.
    pub bytes: u64,
    /// Of these, bytes on 2 MiB pages.
    pub huge: u64,
}

/// What this process has in memory now.
///
/// # Errors
/// `/proc` cannot be read.
pub fn resident() -> io::Result<Resident> {
    let rollup = read("/proc/self/smaps_rollup")?;
    let kib = |name| field_kib(&rollup, name).unwrap_or(0) * 1024;
    let reserved = kib("Private_Hugetlb") + kib("Shared_Hugetlb");
    Ok(Resident { bytes: kib("Rss") + reserved, huge: kib("AnonHugePages") + reserved })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_resident() {
        let before = resident().unwrap().bytes;
        let mut held = vec![0_u8; 64 << 20];
        held.fill(1);
        std::hint::black_box(&mut held);
        let after = resident().unwrap().bytes;
        assert!(after >= before + (60 << 20), "{before} {after}");
    }
}
