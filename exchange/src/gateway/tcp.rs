//! OUCH over SoupBinTCP: logins, who is connected as whom, and replies from where each client left off.

use std::collections::BTreeMap;

use super::Config;
use super::trading::{Owner, Trading, User};
use crate::market::Market;
use crate::ouch::BY_SYSTEM;
use crate::soup::{self, ConnId, Credentials, Login, Output, Rejection, SoupCounters};

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) soup: soup::Server,
    /// Place of the client that is logged in.
    pub(super) client: Option<usize>,
}

/// All connections.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    soup: soup::Config,
    users: Vec<Credentials>,
    most: usize,
    cancel_on_disconnect: bool,
    connections: BTreeMap<ConnId, Connection>,
    by_user: BTreeMap<User, usize>,
    /// Beyond the limit: to be closed at the next tick. As many as the caller holds sockets open.
    refused: Vec<ConnId>,
    /// Clients whose connection has ended, and whose orders have to go. Each at most once.
    left: Vec<usize>,
    /// The day is over: whoever has had every reply is told so.
    ending: bool,
    /// Bytes on their way out of one call.
    out: Vec<u8>,
    /// Of connections that are over, and refused ones.
    counters: SoupCounters,
}

impl Tcp {
    pub(super) fn new(config: Config) -> Self {
        Self {
            soup: config.soup,
            users: config.users,
            most: config.connections,
            cancel_on_disconnect: config.cancel_on_disconnect,
            connections: BTreeMap::new(),
            by_user: BTreeMap::new(),
            refused: Vec::new(),
            left: Vec::new(),
            ending: false,
            out: Vec::new(),
            counters: SoupCounters::default(),
        }
    }

    pub(super) fn on_connect(&mut self, now: u64, conn: ConnId) {
        if self.connections.len() < self.most {
            self.connections
                .insert(conn, Connection { soup: soup::Server::new(self.soup, now), client: None });
        } else {
            self.counters.connections += 1;
            self.counters.refused += 1;
            self.refused.push(conn);
        }
    }

    pub(super) fn connection(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.connections.get_mut(&conn)
    }

    /// The place of a user among all clients.
    pub(super) fn client(&self, user: User) -> Option<usize> {
        self.by_user.get(&user).copied()
    }

    pub(super) fn on_login(
        &mut self,
        now: u64,
        conn: ConnId,
        login: &Login,
        trading: &mut Trading,
        time: u64,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let admitted = self.admit(login, trading, time);
        if let Ok((client, _)) = admitted {
            let before = self.connections.iter().find(|(_, other)| other.client == Some(client));
            if let Some(before) = before.map(|(before, _)| *before) {
                trading.counters.taken_over += 1;
                self.close(before, out);
            }
        }
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        match admitted {
            Ok((client, sequence)) => {
                connection.client = Some(client);
                connection.soup.accept(now, sequence, &mut self.out);
            }
            Err(reason) => connection.soup.reject(reason, &mut self.out),
        }
    }

    /// The client that may log in, and the sequence that it goes on with.
    fn admit(&mut self, login: &Login, trading: &mut Trading, time: u64) -> Result<(usize, u64), Rejection> {
        let user = User::new(&login.username);
        let known = self.users.is_empty() || self.users.iter().any(|user| user.admit(login));
        if !known || user == User::new(b"") {
            return Err(Rejection::NotAuthorized);
        }
        let client = match self.client(user) {
            Some(client) => client,
            None if !login.asks_for(&self.soup.session) => return Err(Rejection::Session),
            None => {
                let made = trading.new_client(Owner::User(user), self.soup.session, time);
                let client = made.ok_or(Rejection::NotAuthorized)?;
                self.by_user.insert(user, client);
                client
            }
        };
        Ok((client, login.place(&trading.clients[client].replies)?))
    }

    pub(super) fn on_disconnect(&mut self, conn: ConnId) {
        self.refused.retain(|refused| *refused != conn);
        if let Some(connection) = self.connections.remove(&conn) {
            self.counters.disconnected += 1;
            self.forget(&connection);
        }
    }

    /// Closes one connection without a word. The client of it stays as it is.
    fn close(&mut self, conn: ConnId, out: &mut impl FnMut(Output<'_>)) {
        if let Some(mut connection) = self.connections.remove(&conn) {
            connection.soup.close();
            self.counters.add(connection.soup.counters());
            out(Output::Close { conn });
        }
    }

    /// A connection is gone: counters stay, and perhaps orders that nobody looks after any more.
    fn forget(&mut self, connection: &Connection) {
        self.counters.add(connection.soup.counters());
        if let Some(client) = connection.client
            && self.cancel_on_disconnect
            && !self.left.contains(&client)
        {
            self.left.push(client);
        }
    }

    /// Cancels what clients left behind that are not back.
    pub(super) fn cancel_left(
        &mut self,
        trading: &mut Trading,
        market: &mut Market,
        feed: &mut impl FnMut(&[u8]),
    ) {
        for client in self.left.drain(..) {
            trading.cancel_all(client, BY_SYSTEM, market, feed);
        }
    }

    pub(super) fn tick(&mut self, now: u64, trading: &Trading, out: &mut impl FnMut(Output<'_>)) {
        for conn in self.refused.drain(..) {
            out(Output::Close { conn });
        }
        let mut next = self.connections.first_key_value().map(|(conn, _)| *conn);
        while let Some(conn) = next {
            self.run(now, conn, trading, out);
            next = self.connections.range(ConnId(conn.0.saturating_add(1))..).next().map(|(conn, _)| *conn);
        }
    }

    /// Takes replies for one connection on their way, as many as it may have now.
    pub(super) fn pump(&mut self, now: u64, conn: ConnId, trading: &Trading) {
        if let Some(connection) = self.connections.get_mut(&conn)
            && let Some(client) = connection.client
        {
            connection.soup.pump(now, &trading.clients[client].replies, u64::MAX, &mut self.out);
        }
    }

    /// Sends what one connection may have now, and closes it if it is over.
    pub(super) fn run(
        &mut self,
        now: u64,
        conn: ConnId,
        trading: &Trading,
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.pump(now, conn, trading);
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let soup = &mut connection.soup;
        if self.ending
            && connection.client.is_some_and(|client| soup.cursor() >= trading.clients[client].replies.next())
        {
            soup.end_of_session(&mut self.out);
        }
        soup.tick(now, &mut self.out);
        let over = soup.ended().is_some();
        if !self.out.is_empty() {
            out(Output::Bytes { conn, bytes: &self.out });
            self.out.clear();
        }
        if over && let Some(connection) = self.connections.remove(&conn) {
            self.forget(&connection);
            out(Output::Close { conn });
        }
    }

    pub(super) fn next_due(&self, trading: &Trading) -> u64 {
        if !(self.refused.is_empty() && self.left.is_empty()) {
            return 0;
        }
        let due = |connection: &Connection| {
            let next = connection.client.map_or(1, |client| trading.clients[client].replies.next());
            let waits = connection.soup.cursor() < next;
            if self.ending && !waits && connection.client.is_some() {
                return 0;
            }
            connection.soup.next_due(waits)
        };
        self.connections.values().map(due).min().unwrap_or(u64::MAX)
    }

    pub(super) fn drop_connections(&mut self, out: &mut impl FnMut(Output<'_>)) {
        for (conn, mut connection) in std::mem::take(&mut self.connections) {
            connection.soup.close();
            self.forget(&connection);
            out(Output::Close { conn });
        }
    }

    /// The day is over.
    pub(super) fn end(&mut self) {
        self.ending = true;
    }

    pub(super) fn counters(&self) -> SoupCounters {
        let mut sum = self.counters;
        for connection in self.connections.values() {
            sum.add(connection.soup.counters());
        }
        sum
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }
}
