//! Servers of a session in which each message follows from its sequence, honest and otherwise.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wirebook::wire::moldudp64::{PacketBuilder, Request};
use wirebook::wire::soup::{self, LoginAccepted, LoginRequest};

pub(crate) const SESSION: [u8; 10] = *b"DAY0000001";

/// Message `sequence` of the session.
pub(crate) fn message(sequence: u64) -> Vec<u8> {
    let length = 12 + (sequence % 29) as usize;
    sequence.to_be_bytes().into_iter().cycle().take(length).collect()
}

/// As many messages as fit, as an honest server answers.
pub(crate) fn answer(request: Request, session: [u8; 10]) -> Vec<u8> {
    let mut out = vec![0; 1_400];
    let mut builder = PacketBuilder::new(&mut out, session, request.sequence).unwrap();
    for sequence in (request.sequence..).take(request.count.into()) {
        if builder.push(&message(sequence)).is_err() {
            break;
        }
    }
    let length = builder.len();
    out.truncate(length);
    out
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    loopback(address.port())
}

/// A thread that serves until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddrV4,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.take().unwrap().join();
        assert!(result.is_ok() || std::thread::panicking(), "a server failed");
    }
}

/// A port of loopback where nobody is.
pub(crate) fn nobody() -> SocketAddrV4 {
    v4(UdpSocket::bind(loopback(0)).unwrap().local_addr().unwrap())
}

/// A request server at `port` (0: any): for each request, the nth from 0, the datagrams to send.
pub(crate) fn requests(
    port: u16,
    mut answers: impl FnMut(usize, Request) -> Vec<Vec<u8>> + Send + 'static,
) -> Server {
    let socket = UdpSocket::bind(loopback(port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let address = v4(socket.local_addr().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let (mut buffer, mut count) = ([0; 2_000], 0);
        while !stopped.load(Ordering::Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            for payload in answers(count, Request::new_checked(&buffer[..length]).unwrap()) {
                // A client that is gone is no concern of a server's.
                let _ = socket.send_to(&payload, from);
            }
            count += 1;
        }
    });
    Server { address, stop, thread: Some(thread) }
}

/// One connection of a snapshot server.
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// Sends one packet; false where the client is gone.
    pub(crate) fn send(&mut self, packet_type: u8, payload: &[u8]) -> bool {
        let mut out = vec![0; payload.len() + 3];
        soup::emit(&mut out, packet_type, payload).unwrap();
        self.raw(&out)
    }

    /// Sends bytes as they are; false where the client is gone.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Reads the login and accepts it.
    pub(crate) fn accept(&mut self) -> LoginRequest {
        let login = self.login();
        let mut out = [0; 64];
        let length = LoginAccepted { session: SESSION, sequence: 1 }.emit(&mut out).unwrap();
        self.raw(&out[..length]);
        login
    }

    pub(crate) fn login(&mut self) -> LoginRequest {
        let mut packet = [0; LoginRequest::LEN];
        self.stream.read_exact(&mut packet).unwrap();
        LoginRequest::parse(&packet[3..]).unwrap()
    }

    /// The snapshot as of `next`: messages 1 to `count`, and the end.
    pub(crate) fn snapshot(&mut self, count: u64, next: u64) -> bool {
        (1..=count).all(|sequence| self.send(b'S', &message(sequence))) && self.end(next)
    }

    pub(crate) fn end(&mut self, next: u64) -> bool {
        self.send(b'S', format!("G{next:020}").as_bytes())
    }

    /// What the client sends until it closes, or for two seconds.
    pub(crate) fn hear(&mut self) -> Vec<u8> {
        self.stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut heard = Vec::new();
        let _ = self.stream.read_to_end(&mut heard);
        heard
    }
}

/// A snapshot server: `serve` gets each connection, the nth from 0, and closes it by returning.
pub(crate) fn glimpse(port: u16, serve: impl Fn(usize, &mut Peer) + Send + 'static) -> Server {
    let listener = TcpListener::bind(loopback(port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = v4(listener.local_addr().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut count = 0;
        while !stopped.load(Ordering::Relaxed) {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            serve(count, &mut Peer { stream });
            count += 1;
        }
    });
    Server { address, stop, thread: Some(thread) }
}
