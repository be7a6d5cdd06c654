//! Whole frames, prepared once: an order patches a few fields, adds them to a checksum of the rest, and copies the
//! frame into the transmit buffer.
//!
//! A frame is Ethernet II (with one 802.1Q tag where the port is tagged), IPv4 (no options, identification 0, DF set, TTL
//! 64: an atomic datagram needs no identification, RFC 6864), UDP with checksum, and one WUTF packet around one OUCH 5.0
//! message. Frames shorter than the 60 bytes that Ethernet demands are filled up with zeros, so that no driver has to.
//!
//! The WUTF header has three bytes, so an OUCH message begins at an odd offset: what varies is summed from the even
//! offset before it to the even offset after it.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::ouch::{self, CANCEL, OuchProfile};
use crate::risk::Request;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Mac};
use crate::wire::ouch::{CancelOrder, EnterOrder, ReplaceOrder};
use crate::wire::{Field, NoRoom, ipv4, udp, wutf};

/// Shortest Ethernet frame, without FCS.
pub const SHORTEST_FRAME: usize = 60;

/// Longest frame that a template holds: a tagged new order.
pub const LONGEST_FRAME: usize = ethernet::HEADER_LEN
    + ethernet::TAG_LEN
    + ipv4::HEADER_LEN
    + udp::HEADER_LEN
    + wutf::HEADER_LEN
    + EnterOrder::EMITTED_LEN;

/// Where frames come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAddressing {
    /// Our hardware address.
    pub src_mac: Mac,
    /// The gateway's, or the next hop's.
    pub dst_mac: Mac,
    /// Our address.
    pub src_ip: Ipv4Addr,
    /// The gateway's address.
    pub dst_ip: Ipv4Addr,
    /// Our port.
    pub src_port: u16,
    /// The gateway's port.
    pub dst_port: u16,
    /// 802.1Q identifier, `1 ..= 4094`; the upper bits of the tag are 0.
    pub vlan: Option<u16>,
}

/// One frame around one message.
#[derive(Clone, Debug)]
struct Template {
    bytes: [u8; LONGEST_FRAME],
    len: usize,
    message: Range<usize>,
    /// What varies, from even offset to even offset of the datagram.
    varying: Range<usize>,
    checksum: Range<usize>,
    /// Sum of pseudo header and datagram without what varies and without the checksum.
    rest: Sum,
}

impl Template {
    /// Around `payload`, of which the message begins behind the WUTF header; `varying` counts from the message's start.
    fn new(addressing: &FrameAddressing, payload: &[u8], varying: Range<usize>) -> Result<Self, NoRoom> {
        let mut bytes = [0; LONGEST_FRAME];
        let header = ethernet::Header {
            dst: addressing.dst_mac,
            src: addressing.src_mac,
            vlan: addressing.vlan,
            ether_type: ethernet::IPV4,
        };
        let ip_at = header.emit(&mut bytes)?;
        let header = ipv4::Header {
            src: addressing.src_ip,
            dst: addressing.dst_ip,
            protocol: ipv4::UDP,
            ttl: 64,
            router_alert: false,
        };
        let no_room = NoRoom { needed: LONGEST_FRAME + 1, room: LONGEST_FRAME };
        let packet = bytes.get_mut(ip_at..).ok_or(no_room)?;
        let udp_at = ip_at + header.emit(packet, udp::HEADER_LEN + payload.len())?;
        let payload_at = udp_at + udp::HEADER_LEN;
        bytes.get_mut(payload_at..payload_at + payload.len()).ok_or(no_room)?.copy_from_slice(payload);
        let header = udp::Header {
            src: (addressing.src_ip, addressing.src_port),
            dst: (addressing.dst_ip, addressing.dst_port),
        };
        let datagram = bytes.get_mut(udp_at..).ok_or(no_room)?;
        let datagram_len = header.emit(datagram, payload.len())?;

        let message_at = payload_at + wutf::HEADER_LEN;
        let end = udp_at + datagram_len;
        let even = |at: usize| at - (at - udp_at) % 2;
        let varying = even(message_at + varying.start)..even(message_at + varying.end + 1).min(end);
        let checksum_at = udp_at + udp::CHECKSUM_AT;
        let mut constant = bytes;
        for range in [checksum_at..checksum_at + 2, varying.clone()] {
            constant.get_mut(range).ok_or(no_room)?.fill(0);
        }
        let len = u16::try_from(datagram_len).map_err(|_| no_room)?;
        let rest = udp::pseudo_header(addressing.src_ip, addressing.dst_ip, len)
            .plus(constant.get(udp_at..end).ok_or(no_room)?);
        Ok(Self {
            bytes,
            len: end.max(SHORTEST_FRAME),
            message: message_at..end,
            varying,
            checksum: checksum_at..checksum_at + 2,
            rest,
        })
    }

    fn message(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.message.clone()).unwrap_or_default()
    }

    fn frame(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The frame, its checksum put right.
    fn seal(&mut self) -> &[u8] {
        let varying = self.bytes.get(self.varying.clone()).unwrap_or_default();
        let checksum = udp::on_the_wire(self.rest.plus(varying).checksum());
        if let Some(place) = self.bytes.get_mut(self.checksum.clone()) {
            place.copy_from_slice(&checksum.to_be_bytes());
        }
        self.frame()
    }
}

/// The frames of one session.
#[derive(Clone, Debug)]
pub struct OrderFrames {
    enter: Template,
    replace: Template,
    cancel: Template,
    heartbeat: Template,
}

/// What is wrong with the addressing of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The VLAN identifier lies outside `1 ..= 4094`.
    #[error("a VLAN identifier lies in 1 ..= 4094, not {0}")]
    Vlan(u16),
    /// A frame does not fit its template.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// Where a message varies: from behind its type to the end of the field `last`.
fn up_to(layout: &[Field], last: &str) -> Range<usize> {
    let end = layout.iter().find(|field| field.name == last).map_or(1, |field| field.offset + field.len);
    1..end
}

impl OrderFrames {
    /// Prepares the frames.
    ///
    /// # Errors
    /// A VLAN identifier out of range.
    pub fn new(addressing: &FrameAddressing, profile: &OuchProfile) -> Result<Self, TemplateError> {
        if let Some(vlan) = addressing.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            return Err(TemplateError::Vlan(vlan));
        }
        let mut message = [0; EnterOrder::EMITTED_LEN];
        let template = |message: Option<&[u8]>, varying| {
            let mut payload = [0; wutf::HEADER_LEN + EnterOrder::EMITTED_LEN];
            let len = match message {
                Some(message) => wutf::emit_order(&mut payload, message)?,
                None => wutf::emit_heartbeat(&mut payload)?,
            };
            Template::new(addressing, payload.get(..len).unwrap_or_default(), varying)
        };
        let len = profile.enter().emit(&mut message)?;
        let enter = template(Some(&message[..len]), up_to(EnterOrder::LAYOUT, "time_in_force"))?;
        let len = profile.replace().emit(&mut message)?;
        let replace = template(Some(&message[..len]), up_to(ReplaceOrder::LAYOUT, "time_in_force"))?;
        let len = CANCEL.emit(&mut message)?;
        let cancel = template(Some(&message[..len]), up_to(CancelOrder::LAYOUT, "quantity"))?;
        let heartbeat = template(None, 0..0)?;
        Ok(Self { enter, replace, cancel, heartbeat })
    }

    /// The frame of a request, valid until the next call. Not inlined: rehearsals run the same code.
    #[inline(never)]
    pub fn patch(&mut self, request: &Request) -> &[u8] {
        let template = match request {
            Request::Enter { .. } => &mut self.enter,
            Request::Replace { .. } => &mut self.replace,
            Request::Cancel { .. } => &mut self.cancel,
        };
        ouch::patch(template.message(), request);
        template.seal()
    }

    /// From now on all frames go to this hardware address. No checksum covers it.
    pub fn set_dst_mac(&mut self, mac: Mac) {
        for template in [&mut self.enter, &mut self.replace, &mut self.cancel, &mut self.heartbeat] {
            if let Some(place) = template.bytes.first_chunk_mut() {
                *place = mac;
            }
        }
    }

    /// The frame of a heartbeat.
    #[must_use]
    pub fn heartbeat(&self) -> &[u8] {
        self.heartbeat.frame()
    }
}
