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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream as Std};
    use std::time::{Duration, Instant};

    use mio::{Events, Poll};

    use super::*;

    struct Driven {
        poll: Poll,
        connection: Connection,
        inbox: Inbox,
        got: Vec<u8>,
        /// Bytes taken of each offer.
        appetite: usize,
        failures: Vec<String>,
        opened: usize,
    }

    impl Driven {
        fn new(address: SocketAddr) -> Self {
            Self {
                poll: Poll::new().unwrap(),
                connection: Connection::new(address, Token(7)),
                inbox: Inbox::new(),
                got: Vec::new(),
                appetite: usize::MAX,
                failures: Vec::new(),
                opened: 0,
            }
        }

        fn connect(&mut self) {
            self.connection.connect(self.poll.registry());
        }

        fn round(&mut self) {
            let mut events = Events::with_capacity(4);
            self.poll.poll(&mut events, Some(Duration::from_millis(1))).unwrap();
            for event in &events {
                self.connection.on_event(event);
            }
            self.opened += usize::from(self.connection.take_opened());
            for _ in 0..16 {
                if self.inbox.waiting(&self.connection).is_empty() && !self.inbox.fill(&mut self.connection) {
                    break;
                }
                let waiting = self.inbox.waiting(&self.connection);
                let taken = waiting.len().min(self.appetite);
                self.got.extend_from_slice(&waiting[..taken]);
                self.inbox.taken(taken);
            }
            if !self.inbox.is_waiting() && !self.connection.has_to_read() {
                self.failures.extend(self.connection.take_failure(self.poll.registry()));
            }
        }

        fn until(&mut self, done: impl Fn(&Self) -> bool) {
            let began = Instant::now();
            while !done(self) {
                assert!(began.elapsed() < Duration::from_secs(5), "{:?}", self.connection);
                self.round();
            }
        }

        fn accepted(&mut self, listener: &TcpListener) -> Std {
            self.connect();
            let before = self.opened;
            let (server, _) = listener.accept().unwrap();
            self.until(|driven| driven.opened > before);
            server
        }
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn nobody_listens() {
        let address = listener().local_addr().unwrap();
        let mut driven = Driven::new(address);
        for round in 1..=2 {
            driven.connect();
            driven.until(|driven| driven.failures.len() == round);
        }
        assert_eq!(driven.opened, 0);
    }

    #[test]
    fn what_was_sent_before_the_end_is_taken_before_the_end_is_told() {
        let listener = listener();
        let mut driven = Driven::new(listener.local_addr().unwrap());
        let mut server = driven.accepted(&listener);
        let sent: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        let bytes = sent.clone();
        let writer = std::thread::spawn(move || server.write_all(&bytes).unwrap());
        driven.appetite = 1_000;
        driven.until(|driven| {
            assert!(driven.failures.is_empty() || driven.got.len() == sent.len());
            !driven.failures.is_empty()
        });
        writer.join().unwrap();
        assert_eq!(driven.got, sent);
    }

    #[test]
    fn nothing_is_read_while_there_is_no_room() {
        let listener = listener();
        let mut driven = Driven::new(listener.local_addr().unwrap());
        let mut server = driven.accepted(&listener);
        driven.appetite = 0;
        server.set_nonblocking(true).unwrap();
        // Until neither the kernel nor the inbox takes more.
        let (mut sent, mut refused) = (0, 0);
        while refused < 50 {
            match server.write(&[7; 65_536]) {
                Ok(count) => (sent, refused) = (sent + count, 0),
                Err(_) => refused += 1,
            }
            driven.round();
        }
        assert!(driven.got.is_empty());
        drop(server);
        driven.appetite = usize::MAX;
        driven.until(|driven| !driven.failures.is_empty());
        assert_eq!(driven.got.len(), sent);
    }

    #[test]
    fn bytes_of_an_earlier_connection_are_not_offered() {
        let listener = listener();
        let mut driven = Driven::new(listener.local_addr().unwrap());
        let mut server = driven.accepted(&listener);
        driven.appetite = 0;
        server.write_all(b"old").unwrap();
        driven.until(|driven| driven.inbox.is_waiting());
        let mut server = driven.accepted(&listener);
        driven.appetite = usize::MAX;
        server.write_all(b"new").unwrap();
        driven.until(|driven| driven.got == b"new");
        driven.connection.close(driven.poll.registry());
        assert_eq!(driven.inbox.waiting(&driven.connection), b"");
    }

    #[test]
    fn what_is_to_be_sent_is_bounded_and_leaves_before_a_close() {
        let listener = listener();
        let mut driven = Driven::new(listener.local_addr().unwrap());
        let mut server = driven.accepted(&listener);
        driven.connection.send(b"login");
        driven.connection.close(driven.poll.registry());
        let mut heard = String::new();
        io::Read::read_to_string(&mut server, &mut heard).unwrap();
        assert_eq!(heard, "login");

        driven.connect();
        // Not connected yet as far as it knows: all of it waits.
        driven.connection.send(&[1; OUTBOX]);
        assert!(driven.connection.failure.is_none());
        driven.connection.send(b"x");
        assert!(driven.connection.failure.is_some());
    }
}
