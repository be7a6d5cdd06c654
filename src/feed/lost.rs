//! What was declared lost and is still of interest: to tell a late packet from a duplicate, and for recovery to ask.

use std::collections::VecDeque;
use std::ops::Range;

/// Ranges in rising order, at most `capacity` of them; the oldest is forgotten first.
#[derive(Debug)]
pub(super) struct Lost {
    ranges: VecDeque<Range<u64>>,
    capacity: usize,
    /// End of the last range, 0 if there is none: what begins there or later was never lost.
    end: u64,
}

impl Lost {
    pub(super) fn new(capacity: usize) -> Self {
        Self { ranges: VecDeque::with_capacity(capacity), capacity, end: 0 }
    }

    /// Adds a range that begins at or after the end of the last; true if an older one had to be forgotten for it.
    pub(super) fn add(&mut self, range: Range<u64>) -> bool {
        self.end = range.end;
        if let Some(last) = self.ranges.back_mut()
            && last.end == range.start
        {
            last.end = range.end;
            return false;
        }
        let full = self.ranges.len() >= self.capacity;
        if full {
            self.ranges.pop_front();
        }
        self.ranges.push_back(range);
        full
    }

    /// True if any of `first..end` is among the ranges.
    #[inline]
    pub(super) fn touches(&self, first: u64, end: u64) -> bool {
        first < self.end && self.search(first, end)
    }

    #[cold]
    fn search(&self, first: u64, end: u64) -> bool {
        let place = self.ranges.partition_point(|range| range.end <= first);
        self.ranges.get(place).is_some_and(|range| range.start < end)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
        self.end = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_remembers_and_forgets_the_oldest() {
        let mut lost = Lost::new(2);
        assert!(!lost.touches(0, u64::MAX));
        assert!(!lost.add(10..20));
        assert!(!lost.add(20..25));
        assert!(!lost.add(30..40));
        assert_eq!(lost.iter().collect::<Vec<_>>(), [10..25, 30..40]);
        for (first, end, touches) in
            [(0, 10, false), (0, 11, true), (24, 25, true), (25, 30, false), (29, 31, true), (40, 50, false)]
        {
            assert_eq!(lost.touches(first, end), touches, "{first}..{end}");
        }
        assert!(lost.add(50..60));
        assert!(!lost.touches(10, 25));
        assert!(lost.touches(50, 51));
        lost.clear();
        assert!(!lost.touches(50, 51));
    }
}
