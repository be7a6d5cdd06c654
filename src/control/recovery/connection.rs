//! The TCP connection to the snapshot server: at most one at a time, never blocking, in bounded memory.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Bytes read at once, and most that wait here when the loop has no room for them.
const INBOX: usize = 1 << 16;

/// Most bytes that wait to be sent. A client sends a login, heartbeats and a logout.
const OUTBOX: usize = 4_096;

/// The connection.
#[derive(Debug)]
pub(super) struct Connection {
    server: SocketAddr,
    token: Token,
    stream: Option<TcpStream>,
    open: bool,
    /// Edge-triggered: true until a read would block.
    readable: bool,
    outbox: Vec<u8>,
    /// Counts connections, so that bytes of an earlier one are known.
    generation: u64,
    /// What became of it, until somebody asks.
    opened: bool,
    failure: Option<String>,
}

impl Connection {
    /// Nothing is connected yet.
    pub(super) fn new(server: SocketAddr, token: Token) -> Self {
        Self {
            server,
            token,
            stream: None,
            open: false,
            readable: false,
            outbox: Vec::with_capacity(OUTBOX),
            generation: 0,
            opened: false,
            failure: None,
        }
    }

    /// Begins to connect; what there was before is closed.
    pub(super) fn connect(&mut self, registry: &Registry) {
        self.close(registry);
        let connected = TcpStream::connect(self.server).and_then(|mut stream| {
            registry.register(&mut stream, self.token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => self.stream = Some(stream),
            Err(why) => self.failure = Some(why.to_string()),
        }
    }

    /// Closes it, after what the kernel still takes.
    pub(super) fn close(&mut self, registry: &Registry) {
        if self.open {
            self.flush();
        }
        if let Some(mut stream) = self.stream.take() {
            // Closing the socket takes it out of the poll in any case.
            let _ = registry.deregister(&mut stream);
        }
        self.generation += 1;
        self.open = false;
        self.readable = false;
        self.opened = false;
        self.failure = None;
        self.outbox.clear();
    }

    /// True while bytes wait to be sent.
    pub(super) const fn has_to_send(&self) -> bool {
        self.stream.is_some() && !self.outbox.is_empty()
    }

    /// True while the kernel may have more bytes of it.
    pub(super) const fn has_to_read(&self) -> bool {
        self.open && self.readable
    }

    /// The server's address.
    pub(super) const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Takes note of what the poll says.
    pub(super) fn on_event(&mut self, event: &Event) {
        let Some(stream) = &self.stream else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.readable = true;
        }
        if !self.open {
            match (stream.take_error(), stream.peer_addr()) {
                (Ok(None), Ok(_)) => {
                    self.open = true;
                    self.opened = true;
                }
                (Ok(Some(why)), _) | (Err(why), _) => self.fail(&why),
                // Not connected yet: an early event.
                (Ok(None), Err(_)) => return,
            }
        }
        if event.is_writable() {
            self.flush();
        }
    }

    /// Queues `bytes` and sends what the kernel takes.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if self.stream.is_none() {
            return;
        }
        if self.outbox.len() + bytes.len() > OUTBOX {
            self.fail(&io::Error::other("the server takes no bytes"));
            return;
        }
        self.outbox.extend_from_slice(bytes);
        if self.open {
            self.flush();
        }
    }

    fn flush(&mut self) {
        while let Some(stream) = &mut self.stream
            && !self.outbox.is_empty()
        {
            match stream.write(&self.outbox) {
                Ok(0) => return self.fail(&io::ErrorKind::WriteZero.into()),
                Ok(sent) => {
                    self.outbox.drain(..sent);
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Err(why) => return self.fail(&why),
            }
        }
    }

    /// The first reason counts: what comes after it follows from it.
    fn fail(&mut self, why: &io::Error) {
        if self.failure.is_none() {
            self.failure = Some(why.to_string());
        }
    }

    /// True once for each connection that was made.
    pub(super) fn take_opened(&mut self) -> bool {
        self.failure.is_none() && std::mem::take(&mut self.opened)
    }

    /// Why the connection is gone, once; it is closed then.
    pub(super) fn take_failure(&mut self, registry: &Registry) -> Option<String> {
        let why = self.failure.take()?;
        self.close(registry);
        Some(why)
    }
}

/// Bytes that came and were not taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    generation: u64,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; INBOX].into_boxed_slice(), start: 0, end: 0, generation: 0 }
    }

    /// True while bytes wait because there was no room for them.
    pub(super) const fn is_waiting(&self) -> bool {
        self.start < self.end
    }

    /// What waits; of the connection as it is now, or nothing.
    pub(super) fn waiting(&mut self, connection: &Connection) -> &[u8] {
        if self.generation != connection.generation {
            self.generation = connection.generation;
            (self.start, self.end) = (0, 0);
        }
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `count` of what waits are done with.
    pub(super) fn taken(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Reads once, where nothing waits. False where nothing came: the connection has no more for now, or has ended,
    /// which it then knows as its failure.
    pub(super) fn fill(&mut self, connection: &mut Connection) -> bool {
        if !connection.open || !connection.readable || !self.waiting(connection).is_empty() {
            return false;
        }
        let Some(stream) = &mut connection.stream else { return false };
        loop {
            match stream.read(&mut self.bytes) {
                Ok(0) => {
                    connection.readable = false;
                    connection.fail(&io::Error::other("the server closed the connection"));
                    return false;
                }
                Ok(count) => {
                    (self.start, self.end) = (0, count);
                    return true;
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => {
                    connection.readable = false;
                    if why.kind() != io::ErrorKind::WouldBlock {
                        connection.fail(&why);
                    }
                    return false;
                }
            }
        }
    }
}
