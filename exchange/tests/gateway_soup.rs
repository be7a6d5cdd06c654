//! Orders over SoupBinTCP: logins, what a client is told after it was away, and whose orders go when a connection ends.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use exchange::gateway::{Config as GatewayConfig, Gateway, Owner, User};
use exchange::market::{Config, Market, Phase};
use exchange::mold::Packet;
use exchange::reference::Books;
use exchange::rng::Rng;
use exchange::soup::{self, ConnId, Credentials, Output};
use exchange::units::{Side, Symbol};

const SECOND: u64 = 1_000_000_000;

fn login(username: &str, password: &str, session: &str, sequence: u64) -> Vec<u8> {
    format!("\0\x2FL{username:<6}{password:<10}{session:<10}{sequence:<20}").into_bytes()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len() + 1).expect("short").to_be_bytes();
    [&len[..], b"U", message].concat()
}

fn enter(user_ref: u32, side: u8, quantity: u32, symbol: Symbol, price: u32, time_in_force: u8) -> Vec<u8> {
    let mut message = vec![b'O'];
    message.extend_from_slice(&user_ref.to_be_bytes());
    message.push(side);
    message.extend_from_slice(&quantity.to_be_bytes());
    message.extend_from_slice(&symbol.0);
    message.extend_from_slice(&u64::from(price).to_be_bytes());
    message.extend_from_slice(&[time_in_force, b'Y', b'P', b'N', b'N']);
    message.extend_from_slice(b"MY-ORDER      \0\0");
    message
}

fn cancel(user_ref: u32, quantity: u32) -> Vec<u8> {
    [&b"X"[..], &user_ref.to_be_bytes(), &quantity.to_be_bytes()].concat()
}

/// What came on one connection.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    closed: bool,
}

/// A market, its gateway, and a book that follows its feed and objects to anything wrong in it.
struct Venue {
    market: Market,
    gateway: Gateway,
    books: Books,
    now: u64,
    wires: BTreeMap<ConnId, Wire>,
    said: Vec<u8>,
}

impl Venue {
    fn new(config: GatewayConfig) -> Self {
        let market = Config { symbols: 4, live_orders: 800, halt_every: 0, ..Config::default() };
        let mut venue = Self {
            market: Market::new(market).expect("good"),
            gateway: Gateway::new(config),
            books: Books::new(),
            now: 0,
            wires: BTreeMap::new(),
            said: Vec::new(),
        };
        for _ in 0..venue.market.opening_length() + 5_000 {
            venue.step();
        }
        assert_eq!(venue.market.phase(), Phase::Open);
        venue
    }

    fn step(&mut self) {
        self.market.step(&mut |message: &[u8]| self.books.apply(message).expect("a right feed"));
        self.gateway.settle(&mut self.market);
    }

    fn connect(&mut self, conn: u64) {
        self.gateway.on_connect(self.now, ConnId(conn));
    }

    /// Bytes of a client; types of the feed messages that they cause.
    fn bytes(&mut self, conn: u64, bytes: &[u8]) -> String {
        let Self { market, gateway, books, now, wires, said, .. } = self;
        said.clear();
        let mut feed = |message: &[u8]| {
            said.push(message[0]);
            books.apply(message).expect("a right feed");
        };
        gateway.on_bytes(*now, ConnId(conn), bytes, market, &mut feed, &mut |output| keep(wires, output));
        assert!(self.books.resting().eq(self.market.resting()));
        String::from_utf8_lossy(&self.said).into_owned()
    }

    fn disconnect(&mut self, conn: u64) {
        self.gateway.on_disconnect(self.now, ConnId(conn));
    }

    /// Lets time go on to `now`, by the gateway's own due times; types of the feed messages that come of it.
    fn until(&mut self, now: u64) -> String {
        self.said.clear();
        let mut same = 0;
        loop {
            let due = self.gateway.next_due().max(self.now);
            if due > now {
                break;
            }
            same = if due == self.now { same + 1 } else { 0 };
            assert!(same < 1_000, "time goes on");
            self.now = due;
            let Self { market, gateway, books, wires, said, .. } = self;
            let mut feed = |message: &[u8]| {
                said.push(message[0]);
                books.apply(message).expect("a right feed");
            };
            gateway.tick(due, market, &mut feed, &mut |output| keep(wires, output));
        }
        self.now = now;
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// Types and payloads of the packets that came on a connection since the last look.
    fn packets(&mut self, conn: u64) -> Vec<(char, Vec<u8>)> {
        let wire = self.wires.entry(ConnId(conn)).or_default();
        let (mut packets, mut rest) = (Vec::new(), &wire.bytes[..]);
        while let Some((len, after)) = rest.split_first_chunk::<2>() {
            let (packet, after) = after.split_at(usize::from(u16::from_be_bytes(*len)));
            packets.push((char::from(packet[0]), packet[1..].to_vec()));
            rest = after;
        }
        wire.bytes.clear();
        packets
    }

    /// In short: types of packets, and of the messages in them where they are sequenced.
    fn kinds(&mut self, conn: u64) -> String {
        let short = |(kind, payload): (char, Vec<u8>)| match kind {
            'S' => char::from(payload[0]).to_ascii_lowercase(),
            kind => kind,
        };
        self.packets(conn).into_iter().map(short).collect()
    }

    fn closed(&self, conn: u64) -> bool {
        self.wires.get(&ConnId(conn)).is_some_and(|wire| wire.closed)
    }

    fn symbol(&self) -> Symbol {
        self.market.symbol(0).expect("an instrument")
    }

    fn bid(&self) -> u32 {
        self.market.book(0).and_then(|book| book.best_price(Side::Buy)).expect("a price")
    }

    /// An order far from the best price.
    fn patient(&self, user_ref: u32) -> Vec<u8> {
        framed(&enter(user_ref, b'B', 100, self.symbol(), self.bid() - 10_000, b'0'))
    }

    fn open_orders(&self, username: &str) -> usize {
        self.gateway.account_of(username).map_or(0, |account| account.open_orders().len())
    }
}

fn keep(wires: &mut BTreeMap<ConnId, Wire>, output: Output<'_>) {
    let (conn, bytes) = match output {
        Output::Bytes { conn, bytes } => (conn, Some(bytes)),
        Output::Close { conn } => (conn, None),
    };
    let wire = wires.entry(conn).or_default();
    assert!(!wire.closed, "nothing after the end");
    match bytes {
        Some(bytes) => wire.bytes.extend_from_slice(bytes),
        None => wire.closed = true,
    }
}

fn keeping() -> GatewayConfig {
    GatewayConfig { cancel_on_disconnect: false, ..GatewayConfig::default() }
}

#[test]
fn a_client_logs_in_trades_and_logs_out() {
    let mut venue = Venue::new(GatewayConfig::default());
    venue.connect(1);
    assert_eq!(venue.bytes(1, &login("user", "secret", "", 1)), "");
    let packets = venue.packets(1);
    assert_eq!(packets[0], ('A', b"OUCH000001                   1".to_vec()));
    assert_eq!((packets[1].0, packets[1].1[0], packets[1].1[9], packets.len()), ('S', b'S', b'S', 2));
    let order = venue.patient(1);
    assert_eq!(venue.bytes(1, &order), "A");
    assert_eq!(venue.kinds(1), "a");
    assert_eq!(venue.bytes(1, &framed(&cancel(1, 40))), "X");
    assert_eq!(venue.kinds(1), "c");
    assert_eq!(venue.bytes(1, &framed(b"Q")), "");
    assert_eq!(venue.kinds(1), "q");
    // What the flow does to its orders is told as it happens.
    let near = framed(&enter(2, b'B', 100, venue.symbol(), venue.bid(), b'0'));
    assert_eq!(venue.bytes(1, &near), "A");
    venue.packets(1);
    while venue.open_orders("user") == 2 {
        venue.step();
    }
    assert_eq!(venue.gateway.next_due(), 0);
    venue.until(1);
    let told = venue.kinds(1);
    assert!(!told.is_empty() && told.chars().all(|kind| kind == 'e'), "{told}");
    let account = venue.gateway.account_of("USER ").expect("known");
    assert_eq!(account.position(venue.symbol()).bought, 100);
    let owners: Vec<Owner> = venue.gateway.clients().map(|(owner, _)| owner).collect();
    assert_eq!(owners, [Owner::User(User::new(b"User"))]);
    assert_eq!(owners[0].to_string(), "USER");
    venue.bytes(1, b"\0\x01O");
    assert!(venue.closed(1));
    assert_eq!(venue.until(2), "D", "what it left behind");
}

#[test]
fn a_client_that_comes_back_misses_nothing() {
    let mut venue = Venue::new(keeping());
    venue.connect(1);
    venue.bytes(1, &login("user", "secret", "", 1));
    for user_ref in 1..=5 {
        let order = venue.patient(user_ref);
        venue.bytes(1, &order);
    }
    let all: Vec<Vec<u8>> =
        venue.packets(1).into_iter().filter(|(kind, _)| *kind == 'S').map(|(_, payload)| payload).collect();
    assert_eq!(all.len(), 6);
    venue.disconnect(1);
    assert_eq!(venue.until(SECOND), "");
    assert_eq!(venue.open_orders("user"), 5);
    // Orders that were heard count, even if their replies were not.
    for (conn, sequence) in (2..).zip([1u64, 4, 6, 7, 0]) {
        venue.connect(conn);
        venue.bytes(conn, &login("USER", "secret", "OUCH000001", sequence));
        let packets = venue.packets(conn);
        let from = if sequence == 0 { 7 } else { sequence };
        assert_eq!(packets[0].1, format!("OUCH000001{from:>20}").into_bytes());
        let replayed: Vec<Vec<u8>> = packets[1..].iter().map(|(_, payload)| payload.clone()).collect();
        assert_eq!(replayed, all[from as usize - 1..]);
        venue.disconnect(conn);
    }
    assert_eq!(venue.gateway.clients().count(), 1);
}

#[test]
fn orders_of_a_client_that_is_gone_are_cancelled_if_so_wished() {
    let mut venue = Venue::new(GatewayConfig::default());
    for (conn, end) in (1..).zip(["logout", "disconnect", "silence", "error", "dropped"]) {
        venue.connect(conn);
        venue.bytes(conn, &login("user", "secret", "", 0));
        for number in 0..3 {
            let order = venue.patient(conn as u32 * 10 + number);
            venue.bytes(conn, &order);
        }
        venue.packets(conn);
        let next = venue.now + 1;
        let said = match end {
            "logout" => venue.bytes(conn, b"\0\x01O") + &venue.until(next),
            "disconnect" => {
                venue.disconnect(conn);
                venue.until(next)
            }
            "silence" => venue.until(venue.now + 20 * SECOND),
            "error" => venue.bytes(conn, b"\0\0") + &venue.until(next),
            _ => {
                let Venue { gateway, wires, .. } = &mut venue;
                gateway.drop_connections(&mut |output| keep(wires, output));
                venue.until(next)
            }
        };
        assert_eq!((&said[..], venue.open_orders("user")), ("DDD", 0), "{end}");
        assert_eq!(venue.closed(conn), end != "disconnect");
    }
    // It is told when it comes back.
    venue.connect(99);
    venue.bytes(99, &login("user", "secret", "", 1));
    assert_eq!(venue.kinds(99), format!("As{}", "aaaccc".repeat(5)));
    assert_eq!(venue.gateway.counters().canceled, 15);
}

#[test]
fn what_was_left_behind_goes_before_anything_new() {
    let mut venue = Venue::new(GatewayConfig::default());
    venue.connect(1);
    venue.bytes(1, &[login("user", "secret", "", 1), venue.patient(1)].concat());
    venue.disconnect(1);
    venue.connect(2);
    let hello = [login("user", "secret", "", 0), venue.patient(2)].concat();
    assert_eq!(venue.bytes(2, &hello), "DA");
    assert_eq!((venue.kinds(2), venue.open_orders("user")), ("Aa".into(), 1));
    assert_eq!(venue.until(1), "");
}

#[test]
fn a_second_login_takes_over() {
    let mut venue = Venue::new(GatewayConfig::default());
    for conn in [1, 2] {
        venue.connect(conn);
    }
    venue.bytes(1, &[login("user", "secret", "", 1), venue.patient(1)].concat());
    assert_eq!(venue.bytes(2, &login("user", "secret", "", 2)), "");
    assert!(venue.closed(1) && !venue.closed(2));
    assert_eq!((venue.kinds(2), venue.until(SECOND / 2)), ("Aa".into(), String::new()));
    assert_eq!((venue.open_orders("user"), venue.gateway.counters().taken_over), (1, 1));
    // The first one's last bytes are nobody's.
    let order = venue.patient(2);
    assert_eq!(venue.bytes(1, &order), "");
    venue.disconnect(1);
    assert_eq!((venue.until(SECOND / 2 + 1), venue.open_orders("user")), (String::new(), 1));
    // One that fails does not take over.
    venue.connect(3);
    venue.bytes(3, &login("user", "secret", "", 50));
    assert!(venue.closed(3) && !venue.closed(2));
    assert_eq!(venue.kinds(3), "J");
}

#[test]
fn logins_that_are_rejected() {
    let users = vec![
        Credentials::new("user", "secret").expect("short"),
        Credentials::new("other", "").expect("short"),
    ];
    let mut venue = Venue::new(GatewayConfig { users, clients: 1, ..GatewayConfig::default() });
    for (conn, (bytes, reason)) in (1..).zip([
        (login("user", "wrong", "", 1), b'A'),
        (login("nobody", "secret", "", 1), b'A'),
        (login("", "", "", 1), b'A'),
        (login("user", "secret", "OTHER", 1), b'S'),
        // Nothing but the first message is there yet.
        (login("user", "secret", "", 3), b'S'),
        (login("user", "secret", "", u64::MAX), b'S'),
        // No room for another client.
        (login("other", "", "", 1), b'A'),
    ]) {
        venue.connect(conn);
        venue.bytes(conn, &bytes);
        assert_eq!(venue.packets(conn), [('J', vec![reason])], "{conn}");
        assert!(venue.closed(conn));
    }
    assert_eq!((venue.gateway.counters().refused_clients, venue.gateway.soup_counters().rejected), (1, 7));
    // Orders without a login.
    venue.connect(50);
    let order = venue.patient(1);
    assert_eq!(venue.bytes(50, &order), "");
    assert!(venue.closed(50) && venue.packets(50).is_empty());
    assert_eq!(venue.gateway.connections(), 0);
}

#[test]
fn the_stream_may_come_byte_by_byte() {
    let mut whole = Venue::new(GatewayConfig::default());
    let mut parts = Venue::new(GatewayConfig::default());
    let talk = [
        login("user", "secret", "", 1),
        b"\0\x06+hello\0\x01R".to_vec(),
        whole.patient(1),
        framed(&cancel(1, 10)),
        whole.patient(2),
        framed(b"Q"),
        b"\0\x01O".to_vec(),
    ]
    .concat();
    whole.connect(1);
    assert_eq!(whole.bytes(1, &talk), "AXA");
    parts.connect(1);
    let said: String = talk.iter().map(|byte| parts.bytes(1, &[*byte])).collect();
    assert_eq!(said, "AXA");
    assert_eq!((whole.kinds(1), parts.kinds(1)), ("Asacaq".into(), "Asacaq".into()));
    assert!(whole.closed(1) && parts.closed(1));
}

#[test]
fn both_framings_tell_the_same() {
    let (mut tcp, mut udp) = (Venue::new(keeping()), Venue::new(keeping()));
    let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 31_000);
    tcp.connect(1);
    tcp.bytes(1, &login("user", "secret", "", 1));
    let mut rng = Rng::new(5);
    for user_ref in 1..=2_000u32 {
        for _ in 0..rng.below(8) {
            tcp.step();
            udp.step();
        }
        let side = [b'B', b'S'][rng.index(2)];
        let price = tcp.bid() - 300 + 100 * rng.below(8);
        let time_in_force = if rng.chance(1, 3) { b'3' } else { b'0' };
        let message = match rng.below(3) {
            0 => cancel(1 + rng.below(user_ref), rng.below(100)),
            _ => enter(user_ref, side, 1 + rng.below(300), tcp.symbol(), price, time_in_force),
        };
        tcp.bytes(1, &framed(&message));
        let Venue { market, gateway, books, .. } = &mut udp;
        gateway.on_datagram(address, &framed(&message), market, &mut |message| {
            books.apply(message).expect("a right feed");
        });
    }
    tcp.until(1);
    let mut told = Vec::new();
    udp.gateway.send(&mut |_, payload| {
        let packet = Packet::parse(payload).expect("a packet");
        told.extend(packet.messages().map(<[u8]>::to_vec));
    });
    let (account, same) = (tcp.gateway.account_of("user"), udp.gateway.account(address));
    assert!(account.expect("known").positions().eq(same.expect("known").positions()));
    let sequenced: Vec<Vec<u8>> =
        tcp.packets(1).into_iter().filter(|(kind, _)| *kind == 'S').map(|(_, payload)| payload).collect();
    assert!(sequenced.len() > 2_000, "{}", sequenced.len());
    // The first of all is told when the client becomes known: at its login, or with its first order.
    assert_eq!(sequenced[1..], told[1..]);
}

#[test]
fn the_day_ends_for_everybody() {
    let mut venue = Venue::new(keeping());
    for (conn, user) in [(1, "one"), (2, "two"), (3, "")] {
        venue.connect(conn);
        if !user.is_empty() {
            venue.bytes(conn, &login(user, "", "", 1));
        }
        venue.packets(conn);
    }
    venue.gateway.end(77, &mut |_, _| panic!("no client of the test framing"));
    venue.until(1);
    for conn in [1, 2] {
        let packets = venue.packets(conn);
        assert_eq!((packets[0].1[0], packets[0].1[9], packets[1].0), (b'S', b'E', 'Z'));
        assert!(packets.len() == 2 && venue.closed(conn));
    }
    assert!(!venue.closed(3));
    // A latecomer gets what there was, and the end.
    venue.bytes(3, &login("one", "", "", 1));
    assert_eq!(venue.kinds(3), "AssZ");
}

#[test]
fn connections_and_replies_are_bounded() {
    let soup = soup::Config { session: *b"OUCH000001", portion: 2_000, ..soup::Config::default() };
    let mut venue = Venue::new(GatewayConfig { connections: 3, reply_bytes: 0, soup, ..keeping() });
    for conn in 0..10 {
        venue.connect(conn);
    }
    assert_eq!((venue.gateway.connections(), venue.gateway.next_due()), (3, 0));
    venue.disconnect(9);
    venue.until(0);
    assert_eq!((0..10).filter(|conn| venue.closed(*conn)).count(), 6);
    assert_eq!((venue.gateway.soup_counters().refused, venue.gateway.soup_counters().connections), (7, 10));
    // Three thousand replies are more than are kept: the rest is told where it begins.
    venue.bytes(0, &login("user", "", "", 1));
    for _ in 0..10_000 {
        venue.bytes(0, &framed(b"Q"));
    }
    venue.bytes(1, &login("user", "", "", 1));
    venue.until(1);
    let packets = venue.packets(1);
    let begins: u64 = String::from_utf8_lossy(&packets[0].1[10..]).trim().parse().expect("a number");
    assert!(begins > 1);
    assert_eq!(packets.len() as u64 - 1, 10_001 - begins + 1);
    assert_eq!(venue.gateway.soup_counters().lost, 0);
}

#[test]
fn everything_is_cancelled_at_a_word() {
    let mut venue = Venue::new(keeping());
    venue.connect(1);
    venue.bytes(1, &[login("user", "", "", 1), venue.patient(1), venue.patient(2)].concat());
    venue.packets(1);
    let mut said = Vec::new();
    venue.gateway.cancel_all(&mut venue.market, &mut |message| said.push(message[0]));
    assert_eq!((&said[..], venue.open_orders("user")), (&b"DD"[..], 0));
    venue.until(1);
    assert_eq!(venue.kinds(1), "cc");
}

#[test]
fn hostile_bytes_do_no_harm() {
    let mut venue = Venue::new(GatewayConfig::default());
    let mut rng = Rng::new(11);
    let mut said = 0;
    for conn in 1..4_000u64 {
        venue.connect(conn);
        let mut talk = Vec::new();
        // A number that jumps ahead silences its client for good, so there are several.
        let user = format!("user{}", conn / 100);
        talk.extend(login(&user, "", "", 0));
        for number in 0..rng.below(6) {
            let order = venue.patient(conn as u32 * 10 + number);
            talk.extend([order, framed(&cancel(conn as u32 * 10, 5)), b"\0\x01R".to_vec()].concat());
        }
        for _ in 0..rng.below(4) {
            // Mostly behind the login.
            let skipped = if rng.chance(1, 10) { 0 } else { 49.min(talk.len() - 1) };
            let at = skipped + rng.index(talk.len() - skipped);
            talk[at] = rng.next() as u8;
        }
        let mut rest = &talk[..];
        while !rest.is_empty() {
            let (now, after) = rest.split_at(1 + rng.index(rest.len()));
            let Venue { market, gateway, books, wires, now: time, .. } = &mut venue;
            let mut feed = |message: &[u8]| {
                said += 1;
                books.apply(message).expect("a right feed, whatever clients send");
            };
            gateway.on_bytes(*time, ConnId(conn), now, market, &mut feed, &mut |output| keep(wires, output));
            rest = after;
        }
        venue.until(conn * 10_000_000);
        if rng.chance(1, 2) {
            venue.disconnect(conn);
        }
        if conn % 100 == 0 {
            venue.step();
        }
    }
    assert!(said > 2_000, "some of it was meant well: {said}");
    assert!(venue.books.resting().eq(venue.market.resting()));
    let counters = venue.gateway.soup_counters();
    assert!(counters.protocol_errors > 500 && counters.logins > 1_000, "{counters:?}");
    assert!(venue.gateway.clients().count() <= 64 && venue.gateway.connections() <= 64);
    // Every connection was either closed by one of the two sides or stands.
    let stand = venue.gateway.connections() as u64;
    assert!(counters.connections - stand >= counters.disconnected);
}
