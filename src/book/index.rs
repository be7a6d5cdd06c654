//! From order reference to the segment that the order is in.
//!
//! A table of buckets of one cache line: seven places with the tag of a reference and the handle of a segment each, and the
//! number of orders that found no place here and are further on. The tag is 32 bits made from the reference; proof is the
//! reference itself, in the segment, which has to be fetched anyway.
//!
//! References of new orders follow each other closely on most days, and so do their buckets: four references that
//! follow each other share a bucket, and the next four have the next, up to about eight million references. Beyond that
//! ([`Index::home`]) the bits above are mixed in, so that no pattern of references, such as one that wraps around a
//! window again and again, makes one bucket fuller than chance would. At most four of seven places are in use on average;
//! nothing moves when an order leaves, and nothing is left behind.

use std::collections::TryReserveError;

use super::pool::{Handle, Pool, touched};
use super::segment::Segment;
use super::vectors::{Portable, Vectors};

/// Most orders that an index can be made for.
pub(super) const MAX_ORDERS: u32 = (1 << 31) - 1;

/// Places of a bucket.
const PLACES: usize = 7;

/// Lanes that are places.
const PLACE_LANES: u32 = (1 << PLACES) - 1;

/// Orders for each bucket where the limit of orders is reached.
const LOAD: u32 = 4;

/// References that share a bucket, as a power of two.
const TOGETHER: u32 = 2;

/// Bits of the reference that choose a bucket as they are: what is above is mixed in.
const PLAIN: u32 = 21;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// 0 where the place is free. The last lane counts the orders that passed by.
    tags: [u32; PLACES + 1],
    /// The last lane is not used.
    segments: [u32; PLACES + 1],
}

const EMPTY: Bucket = Bucket { tags: [0; PLACES + 1], segments: [u32::MAX; PLACES + 1] };

impl Bucket {
    const fn passed(&self) -> u32 {
        self.tags[PLACES]
    }
}

/// A place for an order or of one: the bucket and the lane. Void after any change to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    #[inline(always)]
    const fn new(bucket: usize, lane: u32) -> Self {
        Self((bucket as u32) << 3 | lane)
    }

    #[inline(always)]
    const fn bucket(self) -> usize {
        (self.0 >> 3) as usize
    }

    #[inline(always)]
    const fn lane(self) -> usize {
        (self.0 & 7) as usize
    }
}

/// Where a live order is, or where one can be entered. Two numbers, which a call returns in registers: written to memory in
/// parts and read back whole, they would be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The segment, nil where there is no such order, and in the upper half the place in it.
    here: u64,
    pub(super) place: Place,
}

impl Found {
    #[inline(always)]
    const fn live(place: Place, segment: Handle<Segment>, at: usize) -> Self {
        Self { here: (at as u64) << 32 | segment.raw() as u64, place }
    }

    #[inline(always)]
    const fn vacant(bucket: usize, lane: u32) -> Self {
        Self { here: Handle::<Segment>::NIL.raw() as u64, place: Place::new(bucket, lane) }
    }

    /// There is such an order.
    #[inline(always)]
    pub(super) const fn is_live(&self) -> bool {
        !self.segment().is_nil()
    }

    /// Nil where there is no such order.
    #[inline(always)]
    pub(super) const fn segment(&self) -> Handle<Segment> {
        Handle::from_raw(self.here as u32)
    }

    /// In the segment.
    #[inline(always)]
    pub(super) const fn at(&self) -> usize {
        (self.here >> 32) as usize
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
    /// One less than their number, a power of two.
    mask: usize,
}

/// The tag of a reference, never 0.
#[inline(always)]
const fn tag(order_ref: u64) -> u32 {
    let low = order_ref as u32;
    if low == 0 { 1 } else { low }
}

impl Index {
    /// For `orders` live orders at most.
    pub(super) fn new(orders: u32) -> Result<Self, TryReserveError> {
        let buckets = Self::buckets(orders);
        Ok(Self { buckets: touched(buckets, EMPTY)?, mask: buckets - 1 })
    }

    const fn buckets(orders: u32) -> usize {
        (orders as usize).div_ceil(LOAD as usize).next_power_of_two()
    }

    /// Bytes for `orders` live orders.
    pub(super) const fn memory_bytes(orders: u32) -> usize {
        Self::buckets(orders) * size_of::<Bucket>()
    }

    /// The bucket where an order belongs.
    #[inline(always)]
    fn home(&self, order_ref: u64) -> usize {
        let near = order_ref >> TOGETHER;
        // The upper half of the product, in which every bit of what is above has weight.
        let far = (near >> PLAIN).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        near.wrapping_add(far) as usize & self.mask
    }

    /// Asks for the line where an order belongs before it is needed.
    #[inline(always)]
    pub(super) fn prefetch(&self, order_ref: u64) {
        crate::prefetch::line(self.buckets.as_ptr().wrapping_add(self.home(order_ref)));
    }

    /// The segment that the order is most likely in, without proof; nil where it is certainly not in the bucket where it
    /// belongs.
    #[inline(always)]
    pub(super) fn hint<V: Vectors>(&self, order_ref: u64) -> Handle<Segment> {
        let bucket = &self.buckets[self.home(order_ref)];
        let fits = V::equal_u32x8(&bucket.tags, tag(order_ref)) & PLACE_LANES;
        // No lane: the last one, which is not used and nil.
        Handle::from_raw(bucket.segments[(fits | 1 << PLACES).trailing_zeros() as usize])
    }

    /// The live order that carries `order_ref`, or a place for it.
    #[inline(always)]
    pub(super) fn find<V: Vectors>(&self, segments: &Pool<Segment>, order_ref: u64) -> Found {
        let home = self.home(order_ref);
        let bucket = &self.buckets[home];
        let fits = V::equal_u32x8(&bucket.tags, tag(order_ref)) & PLACE_LANES;
        if fits != 0 {
            let lane = fits.trailing_zeros();
            let segment = Handle::from_raw(bucket.segments[lane as usize & 7]);
            if let Some(at) = segments[segment].find::<V>(order_ref) {
                return Found::live(Place::new(home, lane), segment, at);
            }
        } else {
            let free = V::equal_u32x8(&bucket.tags, 0) & PLACE_LANES;
            if bucket.passed() == 0 && free != 0 {
                return Found::vacant(home, free.trailing_zeros());
            }
        }
        self.find_further(segments, order_ref)
    }

    /// The same for references that share their tag, or are not where they belong.
    #[inline(never)]
    fn find_further(&self, segments: &Pool<Segment>, order_ref: u64) -> Found {
        let mut vacant = None;
        let mut at = self.home(order_ref);
        loop {
            let bucket = &self.buckets[at];
            let mut fits = Portable::equal_u32x8(&bucket.tags, tag(order_ref)) & PLACE_LANES;
            while fits != 0 {
                let lane = fits.trailing_zeros();
                let segment = Handle::from_raw(bucket.segments[lane as usize & 7]);
                if let Some(in_segment) = segments[segment].find::<Portable>(order_ref) {
                    return Found::live(Place::new(at, lane), segment, in_segment);
                }
                fits &= fits - 1;
            }
            let free = Portable::equal_u32x8(&bucket.tags, 0) & PLACE_LANES;
            if vacant.is_none() && free != 0 {
                vacant = Some(Found::vacant(at, free.trailing_zeros()));
            }
            // There is a place somewhere: four of seven are in use at the most.
            if let Some(vacant) = vacant
                && bucket.passed() == 0
            {
                return vacant;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Enters an order at the place that [`Self::find`] gave for it.
    #[inline(always)]
    pub(super) fn insert(&mut self, order_ref: u64, place: Place, segment: Handle<Segment>) {
        let bucket = &mut self.buckets[place.bucket()];
        bucket.tags[place.lane()] = tag(order_ref);
        bucket.segments[place.lane()] = segment.raw();
        let home = self.home(order_ref);
        if home != place.bucket() {
            self.pass(home, place.bucket(), 1);
        }
    }

    /// Takes an order out of the place where [`Self::find`] found it.
    #[inline(always)]
    pub(super) fn remove(&mut self, order_ref: u64, place: Place) {
        self.buckets[place.bucket()].tags[place.lane()] = 0;
        let home = self.home(order_ref);
        if home != place.bucket() {
            self.pass(home, place.bucket(), u32::MAX);
        }
    }

    /// Notes that one order more, or one less (`u32::MAX`), that belongs into `home` is in `at`.
    #[inline(never)]
    fn pass(&mut self, home: usize, at: usize, more: u32) {
        let mut here = home;
        while here != at {
            let passed = &mut self.buckets[here].tags[PLACES];
            *passed = passed.wrapping_add(more);
            here = (here + 1) & self.mask;
        }
    }

    /// Forgets all orders.
    pub(super) fn clear(&mut self) {
        self.buckets.fill(EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::market::{Price, Side};

    /// An index beside a map, every order in a segment of its own.
    struct Checked {
        index: Index,
        segments: Pool<Segment>,
        model: BTreeMap<u64, Handle<Segment>>,
    }

    impl Checked {
        fn new(orders: u32) -> Self {
            Self {
                index: Index::new(orders).unwrap(),
                segments: Pool::new(orders).unwrap(),
                model: BTreeMap::new(),
            }
        }

        fn find(&self, order_ref: u64) -> Found {
            self.index.find::<Portable>(&self.segments, order_ref)
        }

        fn insert(&mut self, order_ref: u64) {
            let found = self.find(order_ref);
            assert!(!found.is_live());
            let segment = Segment::new((1, Side::Buy), Price(1), order_ref, 1);
            let segment = self.segments.take(segment).unwrap();
            self.index.insert(order_ref, found.place, segment);
            self.model.insert(order_ref, segment);
        }

        fn remove(&mut self, order_ref: u64) {
            let found = self.find(order_ref);
            assert_eq!(Some(found.segment()), self.model.remove(&order_ref));
            self.index.remove(order_ref, found.place);
            self.segments.give(found.segment());
            assert!(!self.find(order_ref).is_live());
        }

        fn check(&self) {
            for (order_ref, segment) in &self.model {
                assert_eq!(self.find(*order_ref).segment(), *segment, "{order_ref}");
            }
        }

        /// Nothing is left of what has gone.
        fn is_as_new(&self) -> bool {
            self.index.buckets.iter().all(|bucket| bucket.tags == [0; PLACES + 1])
        }
    }

    #[test]
    fn agrees_with_a_map_when_all_belong_into_few_buckets() {
        let mut checked = Checked::new(64);
        let first = checked.index.home(0);
        // As many as the limit, all of them of two buckets, one behind the other; some share their tag.
        let near = |order_ref: &u64| checked.index.home(*order_ref).wrapping_sub(first) <= 1;
        let refs: Vec<u64> = (0..64 << 32).step_by(1 << 32).chain(1..100_000).filter(near).take(64).collect();
        assert_eq!(refs.len(), 64);
        for round in 0..3 {
            for order_ref in &refs {
                checked.insert(*order_ref);
            }
            checked.check();
            for at in 0..refs.len() {
                // From the front, from the back, from all over.
                checked.remove(refs[[at, refs.len() - 1 - at, at * 29 % refs.len()][round]]);
                checked.check();
            }
            assert!(checked.is_as_new());
        }
    }

    #[test]
    fn agrees_with_a_map_on_scattered_references() {
        let mut checked = Checked::new(40);
        let mut state = 1_u64;
        for step in 0..if cfg!(miri) { 500 } else { 20_000_u64 } {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
            // Few different values, so that references come back.
            let order_ref = (state >> 40) % 97 * 0x0001_0001_0000_0401;
            if checked.model.contains_key(&order_ref) {
                checked.remove(order_ref);
            } else if checked.model.len() < 40 {
                checked.insert(order_ref);
            }
            if step % 16 == 0 {
                checked.check();
            }
        }
        checked.index.clear();
        assert!(checked.is_as_new());
    }
}
