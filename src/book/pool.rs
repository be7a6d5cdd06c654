//! Fixed pools of records, addressed by 32-bit handles.
//!
//! A pool takes all of its memory once and writes every page of it, so that no page fault and no allocation is left
//! for later. Records that are given back form a list through themselves and are handed out again last in, first out:
//! what was used a moment ago is still in the cache.
//!
//! Only a pool makes the handles of its records, and every handle that the book keeps is live. An index out of range
//! would therefore be a fault of this module, not of any input; the bounds check stays as the last guard against one.

use std::collections::TryReserveError;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

pub(super) use crate::memory::touched;

/// The 32-bit address of a record in a [`Pool`] of `T`.
pub(super) struct Handle<T> {
    raw: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    /// No record.
    pub(super) const NIL: Self = Self::from_raw(u32::MAX);

    pub(super) const fn from_raw(raw: u32) -> Self {
        Self { raw, of: PhantomData }
    }

    pub(super) const fn raw(self) -> u32 {
        self.raw
    }

    pub(super) const fn is_nil(self) -> bool {
        self.raw == u32::MAX
    }

    /// `None` where there is no record.
    pub(super) fn some(self) -> Option<Self> {
        (!self.is_nil()).then_some(self)
    }
}

// By hand, because a derive would ask the same of `T`.
impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}
impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Handle<T> {}
impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nil() { f.write_str("nil") } else { write!(f, "#{}", self.raw) }
    }
}

/// What a [`Pool`] can hold.
pub(super) trait Record: Copy {
    /// What a record holds while nobody uses it.
    const VACANT: Self;
    /// The link to the next vacant record; free for other use in a record that is live.
    fn link(&self) -> Handle<Self>;
    /// Sets the link to the next vacant record.
    fn set_link(&mut self, next: Handle<Self>);
}

/// A fixed number of records, each free or live.
#[derive(Debug)]
pub(super) struct Pool<T> {
    records: Vec<T>,
    /// Records from here on have not been handed out since the pool was made or cleared.
    fresh: u32,
    /// First of the records that were given back.
    returned: Handle<T>,
    live: u32,
}

impl<T: Record> Pool<T> {
    /// Takes and touches the memory of `capacity` records.
    pub(super) fn new(capacity: u32) -> Result<Self, TryReserveError> {
        let records = touched(capacity as usize, T::VACANT)?;
        Ok(Self { records, fresh: 0, returned: Handle::NIL, live: 0 })
    }

    /// The record, if the pool has it.
    #[inline(always)]
    pub(super) fn get(&self, handle: Handle<T>) -> Option<&T> {
        self.records.get(handle.raw as usize)
    }

    /// Asks for the line of a record before it is needed, whatever the handle.
    #[inline(always)]
    pub(super) fn prefetch(&self, handle: Handle<T>) {
        // Nil asks for the first record: an address without memory would cost a walk through the page tables.
        let at = if handle.is_nil() { 0 } else { handle.raw as usize };
        let here = self.records.as_ptr().wrapping_add(at).cast::<u8>();
        // The loop is of a fixed length: one line for all but the nodes of trees.
        for line in 0..size_of::<T>().div_ceil(64) {
            crate::prefetch::line(here.wrapping_add(64 * line));
        }
    }

    /// Asks for the line of a record that is smaller than a line, by a handle that is not nil.
    #[inline(always)]
    pub(super) fn prefetch_live(&self, handle: Handle<T>) {
        crate::prefetch::line(self.records.as_ptr().wrapping_add(handle.raw as usize));
    }

    /// Makes `record` live, or returns `None` if all records are.
    #[inline(always)]
    pub(super) fn take(&mut self, record: T) -> Option<Handle<T>> {
        let handle = if let Some(returned) = self.returned.some() {
            self.returned = self[returned].link();
            returned
        } else if self.fresh < self.capacity() {
            self.fresh += 1;
            Handle::from_raw(self.fresh - 1)
        } else {
            return None;
        };
        self[handle] = record;
        self.live += 1;
        Some(handle)
    }

    /// Takes a live record back.
    #[inline(always)]
    pub(super) fn give(&mut self, handle: Handle<T>) {
        let next = self.returned;
        self[handle].set_link(next);
        self.returned = handle;
        self.live -= 1;
    }

    /// Takes all records back at once, at no cost.
    pub(super) fn clear(&mut self) {
        self.fresh = 0;
        self.returned = Handle::NIL;
        self.live = 0;
    }

    /// Records that there are in all.
    #[expect(clippy::cast_possible_truncation, reason = "made from a u32")]
    pub(super) const fn capacity(&self) -> u32 {
        self.records.len() as u32
    }

    /// Records not in use.
    pub(super) const fn available(&self) -> u32 {
        self.capacity() - self.live
    }
}

impl<T> Index<Handle<T>> for Pool<T> {
    type Output = T;
    #[inline(always)]
    fn index(&self, handle: Handle<T>) -> &T {
        &self.records[handle.raw as usize]
    }
}

impl<T> IndexMut<Handle<T>> for Pool<T> {
    #[inline(always)]
    fn index_mut(&mut self, handle: Handle<T>) -> &mut T {
        &mut self.records[handle.raw as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Thing {
        value: u64,
        link: Handle<Self>,
    }

    impl Record for Thing {
        const VACANT: Self = Self { value: 0, link: Handle::NIL };
        fn link(&self) -> Handle<Self> {
            self.link
        }
        fn set_link(&mut self, next: Handle<Self>) {
            self.link = next;
        }
    }

    fn thing(value: u64) -> Thing {
        Thing { value, link: Handle::NIL }
    }

    #[test]
    fn hands_out_each_record_once_and_again_after_it_came_back() {
        let mut pool = Pool::new(3).unwrap();
        let handles: Vec<_> = (0..3).map(|v| pool.take(thing(v)).unwrap()).collect();
        assert_eq!(pool.take(thing(9)), None);
        assert_eq!(pool.available(), 0);
        pool.give(handles[0]);
        pool.give(handles[2]);
        assert_eq!(pool.take(thing(7)), Some(handles[2]), "last in, first out");
        assert_eq!(pool.take(thing(8)), Some(handles[0]));
        assert_eq!(pool.take(thing(9)), None);
        assert_eq!([0, 1, 2].map(|i| pool[handles[i]].value), [8, 1, 7]);
    }

    #[test]
    fn clear_frees_everything() {
        let mut pool = Pool::new(2).unwrap();
        let first = pool.take(thing(1)).unwrap();
        pool.give(first);
        pool.take(thing(2)).unwrap();
        pool.clear();
        assert_eq!(pool.available(), 2);
        assert!(pool.take(thing(3)).is_some() && pool.take(thing(4)).is_some());
        assert_eq!(pool.take(thing(5)), None);
    }

    #[test]
    fn a_handle_shows_itself_briefly() {
        assert_eq!(format!("{:?} {:?}", Handle::<Thing>::NIL, Handle::<Thing>::from_raw(3)), "nil #3");
    }
}
