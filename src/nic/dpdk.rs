//! DPDK backend of the seam: one queue of a started port.
//!
//! Handles ([`RxHandle`], [`TxHandle`]) are taken from a [`Port`] and may be sent to an lcore; `attach` there makes the
//! queue. A queue has one owner: a handle is refused while another handle or queue of the same number exists.
//!
//! VLAN tags stay in the frame (stripping is never asked for). Frames in more than one buffer are dropped and counted:
//! buffers are sized for the port's MTU, so only frames beyond it can come so.
#![allow(unsafe_code, reason = "mbufs are raw memory that DPDK lends")]

use std::{
    marker::PhantomData,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    eal::Lcore,
    pmd::{PmdError, Port, Shared},
};

mod fan;
mod rx;
mod tx;

pub use fan::{FanHandle, FanRx};
pub use rx::{DpdkBurst, DpdkRx};
pub use tx::{DpdkTx, TxSlot};

/// Keeps queues on the thread that made them.
type NotSend = PhantomData<*const ()>;

/// A receive queue, on its way to its lcore.
#[derive(Debug)]
pub struct RxHandle {
    shared: Arc<Shared>,
    queue: u16,
}

/// A transmit queue, on its way to its lcore.
#[derive(Debug)]
pub struct TxHandle {
    shared: Arc<Shared>,
    queue: u16,
}

impl Port {
    /// Takes a receive queue.
    ///
    /// # Errors
    /// [`PmdError::NoQueue`] or [`PmdError::QueueTaken`].
    pub fn rx_handle(&self, queue: u16) -> Result<RxHandle, PmdError> {
        claim(&self.shared().rx, "receive", self, queue)?;
        Ok(RxHandle { shared: Arc::clone(self.shared()), queue })
    }

    /// Takes a transmit queue.
    ///
    /// # Errors
    /// [`PmdError::NoQueue`] or [`PmdError::QueueTaken`].
    pub fn tx_handle(&self, queue: u16) -> Result<TxHandle, PmdError> {
        claim(&self.shared().tx, "transmit", self, queue)?;
        Ok(TxHandle { shared: Arc::clone(self.shared()), queue })
    }
}

fn claim(queues: &[crate::pmd::Queue], kind: &'static str, port: &Port, queue: u16) -> Result<(), PmdError> {
    let name = || port.name().to_owned();
    let entry =
        queues.get(usize::from(queue)).ok_or_else(|| PmdError::NoQueue { port: name(), kind, queue })?;
    // Acquire: what the former owner did with the queue happened before.
    if entry.taken.swap(true, Ordering::Acquire) {
        return Err(PmdError::QueueTaken { port: name(), kind, queue });
    }
    Ok(())
}

impl RxHandle {
    /// Makes the queue, on the lcore that will poll it.
    #[must_use]
    pub fn attach(self) -> DpdkRx {
        advise(&self.shared);
        DpdkRx::new(self)
    }
}

impl TxHandle {
    /// Makes the queue, on the lcore that will send on it.
    #[must_use]
    pub fn attach(self) -> DpdkTx {
        advise(&self.shared);
        DpdkTx::new(self)
    }
}

impl Drop for RxHandle {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next owner.
        self.shared.rx[usize::from(self.queue)].taken.store(false, Ordering::Release);
    }
}

impl Drop for TxHandle {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next owner.
        self.shared.tx[usize::from(self.queue)].taken.store(false, Ordering::Release);
    }
}

/// Says what makes a queue slower than it could be.
fn advise(port: &Shared) {
    match (Lcore::current(), port.numa_node) {
        (None, _) => tracing::warn!(
            port = port.name,
            "this thread is no lcore and has no buffer cache: register it with EAL, or launch on an lcore"
        ),
        (Some(lcore), Some(node)) if lcore.numa_node() != node => tracing::warn!(
            port = port.name,
            "lcore {lcore} is on NUMA node {}, the port on node {node}: every frame crosses the link between them",
            lcore.numa_node()
        ),
        _ => {}
    }
}
