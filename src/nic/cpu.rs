//! On which CPUs a thread may run, before whom, and how deep they may sleep: asked of the kernel and told to it.
//!
//! Numbers of CPUs are the kernel's.
#![allow(unsafe_code, reason = "the kernel's CPU sets have no safe interface in std")]

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;

/// The CPUs that the calling thread may run on, rising.
///
/// # Errors
/// The kernel does not tell: it has more CPUs than the set has room for (1,024).
pub fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: a plain set of bits; zero is the empty one.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: 0 is the calling thread; the kernel writes at most the stated size.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the numbers are below the size of the set.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Lets the calling thread, and those that it starts from now on, run on `cpus` only.
///
/// # Errors
/// None of them exists, or none is allowed to this process (cgroup).
pub fn run_on(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: as above.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: below the size of the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: 0 is the calling thread; the kernel reads the stated size.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has the calling thread run before every thread that has no priority of its own (`SCHED_FIFO`), `priority` from 1 to 99. A
/// thread that spins under it is taken off its CPU only by higher ones and by the kernel's limit for such threads
/// (`/proc/sys/kernel/sched_rt_runtime_us`).
///
/// # Errors
/// The process may not (it takes `CAP_SYS_NICE` or an `RLIMIT_RTPRIO` as high), or the priority is out of range.
pub fn run_first(priority: u8) -> io::Result<()> {
    // SAFETY: a plain structure of numbers; zero is valid.
    let mut with: libc::sched_param = unsafe { mem::zeroed() };
    with.sched_priority = libc::c_int::from(priority);
    // SAFETY: 0 is the calling thread; the kernel reads the structure.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const with) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Keeps all CPUs from sleeping deeper than they can wake from in time, until it is dropped.
#[derive(Debug)]
pub struct Awake {
    _held: File,
}

impl Awake {
    /// Within `us` microseconds; 0: they only spin. See the kernel's `Documentation/power/pm_qos_interface.rst`.
    ///
    /// # Errors
    /// `/dev/cpu_dma_latency` cannot be written, or is not there.
    pub fn within(us: u32) -> io::Result<Self> {
        let mut file = File::options().write(true).open("/dev/cpu_dma_latency")?;
        file.write_all(&us.to_ne_bytes())?;
        Ok(Self { _held: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_is_put() {
        // In a thread of its own: the others keep their CPUs.
        std::thread::spawn(|| {
            let all = allowed().unwrap();
            let last = *all.last().unwrap();
            run_on(&[last]).unwrap();
            assert_eq!(allowed().unwrap(), [last]);
            assert!(run_on(&[]).is_err());
            assert!(run_on(&[usize::MAX]).is_err());
            assert_eq!(allowed().unwrap(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_priority_out_of_range_is_refused() {
        assert_eq!(run_first(100).map_err(|why| why.raw_os_error()), Err(Some(libc::EINVAL)));
    }
}
