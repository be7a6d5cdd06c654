//! The seam between an order session and whatever carries its bytes: TCP of our own on a port that the kernel does not
//! have ([`super::tcp`]), or the kernel's ([`super::kernel`]).
//!
//! # Contract
//! - Nothing blocks. After construction nothing allocates, except where a kernel's socket is made.
//! - [`Stream::write`] takes all of the bytes or none.
//! - Bytes of the peer are handed on in order, each once, as soon as they are there.
//! - A stream that is [`StreamState::Closed`] has forgotten whatever was written and not sent: nothing of one connection
//!   ever leaves on another.

use super::SendError;
use crate::nic::{Frame, TxQueue};
use crate::wire::ethernet::Mac;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// There is none.
    Closed,
    /// It is being made.
    Connecting,
    /// Bytes go both ways.
    Open,
    /// The peer will send no more; all that it sent has been handed on.
    Ended,
    /// We will send no more.
    Closing,
}

/// A byte stream to the gateway, owned by one lcore. See the module for what each must keep to.
pub trait Stream {
    /// Begins to connect; what there was is aborted.
    fn connect<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T);

    /// Says that no more comes, after what was written.
    fn close<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T);

    /// Ends the connection at once.
    fn abort<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T);

    /// Where the connection stands.
    fn state(&self) -> StreamState;

    /// Sends bytes; the hot path.
    ///
    /// # Errors
    /// [`SendError`]; nothing was taken then.
    fn write<T: TxQueue>(&mut self, bytes: &[u8], tx: &mut T) -> Result<(), SendError>;

    /// Does what [`Stream::write`] would do up to the transmit queue, and forgets it.
    fn rehearse<T: TxQueue>(&mut self, _bytes: &[u8], _tx: &mut T) {}

    /// Takes a frame that the port received, if it belongs to this connection; false if not.
    fn on_frame<T: TxQueue>(
        &mut self,
        frame: Frame<'_>,
        now_ns: u64,
        tx: &mut T,
        on_bytes: &mut impl FnMut(&[u8]),
    ) -> bool;

    /// What is not urgent: to be called in each round of the loop, with local monotonic time.
    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, on_bytes: &mut impl FnMut(&[u8]));

    /// The hardware address that frames go to changed; `None`: it is not known, and nothing leaves until it is.
    fn set_next_hop(&mut self, _mac: Option<Mac>) {}

    /// False while the hardware address of the next hop is not known.
    fn reachable(&self) -> bool {
        true
    }
}
