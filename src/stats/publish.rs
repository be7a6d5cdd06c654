//! Counters from the lcore that owns them to whoever shows them: a sequence lock over atomics.
//!
//! One [`Publisher`] stores a whole set of values, now and then, without ever waiting. Any number of [`Reader`]s copy
//! the set; a copy is consistent (all values from one [`Publisher::publish`]) or refused. Readers write nothing, so they cost the
//! publisher no more than the cache lines that they look at.
//!
//! The values are `AtomicU64`s and not plain memory, so a reader that overlaps a store reads an old or a new value,
//! never undefined behaviour; the version around them tells it that the set is mixed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// How often [`Reader::read`] tries again before it gives up. A publisher stores for tens of ns, some thousand times a
/// second: two tries in a row that both overlap are rare, this many mean that the publisher was descheduled half way.
const TRIES: usize = 64;

/// The shared set. The version stands on cache lines of its own, away from whatever the allocator puts beside it.
#[derive(Debug)]
#[repr(align(128))]
struct Shared {
    /// Even: the set is whole. Odd: it is being stored. Half of it = number of sets published.
    version: AtomicU64,
    values: Box<[AtomicU64]>,
}

/// The publisher had not finished its set after all tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counters were being stored during every one of {TRIES} tries to read them")]
pub struct Busy;

/// A set of `len` counters, all 0, with its one publisher and a first reader.
#[must_use]
pub fn counters(len: usize) -> (Publisher, Reader) {
    let values = std::iter::repeat_with(|| AtomicU64::new(0)).take(len).collect();
    let shared = Arc::new(Shared { version: AtomicU64::new(0), values });
    (Publisher { shared: Arc::clone(&shared) }, Reader { shared })
}

/// The writing side, owned by one lcore. Not `Clone`: a second writer would break the lock.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
}

impl Publisher {
    /// Stores `values` as one set. Wait-free, no allocation.
    ///
    /// Values beyond the length of the set are ignored; counters for which no value comes keep their last one.
    pub fn publish(&mut self, values: impl IntoIterator<Item = u64>) {
        let shared = &*self.shared;
        // Only this publisher stores the version, and `&mut self` makes it the only one here.
        let version = shared.version.load(Ordering::Relaxed);
        shared.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // SYNC POINT: pairs with the acquire fence in `Reader::try_read`. A reader that saw any value stored below
        // then also sees the odd version stored above.
        fence(Ordering::Release);
        for (cell, value) in shared.values.iter().zip(values) {
            cell.store(value, Ordering::Relaxed);
        }
        // SYNC POINT: pairs with the acquire load in `Reader::try_read`. A reader that saw this version sees every
        // value stored above.
        shared.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

/// A reading side. Clone it for each thread that reads.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// Number of counters in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.values.len()
    }

    /// True for a set without counters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.values.is_empty()
    }

    /// Copies the newest whole set into `into` (as much of it as fits) and returns how many sets were published before
    /// and with it; 0 = none yet, all counters are 0.
    ///
    /// # Errors
    /// [`Busy`] if every try met the publisher storing; `into` then holds nothing of use.
    pub fn read(&self, into: &mut [u64]) -> Result<u64, Busy> {
        for _ in 0..TRIES {
            if let Some(version) = self.try_read(into) {
                return Ok(version / 2);
            }
            std::hint::spin_loop();
        }
        Err(Busy)
    }

    fn try_read(&self, into: &mut [u64]) -> Option<u64> {
        // SYNC POINT: pairs with the release store at the end of `Publisher::publish`.
        let before = self.shared.version.load(Ordering::Acquire);
        if before % 2 == 1 {
            return None;
        }
        for (value, cell) in into.iter_mut().zip(&self.shared.values) {
            *value = cell.load(Ordering::Relaxed);
        }
        // SYNC POINT: pairs with the release fence in `Publisher::publish`: the version is read after the values.
        fence(Ordering::Acquire);
        let after = self.shared.version.load(Ordering::Relaxed);
        (before == after).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let (mut publisher, reader) = counters(3);
        let mut seen = [9; 3];
        assert_eq!(reader.read(&mut seen), Ok(0));
        assert_eq!(seen, [0; 3]);
        publisher.publish([1, 2, 3]);
        publisher.publish([4, 5, 6]);
        assert_eq!(reader.read(&mut seen), Ok(2));
        assert_eq!(seen, [4, 5, 6]);
    }

    #[test]
    fn lengths_that_differ_are_harmless() {
        let (mut publisher, reader) = counters(2);
        publisher.publish([1, 2, 3]);
        publisher.publish([7]);
        let (mut less, mut more) = ([0; 1], [5; 3]);
        assert_eq!(reader.read(&mut less), Ok(2));
        assert_eq!(reader.read(&mut more), Ok(2));
        assert_eq!((less, more), ([7], [7, 2, 5]));
        assert_eq!((reader.len(), reader.is_empty()), (2, false));
    }

    #[test]
    fn a_store_cut_short_is_refused() {
        let (publisher, reader) = counters(1);
        publisher.shared.version.store(3, Ordering::Relaxed);
        assert_eq!(reader.read(&mut [0]), Err(Busy));
    }

    /// Every set holds one number in all places, so a mixed set shows. The publisher goes on until the readers have had
    /// enough, and they until it has published meanwhile, so that they really meet.
    #[test]
    fn no_reader_sees_a_mixed_set() {
        const READS: u64 = if cfg!(miri) { 50 } else { 200_000 };
        const LEN: usize = 24;
        let (mut publisher, reader) = counters(LEN);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let reader = reader.clone();
                std::thread::spawn(move || {
                    let (mut set, mut last, mut whole) = ([0; LEN], 0, 0);
                    // The publisher may be off its CPU for as long as all reads take.
                    while whole < READS || last == 0 {
                        let Ok(count) = reader.read(&mut set) else { continue };
                        assert!(set.iter().all(|value| *value == count), "mixed at {count}: {set:?}");
                        assert!(count >= last, "went back from {last} to {count}");
                        last = count;
                        whole += 1;
                    }
                    last
                })
            })
            .collect();
        let mut set = 0;
        while readers.iter().any(|reader| !reader.is_finished()) {
            set += 1;
            publisher.publish(std::iter::repeat_n(set, LEN));
        }
        for reader in readers {
            assert!((1..=set).contains(&reader.join().unwrap()));
        }
    }
}
