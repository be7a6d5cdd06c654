//! ARP for IPv4 over Ethernet (RFC 826; probes and announcements: RFC 5227). 28 bytes.
//!
//! Layout: `hardware[0,2]=1 protocol[2,2]=0x0800 lengths[4,2]=6,4 operation[6,2] sender MAC[8,6] sender IP[14,4] target
//! MAC[18,6] target IP[24,4]`.

use std::net::Ipv4Addr;

use super::ethernet::Mac;
use super::{NoRoom, layout, room};

/// Bytes of a packet.
pub const LEN: usize = 28;

/// What every packet for IPv4 over Ethernet begins with.
const PREFIX: [u8; 6] = [0, 1, 8, 0, 6, 4];

kinds! {
    /// Why bytes are not an ARP packet that we can read.
    pub enum Error counted by ErrorCounters {
        /// Shorter than 28 bytes.
        TooShort as arp_too_short = "ARP packet is shorter than 28 bytes",
        /// Not about IPv4 over Ethernet.
        OtherProtocol as arp_other_protocol = "ARP packet is not about IPv4 over Ethernet",
        /// Neither request nor reply.
        Operation as arp_operation = "ARP packet is neither request nor reply",
    }
}

/// Request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Operation {
    /// Who has the target address?
    Request = 1,
    /// The sender has the sender address.
    Reply = 2,
}

/// One packet. Bytes after it (Ethernet padding) are tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// Sender's hardware address.
    pub sender_mac: Mac,
    /// Sender's address; 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// Target's hardware address; zeros in a request.
    pub target_mac: Mac,
    /// Target's address; the sender's own in an announcement.
    pub target_ip: Ipv4Addr,
}

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`Error`], by kind.
    pub fn new_checked(bytes: &[u8]) -> Result<Self, Error> {
        let packet = bytes.first_chunk::<LEN>().ok_or(Error::TooShort)?;
        if layout::chunk(packet, 0) != PREFIX {
            return Err(Error::OtherProtocol);
        }
        let operation = match u16::from_be_bytes(layout::chunk(packet, 6)) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Error::Operation),
        };
        Ok(Self {
            operation,
            sender_mac: layout::chunk(packet, 8),
            sender_ip: layout::chunk::<4, _>(packet, 14).into(),
            target_mac: layout::chunk(packet, 18),
            target_ip: layout::chunk::<4, _>(packet, 24).into(),
        })
    }

    /// A request for the hardware address of `target`.
    #[must_use]
    pub const fn request(sender_mac: Mac, sender_ip: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self { operation: Operation::Request, sender_mac, sender_ip, target_mac: [0; 6], target_ip: target }
    }

    /// The reply to this request, from the owner of its target address.
    #[must_use]
    pub const fn reply(&self, owner: Mac) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: owner,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// Writes the packet; returns [`LEN`].
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written then.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let packet = room::<LEN>(out)?;
        layout::put(packet, 0, PREFIX);
        layout::put(packet, 6, (self.operation as u16).to_be_bytes());
        layout::put(packet, 8, self.sender_mac);
        layout::put(packet, 14, self.sender_ip.octets());
        layout::put(packet, 18, self.target_mac);
        layout::put(packet, 24, self.target_ip.octets());
        Ok(LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_reply_round_trip() {
        let us = (Mac::from([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(10, 0, 0, 2));
        let gateway = (Mac::from([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1));
        let request = Packet::request(us.0, us.1, gateway.1);
        let mut out = [0; 46];
        assert_eq!(request.emit(&mut out), Ok(LEN));
        assert_eq!(Packet::new_checked(&out), Ok(request));
        let reply = request.reply(gateway.0);
        assert_eq!((reply.sender_mac, reply.sender_ip), gateway);
        assert_eq!((reply.target_mac, reply.target_ip), us);
        reply.emit(&mut out).unwrap();
        assert_eq!(Packet::new_checked(&out), Ok(reply));
        assert!(reply.emit(&mut out[..27]).is_err());
    }

    #[test]
    fn each_fault_has_its_kind() {
        let mut out = [0; LEN];
        Packet::request([2; 6], Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).emit(&mut out).unwrap();
        for len in 0..LEN {
            assert_eq!(Packet::new_checked(&out[..len]), Err(Error::TooShort));
        }
        for at in 0..6 {
            let mut bytes = out;
            bytes[at] ^= 0x10;
            assert_eq!(Packet::new_checked(&bytes), Err(Error::OtherProtocol));
        }
        out[7] = 3;
        assert_eq!(Packet::new_checked(&out), Err(Error::Operation));
    }
}
