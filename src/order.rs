//! Order entry: what we send and what comes back.
//!
//! A [`Session`] writes what [`crate::risk`] has cleared into frames and reads the venue's replies into [`OrderEvent`]s.
//! What becomes of those is [`crate::blotter`]'s business.
//!
//! | file | what it knows |
//! |---|---|
//! | [`ouch`] | OUCH 5.0 for cleared requests and events |
//! | [`template`] | whole frames, prepared once and patched per order |
//! | [`wutf`] | the session over our own UDP test framing |
//! | [`ouch_session`] | the session of OUCH 5.0 in SoupBinTCP, over any [`stream`] |
//! | [`soup`] | SoupBinTCP as a client speaks it, without a socket |
//! | [`packets`] | SoupBinTCP packets of orders, prepared once and patched |
//! | [`tcp`] | a stream on a port of ours: TCP without the kernel |
//! | [`kernel`] | a stream over the kernel's TCP |
//! | [`venue`] | whichever of these sessions the configuration names |

use crate::blotter::OrderEvent;
use crate::nic::{Frame, TxQueue};
use crate::risk::{Cleared, Rehearsal, Request};
use crate::wire::ethernet::Mac;

pub mod closed;
pub mod kernel;
pub mod ouch;
pub mod ouch_session;
pub mod packets;
pub mod soup;
pub mod stream;
pub mod tcp;
pub mod template;
pub mod venue;
pub mod wutf;

use venue::ConnectionCounters;

/// One connection to a venue, owned by one lcore.
///
/// # Contract
/// - Nothing allocates, blocks or panics, whatever the payload.
/// - [`Session::send`] either sends one whole request or changes nothing: after an error the request must be
///   [released](crate::risk::Risk::release). Nothing is ever sent twice by a session; TCP repeats bytes, never orders.
/// - Each reply becomes an event once, in the venue's order. Replies that are missing become
///   [`OrderEventKind::Lost`](crate::blotter::OrderEventKind::Lost), and the session is unhealthy from then on.
/// - A session with a connection says when it is gone ([`Disconnected`](crate::blotter::OrderEventKind::Disconnected)) and, once
///   it is back, what became of everything that was unanswered, before it is healthy again
///   ([`Resumed`](crate::blotter::OrderEventKind::Resumed)).
pub trait Session {
    /// Sends one cleared request.
    ///
    /// # Errors
    /// [`SendError`], counted by kind.
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError>;

    /// Does what [`Session::send`] would do up to the transmit queue, and gives the buffer back unsent. Nothing leaves,
    /// nothing is counted, and the next request is what it would have been.
    fn rehearse<T: TxQueue>(&mut self, _rehearsal: &Rehearsal, _tx: &mut T) {}

    /// Reads one datagram of the venue, from its UDP payload.
    fn on_datagram(&mut self, _payload: &[u8], _on_event: &mut impl FnMut(OrderEvent)) {}

    /// Takes a received frame that is no UDP datagram, if it belongs to the session's connection; false if not.
    fn on_frame<T: TxQueue>(
        &mut self,
        _frame: Frame<'_>,
        _now_ns: u64,
        _tx: &mut T,
        _on_event: &mut impl FnMut(OrderEvent),
    ) -> bool {
        false
    }

    /// Makes, keeps and ends the connection, and does whatever [`Session::send`] left for later. With local monotonic
    /// time: in each round of the loop where there is TCP, several times a second elsewhere.
    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, on_event: &mut impl FnMut(OrderEvent));

    /// True where there is a connection, which [`Session::poll`] is to look after in each round of the loop.
    #[inline]
    fn has_connection(&self) -> bool {
        false
    }

    /// Says good-bye where there is a connection, and makes no further attempt. Orders stay as the venue has them.
    fn log_out<T: TxQueue>(&mut self, _now_ns: u64, _tx: &mut T) {}

    /// True where no connection is left to be ended.
    fn has_left(&self) -> bool {
        true
    }

    /// The hardware address that frames go to changed; `None`: it is not known, and nothing leaves until it is.
    fn set_next_hop(&mut self, _mac: Option<Mac>) {}

    /// False once replies were lost, the venue ended the session, or while its hardware address is not known: no new
    /// order may leave.
    fn healthy(&self) -> bool;

    /// Somebody has reconciled with the venue: whatever it says next is taken up.
    fn resume(&mut self);

    /// What was sent, received and dropped.
    fn counters(&self) -> &SessionCounters;

    /// What its connection did, where it has one.
    fn connection(&self) -> ConnectionCounters {
        ConnectionCounters::default()
    }
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
    /// The session is not connected, not logged in, or does not know yet what became of earlier orders.
    #[error("the session is not open")]
    NotOpen,
    /// The venue takes no more for now, or too much is unanswered.
    #[error("the venue takes no more")]
    Backlog,
}

impl SendError {
    /// Every reason, by number. The numbers are part of the journal's format: only append.
    pub const ALL: [Self; 7] = [
        Self::NoBuffer,
        Self::RingFull,
        Self::NoVenue,
        Self::NoNextHop,
        Self::BufferTooShort,
        Self::NotOpen,
        Self::Backlog,
    ];
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
    /// Sends while the session was not open.
    pub not_open: u64,
    /// Sends that the venue had no room for.
    pub backlog: u64,
    /// Reply packets received, whatever became of them; frames and reads where there is TCP.
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
    const fn count(&mut self, error: SendError) {
        match error {
            SendError::NoBuffer => self.no_buffer += 1,
            SendError::RingFull => self.ring_full += 1,
            SendError::BufferTooShort => self.buffer_too_short += 1,
            SendError::NoNextHop => self.no_next_hop += 1,
            SendError::NotOpen => self.not_open += 1,
            SendError::Backlog => self.backlog += 1,
            // A session with a venue has no such error.
            SendError::NoVenue => {}
        }
    }

    const fn count_sent(&mut self, request: &Request) {
        match request {
            Request::Enter { .. } => self.enters += 1,
            Request::Replace { .. } => self.replaces += 1,
            Request::Cancel { .. } => self.cancels += 1,
        }
    }

    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 20] {
        [
            ("session_enters", self.enters),
            ("session_replaces", self.replaces),
            ("session_cancels", self.cancels),
            ("session_heartbeats", self.heartbeats),
            ("session_no_buffer", self.no_buffer),
            ("session_ring_full", self.ring_full),
            ("session_buffer_too_short", self.buffer_too_short),
            ("session_no_next_hop", self.no_next_hop),
            ("session_not_open", self.not_open),
            ("session_backlog", self.backlog),
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
