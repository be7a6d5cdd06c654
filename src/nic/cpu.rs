//! On which CPUs a thread may run, asked of the kernel and told to it.
//!
//! For loops that EAL does not place. Numbers are the kernel's.
#![allow(unsafe_code, reason = "the kernel's CPU sets have no safe interface in std")]

use std::io;
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
}
