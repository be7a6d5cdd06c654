//! How long a cache line takes from one CPU to another: what each of a frame's lines costs a loop that gets it from another
//! program's CPU, and no code can do anything about.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use wirebook::nic::cpu;
use wirebook::tsc;

use super::Trouble;

/// Times that the line goes there and back.
const TURNS: u64 = 200_000;

/// A counter in a line of its own, and in none of a pair that is fetched together.
#[repr(align(128))]
struct Counter(AtomicU64);

/// Half of the time that a line takes from CPU `hot` to `other` and back, ns: the median.
pub(crate) fn transfer(hot: usize, other: usize, hz: u64) -> Result<f64, Trouble> {
    let (there, back) = (Counter(AtomicU64::new(0)), Counter(AtomicU64::new(0)));
    let wait_for = |counter: &Counter, turn| {
        while counter.0.load(Ordering::Acquire) != turn {
            spin_loop();
        }
    };
    let mut ticks = thread::scope(|scope| {
        let answers = scope.spawn(|| {
            cpu::run_on(&[other])?;
            for turn in 1..=TURNS {
                wait_for(&there, turn);
                back.0.store(turn, Ordering::Release);
            }
            Ok::<(), std::io::Error>(())
        });
        let asks = scope.spawn(|| {
            cpu::run_on(&[hot])?;
            let mut ticks = Vec::with_capacity(TURNS as usize);
            for turn in 1..=TURNS {
                let began = tsc::now();
                there.0.store(turn, Ordering::Release);
                wait_for(&back, turn);
                ticks.push(tsc::now() - began);
            }
            Ok::<_, std::io::Error>(ticks)
        });
        let died = |_| "the probe of cache lines failed";
        answers.join().map_err(died)??;
        Ok::<_, Trouble>(asks.join().map_err(died)??)
    })?;
    ticks.sort_unstable();
    let median = ticks.get(ticks.len() / 2).copied().unwrap_or(0);
    Ok(median as f64 * 1e9 / hz as f64 / 2.0)
}
