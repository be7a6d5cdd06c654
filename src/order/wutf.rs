//! The session over the wirebook UDP test framing (WUTF): ours, not any exchange's.
//!
//! Upstream, each request is one datagram. Downstream come MoldUDP64 packets of OUCH 5.0 replies, unicast. There is no
//! login and no retransmission: a lost reply stays lost, so the session only fits paths without loss. It notices a loss by
//! the sequence numbers, says so ([`OrderEventKind::Lost`]), stays unhealthy, and goes on reading what still comes.
//!
//! Whose packets these are is for the caller to check: it hands on what came from the gateway's address to our port.

use super::ouch::{self, OuchProfile};
use super::template::{FrameAddressing, OrderFrames, TemplateError};
use super::{SendError, Session, SessionCounters};
use crate::blotter::{OrderEvent, OrderEventKind};
use crate::nic::TxQueue;
use crate::risk::{Cleared, Rehearsal};
use crate::wire::ethernet::Mac;
use crate::wire::moldudp64::{Kind, Packet};

/// Longest silence towards the venue, ns.
pub const HEARTBEAT_NS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct WutfSession {
    frames: OrderFrames,
    /// The venue's session; taken from the first packet.
    session: Option<[u8; 10]>,
    /// The next sequence; `None` = whatever comes.
    expected: Option<u64>,
    healthy: bool,
    /// The frames say where they go.
    reachable: bool,
    /// Something left since the last poll.
    sent: bool,
    last_sent_ns: u64,
    counters: SessionCounters,
}

impl WutfSession {
    /// A session whose first reply has sequence 1.
    ///
    /// # Errors
    /// A VLAN identifier out of range.
    pub fn new(addressing: &FrameAddressing, profile: &OuchProfile) -> Result<Self, TemplateError> {
        Ok(Self {
            frames: OrderFrames::new(addressing, profile)?,
            session: None,
            expected: Some(1),
            healthy: true,
            reachable: true,
            sent: false,
            last_sent_ns: 0,
            counters: SessionCounters::default(),
        })
    }

    fn lost(&mut self, messages: u64, on_event: &mut impl FnMut(OrderEvent)) {
        self.healthy = false;
        on_event(OrderEvent { user_ref_num: 0, timestamp: 0, kind: OrderEventKind::Lost { messages } });
    }

    /// The next sequence, after telling of a hole before `sequence`.
    fn expect(&mut self, sequence: u64, on_event: &mut impl FnMut(OrderEvent)) -> u64 {
        let expected = self.expected.unwrap_or(sequence);
        if sequence > expected {
            let missing = sequence - expected;
            self.counters.gaps += 1;
            self.counters.gap_messages = self.counters.gap_messages.saturating_add(missing);
            self.lost(missing, on_event);
        }
        let expected = expected.max(sequence);
        self.expected = Some(expected);
        expected
    }

    fn on_message(&mut self, message: &[u8], on_event: &mut impl FnMut(OrderEvent)) {
        match ouch::decode(message) {
            Ok(Some(event)) => {
                self.counters.events += 1;
                on_event(event);
            }
            Ok(None) => self.counters.other_messages += 1,
            Err(_) if message.is_empty() => self.counters.other_messages += 1,
            Err(_) => {
                self.counters.bad_messages += 1;
                self.lost(1, on_event);
            }
        }
    }
}

/// Copies a frame into a transmit buffer and, where it leaves, sends it. Not inlined: rehearsals run the same code.
#[inline(never)]
fn transmit<T: TxQueue>(frame: &[u8], tx: &mut T, leaves: bool) -> Result<(), SendError> {
    let mut slot = tx.reserve().ok_or(SendError::NoBuffer)?;
    slot.get_mut(..frame.len()).ok_or(SendError::BufferTooShort)?.copy_from_slice(frame);
    if !leaves {
        return Ok(());
    }
    // Frames are shorter than `LONGEST_FRAME`.
    tx.send(slot, frame.len() as u16).map_err(|_slot| SendError::RingFull)
}

impl Session for WutfSession {
    #[inline]
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError> {
        if !self.reachable {
            self.counters.count(SendError::NoNextHop);
            return Err(SendError::NoNextHop);
        }
        let request = cleared.request();
        let result = transmit(self.frames.patch(request), tx, true);
        match &result {
            Err(error) => self.counters.count(*error),
            Ok(()) => self.counters.count_sent(request),
        }
        self.sent |= result.is_ok();
        result
    }

    fn rehearse<T: TxQueue>(&mut self, rehearsal: &Rehearsal, tx: &mut T) {
        if self.reachable {
            let _ = transmit(self.frames.patch(rehearsal.request()), tx, false);
        }
    }

    fn on_datagram(&mut self, payload: &[u8], on_event: &mut impl FnMut(OrderEvent)) {
        self.counters.packets += 1;
        let Ok(packet) = Packet::new_checked(payload) else {
            self.counters.bad_packets += 1;
            return;
        };
        if *self.session.get_or_insert(packet.session()) != packet.session() {
            // The venue restarted, or somebody else speaks: either way our view of it has ended.
            self.counters.foreign_packets += 1;
            self.lost(0, on_event);
            return;
        }
        let expected = self.expect(packet.sequence(), on_event);
        match packet.kind() {
            Kind::Heartbeat => {}
            Kind::EndOfSession => {
                self.counters.ends += 1;
                self.healthy = false;
            }
            Kind::Data => {
                let seen = (expected - packet.sequence()).min(u64::from(packet.count()));
                self.counters.duplicates += seen;
                self.expected = Some(expected.max(packet.sequence() + u64::from(packet.count())));
                // At most the count of the packet, which has 16 bits.
                for message in packet.blocks().skip_blocks(seen as u16) {
                    self.on_message(message, on_event);
                }
            }
        }
    }

    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, _on_event: &mut impl FnMut(OrderEvent)) {
        if std::mem::take(&mut self.sent) {
            self.last_sent_ns = now_ns;
        }
        if !self.reachable || now_ns.saturating_sub(self.last_sent_ns) < HEARTBEAT_NS {
            return;
        }
        match transmit(self.frames.heartbeat(), tx, true) {
            Ok(()) => {
                self.counters.heartbeats += 1;
                self.last_sent_ns = now_ns;
            }
            Err(error) => self.counters.count(error),
        }
    }

    fn set_next_hop(&mut self, mac: Option<Mac>) {
        self.reachable = mac.is_some();
        if let Some(mac) = mac {
            self.frames.set_dst_mac(mac);
        }
    }

    fn healthy(&self) -> bool {
        self.healthy && self.reachable
    }

    fn resume(&mut self) {
        self.session = None;
        self.expected = None;
        self.healthy = true;
    }

    fn counters(&self) -> &SessionCounters {
        &self.counters
    }
}
