//! The exchange on kernel sockets of the loopback interface: request servers and snapshots as clients meet them, and
//! clients that do not read, do not leave, or come in crowds.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use exchange::host::{self, Exchange, Output};
use exchange::lines::Line;
use exchange::mold::Packet;
use exchange::reference::Books;
use exchange::sockets::{Config, Counters, Services};
use exchange::{market, plan};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An exchange, its services, and what its lines brought.
struct Stand {
    exchange: Exchange,
    services: Services,
    began: Instant,
    /// Messages by sequence, as line A brings them.
    feed: Vec<Option<Vec<u8>>>,
}

impl Stand {
    fn new(exchange: &host::Config, limits: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            gateway: Some(0),
            requests: [Some(0); 2],
            glimpse: Some(0),
            ..Config::none(Ipv4Addr::LOCALHOST)
        };
        limits(&mut config);
        Self {
            exchange: Exchange::new(exchange).expect("a good configuration"),
            services: Services::bind(&config).expect("free ports"),
            began: Instant::now(),
            feed: Vec::new(),
        }
    }

    /// One turn of the loop that drives them.
    fn turn(&mut self) {
        let now = u64::try_from(self.began.elapsed().as_nanos()).expect("a short test");
        let Self { exchange, services, feed, .. } = self;
        services.pump(exchange, now, &mut |output| take(feed, &output));
        exchange.tick(now, &mut |output| {
            if let Some(rest) = services.deliver(now, output) {
                take(feed, &rest);
            }
        });
    }

    fn until<T>(&mut self, what: &str, mut reached: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            self.turn();
            if let Some(result) = reached(self) {
                return result;
            }
            assert!(self.began.elapsed() < PATIENCE, "no {what}: {:?}", self.services.counters());
        }
    }

    fn counters(&self) -> Counters {
        *self.services.counters()
    }

    fn client(&self, at: Option<SocketAddrV4>) -> TcpStream {
        let stream = TcpStream::connect(at.expect("it listens")).expect("the kernel takes connections");
        stream.set_nonblocking(true).expect("a socket");
        stream
    }
}

fn take(feed: &mut Vec<Option<Vec<u8>>>, output: &Output<'_>) {
    let Output::Line(Line::A, payload) = output else { return };
    let packet = Packet::parse(payload).expect("a packet");
    for (message, sequence) in packet.messages().zip(packet.sequence as usize..) {
        if feed.len() < sequence {
            feed.resize(sequence, None);
        }
        feed[sequence - 1] = Some(message.to_vec());
    }
}

/// What came on a connection since the last call; `None` at its end.
fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1 << 16];
    match stream.read(&mut bytes) {
        Ok(0) => None,
        Ok(len) => {
            bytes.truncate(len);
            Some(bytes)
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(Vec::new()),
        Err(_) => None,
    }
}

/// A SoupBinTCP login of any user, for any session, from its beginning.
fn login(stream: &mut TcpStream) {
    let mut packet = vec![0, 47, b'L'];
    packet.extend_from_slice(format!("{:6}{:10}{:10}{:20}", "USER", "PASSWORD", "", "1").as_bytes());
    stream.write_all(&packet).expect("sent");
}

fn small(symbols: u16, rate: u32) -> host::Config {
    host::Config {
        rate,
        market: market::Config { symbols, live_orders: 2_000, ..market::Config::default() },
        ..host::Config::default()
    }
}

#[test]
fn what_both_lines_lost_is_had_from_either_request_server() {
    let config = host::Config { plan: plan::parse("200ms lose 300").expect("a plan"), ..small(4, 20_000) };
    let mut stand = Stand::new(&config, |_| {});
    stand.until("feed", |stand| (stand.feed.len() > 8_000).then_some(()));
    let lost: Vec<usize> = (0..8_000).filter(|at| stand.feed[*at].is_none()).collect();
    assert_eq!(lost.len(), 300);
    let first = lost[0] as u64 + 1;
    for server in 0..2 {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        client.set_nonblocking(true).expect("a socket");
        let address = stand.services.requests(server).expect("it listens");
        let mut asked = first;
        let mut had = Vec::new();
        while had.len() < 300 {
            let mut request = stand.exchange.publisher().session().to_vec();
            request.extend_from_slice(&asked.to_be_bytes());
            request.extend_from_slice(&u16::try_from(first + 300 - asked).expect("few").to_be_bytes());
            client.send_to(&request, address).expect("sent");
            let answer = stand.until("answer", |_| {
                let mut answer = [0; 2_048];
                client.recv(&mut answer).ok().map(|len| answer[..len].to_vec())
            });
            let packet = Packet::parse(&answer).expect("a packet");
            assert_eq!(packet.sequence, asked);
            had.extend(packet.messages().map(<[u8]>::to_vec));
            asked = first + had.len() as u64;
        }
        let archived =
            (first..).map(|sequence| stand.exchange.archive().get(sequence).expect("kept").to_vec());
        assert!(had.into_iter().eq(archived.take(300)), "server {server}");
    }
    let counters = stand.counters();
    assert!(counters.datagrams_in >= 2 && counters.datagrams_out >= 2 && counters.datagrams_unsent == 0);
}

#[test]
fn a_latecomer_gets_a_snapshot_and_goes_on_with_the_feed() {
    let mut stand = Stand::new(&small(20, 40_000), |_| {});
    stand.until("feed", |stand| (stand.feed.len() > 10_000).then_some(()));
    let mut client = stand.client(stand.services.glimpse());
    login(&mut client);
    let mut bytes = Vec::new();
    let mut books = Books::new();
    let next = stand.until("snapshot", |_| {
        bytes.extend(read(&mut client).expect("the connection stays"));
        let mut next = None;
        let mut at = 0;
        while let Some(len) =
            bytes.get(at..at + 2).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])))
            && let Some(packet) = bytes.get(at + 2..at + 2 + len)
        {
            match packet {
                [b'S', b'G', sequence @ ..] => {
                    next = std::str::from_utf8(sequence).expect("digits").trim().parse::<usize>().ok();
                }
                [b'S', message @ ..] => books.apply(message).expect("a right snapshot"),
                [b'A' | b'H' | b'+', ..] => {}
                other => unreachable!("{other:?}"),
            }
            at += 2 + len;
        }
        bytes.drain(..at);
        next
    });
    stand.until("more feed", |stand| (stand.feed.len() > next + 10_000).then_some(()));
    let now = u64::try_from(stand.began.elapsed().as_nanos()).expect("short");
    let Stand { exchange, feed, .. } = &mut stand;
    exchange.close(now, &mut |output| take(feed, &output));
    exchange.tick(now + 10_000_000, &mut |output| take(feed, &output));
    for message in stand.feed.iter().skip(next - 1) {
        books.apply(message.as_ref().expect("nothing was lost")).expect("a right feed");
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    books.dump(&mut ours).expect("memory");
    stand.exchange.market().dump(&mut theirs).expect("memory");
    assert!(ours == theirs && ours.len() > 10_000, "{} {}", ours.len(), theirs.len());
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_the_others_are_served() {
    // A snapshot without an end is more than the sockets of the kernel hold.
    let plan = plan::parse("0s glimpse endless").expect("a plan");
    let mut config = host::Config { plan, ..small(10, 10_000) };
    config.glimpse.soup.bytes_per_s = 20_000_000;
    let mut stand = Stand::new(&config, |config| config.max_unread = 3_000_000);
    stand.until("feed", |stand| (stand.feed.len() > 2_000).then_some(()));
    let mut reader = stand.client(stand.services.glimpse());
    let mut deaf = stand.client(stand.services.glimpse());
    for client in [&mut reader, &mut deaf] {
        login(client);
    }
    let mut read_by_then = 0;
    let mut read_all = move || {
        loop {
            match read(&mut reader).expect("who reads stays").len() {
                0 => return read_by_then,
                len => read_by_then += len,
            }
        }
    };
    let dropped = stand.until("drop", |stand| {
        read_all();
        let counters = stand.counters();
        (counters.dropped_unread > 0).then_some(counters)
    });
    assert!((3_000_000..4_000_000).contains(&dropped.unread_most), "{dropped:?}");
    let so_far = read_all();
    stand.until("more", |_| (read_all() > so_far + 1_000_000).then_some(()));
    assert_eq!((stand.counters().dropped_unread, stand.counters().gone), (1, 1));
}

#[test]
fn crowds_and_guests_that_stay_are_bounded() {
    let mut stand = Stand::new(&small(2, 1_000), |config| config.max_connections = 3);
    let clients: Vec<TcpStream> = (0..5).map(|_| stand.client(stand.services.glimpse())).collect();
    stand.until("crowd", |stand| (stand.counters().refused == 2).then_some(()));
    assert_eq!(stand.counters().connections, 3);
    drop(clients);
    stand.until("leaving", |stand| (stand.counters().gone == 3).then_some(()));
    // A login that is none: the exchange closes, this client does not.
    let mut rude = stand.client(stand.services.glimpse());
    rude.write_all(&[0, 0, 255, 255, b'?', b'?']).expect("sent");
    stand.until("close", |stand| (stand.counters().closed == 1).then_some(()));
    stand.until("lingering", |stand| (stand.counters().dropped_lingering == 1).then_some(()));
    assert_eq!(stand.counters().gone, 3);
    // It has read the end, and not a reset.
    let end = std::iter::repeat_with(|| rude.read(&mut [0; 64])).find(|read| !matches!(read, Ok(1..)));
    assert!(matches!(end, Some(Ok(0))), "{end:?}");
}
