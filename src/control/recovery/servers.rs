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
            let socket = self.socket.as_ref().filter(|_| self.readable)?;
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Std;
    use std::time::{Duration, Instant};

    use mio::{Events, Poll};

    use super::*;

    /// One server, driven until `done` or for five seconds.
    struct Driven {
        poll: Poll,
        server: Server,
        got: Vec<Vec<u8>>,
    }

    impl Driven {
        fn new(address: SocketAddr) -> Self {
            Self { poll: Poll::new().unwrap(), server: Server::new(address, Token(0)), got: Vec::new() }
        }

        fn send(&mut self, payload: &[u8]) {
            self.server.send(self.poll.registry(), payload);
        }

        fn until(&mut self, done: impl Fn(&Self) -> bool) {
            let began = Instant::now();
            let mut events = Events::with_capacity(4);
            let mut buffer = [0; 2_000];
            while !done(self) {
                assert!(began.elapsed() < Duration::from_secs(5), "{:?} {:?}", self.server, self.got);
                self.poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
                if !events.is_empty() {
                    self.server.on_readable();
                }
                while let Some(payload) = self.server.receive(&mut buffer) {
                    self.got.push(payload.to_vec());
                }
            }
        }
    }

    #[test]
    fn only_the_server_is_heard() {
        let (server, stranger) = (Std::bind("127.0.0.1:0").unwrap(), Std::bind("127.0.0.1:0").unwrap());
        let mut driven = Driven::new(server.local_addr().unwrap());
        driven.send(b"please");
        let mut request = [0; 64];
        let (length, client) = server.recv_from(&mut request).unwrap();
        assert_eq!(&request[..length], b"please");
        stranger.send_to(b"lies", client).unwrap();
        for _ in 0..3 {
            server.send_to(b"truth", client).unwrap();
        }
        driven.until(|driven| driven.got.len() == 3);
        assert!(driven.got.iter().all(|payload| payload == b"truth"), "{:?}", driven.got);
        assert_eq!(driven.server.failures(), 0);
    }

    #[test]
    fn a_server_that_is_not_there_may_come_later() {
        let place = Std::bind("127.0.0.1:0").unwrap();
        let address = place.local_addr().unwrap();
        drop(place);
        let mut driven = Driven::new(address);
        driven.send(b"anybody?");
        driven.until(|driven| driven.server.failures() > 0);
        assert!(driven.server.take_failure().is_some() && driven.server.take_failure().is_none());
        // Refusals of some more come in the place of later calls.
        for _ in 0..5 {
            driven.send(b"anybody?");
        }
        let server = Std::bind(address).unwrap();
        driven.send(b"please");
        let mut request = [0; 64];
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (length, client) = server.recv_from(&mut request).unwrap();
        assert_eq!(&request[..length], b"please");
        server.send_to(b"here", client).unwrap();
        driven.until(|driven| driven.got == [b"here".to_vec()]);
    }

    #[test]
    fn a_network_that_is_not_there_is_a_failure_of_that_request() {
        // Reserved: the kernel has no way there.
        let mut driven = Driven::new("255.255.255.255:9".parse().unwrap());
        for round in 1..=3 {
            driven.send(b"please");
            assert_eq!(driven.server.failures(), round);
        }
    }
}
