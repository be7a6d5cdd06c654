//! A fixed pool of transmit buffers for the backends that own ordinary memory.
//!
//! All buffers are made at construction. Taking and giving back moves a box to or from a stack, last in first out,
//! so that a buffer is reused while it is still in the cache. Single-threaded, as queues are.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// The free buffers, all of one length.
pub(crate) struct Pool {
    free: RefCell<Vec<Box<[u8]>>>,
}

impl Pool {
    /// `count` buffers of `len` bytes each, all written once so that no page is missing later.
    pub(crate) fn new(count: usize, len: usize) -> Rc<Self> {
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            // A non-zero fill: zeroed memory would be mapped lazily.
            free.push(vec![0xA5; len.max(1)].into_boxed_slice());
        }
        Rc::new(Self { free: RefCell::new(free) })
    }

    /// A free buffer, or `None` when all are out.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Slot> {
        let bytes = self.free.borrow_mut().pop()?;
        Some(Slot { bytes, pool: Rc::clone(self) })
    }

    /// Takes back a buffer that [`Slot::into_bytes`] released. Never grows past the original count.
    pub(crate) fn give(&self, bytes: Box<[u8]>) {
        self.free.borrow_mut().push(bytes);
    }

    /// Number of buffers that are free now.
    pub(crate) fn available(&self) -> usize {
        self.free.borrow().len()
    }
}

/// A buffer on loan from a pool; dropping it gives it back.
pub struct Slot {
    /// Empty only after [`Slot::into_bytes`].
    bytes: Box<[u8]>,
    pool: Rc<Pool>,
}

impl Slot {
    /// The buffer itself, which then has to come back by [`Pool::give`].
    pub(crate) fn into_bytes(mut self) -> Box<[u8]> {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.pool.give(std::mem::take(&mut self.bytes));
        }
    }
}

impl Deref for Slot {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buffer_comes_back_however_it_left() {
        let pool = Pool::new(2, 64);
        let first = pool.take().unwrap();
        let second = pool.take().unwrap();
        assert!(pool.take().is_none());
        drop(first);
        assert_eq!(pool.available(), 1);
        let bytes = second.into_bytes();
        assert_eq!((bytes.len(), pool.available()), (64, 1));
        pool.give(bytes);
        assert_eq!(pool.available(), 2);
    }
}
