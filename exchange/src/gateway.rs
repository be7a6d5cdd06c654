//! The gateway: OUCH 5.0 orders of outside clients into the market, over two framings.
//!
//! **SoupBinTCP** ([`crate::soup`]), as exchanges do it: an account for each username, whose replies are kept, so that a
//! client that logs in again with the sequence it wants next misses nothing. A second login of the same user closes
//! the first. If so configured, the orders of a user whose connection ends are cancelled.
//!
//! **UDP in a framing of our own**, for tests and demonstrations on a path without loss; it is no exchange's protocol
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
//! Clients, connections, open orders, replies kept and executions remembered are bounded. Times of connections are ns
//! that never go back; what clients are told bears the market's time.

mod account;
mod checks;
mod counters;
mod tcp;
mod trading;
mod wutf;

pub use account::{Account, OpenOrder, Position};
pub use counters::GatewayCounters;
pub use trading::{Owner, User};

use std::net::SocketAddrV4;

use crate::market::Market;
use crate::mold::DEFAULT_LIMIT;
use crate::ouch::{BY_SYSTEM, Inbound, Outbound};
use crate::soup::{self, ConnId, Credentials, Event, Output, SoupCounters};
use tcp::Tcp;
use trading::Trading;
use wutf::Wutf;

/// What a gateway is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Session of the downstream packets (WUTF).
    pub session: [u8; 10],
    /// The longest downstream payload, bytes (WUTF).
    pub limit: usize,
    /// The most clients, of both framings together.
    pub clients: u16,
    /// The most open orders of one client.
    pub open_orders: u32,
    /// Bytes of replies kept for each client, four for each reply beside its own.
    pub reply_bytes: usize,
    /// SoupBinTCP connections: session, times, pace.
    pub soup: soup::Config,
    /// Who may log in (SoupBinTCP); nobody named: everybody, with any password.
    pub users: Vec<Credentials>,
    /// The most connections, those that did not log in yet included.
    pub connections: usize,
    /// Are the orders of a user cancelled when its connection ends?
    pub cancel_on_disconnect: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            session: *b"WUTF000001",
            limit: DEFAULT_LIMIT,
            clients: 64,
            open_orders: 100_000,
            reply_bytes: 1 << 26,
            soup: soup::Config { session: *b"OUCH000001", ..soup::Config::default() },
            users: Vec::new(),
            connections: 64,
            cancel_on_disconnect: true,
        }
    }
}

/// Takes orders in and tells what became of them. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Gateway {
    trading: Trading,
    wutf: Wutf,
    tcp: Tcp,
}

impl Gateway {
    /// A gateway without clients.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            trading: Trading::new(config.clients, config.open_orders, config.reply_bytes),
            wutf: Wutf::new(config.session, config.limit),
            tcp: Tcp::new(config),
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
        self.settle(market);
        self.wutf.on_datagram(from, payload, &mut self.trading, market, feed);
    }

    /// Tells clients of what the market did with their orders since the last call. Cheap when it did nothing.
    pub fn settle(&mut self, market: &mut Market) {
        self.trading.settle(market);
    }

    /// Hands out every waiting packet with its destination.
    pub fn send(&mut self, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        self.wutf.send(&mut self.trading, out);
    }

    /// Hands out every waiting packet, then a heartbeat for each client. Connections have their own in
    /// [`Gateway::tick`].
    pub fn heartbeat(&mut self, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        self.wutf.heartbeat(&mut self.trading, out);
    }

    /// Ends the day for every client: a system event, then the end of the session. Once. Connections get theirs from
    /// [`Gateway::tick`].
    pub fn end(&mut self, time: u64, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        self.trading.tell_all(Outbound::system_event(time, b'E'));
        self.wutf.end(&mut self.trading, out);
        self.tcp.end();
    }

    /// A client connected (SoupBinTCP). Beyond the limit it is closed by the next [`Gateway::tick`].
    pub fn on_connect(&mut self, now: u64, conn: ConnId) {
        self.tcp.on_connect(now, conn);
    }

    /// Bytes came on a connection. `feed` gets the ITCH messages of what they make happen.
    pub fn on_bytes(
        &mut self,
        now: u64,
        conn: ConnId,
        mut bytes: &[u8],
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
        out: &mut impl FnMut(Output<'_>),
    ) {
        let Self { trading, tcp, .. } = self;
        trading.settle(market);
        // What a user left behind goes before it, or anybody, does anything new.
        tcp.cancel_left(trading, market, feed);
        while let Some(connection) = tcp.connection(conn)
            && let Some(event) = connection.soup.receive(now, &mut bytes)
        {
            match event {
                Event::Login(login) => tcp.on_login(now, conn, &login, trading, market.time(), out),
                Event::Unsequenced(message) => match (Inbound::parse(message), connection.client) {
                    (Some(inbound), Some(client)) => {
                        trading.on_message(client, &inbound, market, feed);
                        // Not later: the next packet may end the connection.
                        tcp.pump(now, conn, trading);
                    }
                    _ => trading.counters.malformed += 1,
                },
            }
        }
        tcp.run(now, conn, trading, out);
    }

    /// The connection is closed, by the client or the network.
    pub fn on_disconnect(&mut self, _now: u64, conn: ConnId) {
        self.tcp.on_disconnect(conn);
    }

    /// Lets time pass on the connections: sends replies and heartbeats, closes what is over, and cancels what users
    /// left behind.
    pub fn tick(
        &mut self,
        now: u64,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.trading.settle(market);
        self.tcp.tick(now, &self.trading, out);
        self.tcp.cancel_left(&mut self.trading, market, feed);
    }

    /// When [`Gateway::tick`] has something to do next; 0 for at once, `u64::MAX` for never.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.tcp.next_due(&self.trading)
    }

    /// Closes every connection, as a failing gateway does. Accounts and their replies stay.
    pub fn drop_connections(&mut self, out: &mut impl FnMut(Output<'_>)) {
        self.tcp.drop_connections(out);
    }

    /// Cancels every open order of every client, and tells it. For what the feed says of it see `feed`.
    pub fn cancel_all(&mut self, market: &mut Market, feed: &mut impl FnMut(&[u8])) {
        self.trading.settle(market);
        for client in 0..self.trading.clients.len() {
            self.trading.cancel_all(client, BY_SYSTEM, market, feed);
        }
    }

    /// The market has closed: what is open has come to its end, and clients are told. The feed says nothing of it.
    pub fn expire(&mut self, market: &mut Market) {
        self.trading.settle(market);
        self.trading.expire(market.time());
    }

    /// The orders with these tags rest no more, without a message in the feed: their clients are told that they were
    /// cancelled by the system. `time` is that of the market. Fills from before have to be settled first.
    pub fn purge(&mut self, tags: &[u64], time: u64) {
        self.trading.purge(tags, time);
    }

    /// The account of a client of the test framing, if it ever sent anything.
    #[must_use]
    pub fn account(&self, client: SocketAddrV4) -> Option<&Account> {
        self.wutf.client(client).map(|client| &self.trading.clients[client].account)
    }

    /// The account of a user, if it ever logged in.
    #[must_use]
    pub fn account_of(&self, username: &str) -> Option<&Account> {
        let user = User::new(username.as_bytes());
        self.tcp.client(user).map(|client| &self.trading.clients[client].account)
    }

    /// Every client of the test framing with its account, in the order they came.
    pub fn accounts(&self) -> impl Iterator<Item = (SocketAddrV4, &Account)> {
        self.clients().filter_map(|(owner, account)| match owner {
            Owner::Address(address) => Some((address, account)),
            Owner::User(_) => None,
        })
    }

    /// Every client of either framing with its account, in the order they came.
    pub fn clients(&self) -> impl Iterator<Item = (Owner, &Account)> {
        self.trading.clients.iter().map(|client| (client.owner, &client.account))
    }

    /// Counters of both framings.
    #[must_use]
    pub fn counters(&self) -> &GatewayCounters {
        &self.trading.counters
    }

    /// Counters of all connections that there ever were.
    #[must_use]
    pub fn soup_counters(&self) -> SoupCounters {
        self.tcp.counters()
    }

    /// Connections that stand.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.tcp.connections()
    }
}
