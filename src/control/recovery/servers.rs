//! The UDP sockets to the request servers: one each, connected, so that the kernel lets nobody else's datagrams in.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

/// One request server.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    token: Token,
    /// Made with the first request, and again after a failure: the network may come later than this program.
    socket: Option<UdpSocket>,
    /// Edge-triggered: true until a read would block.
    readable: bool,
    /// Requests that the kernel did not take, and errors that it reported for earlier ones.
    failures: u64,
    failure: Option<String>,
}

impl Server {
    pub(super) const fn new(address: SocketAddr, token: Token) -> Self {
        Self { address, token, socket: None, readable: false, failures: 0, failure: None }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn failures(&self) -> u64 {
        self.failures
    }

    /// The latest failure, once.
    pub(super) const fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    pub(super) const fn on_readable(&mut self) {
        self.readable = true;
    }

    /// Sends one request. What does not leave is a request without an answer, and the client's time-out is for that.
    pub(super) fn send(&mut self, registry: &Registry, payload: &[u8]) {
        if self.socket.is_none() {
            match self.open(registry) {
                Ok(socket) => self.socket = Some(socket),
                Err(why) => return self.fail(&why),
            }
        }
        // A refusal that the peer sent for an earlier datagram is reported in the place of sending this one.
        for _ in 0..2 {
            let Some(socket) = &self.socket else { return };
            match socket.send(payload) {
                Ok(_) => return,
                Err(why) => self.fail(&why),
            }
        }
        // Addresses and routes may have changed: the next request begins anew.
        self.close(registry);
    }

    fn open(&self, registry: &Registry) -> io::Result<UdpSocket> {
        let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
        socket.connect(self.address)?;
        registry.register(&mut socket, self.token, Interest::READABLE)?;
        Ok(socket)
    }

    fn close(&mut self, registry: &Registry) {
        if let Some(mut socket) = self.socket.take() {
            // Closing the socket takes it out of the poll in any case.
            let _ = registry.deregister(&mut socket);
        }
        self.readable = false;
    }

    /// One datagram into `buffer`; `None` where there is none now.
    pub(super) fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        // An error takes the place of a datagram once; a bound, in case it does not.
        for _ in 0..4 {
            let Some(socket) = self.socket.as_ref().filter(|_| self.readable) else { return None };
            match socket.recv(buffer) {
                Ok(length) => return buffer.get(..length),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return None;
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => self.fail(&why),
            }
        }
        None
    }

    fn fail(&mut self, why: &io::Error) {
        self.failures += 1;
        self.failure = Some(why.to_string());
    }
}
