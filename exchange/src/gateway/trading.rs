//! What OUCH messages do, whichever way they came: accounts, rules and replies.

use std::fmt;
use std::net::SocketAddrV4;

use super::account::{Account, OpenOrder};
use super::checks::{check, outside, reject};
use super::counters::GatewayCounters;
use crate::archive::Archive;
use crate::market::{Fill, FillKind, Market};
use crate::ouch::{BY_SYSTEM, BY_USER, EXPIRED, Enter, IMMEDIATE, Inbound, Outbound, Reject, Replace, Terms};

/// A user's name: no padding, in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User([u8; 6]);

impl User {
    /// From a name as it came, padded or not. What is beyond six bytes is left out.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let mut user = [b' '; 6];
        for (to, from) in user.iter_mut().zip(crate::soup::trim(name)) {
            *to = from.to_ascii_uppercase();
        }
        Self(user)
    }
}

impl fmt::Display for User {
    /// Anything that is not printable ASCII shows as `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in crate::soup::trim(&self.0) {
            let shown = if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
            fmt::Write::write_char(f, shown)?;
        }
        Ok(())
    }
}

/// Who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Of the test framing: where it sends from.
    Address(SocketAddrV4),
    /// Of SoupBinTCP: its name.
    User(User),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::User(user) => user.fmt(f),
        }
    }
}

/// One client: its account, and everything it was ever told, as far back as is kept.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) owner: Owner,
    pub(super) account: Account,
    pub(super) replies: Archive,
}

impl Client {
    fn tell(&mut self, message: Outbound) {
        self.replies.push(message.bytes());
    }
}

/// All clients, and what they may do.
#[derive(Clone, Debug)]
pub(super) struct Trading {
    /// In the order they came; their places are in the tags of their orders.
    pub(super) clients: Vec<Client>,
    most_clients: usize,
    open_orders: usize,
    reply_bytes: usize,
    pub(super) counters: GatewayCounters,
}

impl Trading {
    pub(super) fn new(clients: u16, open_orders: u32, reply_bytes: usize) -> Self {
        Self {
            clients: Vec::new(),
            most_clients: usize::from(clients),
            open_orders: open_orders as usize,
            reply_bytes,
            counters: GatewayCounters::default(),
        }
    }

    /// Takes a new client in and tells it that the day has started. `None` when there are as many as may be.
    pub(super) fn new_client(&mut self, owner: Owner, session: [u8; 10], time: u64) -> Option<usize> {
        if self.clients.len() >= self.most_clients {
            self.counters.refused_clients += 1;
            return None;
        }
        let replies = Archive::new(session, self.reply_bytes);
        let mut client = Client { owner, account: Account::default(), replies };
        client.tell(Outbound::system_event(time, b'S'));
        self.clients.push(client);
        Some(self.clients.len() - 1)
    }

    /// Tells every client.
    pub(super) fn tell_all(&mut self, message: Outbound) {
        for client in &mut self.clients {
            client.tell(message);
        }
    }

    /// Does what a client asks for.
    pub(super) fn on_message(
        &mut self,
        client: usize,
        inbound: &Inbound,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        match inbound {
            Inbound::Enter(order) => self.enter(client, order, market, feed),
            Inbound::Replace(replace) => self.replace(client, replace, market, feed),
            Inbound::Cancel { user_ref, quantity } => {
                self.cancel(client, *user_ref, *quantity, market, feed);
            }
            Inbound::Query => {
                let client = &mut self.clients[client];
                let next = client.account.next_user_ref();
                client.tell(Outbound::next_user_ref(market.time(), next));
            }
            Inbound::Unsupported(_) => self.counters.unsupported += 1,
        }
    }

    /// Tells clients of what the market did with their orders since the last call.
    pub(super) fn settle(&mut self, market: &mut Market) {
        if market.has_fills() {
            for fill in market.take_fills() {
                self.fill(&fill);
            }
        }
    }

    fn enter(&mut self, client: usize, order: &Enter, market: &mut Market, feed: &mut impl FnMut(&[u8])) {
        if !self.clients[client].account.use_number(order.user_ref) {
            self.counters.repeated += 1;
            return;
        }
        let room = self.clients[client].account.open_orders().len() < self.open_orders;
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
                client_state.tell(Outbound::accepted(entered.time, &terms));
                client_state.account.open(open);
                self.settle(market);
                self.drop_rest(client, order, market.time());
            }
            Err(reason) => {
                self.counters.rejected += 1;
                let reply = Outbound::rejected(market.time(), order.user_ref, reason, &order.cl_ord_id);
                self.clients[client].tell(reply);
            }
        }
    }

    /// What an immediate-or-cancel order did not trade is cancelled.
    fn drop_rest(&mut self, client: usize, order: &Enter, time: u64) {
        if order.time_in_force == b'3' {
            self.drop_order(client, order.user_ref, IMMEDIATE, time);
        }
    }

    /// Ends an order that is not in the market any more, if it is open; its client is told.
    fn drop_order(&mut self, client: usize, user_ref: u32, reason: u8, time: u64) {
        if let Some(open) = self.clients[client].account.remove(user_ref) {
            self.canceled(client, user_ref, open.left(), reason, time);
        }
    }

    fn canceled(&mut self, client: usize, user_ref: u32, shares: u32, reason: u8, time: u64) {
        self.counters.canceled += 1;
        self.clients[client].tell(Outbound::canceled(time, user_ref, shares, reason));
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

    /// Cancels whatever a client has open. After the close nothing can be cancelled any more, and nothing trades.
    pub(super) fn cancel_all(
        &mut self,
        client: usize,
        reason: u8,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        let open: Vec<OpenOrder> = self.clients[client].account.open_orders().copied().collect();
        for order in open {
            if let Ok((shares, time)) = market.cancel(order.slot, order.order_ref, u32::MAX, feed) {
                let user_ref = order.entered.user_ref;
                self.clients[client].account.reduce(user_ref, shares);
                self.canceled(client, user_ref, shares, reason, time);
            }
        }
    }

    /// The day is over, and with it every order: clients are told.
    pub(super) fn expire(&mut self, time: u64) {
        for client in 0..self.clients.len() {
            let open = self.clients[client].account.open_orders().map(|order| order.entered.user_ref);
            for user_ref in open.collect::<Vec<_>>() {
                self.drop_order(client, user_ref, EXPIRED, time);
            }
        }
    }

    /// Orders that rest no more: their clients are told.
    pub(super) fn purge(&mut self, tags: &[u64], time: u64) {
        for tag in tags {
            if let Some((client, user_ref)) = self.of_tag(*tag) {
                self.drop_order(client, user_ref, BY_SYSTEM, time);
            }
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
                client_state.tell(Outbound::replaced(entered.time, replace.orig_user_ref, &terms));
                self.settle(market);
                self.drop_rest(client, &order, market.time());
            }
            // Nothing wrong with the order, it only cannot be changed now: it stays as it is.
            Err(reason @ (Reject::Halted | Reject::DestinationClosed)) => {
                self.counters.rejected += 1;
                let client = &mut self.clients[client];
                client.account.use_number(replace.user_ref);
                client.tell(Outbound::rejected(market.time(), replace.user_ref, reason, &replace.cl_ord_id));
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
        // Tags are made in `outside`, so there is such a client.
        let Some((client, user_ref)) = self.of_tag(fill.tag) else { return };
        let client = &mut self.clients[client];
        let Fill { kind, time, shares, price, match_number, rested, .. } = *fill;
        match kind {
            FillKind::Executed => {
                self.counters.executed += 1;
                client.account.execute(user_ref, fill);
                client.tell(Outbound::executed(time, user_ref, shares, price, rested, match_number));
            }
            FillKind::Broken => match client.account.break_trade(user_ref, match_number) {
                Some(cl_ord_id) => {
                    self.counters.broken += 1;
                    client.tell(Outbound::broken(time, user_ref, match_number, &cl_ord_id));
                }
                None => self.counters.forgotten += 1,
            },
        }
    }

    /// The client and its number for the order that a tag names.
    fn of_tag(&self, tag: u64) -> Option<(usize, u32)> {
        let client = ((tag >> 32) as usize).checked_sub(1)?;
        (client < self.clients.len()).then_some((client, tag as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Config;
    use crate::units::{Side, Symbol};

    fn buy(symbol: Symbol, price: u32) -> Enter {
        Enter {
            user_ref: 1,
            side: b'B',
            quantity: 300,
            symbol,
            price: price.into(),
            time_in_force: b'3',
            display: b'Y',
            capacity: b'P',
            iso: b'N',
            cross: b'N',
            cl_ord_id: *b"CLIENT-ORDER-1",
            firm: None,
        }
    }

    #[test]
    fn a_broken_trade_is_told_and_undone_once() {
        let config = Config { symbols: 1, live_orders: 400, halt_every: 0, ..Config::default() };
        let mut market = Market::new(config).expect("good");
        for _ in 0..market.opening_length() + 2_000 {
            market.step(&mut |_| {});
        }
        let symbol = market.symbol(0).expect("an instrument");
        let ask = market.book(0).and_then(|book| book.best_price(Side::Sell)).expect("a price");
        let mut trading = Trading::new(4, 10, 1 << 20);
        let client = trading.new_client(Owner::User(User::new(b"user")), *b"SESSION001", 0).expect("room");
        let order = buy(symbol, ask + 10_000);
        trading.on_message(client, &Inbound::Enter(order), &mut market, &mut |_| {});
        let bought = trading.clients[client].account.position(symbol);
        assert!(bought.bought > 0 && bought.cash < 0);
        // The first execution is the third reply: shares and match number stand where the document has them.
        let reply = trading.clients[client].replies.get(3).expect("an execution").to_vec();
        assert_eq!(reply[0], b'E');
        let shares = u32::from_be_bytes(*reply[13..].first_chunk().expect("long enough"));
        let match_number = u64::from_be_bytes(*reply[26..].first_chunk().expect("long enough"));
        let fill = Fill {
            kind: FillKind::Broken,
            tag: 1 << 32 | 1,
            time: 77,
            shares,
            price: ask,
            match_number,
            rested: false,
        };
        trading.fill(&fill);
        let left = trading.clients[client].account.position(symbol);
        assert_eq!(left.bought, bought.bought - u64::from(shares));
        assert_eq!(left.cash, bought.cash + i128::from(shares) * i128::from(ask));
        assert_eq!(left.executions, bought.executions - 1);
        let replies = &trading.clients[client].replies;
        let told = Outbound::broken(77, 1, match_number, b"CLIENT-ORDER-1");
        assert_eq!(replies.get(replies.next() - 1), Some(told.bytes()));
        // Not twice, and not one that never was.
        let said = replies.next();
        trading.fill(&fill);
        trading.fill(&Fill { match_number: u64::MAX, ..fill });
        trading.fill(&Fill { tag: 9 << 32 | 1, ..fill });
        trading.fill(&Fill { tag: 1, ..fill });
        assert_eq!(trading.clients[client].replies.next(), said);
        assert_eq!(trading.clients[client].account.position(symbol), left);
        assert_eq!((trading.counters.broken, trading.counters.forgotten), (1, 2));
    }
}
