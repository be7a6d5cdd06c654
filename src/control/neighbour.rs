//! ARP for one port (RFC 826, RFC 1122 2.3.2, RFC 5227). Sans-IO: packets and the time (ns that never go back) come in,
//! whole frames, the next hop and notices come out.
//!
//! - Requests for our addresses are answered, in the VLAN of the address, at most [`REPLIES`] a second.
//! - Our addresses are announced at the start. Another station that uses one is told of, and told off at most every
//!   [`DEFEND_INTERVAL`] ns (RFC 5227, 2.4 c); the address is kept, since it was given to us by an operator.
//! - The next hop is asked for with a growing pause, asked again before it is forgotten, and forgotten when it does not
//!   answer (`hop.rs`).

use std::net::Ipv4Addr;

use crate::wire::arp::{Operation, Packet};
use crate::wire::ethernet::{BROADCAST, Mac};
use crate::wire::frame::emit_arp;

mod counters;
mod hop;

pub use counters::NeighbourCounters;
pub use hop::Peer;
use hop::{Ask, Hop};

/// Replies that may leave in one second.
pub const REPLIES: u32 = 50;

/// Least time between two defences of an address, and between two notices of one kind, ns. RFC 5227, 1.1.
pub const DEFEND_INTERVAL: u64 = 10_000_000_000;

/// RFC 5227, 1.1: two announcements, 2 s apart.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL: u64 = 2_000_000_000;

const SECOND: u64 = 1_000_000_000;

/// Shortest Ethernet frame, without FCS.
const SHORTEST_FRAME: usize = 60;

/// An address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub ip: Ipv4Addr,
    /// Its hardware address.
    pub mac: Mac,
    /// The VLAN it is in; `None` = untagged.
    pub vlan: Option<u16>,
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// A frame to transmit.
    Frame(&'a [u8]),
    /// Orders go here from now on; `None`: nowhere.
    NextHop(Option<Mac>),
    /// For the log.
    Notice(Notice),
}

/// What an operator should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The next hop answered, the first time or after silence.
    Resolved(Mac),
    /// The next hop was asked so many times and has never answered, or not since it was lost.
    Silent(u32),
    /// The next hop has another hardware address than before, which no longer answers.
    Changed {
        /// Before.
        from: Mac,
        /// From now on.
        to: Mac,
    },
    /// The next hop no longer answers: no order leaves.
    Lost,
    /// A station claimed the address of the next hop, whose own hardware address is kept while it answers.
    Contested(Mac),
    /// A station uses our address.
    Conflict(Ipv4Addr, Mac),
}

/// See the module.
#[derive(Debug)]
pub struct Neighbour {
    own: Vec<Claim>,
    hop: Option<Hop>,
    /// Replies that left in the second that began at `.1`.
    replies: (u32, u64),
    frame: [u8; SHORTEST_FRAME],
    counters: NeighbourCounters,
}

#[derive(Debug)]
struct Claim {
    own: Own,
    announcements: u8,
    next: u64,
    /// No defence before this moment.
    defended_until: u64,
}

impl Neighbour {
    /// Silent until [`Neighbour::start`].
    #[must_use]
    pub fn new(own: &[Own], next_hop: Option<Peer>) -> Self {
        let claim = |own: &Own| Claim { own: *own, announcements: 0, next: 0, defended_until: 0 };
        Self {
            own: own.iter().map(claim).collect(),
            hop: next_hop.map(Hop::new),
            replies: (0, 0),
            frame: [0; SHORTEST_FRAME],
            counters: NeighbourCounters::default(),
        }
    }

    /// Announces our addresses and asks for the next hop.
    pub fn start(&mut self, now: u64, out: &mut dyn FnMut(Output<'_>)) {
        for claim in &mut self.own {
            (claim.announcements, claim.next) = (ANNOUNCEMENTS, now);
        }
        if let Some(hop) = &mut self.hop {
            hop.start(now);
        }
        self.tick(now, out);
    }

    /// Takes up a packet that came in `vlan`.
    pub fn on_packet(
        &mut self,
        now: u64,
        packet: &Packet,
        vlan: Option<u16>,
        out: &mut dyn FnMut(Output<'_>),
    ) {
        let known = self.own.iter().map(|claim| claim.own.vlan);
        if !known.chain(self.hop.as_ref().map(|hop| hop.peer.vlan)).any(|known| known == vlan) {
            self.counters.other_vlan += 1;
            return;
        }
        let [first, ..] = packet.sender_mac;
        if first & 1 != 0 || packet.sender_mac == [0; 6] {
            // Of a group, or of nobody: nothing can be answered to it and nothing believed of it.
            self.counters.unreadable += 1;
            return;
        }
        if self.own.iter().any(|claim| claim.own.mac == packet.sender_mac) {
            // Ours, come back.
            self.counters.of_others += 1;
            return;
        }
        let conflict = self.conflict(now, packet, vlan, out);
        let about_hop = self.hear_of_hop(now, packet, vlan, out);
        let answered = !conflict && self.reply(now, packet, vlan, out);
        self.counters.of_others += u64::from(!(conflict || about_hop || answered));
    }

    /// A frame that is no ARP packet came to be taken for one: counted.
    pub fn on_unreadable(&mut self) {
        self.counters.unreadable += 1;
    }

    /// Another station says that it has an address of ours.
    fn conflict(
        &mut self,
        now: u64,
        packet: &Packet,
        vlan: Option<u16>,
        out: &mut dyn FnMut(Output<'_>),
    ) -> bool {
        let ours = |claim: &&mut Claim| claim.own.ip == packet.sender_ip && claim.own.vlan == vlan;
        let Some(claim) = self.own.iter_mut().find(ours) else { return false };
        self.counters.conflicts += 1;
        if now >= claim.defended_until {
            claim.defended_until = now + DEFEND_INTERVAL;
            out(Output::Notice(Notice::Conflict(claim.own.ip, packet.sender_mac)));
            let own = claim.own;
            self.announce(own, out);
        }
        true
    }

    /// Somebody says where the next hop is.
    fn hear_of_hop(
        &mut self,
        now: u64,
        packet: &Packet,
        vlan: Option<u16>,
        out: &mut dyn FnMut(Output<'_>),
    ) -> bool {
        let Some(hop) = &mut self.hop else { return false };
        if (hop.peer.ip, hop.peer.vlan) != (packet.sender_ip, vlan) {
            return false;
        }
        let answer = packet.operation == Operation::Reply
            && (packet.target_ip, packet.target_mac) == (hop.peer.from.ip, hop.peer.from.mac);
        if hop.hear(now, packet.sender_mac, answer, out) {
            self.counters.believed += 1;
        } else {
            self.counters.not_believed += 1;
        }
        true
    }

    fn reply(
        &mut self,
        now: u64,
        packet: &Packet,
        vlan: Option<u16>,
        out: &mut dyn FnMut(Output<'_>),
    ) -> bool {
        let ours = |claim: &&Claim| claim.own.ip == packet.target_ip && claim.own.vlan == vlan;
        let Some(own) = self.own.iter().find(ours).map(|claim| claim.own) else { return false };
        if packet.operation != Operation::Request {
            return false;
        }
        self.counters.requests_heard += 1;
        if now.saturating_sub(self.replies.1) >= SECOND {
            self.replies = (0, now);
        }
        if self.replies.0 >= REPLIES {
            self.counters.replies_held += 1;
            return true;
        }
        self.replies.0 += 1;
        self.counters.replies_sent += 1;
        self.send(packet.sender_mac, vlan, &packet.reply(own.mac), out);
        true
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: u64, out: &mut dyn FnMut(Output<'_>)) {
        for at in 0..self.own.len() {
            let Some(claim) = self.own.get_mut(at) else { break };
            if claim.announcements > 0 && now >= claim.next {
                claim.announcements -= 1;
                claim.next = now + ANNOUNCE_INTERVAL;
                let own = claim.own;
                self.announce(own, out);
            }
        }
        let Some(hop) = &mut self.hop else { return };
        let peer = hop.peer;
        if let Some(ask) = hop.tick(now, out) {
            self.counters.asked += 1;
            let to = match ask {
                Ask::All => BROADCAST,
                Ask::Only(mac) => mac,
            };
            let request = Packet::request(peer.from.mac, peer.from.ip, peer.ip);
            self.send(to, peer.vlan, &request, out);
        }
    }

    /// When [`Neighbour::tick`] has something to do next; `None`: not before the next packet.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let announcements = self.own.iter().filter(|claim| claim.announcements > 0).map(|claim| claim.next);
        announcements.chain(self.hop.as_ref().and_then(Hop::next_due)).min()
    }

    /// The hardware address of the next hop, as far as it is known.
    #[must_use]
    pub fn next_hop(&self) -> Option<Mac> {
        self.hop.as_ref().and_then(Hop::mac)
    }

    /// What was heard and said.
    #[must_use]
    pub fn counters(&self) -> &NeighbourCounters {
        &self.counters
    }

    fn announce(&mut self, own: Own, out: &mut dyn FnMut(Output<'_>)) {
        self.counters.announcements += 1;
        self.send(BROADCAST, own.vlan, &Packet::request(own.mac, own.ip, own.ip), out);
    }

    fn send(&mut self, to: Mac, vlan: Option<u16>, packet: &Packet, out: &mut dyn FnMut(Output<'_>)) {
        // Not every driver fills up what is too short for Ethernet, and ARP always is.
        self.frame = [0; SHORTEST_FRAME];
        if emit_arp(&mut self.frame, to, vlan, packet).is_ok() {
            out(Output::Frame(&self.frame));
        }
    }
}

#[cfg(test)]
mod tests;
