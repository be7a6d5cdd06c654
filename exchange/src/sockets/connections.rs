//! TCP: who is connected, and what they have not read yet.
//!
//! A connection is *open* until the client leaves or the exchange closes it; after that it is *closing* until the client
//! has taken the rest and left, or has taken nothing for [`LINGER`]. A close is done as the peer can read it: everything that was
//! written, then the end, and only then the socket goes; a socket that is closed over unread bytes would reset the
//! connection and take the last answers with it.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};

use super::{Counters, SocketError, Sockets};
use crate::host::{ConnId, Exchange, Output, Service};

/// How long a client may take nothing, and not leave, after the exchange has closed, ns.
const LINGER: u64 = 2_000_000_000;

/// Connections taken in one go.
const ACCEPTS: u32 = 16;

/// Reads of one connection in one go.
const READS: u32 = 4;

#[derive(Debug)]
pub(super) struct Connections {
    listeners: Vec<(Service, TcpListener)>,
    open: BTreeMap<u64, Connection>,
    next: u64,
    limit: usize,
    max_unread: usize,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Bytes that the kernel has not taken yet: those from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The exchange has closed it, and the peer last took something at this time; `ended` once it was told.
    Closing {
        since: u64,
        ended: bool,
    },
    /// Broken: only the exchange has to be told.
    Dead,
}

impl Connection {
    fn unread(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Gives the kernel what it takes. False when the connection is broken.
    fn flush(&mut self, now: u64) -> bool {
        let before = self.unread();
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match (&self.stream).write(rest) {
                Ok(0) => return false,
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        if let State::Closing { since, .. } = &mut self.state
            && self.unsent.len() - self.sent < before
        {
            *since = now;
        }
        if self.unread() == 0 {
            self.unsent.clear();
            self.sent = 0;
        } else if self.sent >= self.unsent.len() / 2 {
            // Moved when as much was sent as is left: the work stays proportional to the bytes.
            self.unsent.drain(..self.sent);
            self.sent = 0;
        }
        true
    }
}

impl Connections {
    pub(super) const fn new(limit: usize, max_unread: usize) -> Self {
        Self { listeners: Vec::new(), open: BTreeMap::new(), next: 1, limit, max_unread }
    }

    pub(super) fn listen(&mut self, service: Service, at: SocketAddrV4) -> Result<(), SocketError> {
        let listener = TcpListener::bind(at)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(SocketError::new(format!("listening on TCP {at}")))?;
        self.listeners.push((service, listener));
        Ok(())
    }

    pub(super) fn address(&self, wanted: Service) -> Option<SocketAddrV4> {
        let (_, listener) = self.listeners.iter().find(|(service, _)| *service == wanted)?;
        match listener.local_addr() {
            Ok(SocketAddr::V4(address)) => Some(address),
            _ => None,
        }
    }

    /// Sends now what the kernel takes, and keeps the rest.
    pub(super) fn send(&mut self, conn: ConnId, bytes: &[u8], now: u64, counters: &mut Counters) {
        let Some(connection) = self.open.get_mut(&conn.0) else { return };
        if connection.state != State::Open {
            return;
        }
        connection.unsent.extend_from_slice(bytes);
        if !connection.flush(now) {
            connection.state = State::Dead;
        } else if connection.unread() > self.max_unread {
            counters.dropped_unread += 1;
            connection.state = State::Dead;
        }
        counters.unread_most = counters.unread_most.max(connection.unread() as u64);
    }

    /// The exchange is done with it.
    pub(super) fn close(&mut self, conn: ConnId, now: u64, counters: &mut Counters) {
        let Some(connection) = self.open.get_mut(&conn.0) else { return };
        if connection.state == State::Open {
            counters.closed += 1;
            connection.state = State::Closing { since: now, ended: false };
        }
    }

    /// One new connection, set up; `None` when nobody waits. `Some(None)`: one was turned away.
    fn accept(&mut self, at: usize, counters: &mut Counters) -> Option<Option<(Service, ConnId)>> {
        let (service, listener) = self.listeners.get(at)?;
        match listener.accept() {
            Ok((stream, _)) => {
                let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_ok();
                if self.open.len() >= self.limit || !ready {
                    counters.refused += 1;
                    return Some(None);
                }
                counters.connections += 1;
                let id = self.next;
                self.next += 1;
                let connection = Connection { stream, unsent: Vec::new(), sent: 0, state: State::Open };
                self.open.insert(id, connection);
                Some(Some((*service, ConnId(id))))
            }
            // Nobody, or somebody who left before he was taken in; or no more descriptors: the next pump tries again.
            Err(_) => None,
        }
    }

    /// Reads into `scratch`: `Some(0)` is the end, `None` nothing for now.
    fn read(&mut self, id: u64, scratch: &mut [u8]) -> Option<usize> {
        let connection = self.open.get_mut(&id)?;
        loop {
            match (&connection.stream).read(scratch) {
                Ok(len) => return Some(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(0),
            }
        }
    }

    fn state(&self, id: u64) -> Option<State> {
        self.open.get(&id).map(|connection| connection.state)
    }

    fn ids(&self, after: u64) -> Option<u64> {
        self.open.range(after..).next().map(|(id, _)| *id)
    }

    /// Sends what is left, tells the peer the end when all is sent, and looks at the clock.
    fn flush(&mut self, id: u64, now: u64, counters: &mut Counters) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        if !connection.flush(now) {
            if connection.state == State::Open {
                connection.state = State::Dead;
            } else {
                self.open.remove(&id);
            }
            return;
        }
        if let State::Closing { since, ended } = &mut connection.state {
            if !*ended && connection.unsent.is_empty() {
                *ended = true;
                // A peer that is gone already needs no end.
                let _ = connection.stream.shutdown(Shutdown::Write);
            }
            if now.saturating_sub(*since) > LINGER {
                counters.dropped_lingering += 1;
                self.open.remove(&id);
            }
        }
    }
}

/// Takes new clients in, reads what they say, sends what is left, and lets go of those that have left.
pub(super) fn pump(
    sockets: &mut Sockets,
    scratch: &mut [u8],
    exchange: &mut Exchange,
    now: u64,
    other: &mut impl FnMut(Output<'_>),
) -> bool {
    let mut busy = false;
    for at in 0..sockets.connections.listeners.len() {
        for _ in 0..ACCEPTS {
            let Some(taken) = sockets.connections.accept(at, &mut sockets.counters) else { break };
            busy = true;
            if let Some((service, conn)) = taken {
                exchange.on_connect(now, service, conn);
            }
        }
    }
    let mut next = sockets.connections.ids(0);
    while let Some(id) = next {
        next = sockets.connections.ids(id + 1);
        busy |= talk(sockets, id, scratch, exchange, now, other);
        sockets.connections.flush(id, now, &mut sockets.counters);
        if sockets.connections.state(id) == Some(State::Dead) {
            sockets.connections.open.remove(&id);
            sockets.counters.gone += 1;
            exchange.on_disconnect(now, ConnId(id));
        }
    }
    busy
}

/// Reads one connection; true when something came.
fn talk(
    sockets: &mut Sockets,
    id: u64,
    scratch: &mut [u8],
    exchange: &mut Exchange,
    now: u64,
    other: &mut impl FnMut(Output<'_>),
) -> bool {
    let mut busy = false;
    for _ in 0..READS {
        let state = sockets.connections.state(id);
        if state == Some(State::Dead) {
            break;
        }
        let Some(len) = sockets.connections.read(id, scratch) else { break };
        busy = true;
        match (state, scratch.get(..len)) {
            (Some(State::Open), Some(bytes)) if !bytes.is_empty() => {
                exchange.on_bytes(now, ConnId(id), bytes, &mut |output| {
                    if let Some(rest) = sockets.deliver(now, output) {
                        other(rest);
                    }
                });
            }
            (Some(State::Open), _) => {
                if let Some(connection) = sockets.connections.open.get_mut(&id) {
                    connection.state = State::Dead;
                }
            }
            // What a client still says is not heard; its end is the end.
            (Some(State::Closing { .. }), Some([])) => {
                sockets.connections.open.remove(&id);
                break;
            }
            _ => {}
        }
    }
    busy
}
