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

/// A place for an order or of one. Void after any change to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    bucket: u32,
    lane: u32,
}

/// Where a live order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) segment: Handle<Segment>,
    /// In the segment.
    pub(super) at: usize,
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
    let folded = (order_ref ^ order_ref >> 32) as u32;
    if folded == 0 { 1 } else { folded }
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
        // Both halves of the product, so that no bit of the reference is without weight.
        let product = u128::from(near >> PLAIN) * 0x9E37_79B9_7F4A_7C15_u128;
        let far = (product >> 64) as u64 ^ product as u64;
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
    pub(super) fn find<V: Vectors>(
        &self,
        segments: &Pool<Segment>,
        order_ref: u64,
    ) -> Result<Found, Place> {
        let home = self.home(order_ref);
        let bucket = &self.buckets[home];
        let mut fits = V::equal_u32x8(&bucket.tags, tag(order_ref)) & PLACE_LANES;
        while fits != 0 {
            let lane = fits.trailing_zeros();
            let segment = Handle::from_raw(bucket.segments[lane as usize & 7]);
            if let Some(at) = segments[segment].find::<V>(order_ref) {
                return Ok(Found { place: Place { bucket: home as u32, lane }, segment, at });
            }
            fits &= fits - 1;
        }
        let free = V::equal_u32x8(&bucket.tags, 0) & PLACE_LANES;
        if bucket.passed() == 0 && free != 0 {
            return Err(Place { bucket: home as u32, lane: free.trailing_zeros() });
        }
        self.find_on(segments, order_ref, home, free)
    }

    /// The same in the buckets behind the one where the order belongs, which has `free` places.
    #[inline(never)]
    fn find_on(
        &self,
        segments: &Pool<Segment>,
        order_ref: u64,
        home: usize,
        free: u32,
    ) -> Result<Found, Place> {
        let mut vacant = (free != 0).then(|| Place { bucket: home as u32, lane: free.trailing_zeros() });
        let mut at = home;
        while self.buckets[at].passed() != 0 || vacant.is_none() {
            at = (at + 1) & self.mask;
            let bucket = &self.buckets[at];
            let mut fits = Portable::equal_u32x8(&bucket.tags, tag(order_ref)) & PLACE_LANES;
            while fits != 0 {
                let lane = fits.trailing_zeros();
                let segment = Handle::from_raw(bucket.segments[lane as usize & 7]);
                if let Some(in_segment) = segments[segment].find::<Portable>(order_ref) {
                    return Ok(Found { place: Place { bucket: at as u32, lane }, segment, at: in_segment });
                }
                fits &= fits - 1;
            }
            let free = Portable::equal_u32x8(&bucket.tags, 0) & PLACE_LANES;
            if vacant.is_none() && free != 0 {
                vacant = Some(Place { bucket: at as u32, lane: free.trailing_zeros() });
            }
        }
        match vacant {
            Some(place) => Err(place),
            // Not reached: the loop ends with a place only, and four of seven are in use at the most.
            None => Err(Place { bucket: home as u32, lane: 0 }),
        }
    }

    /// Enters an order at the place that [`Self::find`] gave for it.
    #[inline(always)]
    pub(super) fn insert(&mut self, order_ref: u64, place: Place, segment: Handle<Segment>) {
        let bucket = &mut self.buckets[place.bucket as usize];
        bucket.tags[place.lane as usize & 7] = tag(order_ref);
        bucket.segments[place.lane as usize & 7] = segment.raw();
        let home = self.home(order_ref);
        if home != place.bucket as usize {
            self.pass(home, place.bucket as usize, 1);
        }
    }

    /// Takes an order out of the place where [`Self::find`] found it.
    #[inline(always)]
    pub(super) fn remove(&mut self, order_ref: u64, place: Place) {
        self.buckets[place.bucket as usize].tags[place.lane as usize & 7] = 0;
        let home = self.home(order_ref);
        if home != place.bucket as usize {
            self.pass(home, place.bucket as usize, u32::MAX);
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

    /// Notes that an order is in another segment now.
    pub(super) fn relocate(
        &mut self,
        order_ref: u64,
        from: Handle<Segment>,
        to: Handle<Segment>,
    ) {
        let mut at = self.home(order_ref);
        loop {
            let bucket = &mut self.buckets[at];
            let mut fits = Portable::equal_u32x8(&bucket.tags, tag(order_ref))
                & Portable::equal_u32x8(&bucket.segments, from.raw())
                & PLACE_LANES;
            if fits != 0 {
                // Where several fit they are of the same segment and have the same tag: any of them will do.
                fits = fits.trailing_zeros();
                bucket.segments[fits as usize & 7] = to.raw();
                return;
            }
            if bucket.passed() == 0 {
                debug_assert!(false, "order {order_ref} is not in the index");
                return;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Forgets all orders.
    pub(super) fn clear(&mut self) {
        self.buckets.fill(EMPTY);
    }
}
