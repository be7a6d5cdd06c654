//! The kernel's TCP as a [`Stream`]: for ports that the kernel serves, and where a microsecond or two do not count.
//!
//! A non-blocking socket with Nagle's algorithm off; no call of it ever waits. What the kernel does not take at once waits
//! in a buffer of fixed size, and nothing is written past it.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::SendError;
use super::stream::{Stream, StreamState};
use crate::nic::{Frame, TxQueue};

/// Bytes that the kernel may leave to us.
const BACKLOG: usize = 65_536;

/// Bytes read at once.
const READ: usize = 65_536;

/// Most reads of one poll.
const MOST_READS: usize = 16;

/// What a socket of the kernel did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// Connections begun.
    pub connects: u64,
    /// Connections that could not be made, or that an error ended.
    pub failures: u64,
    /// Writes that the kernel took whole.
    pub whole: u64,
    /// Writes of which something had to wait.
    pub waited: u64,
    /// Reads that brought something.
    pub reads: u64,
}

impl KernelCounters {
    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("ktcp_connects", self.connects),
            ("ktcp_failures", self.failures),
            ("ktcp_whole", self.whole),
            ("ktcp_waited", self.waited),
            ("ktcp_reads", self.reads),
        ]
    }
}

/// See the module.
#[derive(Debug)]
pub struct KernelTcp {
    gateway: SocketAddr,
    socket: Option<TcpStream>,
    state: StreamState,
    /// What waits to be sent: `backlog[sent..len]`.
    backlog: Box<[u8]>,
    sent: usize,
    len: usize,
    inbox: Box<[u8]>,
    counters: KernelCounters,
}

impl KernelTcp {
    /// Not connected.
    #[must_use]
    pub fn new(gateway: SocketAddr) -> Self {
        Self {
            gateway,
            socket: None,
            state: StreamState::Closed,
            backlog: vec![0; BACKLOG].into_boxed_slice(),
            sent: 0,
            len: 0,
            inbox: vec![0; READ].into_boxed_slice(),
            counters: KernelCounters::default(),
        }
    }

    /// What was done.
    #[must_use]
    pub const fn counters(&self) -> &KernelCounters {
        &self.counters
    }

    /// Our address of the connection that there is.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.local_addr().ok()
    }

    /// Forgets the connection; the kernel closes it.
    fn drop_socket(&mut self) {
        self.socket = None;
        self.state = StreamState::Closed;
        (self.sent, self.len) = (0, 0);
    }

    #[cold]
    fn fail(&mut self) {
        self.counters.failures += 1;
        self.drop_socket();
    }

    /// Hands `bytes` to the kernel; how many it took, or `None` where the connection failed.
    fn push(&mut self, from: Option<&[u8]>) -> Option<usize> {
        let waiting = self.backlog.get(self.sent..self.len).unwrap_or_default();
        let bytes = from.unwrap_or(waiting);
        let socket = self.socket.as_mut()?;
        loop {
            match socket.write(bytes) {
                Ok(taken) => return Some(taken),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Some(0),
                Err(_) => {
                    self.fail();
                    return None;
                }
            }
        }
    }

    /// Sends what waits, as far as the kernel takes it.
    fn flush(&mut self) {
        if self.sent == self.len {
            return;
        }
        if let Some(taken) = self.push(None) {
            self.sent += taken;
            if self.sent == self.len {
                (self.sent, self.len) = (0, 0);
            }
        }
    }

    /// Is the connection made, or has it failed?
    fn finish_connecting(&mut self) {
        let Some(socket) = &self.socket else { return };
        match (socket.take_error(), socket.peer_addr()) {
            (Ok(None), Ok(_)) => self.state = StreamState::Open,
            (Ok(None), Err(why)) if why.kind() == io::ErrorKind::NotConnected => {}
            _ => self.fail(),
        }
    }

    fn read(&mut self, on_bytes: &mut impl FnMut(&[u8])) {
        for _ in 0..MOST_READS {
            let Some(socket) = &mut self.socket else { return };
            match socket.read(&mut self.inbox) {
                Ok(0) => {
                    self.state = match self.state {
                        StreamState::Open => StreamState::Ended,
                        _ => StreamState::Closed,
                    };
                    if self.state == StreamState::Closed {
                        self.drop_socket();
                    }
                    return;
                }
                Ok(len) => {
                    self.counters.reads += 1;
                    on_bytes(self.inbox.get(..len).unwrap_or_default());
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.fail(),
            }
        }
    }
}

impl Stream for KernelTcp {
    fn connect<T: TxQueue>(&mut self, _now_ns: u64, _tx: &mut T) {
        self.drop_socket();
        self.counters.connects += 1;
        let connected = TcpStream::connect(self.gateway).and_then(|socket| {
            socket.set_nodelay(true)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => {
                self.socket = Some(socket);
                self.state = StreamState::Connecting;
            }
            Err(_) => self.fail(),
        }
    }

    fn close<T: TxQueue>(&mut self, _now_ns: u64, _tx: &mut T) {
        self.flush();
        match &self.socket {
            Some(socket) if socket.shutdown(std::net::Shutdown::Write).is_ok() => {
                self.state = match self.state {
                    StreamState::Open => StreamState::Closing,
                    _ => StreamState::Closed,
                };
            }
            _ => self.drop_socket(),
        }
    }

    fn abort<T: TxQueue>(&mut self, _now_ns: u64, _tx: &mut T) {
        self.drop_socket();
    }

    fn state(&self) -> StreamState {
        self.state
    }

    #[inline]
    fn write<T: TxQueue>(&mut self, bytes: &[u8], _tx: &mut T) -> Result<(), SendError> {
        if self.state != StreamState::Open {
            return Err(SendError::NotOpen);
        }
        let room = self.backlog.len() - self.len;
        if bytes.len() > room {
            return Err(SendError::Backlog);
        }
        let taken = if self.len == 0 { self.push(Some(bytes)).ok_or(SendError::NotOpen)? } else { 0 };
        let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) else {
            self.counters.whole += 1;
            return Ok(());
        };
        self.counters.waited += 1;
        if let Some(place) = self.backlog.get_mut(self.len..self.len + rest.len()) {
            place.copy_from_slice(rest);
            self.len += rest.len();
        }
        Ok(())
    }

    fn on_frame<T: TxQueue>(
        &mut self,
        _frame: Frame<'_>,
        _now_ns: u64,
        _tx: &mut T,
        _on_bytes: &mut impl FnMut(&[u8]),
    ) -> bool {
        // The kernel takes its own frames.
        false
    }

    fn poll<T: TxQueue>(&mut self, _now_ns: u64, _tx: &mut T, on_bytes: &mut impl FnMut(&[u8])) {
        if self.state == StreamState::Connecting {
            self.finish_connecting();
        }
        if matches!(self.state, StreamState::Open | StreamState::Closing) {
            self.flush();
            self.read(on_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::nic::NoTx;

    fn until(client: &mut KernelTcp, got: &mut Vec<u8>, so: impl Fn(&KernelTcp, &[u8]) -> bool) {
        let began = Instant::now();
        while !so(client, got) {
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", client.counters);
            client.poll(0, &mut NoTx, &mut |bytes| got.extend_from_slice(bytes));
            std::thread::yield_now();
        }
    }

    #[test]
    fn bytes_go_both_ways_and_the_end_comes_after_the_last() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = KernelTcp::new(listener.local_addr().unwrap());
        let mut got = Vec::new();
        for round in 0..3 {
            got.clear();
            client.connect(0, &mut NoTx);
            let (mut server, _) = listener.accept().unwrap();
            until(&mut client, &mut got, |client, _| client.state() == StreamState::Open);
            assert!(client.local_addr().is_some());
            client.write(b"order", &mut NoTx).unwrap();
            let mut order = [0; 5];
            server.read_exact(&mut order).unwrap();
            assert_eq!(&order, b"order");
            server.write_all(b"reply").unwrap();
            if round == 2 {
                client.close(0, &mut NoTx);
                assert_eq!(server.read(&mut order).unwrap(), 0);
                assert_eq!(client.write(b"order", &mut NoTx), Err(SendError::NotOpen));
                drop(server);
                until(&mut client, &mut got, |client, _| client.state() == StreamState::Closed);
            } else {
                drop(server);
                until(&mut client, &mut got, |client, _| client.state() == StreamState::Ended);
                assert_eq!(client.write(b"order", &mut NoTx), Err(SendError::NotOpen));
            }
            assert_eq!(got, b"reply");
        }
        assert_eq!((client.counters.connects, client.counters.failures), (3, 0));
    }

    #[test]
    fn nobody_listens() {
        let gateway = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut client = KernelTcp::new(gateway);
        for round in 1..=2 {
            client.connect(0, &mut NoTx);
            until(&mut client, &mut Vec::new(), |client, _| client.state() == StreamState::Closed);
            assert_eq!(client.counters.failures, round);
        }
    }

    #[test]
    fn what_the_kernel_does_not_take_waits_and_has_a_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = KernelTcp::new(listener.local_addr().unwrap());
        client.connect(0, &mut NoTx);
        let (mut server, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        until(&mut client, &mut got, |client, _| client.state() == StreamState::Open);
        let packet: Vec<u8> = (0..1_009_u32).map(|at| (at % 251) as u8).collect();
        let mut sent = 0;
        let refused = loop {
            match client.write(&packet, &mut NoTx) {
                Ok(()) => sent += packet.len(),
                Err(why) => break why,
            }
        };
        assert_eq!(refused, SendError::Backlog);
        assert!(client.counters.waited > 0 && client.len > BACKLOG - packet.len());
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; sent];
            server.read_exact(&mut all).unwrap();
            all
        });
        until(&mut client, &mut got, |client, _| client.sent == client.len);
        let all = reader.join().unwrap();
        assert!(all.chunks(packet.len()).all(|chunk| chunk == packet));
        client.abort(0, &mut NoTx);
        assert_eq!(client.state(), StreamState::Closed);
    }
}
