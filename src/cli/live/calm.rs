//! What is asked of the machine for the time of a run, so that the loop is not kept waiting: `[determinism]`.
//!
//! What is asked for and refused stops the start: somebody relies on it.

use std::{fs, io, thread};

use crate::config::Determinism;
use crate::memory;
use crate::nic::cpu::{self, Awake};

/// Held while it runs.
#[derive(Debug)]
pub(super) struct Calm {
    _awake: Option<Awake>,
}

/// How long threads of `SCHED_FIFO` may run of each period, us; -1: as long as they like.
const RUNTIME: &str = "/proc/sys/kernel/sched_rt_runtime_us";

impl Calm {
    /// Asks for everything that `wanted` names. What the loops' threads have to do themselves is only tried.
    ///
    /// # Errors
    /// What was refused, and what to do.
    pub(super) fn begin(wanted: &Determinism) -> Result<Self, String> {
        if let Some(priority) = wanted.fifo_priority {
            // In a thread that ends with it: this one must not spin before others.
            let tried = thread::spawn(move || cpu::run_first(priority)).join();
            let tried = tried.unwrap_or_else(|_| Err(io::Error::other("the thread that tried it ended")));
            tried.map_err(|why| {
                format!(
                    "determinism.fifo_priority = {priority} is refused: {why}\n  run as root, give the program \
                     CAP_SYS_NICE (setcap cap_sys_nice=ep FILE), raise ulimit -r, or leave the key out"
                )
            })?;
            warn_of_throttling();
        }
        if wanted.lock_memory {
            memory::lock_all().map_err(|why| {
                format!(
                    "determinism.lock_memory is refused: {why}\n  run as root, give the program CAP_IPC_LOCK (setcap \
                     cap_ipc_lock=ep FILE), raise ulimit -l, or set it to false"
                )
            })?;
        }
        let awake = wanted.cpu_dma_latency.map(|us| {
            Awake::within(us).map_err(|why| {
                format!(
                    "determinism.cpu_dma_latency_us = {us} is refused: /dev/cpu_dma_latency: {why}\n  run as root, make \
                     the file writable, or leave the key out; a machine whose CPUs never sleep needs none"
                )
            })
        });
        Ok(Self { _awake: awake.transpose()? })
    }
}

/// A loop that spins under `SCHED_FIFO` is stopped for the rest of each period, where the kernel has a limit.
fn warn_of_throttling() {
    let limit = fs::read_to_string(RUNTIME).ok().and_then(|text| text.trim().parse::<i64>().ok());
    if let Some(limit) = limit.filter(|limit| *limit >= 0) {
        tracing::warn!(
            "threads of SCHED_FIFO may run {limit} us of each period ({RUNTIME}): a loop that never sleeps is stopped for the \
             rest; echo -1 > {RUNTIME}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const REST: Determinism = Determinism {
        lock_memory: false,
        fifo_priority: None,
        cpu_dma_latency: None,
        rehearse: Duration::from_micros(10),
    };

    #[test]
    fn nothing_asked_for_is_nothing_done() {
        assert!(Calm::begin(&REST).is_ok());
    }

    #[test]
    fn a_refusal_names_the_key_and_the_way_out() {
        let wanted = Determinism { fifo_priority: Some(100), ..REST };
        let why = Calm::begin(&wanted).unwrap_err();
        assert!(why.contains("determinism.fifo_priority = 100") && why.contains("CAP_SYS_NICE"), "{why}");
    }
}
