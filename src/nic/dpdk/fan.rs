//! One port for several lcores, each of which sees every frame.
//!
//! ```text
//!  queue 0 ──▶ lcore 0 ──ring──▶ lcore 1          each frame is received once, by the lcore of the queue that the card
//!  queue 1 ──▶ lcore 1 ──ring──▶ lcore 0          chose, and read by all of them where it lies: nothing is copied
//! ```
//!
//! Who receives a frame hands a pointer to it to each of the others, through a ring of one producer and one consumer, and
//! makes them owners of its buffer beside itself (the mbuf's reference count); whoever is done last gives it back. So it
//! is of no consequence which queue the card chose, and a port with a single queue serves all: the first lcore receives.
//!
//! A ring has as many places as the receive queue, and the pool has buffers for all of them. An lcore that stands still
//! for longer than that misses frames: counted in *its* [`RxShared::missed`], and of no effect on the others. Frames of
//! one queue stay in order for everybody; own frames and those of each other lcore take turns.

use std::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dpdk_sys::{self as sys, rte_mbuf};
use rtrb::{Consumer, Producer, RingBuffer};

use super::{
    NotSend, RxHandle, advise,
    rx::{DpdkBurst, Intake, Mbufs, prefetch},
};
use crate::{
    nic::{MAX_BURST, RxDrops, RxQueue, RxShared},
    pmd::{PmdError, Port, Shared, Stamp, mbuf::Mbuf, pool::ring_of},
};

/// One share of a buffer, on its way to another lcore. Dropped on the way, it is given back.
#[derive(Debug)]
struct Loan(NonNull<rte_mbuf>);

// SAFETY: an mbuf may be read and freed on any thread; the sender counted this share before it let go of it.
unsafe impl Send for Loan {}

impl Loan {
    /// The receiver's from now on.
    #[inline]
    fn take(self) -> *mut rte_mbuf {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // SAFETY: a share of ours in an allocated mbuf. EAL is up: each end of the ring keeps its port, and drops the ring
        // first.
        unsafe { sys::shim_pktmbuf_free(self.0.as_ptr()) };
    }
}

/// The way to one other lcore.
#[derive(Debug)]
struct Out {
    ring: Producer<Loan>,
    /// Of the burst in hand: how many frames fit.
    room: usize,
    /// Frames that found no room; written here, read at the other end.
    missed: Arc<AtomicU64>,
}

/// The way from one other lcore.
#[derive(Debug)]
struct In {
    ring: Consumer<Loan>,
    missed: Arc<AtomicU64>,
}

/// A part in a port, on its way to its lcore.
#[derive(Debug)]
pub struct FanHandle {
    queue: Option<RxHandle>,
    outs: Vec<Out>,
    ins: Vec<In>,
    // The last to go: see `Loan`.
    shared: Arc<Shared>,
}

impl Port {
    /// Takes all receive queues, for `lcores` that share what comes: the nth has queue n, where there is one. The port
    /// was set up with [`shared_with`](crate::pmd::PortConfig::shared_with) one less than `lcores`, and with no more
    /// queues than these.
    ///
    /// # Errors
    /// [`PmdError::QueueTaken`], or [`PmdError::OutOfRange`] where the port was set up for another number of lcores.
    pub fn fan(&self, lcores: u16) -> Result<Vec<FanHandle>, PmdError> {
        let config = self.config();
        let most = config.shared_with.saturating_add(1);
        if lcores > most || lcores < config.rx_queues {
            return Err(PmdError::OutOfRange {
                port: self.name().to_owned(),
                driver: self.info().driver.clone(),
                what: "lcores that share it",
                asked: lcores.into(),
                least: config.rx_queues.into(),
                most: most.into(),
            });
        }
        let capacity = ring_of(config.rx_descriptors);
        let mut handles = Vec::new();
        for lcore in 0..lcores {
            let queue = if lcore < config.rx_queues { Some(self.rx_handle(lcore)?) } else { None };
            let shared = Arc::clone(self.shared());
            handles.push(FanHandle { queue, outs: Vec::new(), ins: Vec::new(), shared });
        }
        for from in (0..usize::from(lcores)).filter(|from| *from < usize::from(config.rx_queues)) {
            for to in (0..usize::from(lcores)).filter(|to| *to != from) {
                let (producer, consumer) = RingBuffer::new(capacity);
                let missed = Arc::new(AtomicU64::new(0));
                handles[from].outs.push(Out { ring: producer, room: 0, missed: Arc::clone(&missed) });
                handles[to].ins.push(In { ring: consumer, missed });
            }
        }
        Ok(handles)
    }
}

impl FanHandle {
    /// Makes the queue, on the lcore that will poll it.
    #[must_use]
    pub fn attach(self) -> FanRx {
        advise(&self.shared);
        let Self { queue, outs, ins, shared } = self;
        FanRx {
            intake: queue.map(Intake::new),
            stamp: shared.stamp,
            outs,
            ins,
            turn: 0,
            taken: 0,
            mbufs: [ptr::null_mut(); MAX_BURST],
            shared,
            _not_send: PhantomData,
        }
    }
}

/// A part in a port that several lcores share, polled by the thread that made it.
#[derive(Debug)]
pub struct FanRx {
    /// `None` where there are fewer queues than lcores.
    intake: Option<Intake>,
    stamp: Stamp,
    outs: Vec<Out>,
    ins: Vec<In>,
    /// Whose turn it is: 0 = the own queue, then the others.
    turn: usize,
    taken: u64,
    mbufs: Mbufs,
    // The last to go: see `Loan`.
    shared: Arc<Shared>,
    _not_send: NotSend,
}

impl FanRx {
    /// The port's name.
    #[must_use]
    pub fn port_name(&self) -> &str {
        &self.shared.name
    }

    /// Receives from the own queue and shares it.
    #[inline]
    fn receive(&mut self) -> usize {
        let Some(intake) = &mut self.intake else { return 0 };
        let len = intake.receive(&mut self.mbufs);
        if len > 0 {
            self.share(len);
        }
        len
    }

    /// Hands the first `len` mbufs to all others, as far as they have room.
    fn share(&mut self, len: usize) {
        let mbufs = self.mbufs.get(..len).unwrap_or(&[]);
        for out in &mut self.outs {
            // It may grow from now on, and is not looked at again: what is counted is what is given.
            out.room = out.ring.slots().min(len);
        }
        // First the counts, then the pointers: whoever gets one may free it at once.
        for (at, mbuf) in mbufs.iter().enumerate() {
            let takers = self.outs.iter().filter(|out| at < out.room).count();
            if takers > 0 {
                // SAFETY: ours, just received; as many will free it as are counted here, and we.
                unsafe { sys::shim_mbuf_share(*mbuf, takers as u16) };
            }
        }
        for out in &mut self.outs {
            // Cannot fail: nobody else writes to this ring, so the room is still there.
            if let Ok(chunk) = out.ring.write_chunk_uninit(out.room) {
                // SAFETY: what was received is not null.
                let loans = mbufs.iter().map(|mbuf| Loan(unsafe { NonNull::new_unchecked(*mbuf) }));
                // SYNC POINT: releases the mbufs, as the driver wrote them and with their counts, to who reads the ring.
                chunk.fill_from_iter(loans.take(out.room));
            }
            if out.room < len {
                // One writer. Relaxed: a number and nothing else.
                let missed = out.missed.load(Ordering::Relaxed) + (len - out.room) as u64;
                out.missed.store(missed, Ordering::Relaxed);
            }
        }
    }

    /// Takes what one of the others has shared.
    #[inline]
    fn take(&mut self, from: usize) -> usize {
        let Some(from) = self.ins.get_mut(from) else { return 0 };
        let waiting = from.ring.slots().min(MAX_BURST);
        // SYNC POINT: reading the ring acquires what its producer released: the mbufs are as the driver wrote them.
        let Ok(chunk) = from.ring.read_chunk(waiting) else { return 0 };
        let mut len = 0;
        for (place, loan) in self.mbufs.iter_mut().zip(chunk) {
            *place = loan.take();
            // SAFETY: a share of it is ours now.
            prefetch(unsafe { Mbuf::new(*place) });
            len += 1;
        }
        self.taken += len as u64;
        len
    }
}

impl RxQueue for FanRx {
    type Burst<'q> = DpdkBurst<'q>;

    #[inline]
    fn poll(&mut self) -> DpdkBurst<'_> {
        let mut len = 0;
        for _ in 0..=self.ins.len() {
            let turn = self.turn;
            self.turn = if turn >= self.ins.len() { 0 } else { turn + 1 };
            len = if turn == 0 { self.receive() } else { self.take(turn - 1) };
            if len > 0 {
                break;
            }
        }
        // SAFETY: received or shared with us, screened by whoever received them, only read by all; the burst before is
        // dropped, for it borrowed `self`.
        unsafe { DpdkBurst::new(&mut self.mbufs, len, self.stamp) }
    }

    fn drops(&self) -> RxDrops {
        self.intake.as_ref().map_or_else(RxDrops::default, |intake| intake.drops)
    }

    fn shared(&self) -> RxShared {
        let missed = self.ins.iter().map(|from| from.missed.load(Ordering::Relaxed)).sum();
        RxShared { taken: self.taken, missed }
    }
}
