//! Peers that lie, flood, or never come to an end: request servers, snapshot servers, and senders to the feed's groups.
//! Each runs in a thread until it is dropped, and counts what it was asked and what it sent.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::network::{GROUPS, Network, VENUE};

/// How long a peer waits before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(20);

/// What the peers count, and whether they are wanted.
#[derive(Default)]
pub(super) struct Tally {
    over: AtomicBool,
    asked: AtomicU64,
    sent: AtomicU64,
}

impl Tally {
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A peer that runs.
pub(super) struct Peer {
    port: u16,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    fn start(port: u16, work: impl FnOnce(&Tally) + Send + 'static) -> Self {
        let tally = Arc::new(Tally::default());
        let own = Arc::clone(&tally);
        Self { port, tally, thread: Some(thread::spawn(move || work(&own))) }
    }

    /// A request server that does with each request as `answer` says, by `send`.
    pub(super) fn request_server(
        network: &Network,
        mut answer: impl FnMut(&Request, &Tally, &mut dyn FnMut(&[u8])) + Send + 'static,
    ) -> Self {
        let socket = network.inside(|| UdpSocket::bind((VENUE, 0))).unwrap();
        socket.set_read_timeout(Some(NAP)).unwrap();
        Self::start(socket.local_addr().unwrap().port(), move |tally| {
            let mut datagram = [0; 64];
            while !tally.is_over() {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                tally.asked();
                let request = Request::new(&datagram[..length]);
                answer(&request, tally, &mut |payload| {
                    // Whoever has closed its socket needs no answer.
                    tally.sent(socket.send_to(payload, from).unwrap_or(0));
                });
            }
        })
    }

    /// A snapshot server that treats its connections by `manners`, one after another, in turn.
    pub(super) fn snapshot_server(network: &Network, manners: &'static [Manner]) -> Self {
        let listener = network.inside(|| TcpListener::bind((VENUE, 0))).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::start(listener.local_addr().unwrap().port(), move |tally| {
            let mut turns = manners.iter().cycle();
            while !tally.is_over() {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        tally.asked();
                        stream.set_nonblocking(false).unwrap();
                        stream.set_write_timeout(Some(NAP)).unwrap();
                        stream.set_read_timeout(Some(NAP)).unwrap();
                        // The client hangs up sooner or later, which is an error here.
                        let _ = turns.next().unwrap().treat(&mut stream, tally);
                    }
                    Err(_) => thread::sleep(NAP / 4),
                }
            }
        })
    }

    /// A sender to the feed's groups: `work` sends, to both of them, until it is over.
    pub(super) fn sender(
        network: &Network,
        work: impl FnOnce(&Tally, &mut dyn FnMut(&[u8])) + Send + 'static,
    ) -> Self {
        // Bound to an address: multicast leaves by the interface that has it.
        let socket = network.inside(|| UdpSocket::bind((VENUE, 0))).unwrap();
        Self::start(0, move |tally| {
            work(tally, &mut |payload| {
                for group in GROUPS {
                    tally.sent(socket.send_to(payload, SocketAddr::V4(group)).unwrap());
                }
            });
        })
    }

    pub(super) fn address(&self) -> String {
        format!("{VENUE}:{}", self.port)
    }

    /// Requests or connections so far.
    pub(super) fn asked(&self) -> u64 {
        self.tally.asked.load(Ordering::Relaxed)
    }

    /// Bytes sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.tally.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.tally.over.store(true, Ordering::Relaxed);
        let failed = self.thread.take().is_some_and(|thread| thread.join().is_err());
        assert!(!failed || thread::panicking(), "a hostile peer failed");
    }
}

/// A MoldUDP64 request.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) session: [u8; 10],
    pub(super) sequence: u64,
}

impl Request {
    fn new(datagram: &[u8]) -> Self {
        assert_eq!(datagram.len(), 20, "a request of another length");
        Self {
            session: datagram[..10].try_into().unwrap(),
            sequence: u64::from_be_bytes(datagram[10..18].try_into().unwrap()),
        }
    }
}

/// A MoldUDP64 packet; `count` is written as it is, whatever `blocks` there are.
pub(super) fn packet(session: [u8; 10], sequence: u64, count: u16, blocks: &[&[u8]]) -> Vec<u8> {
    let mut packet = [&session[..], &sequence.to_be_bytes(), &count.to_be_bytes()].concat();
    for block in blocks {
        packet.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        packet.extend(*block);
    }
    packet
}

/// How a snapshot server treats a connection. All but the first two let the client log in before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// Closes at once.
    Close,
    /// Accepts the connection and says nothing.
    Nothing,
    /// Packets of the greatest length, over and over.
    Endless,
    /// One packet of length 0.
    NoLength,
    /// Orders, over and over.
    Orders,
    /// Heartbeats, as fast as they are taken.
    Heartbeats,
}

impl Manner {
    fn treat(self, stream: &mut TcpStream, tally: &Tally) -> io::Result<()> {
        match self {
            Self::Close => return Ok(()),
            Self::Nothing => loop {
                hear(stream, tally)?;
            },
            _ => {}
        }
        let mut login = [0; 49];
        let mut have = 0;
        while have < login.len() {
            match stream.read(&mut login[have..]) {
                Ok(0) => return Ok(()),
                Ok(count) => have += count,
                Err(_) if tally.is_over() => return Ok(()),
                Err(_) => {}
            }
        }
        assert_eq!(login[..3], [0, 47, b'L'], "no login");
        let accepted = [&[0, 31, b'A'][..], b"WIREBOOK01", format!("{:>20}", 1).as_bytes()].concat();
        say(stream, tally, &accepted)?;
        let piece = match self {
            Self::Close | Self::Nothing => return Ok(()),
            Self::NoLength => vec![0, 0],
            Self::Endless => {
                let mut packet = vec![0xFF; 2 + usize::from(u16::MAX)];
                packet[2] = b'S';
                packet
            }
            Self::Heartbeats => [0, 1, b'H'].repeat(4_096),
            Self::Orders => Vec::new(),
        };
        let mut order_ref = 1u64;
        loop {
            match self {
                Self::Orders => say(stream, tally, &orders(&mut order_ref))?,
                _ => say(stream, tally, &piece)?,
            }
            if matches!(self, Self::NoLength) {
                return hear(stream, tally);
            }
        }
    }
}

/// A thousand orders of the first instrument, as sequenced data, with rising references.
fn orders(order_ref: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1_000 {
        bytes.extend([0, 37, b'S', b'A', 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(order_ref.to_be_bytes());
        bytes.extend(b"B\0\0\0\x64AAAA    ");
        bytes.extend(10_000u32.to_be_bytes());
        *order_ref += 1;
    }
    bytes
}

/// Sends all of `bytes`, or fails where nobody wants them any more.
fn say(stream: &mut TcpStream, tally: &Tally, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => {
                tally.sent(count);
                bytes = &bytes[count..];
            }
            Err(why) if is_slow(&why) && !tally.is_over() => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

/// Reads what comes until the client hangs up.
fn hear(stream: &mut TcpStream, tally: &Tally) -> io::Result<()> {
    let mut scratch = [0; 256];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(why) if is_slow(&why) && !tally.is_over() => {}
            Err(why) => return Err(why),
        }
    }
}

fn is_slow(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Calls `act` again and again, `pause` apart, for `length` or until it is over.
pub(super) fn again(tally: &Tally, pause: Duration, length: Duration, mut act: impl FnMut(u64)) {
    let began = Instant::now();
    let mut round = 0;
    while !tally.is_over() && began.elapsed() < length {
        act(round);
        round += 1;
        thread::sleep(pause);
    }
}
