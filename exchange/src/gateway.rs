//! The gateway: OUCH 5.0 orders of outside clients, over UDP, into the market.
//!
//! **The framing is our own**, for tests and demonstrations on a path without loss; it is no exchange's protocol
//! ("WUTF", wirebook UDP test framing). Upstream, a datagram holds one or more packets in the shape of SoupBinTCP:
//! length (u16, counts type and payload), type, payload; type `U` carries one OUCH message, type `R` is a heartbeat.
//! Downstream, MoldUDP64 packets ([`crate::mold`]) carry OUCH messages, numbered from 1 for each client, sent to the
//! address and port that the client sends from. No login, no retransmission.
//!
//! Rules, as OUCH 5.0 has them: `user_ref_num` rises strictly, and what does not rise is silently ignored. The
//! quantity of a replace is the total of its chain, executed shares included; that of a cancel is the new intended
//! total, 0 for none left. A replace of an order that is not live is ignored and uses up no number; one with
//! impossible terms cancels the order it wanted to replace and uses up no number either. A cancel of an order that is
//! not live, or to no fewer shares, is ignored.
//!
//! The gateway keeps each client's [`Account`], so that a test can hold the client's idea of it against the exchange's.

mod account;
mod checks;
mod counters;
mod purge;

pub use account::{Account, OpenOrder, Position};
pub use counters::GatewayCounters;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use checks::{check, outside, reject, soup};

use crate::market::{Fill, Market};
use crate::mold::{DEFAULT_LIMIT, Packetizer};
use crate::ouch::{BY_SYSTEM, BY_USER, Enter, IMMEDIATE, Inbound, Outbound, Reject, Replace, Terms};

/// What a gateway is made from.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Session of the downstream packets.
    pub session: [u8; 10],
    /// The longest downstream payload, bytes.
    pub limit: usize,
    /// The most clients.
    pub clients: u16,
    /// The most open orders of one client.
    pub open_orders: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { session: *b"WUTF000001", limit: DEFAULT_LIMIT, clients: 64, open_orders: 100_000 }
    }
}

/// One client: its account, and the packets that wait to be sent to it.
#[derive(Clone, Debug)]
struct Client {
    address: SocketAddrV4,
    account: Account,
    packetizer: Packetizer,
    packets: Vec<Vec<u8>>,
}

impl Client {
    fn reply(&mut self, message: Outbound) {
        let packets = &mut self.packets;
        // Every reply fits: the packetizer's limit is never below a header and the longest of them.
        let _ = self.packetizer.push(message.bytes(), &mut |packet| packets.push(packet.to_vec()));
    }
}

/// Takes orders in and tells what became of them. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Gateway {
    config: Config,
    clients: Vec<Client>,
    by_address: BTreeMap<SocketAddrV4, usize>,
    counters: GatewayCounters,
}

impl Gateway {
    /// A gateway without clients.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let limit = config.limit.max(crate::mold::HEADER + 2 + crate::ouch::MAX_LEN);
        Self {
            config: Config { limit, ..config },
            clients: Vec::new(),
            by_address: BTreeMap::new(),
            counters: GatewayCounters::default(),
        }
    }

    /// Reads one upstream datagram. `feed` gets the ITCH messages of what it makes happen; the replies wait for
    /// [`Gateway::send`], which should follow soon.
    pub fn on_datagram(
        &mut self,
        from: SocketAddrV4,
        payload: &[u8],
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        self.counters.datagrams += 1;
        self.settle(market);
        let mut rest = payload;
        while !rest.is_empty() {
            let Some((kind, message, after)) = soup(rest) else {
                self.counters.malformed += 1;
                return;
            };
            rest = after;
            let inbound = match kind {
                b'U' => Inbound::parse(message),
                b'R' if message.is_empty() => {
                    self.counters.heartbeats += 1;
                    continue;
                }
                _ => None,
            };
            let Some(inbound) = inbound else {
                self.counters.malformed += 1;
                return;
            };
            let Some(client) = self.client(from, market.time()) else {
                self.counters.refused_clients += 1;
                return;
            };
            match inbound {
                Inbound::Enter(order) => self.enter(client, &order, market, feed),
                Inbound::Replace(replace) => self.replace(client, &replace, market, feed),
                Inbound::Cancel { user_ref, quantity } => {
                    self.cancel(client, user_ref, quantity, market, feed);
                }
                Inbound::Query => {
                    let client = &mut self.clients[client];
                    let next = client.account.next_user_ref();
                    client.reply(Outbound::next_user_ref(market.time(), next));
                }
                Inbound::Unsupported(_) => self.counters.unsupported += 1,
            }
        }
    }

    /// Tells clients of what the market did with their orders since the last call. Cheap when it did nothing.
    pub fn settle(&mut self, market: &mut Market) {
        if market.has_fills() {
            for fill in market.take_fills() {
                self.fill(&fill);
            }
        }
    }

    /// Hands out every waiting packet with its destination.
    pub fn send(&mut self, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        for client in &mut self.clients {
            let address = client.address;
            for packet in client.packets.drain(..) {
                out(address, &packet);
            }
            client.packetizer.flush(&mut |packet| out(address, packet));
        }
    }

    /// Hands out every waiting packet, then a heartbeat for each client.
    pub fn heartbeat(&mut self, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        self.send(out);
        for client in &mut self.clients {
            client.packetizer.heartbeat(&mut |packet| out(client.address, packet));
        }
    }

    /// Ends the day for every client: a system event, then the end of the session. Once.
    pub fn end(&mut self, time: u64, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        for client in &mut self.clients {
            client.reply(Outbound::system_event(time, b'E'));
        }
        self.send(out);
        for client in &mut self.clients {
            client.packetizer.end_of_session(&mut |packet| out(client.address, packet));
        }
    }

    /// The account of a client, if it ever sent anything.
    #[must_use]
    pub fn account(&self, client: SocketAddrV4) -> Option<&Account> {
        self.by_address.get(&client).map(|index| &self.clients[*index].account)
    }

    /// Every client with its account, in the order they came.
    pub fn accounts(&self) -> impl Iterator<Item = (SocketAddrV4, &Account)> {
        self.clients.iter().map(|client| (client.address, &client.account))
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> &GatewayCounters {
        &self.counters
    }

    fn client(&mut self, address: SocketAddrV4, time: u64) -> Option<usize> {
        if let Some(known) = self.by_address.get(&address) {
            return Some(*known);
        }
        if self.clients.len() >= usize::from(self.config.clients) {
            return None;
        }
        let mut client = Client {
            address,
            account: Account::default(),
            packetizer: Packetizer::new(self.config.session, self.config.limit),
            packets: Vec::new(),
        };
        client.reply(Outbound::system_event(time, b'S'));
        self.clients.push(client);
        let index = self.clients.len() - 1;
        self.by_address.insert(address, index);
        Some(index)
    }

    fn enter(&mut self, client: usize, order: &Enter, market: &mut Market, feed: &mut impl FnMut(&[u8])) {
        if !self.clients[client].account.use_number(order.user_ref) {
            self.counters.repeated += 1;
            return;
        }
        let room = self.clients[client].account.open_orders().len() < self.config.open_orders as usize;
        let taken = check(order, market).and_then(|side| {
            let instrument = market.instrument_of(order.symbol).ok_or(Reject::Symbol)?;
            let outside = outside(client, order, instrument, side)?;
            if !room {
                return Err(Reject::Other);
            }
            market.enter(&outside, feed).map(|entered| (side, entered)).map_err(reject)
        });
        match taken {
            Ok((side, entered)) => {
                self.counters.accepted += 1;
                let open = OpenOrder::new(*order, side, &entered);
                let terms = Terms { order: *order, order_ref: entered.order_ref };
                let client_state = &mut self.clients[client];
                client_state.reply(Outbound::accepted(entered.time, &terms));
                client_state.account.open(open);
                self.settle(market);
                self.drop_rest(client, order, market.time());
            }
            Err(reason) => {
                self.counters.rejected += 1;
                let reply = Outbound::rejected(market.time(), order.user_ref, reason, &order.cl_ord_id);
                self.clients[client].reply(reply);
            }
        }
    }

    /// What an immediate-or-cancel order did not trade is cancelled.
    fn drop_rest(&mut self, client: usize, order: &Enter, time: u64) {
        if order.time_in_force == b'3'
            && let Some(open) = self.clients[client].account.remove(order.user_ref)
        {
            self.canceled(client, order.user_ref, open.left(), IMMEDIATE, time);
        }
    }

    fn canceled(&mut self, client: usize, user_ref: u32, shares: u32, reason: u8, time: u64) {
        self.counters.canceled += 1;
        self.clients[client].reply(Outbound::canceled(time, user_ref, shares, reason));
    }

    fn cancel(
        &mut self,
        client: usize,
        user_ref: u32,
        quantity: u32,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        let Some(open) = self.clients[client].account.order(user_ref).copied() else {
            self.counters.ignored += 1;
            return;
        };
        let keeps = quantity.saturating_sub(open.executed).min(open.left());
        let fewer = open.left() - keeps;
        match market.cancel(open.slot, open.order_ref, fewer, feed) {
            Ok((shares, time)) => {
                self.clients[client].account.reduce(user_ref, shares);
                self.canceled(client, user_ref, shares, BY_USER, time);
            }
            Err(_) => self.counters.ignored += 1,
        }
    }

    fn replace(
        &mut self,
        client: usize,
        replace: &Replace,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        let account = &mut self.clients[client].account;
        if replace.user_ref < account.next_user_ref() {
            self.counters.repeated += 1;
            return;
        }
        let Some(open) = account.order(replace.orig_user_ref).copied() else {
            self.counters.ignored += 1;
            return;
        };
        let order = Enter {
            user_ref: replace.user_ref,
            quantity: replace.quantity,
            price: replace.price,
            time_in_force: replace.time_in_force,
            display: replace.display,
            iso: replace.iso,
            cl_ord_id: replace.cl_ord_id,
            ..open.entered
        };
        let exposed = Enter { quantity: replace.quantity.saturating_sub(open.executed), ..order };
        let replaced = check(&order, market)
            .and_then(|side| outside(client, &exposed, open.instrument(market)?, side))
            .and_then(|outside| market.replace(open.slot, open.order_ref, &outside, feed).map_err(reject));
        match replaced {
            Ok(entered) => {
                self.counters.replaced += 1;
                let terms = Terms { order: exposed, order_ref: entered.order_ref };
                let client_state = &mut self.clients[client];
                client_state.account.use_number(replace.user_ref);
                client_state.account.remove(replace.orig_user_ref);
                client_state.account.open(open.replaced(order, &entered));
                client_state.reply(Outbound::replaced(entered.time, replace.orig_user_ref, &terms));
                self.settle(market);
                self.drop_rest(client, &order, market.time());
            }
            // Nothing wrong with the order, it only cannot be changed now: it stays as it is.
            Err(reason @ (Reject::Halted | Reject::DestinationClosed)) => {
                self.counters.rejected += 1;
                let client = &mut self.clients[client];
                client.account.use_number(replace.user_ref);
                let reply = Outbound::rejected(market.time(), replace.user_ref, reason, &replace.cl_ord_id);
                client.reply(reply);
            }
            Err(_) => {
                let reason = if exposed.quantity == 0 { BY_USER } else { BY_SYSTEM };
                if let Ok((shares, time)) = market.cancel(open.slot, open.order_ref, u32::MAX, feed) {
                    self.clients[client].account.reduce(replace.orig_user_ref, shares);
                    self.canceled(client, replace.orig_user_ref, shares, reason, time);
                }
            }
        }
    }

    fn fill(&mut self, fill: &Fill) {
        let user_ref = fill.tag as u32;
        // Tags are made in `outside`, so there is such a client.
        let Some(client) = ((fill.tag >> 32) as usize).checked_sub(1).and_then(|at| self.clients.get_mut(at))
        else {
            return;
        };
        client.account.execute(user_ref, fill);
        self.counters.executed += 1;
        let Fill { time, shares, price, match_number, rested, .. } = *fill;
        client.reply(Outbound::executed(time, user_ref, shares, price, rested, match_number));
    }
}
