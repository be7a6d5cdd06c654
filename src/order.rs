//! Order entry: what we send, what comes back, and what is open meanwhile.
//!
//! A [`Session`] writes what [`crate::risk`] has cleared into frames and reads the venue's replies into [`OrderEvent`]s.
//! Within this floor the modules stand on each other: `event` and `table` below, then [`blotter`], then
//! [`crate::strategy`], then [`crate::risk`], then the sessions.
//!
//! | file | what it knows |
//! |---|---|
//! | [`event`] | what a venue says, whatever its protocol |
//! | [`blotter`] | open orders, positions, exposure |
//! | [`ouch`] | OUCH 5.0 for cleared requests and events |
//! | [`template`] | whole frames, prepared once and patched per order |
//! | [`wutf`] | the session over our own UDP test framing |

use crate::nic::TxQueue;
use crate::risk::Cleared;
use crate::wire::ethernet::Mac;

pub mod blotter;
pub mod closed;
pub mod event;
pub mod ouch;
pub(crate) mod table;
pub mod template;
pub mod wutf;

pub use event::{OrderEvent, OrderEventKind, OrderState, OrderUpdate, TimeInForce};

/// One connection to a venue, owned by one lcore.
///
/// # Contract
/// - Nothing allocates, blocks or panics, whatever the payload.
/// - [`Session::send`] either hands one whole frame to the queue or changes nothing: after an error the request must be
///   [released](crate::risk::Risk::release).
/// - Each reply becomes an event once, in the venue's order. Replies that are missing become
///   [`OrderEventKind::Lost`], and the session is unhealthy from then on.
pub trait Session {
    /// Sends one cleared request.
    ///
    /// # Errors
    /// [`SendError`], counted by kind.
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError>;

    /// Reads one datagram of the venue, from its UDP payload.
    fn on_datagram(&mut self, payload: &[u8], on_event: &mut impl FnMut(OrderEvent));

    /// Keeps the connection alive. To be called in housekeeping, several times a second, with local monotonic time.
    fn on_timer<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T);

    /// The hardware address that frames go to changed; `None`: it is not known, and nothing leaves until it is.
    fn set_next_hop(&mut self, _mac: Option<Mac>) {}

    /// False once replies were lost, the venue ended the session, or while its hardware address is not known: no new
    /// order may leave.
    fn healthy(&self) -> bool;

    /// Somebody has reconciled with the venue: whatever it says next is taken up.
    fn resume(&mut self);

    /// What was sent, received and dropped.
    fn counters(&self) -> &SessionCounters;
}

/// Why a request did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The transmit queue has no free buffer.
    #[error("no transmit buffer is free")]
    NoBuffer,
    /// The transmit ring is full.
    #[error("the transmit ring is full")]
    RingFull,
    /// There is no venue: the configuration names no gateway.
    #[error("no gateway is configured")]
    NoVenue,
    /// The hardware address of the next hop is not known yet, or no longer.
    #[error("the hardware address of the next hop is not known")]
    NoNextHop,
    /// The buffers of the transmit queue are shorter than an order frame.
    #[error("a transmit buffer is shorter than an order frame")]
    BufferTooShort,
}

/// What a session sent, received and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// New orders sent.
    pub enters: u64,
    /// Replacements sent.
    pub replaces: u64,
    /// Cancels sent.
    pub cancels: u64,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Sends that found no free transmit buffer.
    pub no_buffer: u64,
    /// Sends that found the transmit ring full.
    pub ring_full: u64,
    /// Sends that found too short a transmit buffer.
    pub buffer_too_short: u64,
    /// Sends while the hardware address of the next hop was not known.
    pub no_next_hop: u64,
    /// Reply packets received, whatever became of them.
    pub packets: u64,
    /// Replies handed on as events.
    pub events: u64,
    /// Reply packets that could not be read.
    pub bad_packets: u64,
    /// Replies that could not be read; each leaves positions uncertain.
    pub bad_messages: u64,
    /// Replies of a type that means nothing to an order, or that this version does not know.
    pub other_messages: u64,
    /// Replies seen before.
    pub duplicates: u64,
    /// Holes in the replies.
    pub gaps: u64,
    /// Replies in those holes.
    pub gap_messages: u64,
    /// Reply packets of another session than ours, dropped.
    pub foreign_packets: u64,
    /// Ends of session announced.
    pub ends: u64,
}

impl SessionCounters {
    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 18] {
        [
            ("session_enters", self.enters),
            ("session_replaces", self.replaces),
            ("session_cancels", self.cancels),
            ("session_heartbeats", self.heartbeats),
            ("session_no_buffer", self.no_buffer),
            ("session_ring_full", self.ring_full),
            ("session_buffer_too_short", self.buffer_too_short),
            ("session_no_next_hop", self.no_next_hop),
            ("session_packets", self.packets),
            ("session_events", self.events),
            ("session_bad_packets", self.bad_packets),
            ("session_bad_messages", self.bad_messages),
            ("session_other_messages", self.other_messages),
            ("session_duplicates", self.duplicates),
            ("session_gaps", self.gaps),
            ("session_gap_messages", self.gap_messages),
            ("session_foreign_packets", self.foreign_packets),
            ("session_ends", self.ends),
        ]
    }
}
