//! The test framing: datagrams in, MoldUDP64 packets out. See [`super`] for its layout.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use super::checks::soup;
use super::trading::{Owner, Trading};
use crate::market::Market;
use crate::mold::{HEADER, Packetizer};
use crate::ouch::{Inbound, MAX_LEN};

/// The way back to one client.
#[derive(Clone, Debug)]
struct Path {
    address: SocketAddrV4,
    client: usize,
    packetizer: Packetizer,
}

/// All clients of this framing.
#[derive(Clone, Debug)]
pub(super) struct Wutf {
    session: [u8; 10],
    limit: usize,
    /// In the order they came.
    paths: Vec<Path>,
    by_address: BTreeMap<SocketAddrV4, usize>,
}

impl Wutf {
    pub(super) fn new(session: [u8; 10], limit: usize) -> Self {
        // A packet holds the longest reply.
        let limit = limit.max(HEADER + 2 + MAX_LEN);
        Self { session, limit, paths: Vec::new(), by_address: BTreeMap::new() }
    }

    pub(super) fn on_datagram(
        &mut self,
        from: SocketAddrV4,
        payload: &[u8],
        trading: &mut Trading,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        trading.counters.datagrams += 1;
        let mut rest = payload;
        while !rest.is_empty() {
            let Some((kind, message, after)) = soup(rest) else {
                trading.counters.malformed += 1;
                return;
            };
            rest = after;
            let inbound = match kind {
                b'U' => Inbound::parse(message),
                b'R' if message.is_empty() => {
                    trading.counters.heartbeats += 1;
                    continue;
                }
                _ => None,
            };
            let Some(inbound) = inbound else {
                trading.counters.malformed += 1;
                return;
            };
            let Some(client) = self.find_or_make(from, trading, market.time()) else { return };
            trading.on_message(client, &inbound, market, feed);
        }
    }

    fn find_or_make(&mut self, address: SocketAddrV4, trading: &mut Trading, time: u64) -> Option<usize> {
        if let Some(known) = self.by_address.get(&address) {
            return Some(*known);
        }
        let client = trading.new_client(Owner::Address(address), self.session, time)?;
        let packetizer = Packetizer::new(self.session, self.limit);
        self.paths.push(Path { address, client, packetizer });
        self.by_address.insert(address, client);
        Some(client)
    }

    /// The place of a client among all.
    pub(super) fn client(&self, address: SocketAddrV4) -> Option<usize> {
        self.by_address.get(&address).copied()
    }

    pub(super) fn send(&mut self, trading: &mut Trading, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        for Path { address, client, packetizer } in &mut self.paths {
            let replies = &trading.clients[*client].replies;
            if packetizer.next_sequence() < replies.first() {
                // Nobody sent for so long that the oldest are gone; their numbers are missing, as they should be.
                trading.counters.lost_replies += replies.first() - packetizer.next_sequence();
                *packetizer = Packetizer::starting_at(self.session, self.limit, replies.first());
            }
            let mut send = |packet: &[u8]| out(*address, packet);
            while let Some(reply) = replies.get(packetizer.next_sequence()) {
                // Every reply fits a packet.
                if packetizer.push(reply, &mut send).is_err() {
                    break;
                }
            }
            packetizer.flush(&mut send);
        }
    }

    pub(super) fn heartbeat(&mut self, trading: &mut Trading, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        self.send(trading, out);
        for Path { address, packetizer, .. } in &mut self.paths {
            packetizer.heartbeat(&mut |packet| out(*address, packet));
        }
    }

    pub(super) fn end(&mut self, trading: &mut Trading, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        self.send(trading, out);
        for Path { address, packetizer, .. } in &mut self.paths {
            packetizer.end_of_session(&mut |packet| out(*address, packet));
        }
    }
}
