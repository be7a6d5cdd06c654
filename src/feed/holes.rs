//! What is missing between the messages handed on and the furthest that is known of: the holes, in rising order.

use std::collections::VecDeque;

use super::handover::Hole;

/// Holes, disjoint. Each ends where something held begins, so there are never more of them than held packets and marks.
#[derive(Debug)]
pub(super) struct Holes {
    ranges: VecDeque<Hole>,
    /// Sequence after the furthest that is held or announced; means nothing where it is below what was handed on.
    reach: u64,
}

impl Holes {
    /// Room for `capacity` holes.
    pub(super) fn new(capacity: usize) -> Self {
        Self { ranges: VecDeque::with_capacity(capacity), reach: 0 }
    }

    /// `first..end` is held now, or, where it is empty, announced; everything before `expected` was handed on.
    pub(super) fn held(&mut self, expected: u64, first: u64, end: u64) {
        let reach = self.reach.max(expected);
        if first > reach {
            self.ranges.push_back(Hole { first: reach, end: first });
        } else {
            self.fill(first, end);
        }
        self.reach = reach.max(end);
    }

    /// Takes `first..end` out of the holes.
    fn fill(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let mut place = self.ranges.partition_point(|hole| hole.end <= first);
        while let Some(hole) = self.ranges.get_mut(place)
            && hole.first < end
        {
            let right = Hole { first: end, end: hole.end };
            match (hole.first < first, end < hole.end) {
                (false, false) => {
                    self.ranges.remove(place);
                }
                (false, true) => {
                    *hole = right;
                    return;
                }
                (true, false) => {
                    hole.end = first;
                    place += 1;
                }
                (true, true) => {
                    hole.end = first;
                    self.ranges.insert(place + 1, right);
                    return;
                }
            }
        }
    }

    /// Everything before `expected` was handed on or given up.
    pub(super) fn trim(&mut self, expected: u64) {
        while let Some(hole) = self.ranges.front_mut() {
            if hole.end > expected {
                hole.first = hole.first.max(expected);
                return;
            }
            self.ranges.pop_front();
        }
    }

    /// True if any of `first..end` is missing.
    pub(super) fn touch(&self, first: u64, end: u64) -> bool {
        let place = self.ranges.partition_point(|hole| hole.end <= first);
        self.ranges.get(place).is_some_and(|hole| first < end && hole.first < end)
    }

    /// Sequence after the furthest that is known of.
    pub(super) const fn reach(&self) -> u64 {
        self.reach
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Hole> + '_ {
        self.ranges.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
        self.reach = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ranges(holes: &Holes) -> Vec<(u64, u64)> {
        holes.iter().map(|hole| (hole.first, hole.end)).collect()
    }

    #[test]
    fn packets_from_ahead_open_and_split_holes() {
        let mut holes = Holes::new(8);
        holes.held(10, 20, 30);
        holes.held(10, 30, 35);
        holes.held(10, 50, 50);
        assert_eq!((ranges(&holes), holes.reach()), (vec![(10, 20), (35, 50)], 50));
        // One in the middle, one over an edge, one over everything, and an announcement that says nothing new.
        holes.held(10, 13, 15);
        holes.held(10, 33, 40);
        holes.held(10, 45, 45);
        assert_eq!(ranges(&holes), [(10, 13), (15, 20), (40, 50)]);
        for (first, end, touches) in
            [(13, 15, false), (0, 10, false), (0, 11, true), (49, 90, true), (50, 90, false), (12, 12, false)]
        {
            assert_eq!(holes.touch(first, end), touches, "{first}..{end}");
        }
        holes.held(10, 12, 60);
        assert_eq!((ranges(&holes), holes.reach()), (vec![(10, 12)], 60));
        holes.trim(11);
        assert_eq!(ranges(&holes), [(11, 12)]);
        holes.trim(60);
        assert_eq!(ranges(&holes), []);
        // What was handed on meanwhile is no hole.
        holes.held(100, 110, 111);
        assert_eq!(ranges(&holes), [(100, 110)]);
        holes.clear();
        assert_eq!((ranges(&holes), holes.reach()), (vec![], 0));
    }

    #[test]
    fn they_are_what_a_set_of_sequences_says() {
        let mut seed = 88_172_645_463_325_252_u64;
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..2_000 {
            let mut holes = Holes::new(32);
            let (mut expected, mut reach, mut have) = (1, 1, BTreeSet::new());
            for _ in 0..30 {
                let first = expected + random(60);
                let end = first + random(12);
                holes.held(expected, first, end);
                have.extend(first..end);
                reach = end.max(reach);
                if random(4) == 0 {
                    expected = (expected + random(20)).min(reach);
                    holes.trim(expected);
                }
                let missing: Vec<u64> = (expected..reach).filter(|at| !have.contains(at)).collect();
                assert_eq!(holes.iter().flat_map(|hole| hole.first..hole.end).collect::<Vec<_>>(), missing);
                let (first, end) = (random(100), random(100));
                assert_eq!(holes.touch(first, end), missing.iter().any(|at| (first..end).contains(at)));
            }
        }
    }
}
