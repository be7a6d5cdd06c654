//! Orders from outside: what the clients are told, what the feed says, and what the accounts hold must agree.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use exchange::gateway::{Config as GatewayConfig, Gateway};
use exchange::market::{Config, Market, Phase};
use exchange::mold::Packet;
use exchange::reference::Books;
use exchange::rng::Rng;
use exchange::units::{Side, Symbol};

fn client(number: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 31_000 + number)
}

/// A reply as a client reads it, at the offsets of the public document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Started,
    Accepted { user_ref: u32, quantity: u32, order_ref: u64 },
    Replaced { orig: u32, user_ref: u32, quantity: u32, order_ref: u64 },
    Canceled { user_ref: u32, quantity: u32, reason: char },
    Executed { user_ref: u32, quantity: u32, price: u64, flag: char, match_number: u64 },
    Broken { user_ref: u32, match_number: u64 },
    Rejected { user_ref: u32, reason: u16 },
    Next(u32),
    Ended,
}

fn uint(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn read(message: &[u8]) -> Reply {
    let word = |at| uint(message, at, 4) as u32;
    let (reply, len) = match message[0] {
        b'S' if message[9] == b'S' => (Reply::Started, 10),
        b'S' => (Reply::Ended, 10),
        b'A' => {
            assert_eq!(message[47], b'L');
            let order_ref = uint(message, 36, 8);
            (Reply::Accepted { user_ref: word(9), quantity: word(14), order_ref }, 64)
        }
        b'U' => {
            let order_ref = uint(message, 40, 8);
            (Reply::Replaced { orig: word(9), user_ref: word(13), quantity: word(18), order_ref }, 68)
        }
        b'C' => (Reply::Canceled { user_ref: word(9), quantity: word(13), reason: message[17].into() }, 18),
        b'E' => {
            let (price, flag) = (uint(message, 17, 8), message[25].into());
            let match_number = uint(message, 26, 8);
            (Reply::Executed { user_ref: word(9), quantity: word(13), price, flag, match_number }, 36)
        }
        b'B' => (Reply::Broken { user_ref: word(9), match_number: uint(message, 13, 8) }, 36),
        b'J' => (Reply::Rejected { user_ref: word(9), reason: uint(message, 13, 2) as u16 }, 29),
        b'Q' => (Reply::Next(word(9)), 13),
        other => panic!("reply of type {other}"),
    };
    assert_eq!(message.len(), len);
    reply
}

#[derive(Clone, Copy)]
struct Order {
    user_ref: u32,
    side: u8,
    quantity: u32,
    symbol: Symbol,
    price: u64,
    time_in_force: u8,
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut packet = u16::try_from(message.len() + 1).expect("short").to_be_bytes().to_vec();
    packet.push(b'U');
    packet.extend_from_slice(message);
    packet
}

fn enter_message(order: &Order) -> Vec<u8> {
    let mut message = vec![b'O'];
    message.extend_from_slice(&order.user_ref.to_be_bytes());
    message.push(order.side);
    message.extend_from_slice(&order.quantity.to_be_bytes());
    message.extend_from_slice(&order.symbol.0);
    message.extend_from_slice(&order.price.to_be_bytes());
    message.extend_from_slice(&[order.time_in_force, b'Y', b'P', b'N', b'N']);
    message.extend_from_slice(b"MY-ORDER      ");
    message.extend_from_slice(&[0, 0]);
    assert_eq!(message.len(), 47);
    message
}

fn replace_message(orig: u32, user_ref: u32, quantity: u32, price: u64) -> Vec<u8> {
    let mut message = vec![b'U'];
    for field in [orig, user_ref, quantity] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(&price.to_be_bytes());
    message.extend_from_slice(b"0YNMY-REPLACEMENT\0\0");
    // 14 bytes of text of our own.
    message.truncate(38);
    message.extend_from_slice(&[0, 0]);
    assert_eq!(message.len(), 40);
    message
}

fn cancel_message(user_ref: u32, quantity: u32) -> Vec<u8> {
    let mut message = vec![b'X'];
    message.extend_from_slice(&user_ref.to_be_bytes());
    message.extend_from_slice(&quantity.to_be_bytes());
    message
}

/// A market, its gateway, and a book that follows its feed and objects to anything wrong in it.
struct Venue {
    market: Market,
    gateway: Gateway,
    books: Books,
    next: BTreeMap<SocketAddrV4, u64>,
}

impl Venue {
    fn open(config: Config) -> Self {
        let mut venue = Self {
            market: Market::new(config).expect("good"),
            gateway: Gateway::new(GatewayConfig::default()),
            books: Books::new(),
            next: BTreeMap::new(),
        };
        for _ in 0..venue.market.opening_length() + 5_000 {
            venue.step();
        }
        assert_eq!(venue.market.phase(), Phase::Open);
        venue
    }

    fn calm() -> Self {
        Self::open(Config { symbols: 4, live_orders: 800, halt_every: 0, ..Config::default() })
    }

    fn step(&mut self) {
        self.market.step(&mut |message: &[u8]| self.books.apply(message).expect("a right feed"));
        self.gateway.settle(&mut self.market);
    }

    fn datagram(&mut self, from: SocketAddrV4, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        self.gateway.on_datagram(from, payload, &mut self.market, &mut |message| said.push(message.to_vec()));
        for message in &said {
            self.books.apply(message).expect("a right feed");
        }
        assert!(self.books.resting().eq(self.market.resting()));
        said
    }

    fn replies(&mut self) -> Vec<(SocketAddrV4, Reply)> {
        let mut replies = Vec::new();
        let next = &mut self.next;
        self.gateway.send(&mut |to, payload| {
            let packet = Packet::parse(payload).expect("a packet");
            let expected = next.entry(to).or_insert(1);
            assert_eq!(packet.sequence, *expected, "numbered per client without a gap");
            *expected += u64::from(packet.count);
            replies.extend(packet.messages().map(|message| (to, read(message))));
        });
        replies
    }

    /// Sends one message; types of the feed messages it caused, and the replies.
    fn ask(&mut self, message: &[u8]) -> (String, Vec<Reply>) {
        let said = self.datagram(client(0), &framed(message));
        let kinds = said.iter().map(|message| char::from(message[0])).collect();
        let replies = self.replies().into_iter().map(|(_, reply)| reply).collect();
        (kinds, replies)
    }

    fn symbol(&self) -> Symbol {
        self.market.symbol(0).expect("an instrument")
    }

    fn best(&self, side: Side) -> (u32, u64) {
        let level = *self.market.book(0).expect("an instrument").best(side).expect("a price");
        (level.price, level.shares)
    }

    fn order(&self, user_ref: u32, side: u8, quantity: u32, price: u32, time_in_force: u8) -> Order {
        Order { user_ref, side, quantity, symbol: self.symbol(), price: price.into(), time_in_force }
    }

    fn position(&self) -> i64 {
        self.gateway.account(client(0)).map_or(0, |account| account.position(self.symbol()).shares())
    }
}

#[test]
fn an_immediate_order_takes_what_is_there_and_drops_the_rest() {
    let mut venue = Venue::calm();
    let (ask, shares) = venue.best(Side::Sell);
    let wanted = u32::try_from(shares).expect("few") + 70;
    let order = venue.order(1, b'B', wanted, ask, b'3');
    let (kinds, replies) = venue.ask(&enter_message(&order));
    assert!(!kinds.is_empty() && kinds.chars().all(|kind| kind == 'E'), "{kinds}");
    assert_eq!(replies[0], Reply::Started);
    assert!(
        matches!(replies[1], Reply::Accepted { user_ref: 1, quantity, .. } if quantity == wanted),
        "{replies:?}"
    );
    let executed: u64 = replies
        .iter()
        .map(|reply| match reply {
            Reply::Executed { user_ref: 1, quantity, price, flag: 'R', .. } if *price == u64::from(ask) => {
                u64::from(*quantity)
            }
            _ => 0,
        })
        .sum();
    assert_eq!(executed, shares);
    let last = replies.last().copied();
    assert_eq!(last, Some(Reply::Canceled { user_ref: 1, quantity: 70, reason: 'I' }));
    assert_eq!(venue.position(), i64::try_from(shares).expect("few"));
    let account = venue.gateway.account(client(0)).expect("known");
    assert_eq!(account.position(venue.symbol()).cash, -i128::from(shares) * i128::from(ask));
    assert_eq!(account.open_orders().len(), 0);
}

#[test]
fn a_resting_order_is_shown_under_its_reference_and_hit_by_the_flow() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let order = venue.order(1, b'B', 500, bid, b'0');
    let said = venue.datagram(client(0), &framed(&enter_message(&order)));
    let replies = venue.replies();
    assert_eq!(said.len(), 1);
    let Some((_, Reply::Accepted { order_ref, .. })) = replies.get(1) else { panic!("{replies:?}") };
    assert_eq!((said[0][0], uint(&said[0], 11, 8)), (b'A', *order_ref));
    // It waits its turn, is never touched by the participants' own deletes, and is executed in the end.
    let mut got = 0;
    for _ in 0..3_000_000 {
        venue.step();
        if venue.market.counters().messages.is_multiple_of(64) {
            for (_, reply) in venue.replies() {
                let Reply::Executed { user_ref: 1, quantity, price, flag: 'A', .. } = reply else {
                    panic!("{reply:?}")
                };
                assert_eq!(price, u64::from(bid));
                got += quantity;
            }
        }
        if got == 500 {
            break;
        }
    }
    assert_eq!(got, 500);
    assert_eq!(venue.position(), 500);
    assert!(venue.books.resting().eq(venue.market.resting()));
}

#[test]
fn cancels_speak_of_the_intended_total() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let order = venue.order(7, b'B', 500, bid - 10_000, b'0');
    venue.ask(&enter_message(&order));
    let canceled = |quantity| Reply::Canceled { user_ref: 7, quantity, reason: 'U' };
    assert_eq!(venue.ask(&cancel_message(7, 400)), ("X".into(), vec![canceled(100)]));
    assert_eq!(venue.ask(&cancel_message(7, 400)), (String::new(), vec![]));
    assert_eq!(venue.ask(&cancel_message(7, 900)), (String::new(), vec![]));
    assert_eq!(venue.ask(&cancel_message(7, 150)), ("X".into(), vec![canceled(250)]));
    assert_eq!(venue.ask(&cancel_message(7, 0)), ("D".into(), vec![canceled(150)]));
    assert_eq!(venue.ask(&cancel_message(7, 0)), (String::new(), vec![]));
    // The form of 2025, with an option block.
    let order = venue.order(8, b'S', 100, 1_999_999_900, b'0');
    venue.ask(&enter_message(&order));
    let mut message = cancel_message(8, 0);
    message.extend_from_slice(&[0, 3, 2, 28, 1]);
    assert_eq!(venue.ask(&message).0, "D");
    assert_eq!(venue.gateway.counters().ignored, 3);
}

#[test]
fn a_replace_counts_what_was_executed_before() {
    let mut venue = Venue::calm();
    let (ask, shares) = venue.best(Side::Sell);
    let shares = u32::try_from(shares).expect("few");
    // Takes the whole level; 300 stay as the new best bid.
    let order = venue.order(1, b'B', shares + 300, ask, b'0');
    let (kinds, _) = venue.ask(&enter_message(&order));
    assert!(kinds.ends_with('A') && kinds.starts_with('E'), "{kinds}");
    assert_eq!(venue.best(Side::Buy), (ask, 300));
    // Total of the chain: 120 more than executed.
    let (kinds, replies) = venue.ask(&replace_message(1, 2, shares + 120, (ask - 100).into()));
    assert_eq!(kinds, "U");
    assert!(
        matches!(replies[..], [Reply::Replaced { orig: 1, user_ref: 2, quantity: 120, .. }]),
        "{replies:?}"
    );
    // A replace that trades: the old order goes, the new one comes in.
    let (ask, more) = venue.best(Side::Sell);
    let (kinds, replies) = venue.ask(&replace_message(2, 3, shares + 120, ask.into()));
    assert!(kinds.starts_with("DE"), "{kinds}");
    assert!(matches!(replies[0], Reply::Replaced { orig: 2, user_ref: 3, quantity: 120, .. }));
    let filled = venue.position() - i64::from(shares);
    assert_eq!(filled, i64::try_from(more.min(120)).expect("few"));
    assert!(matches!(replies[1], Reply::Executed { user_ref: 3, flag: 'R', .. }));
}

#[test]
fn impossible_replaces_follow_the_rules() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let low = u64::from(bid - 10_000);
    let order = venue.order(1, b'B', 500, bid - 10_000, b'0');
    venue.ask(&enter_message(&order));
    // Not live: ignored, and the number is not used up.
    assert_eq!(venue.ask(&replace_message(9, 10, 100, low)), (String::new(), vec![]));
    assert_eq!(venue.ask(b"Q").1, [Reply::Next(2)]);
    // A number that does not rise: ignored.
    assert_eq!(venue.ask(&replace_message(1, 1, 100, low)), (String::new(), vec![]));
    // Impossible terms: the order goes, the number is not used up.
    let (kinds, replies) = venue.ask(&replace_message(1, 2, 1_000_000, low));
    assert_eq!(kinds, "D");
    assert_eq!(replies, [Reply::Canceled { user_ref: 1, quantity: 500, reason: 'Z' }]);
    assert_eq!(venue.ask(b"Q").1, [Reply::Next(2)]);
    // No more than what was executed: the order goes at the client's own wish.
    let order = venue.order(2, b'B', 500, bid - 10_000, b'0');
    venue.ask(&enter_message(&order));
    assert_eq!(
        venue.ask(&replace_message(2, 3, 0, low)).1,
        [Reply::Canceled { user_ref: 2, quantity: 500, reason: 'U' }]
    );
}

#[test]
fn every_reason_to_reject() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let good = enter_message(&venue.order(0, b'B', 100, bid, b'0'));
    let with = |at: usize, field: &[u8]| {
        let mut message = good.clone();
        message[at..at + field.len()].copy_from_slice(field);
        message
    };
    let cases = [
        (with(5, b"X"), 0x09),
        (with(6, &0u32.to_be_bytes()), 0x13),
        (with(6, &1_000_000u32.to_be_bytes()), 0x13),
        (with(10, b"NOSUCH  "), 0x17),
        (with(18, &0u64.to_be_bytes()), 0x1D),
        (with(18, &(u64::from(bid) + 1).to_be_bytes()), 0x1D),
        (with(18, &2_000_000_000u64.to_be_bytes()), 0x1D),
        (with(18, &u64::MAX.to_be_bytes()), 0x1D),
        (with(26, b"7"), 0x0F),
        (with(27, b"N"), 0x03),
        (with(28, b"?"), 0x0F),
        (with(29, b"Y"), 0x08),
        (with(30, b"O"), 0x14),
    ];
    for (number, (mut message, reason)) in (1u32..).zip(cases) {
        message[1..5].copy_from_slice(&number.to_be_bytes());
        let (kinds, replies) = venue.ask(&message);
        assert_eq!(kinds, "");
        assert_eq!(replies.last(), Some(&Reply::Rejected { user_ref: number, reason }), "case {number}");
    }
    // A rejected number is used up; without a limit, an immediate order is fine.
    assert_eq!(venue.ask(b"Q").1, [Reply::Next(14)]);
    let mut market_order = with(18, &2_000_000_000u64.to_be_bytes());
    market_order[1..5].copy_from_slice(&14u32.to_be_bytes());
    market_order[26] = b'3';
    assert!(matches!(venue.ask(&market_order).1[0], Reply::Accepted { user_ref: 14, .. }));
    // After the close.
    venue.market.close(0, &mut |_| {});
    let mut late = good.clone();
    late[1..5].copy_from_slice(&15u32.to_be_bytes());
    venue.gateway.on_datagram(client(0), &framed(&late), &mut venue.market, &mut |_| {
        panic!("nothing happens after the close")
    });
    assert_eq!(venue.replies(), [(client(0), Reply::Rejected { user_ref: 15, reason: 0x02 })]);
}

#[test]
fn a_halt_rejects_new_orders_but_not_cancels() {
    let mut venue = Venue::open(Config {
        symbols: 1,
        live_orders: 400,
        halt_every: 8_000,
        halt_length: 2_000,
        ..Config::default()
    });
    assert!(venue.market.is_trading(0));
    let (bid, _) = venue.best(Side::Buy);
    let order = venue.order(1, b'B', 100, bid - 10_000, b'0');
    venue.ask(&enter_message(&order));
    while venue.market.is_trading(0) {
        venue.step();
    }
    venue.replies();
    let order = venue.order(2, b'B', 100, bid - 10_000, b'0');
    assert_eq!(venue.ask(&enter_message(&order)).1, [Reply::Rejected { user_ref: 2, reason: 0x07 }]);
    let replace = replace_message(1, 3, 100, u64::from(bid - 20_000));
    assert_eq!(venue.ask(&replace).1, [Reply::Rejected { user_ref: 3, reason: 0x07 }]);
    assert_eq!(venue.ask(&cancel_message(1, 0)).0, "D");
    while !venue.market.is_trading(0) {
        venue.step();
    }
    let order = venue.order(4, b'B', 100, bid - 10_000, b'0');
    assert_eq!(venue.ask(&enter_message(&order)).0, "A");
}

#[test]
fn numbers_that_do_not_rise_are_ignored() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let order = venue.order(5, b'B', 100, bid - 10_000, b'0');
    assert_eq!(venue.ask(&enter_message(&order)).0, "A");
    assert_eq!(venue.ask(&enter_message(&order)), (String::new(), vec![]));
    assert_eq!(venue.ask(&enter_message(&Order { user_ref: 4, ..order })), (String::new(), vec![]));
    assert_eq!(venue.gateway.counters().repeated, 2);
    // Another client has numbers of its own.
    assert_eq!(venue.datagram(client(1), &framed(&enter_message(&order))).len(), 1);
    assert_eq!(venue.gateway.accounts().count(), 2);
}

#[test]
fn an_attributed_order_names_its_firm() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let mut message = enter_message(&venue.order(1, b'B', 100, bid - 10_000, b'0'));
    message[27] = b'A';
    message.truncate(45);
    // An option that it does not know, then the firm.
    message.extend_from_slice(b"\0\x0A\x03\x99\0\0\x05\x02LIME");
    let said = venue.datagram(client(0), &framed(&message));
    assert_eq!((said[0][0], &said[0][36..40]), (b'F', &b"LIME"[..]));
}

#[test]
fn several_packets_in_a_datagram_and_the_clients_of_too_many() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let order = venue.order(1, b'B', 100, bid - 10_000, b'0');
    let mut datagram = vec![0, 1, b'R'];
    datagram.extend(framed(&enter_message(&order)));
    datagram.extend(framed(&cancel_message(1, 0)));
    let said = venue.datagram(client(0), &datagram);
    assert_eq!(said.iter().map(|message| message[0]).collect::<Vec<_>>(), b"AD");
    assert_eq!(venue.gateway.counters().heartbeats, 1);
    for number in 1..100 {
        venue.datagram(client(number), &framed(b"Q"));
    }
    assert_eq!(venue.gateway.accounts().count(), 64);
    assert_eq!(venue.gateway.counters().refused_clients, 36);
    let mut ended = 0;
    venue.gateway.end(1, &mut |_, packet| ended += u32::from(Packet::parse(packet).expect("a packet").ends));
    assert_eq!(ended, 64);
}

/// A client that knows nothing but the replies it gets.
#[derive(Default)]
struct Book {
    /// Left and side of each open order.
    open: BTreeMap<u32, (u32, u8)>,
    sides: BTreeMap<u32, u8>,
    /// Side and shares of each execution, by match number and order: it may yet be broken.
    executed: BTreeMap<(u64, u32), (u8, u32)>,
    broken: u32,
}

impl Book {
    /// Shares traded on one side.
    fn traded(&self, side: u8) -> u64 {
        self.executed
            .values()
            .filter(|(of, _)| (*of == b'B') == (side == b'B'))
            .map(|(_, shares)| u64::from(*shares))
            .sum()
    }

    fn hear(&mut self, reply: Reply) {
        match reply {
            Reply::Accepted { user_ref, quantity, .. } => {
                self.open.insert(user_ref, (quantity, self.sides[&user_ref]));
            }
            Reply::Replaced { orig, user_ref, quantity, .. } => {
                let (_, side) = self.open.remove(&orig).expect("an open order");
                self.sides.insert(user_ref, side);
                self.open.insert(user_ref, (quantity, side));
            }
            Reply::Canceled { user_ref, quantity, .. } => self.less(user_ref, quantity),
            Reply::Executed { user_ref, quantity, match_number, .. } => {
                let side = self.open[&user_ref].1;
                let before = self.executed.insert((match_number, user_ref), (side, quantity));
                assert_eq!(before, None, "each execution has a number of its own");
                self.less(user_ref, quantity);
            }
            Reply::Broken { user_ref, match_number } => {
                self.broken += 1;
                self.executed.remove(&(match_number, user_ref)).expect("an execution, not broken before");
            }
            _ => {}
        }
    }

    fn less(&mut self, user_ref: u32, quantity: u32) {
        let (left, _) = self.open.get_mut(&user_ref).expect("an open order");
        *left = left.checked_sub(quantity).expect("never more than it has");
        if *left == 0 {
            self.open.remove(&user_ref);
        }
    }
}

#[test]
fn clients_that_trade_at_random_end_with_what_the_exchange_says() {
    let mut venue =
        Venue::open(Config { symbols: 2, live_orders: 300, halt_every: 9_000, ..Config::default() });
    let mut rng = Rng::new(77);
    let mut books: BTreeMap<SocketAddrV4, Book> = BTreeMap::new();
    let mut next = [0u32; 3];
    for _ in 0..12_000 {
        for _ in 0..rng.below(16) {
            venue.step();
        }
        let who = rng.index(3);
        let from = client(who as u16);
        let book = books.entry(from).or_default();
        next[who] += 1;
        let number = next[who];
        let open: Vec<u32> = book.open.keys().copied().collect();
        let some = open.get(rng.index(open.len())).copied().unwrap_or(0);
        let (bid, _) = venue.best(Side::Buy);
        let price = bid - 300 + 100 * rng.below(8);
        let message = match rng.below(10) {
            0..5 => {
                let side = [b'B', b'S', b'T'][rng.index(3)];
                book.sides.insert(number, side);
                let time_in_force = if rng.chance(1, 3) { b'3' } else { b'0' };
                enter_message(&venue.order(number, side, 1 + rng.below(300), price, time_in_force))
            }
            5..8 => replace_message(some, number, rng.below(400), price.into()),
            _ => cancel_message(some, rng.below(300)),
        };
        venue.datagram(from, &framed(&message));
        for (to, reply) in venue.replies() {
            books.entry(to).or_default().hear(reply);
        }
    }
    let symbol = venue.symbol();
    let (mut bought, mut sold) = (0, 0);
    for (address, account) in venue.gateway.accounts() {
        let book = &books[&address];
        let position = account.position(symbol);
        assert_eq!((position.bought, position.sold), (book.traded(b'B'), book.traded(b'S')));
        let open: BTreeMap<u32, u32> =
            account.open_orders().map(|order| (order.entered.user_ref, order.left())).collect();
        assert_eq!(open, book.open.iter().map(|(number, (left, _))| (*number, *left)).collect());
        // Each open order stands in the feed's book with as many shares.
        for order in account.open_orders() {
            let resting = venue.books.resting().find(|resting| resting.order_ref == order.order_ref);
            assert_eq!(resting.map(|resting| resting.shares), Some(order.left()));
        }
        bought += position.bought;
        sold += position.sold;
    }
    assert!(bought > 10_000 && sold > 10_000, "bought {bought}, sold {sold}: too few to prove anything");
    let counters = venue.gateway.counters();
    assert!(counters.replaced > 500 && counters.canceled > 500 && counters.executed > 1_000, "{counters:?}");
    assert_eq!(counters.malformed, 0);
    let broken: u32 = books.values().map(|book| book.broken).sum();
    assert!(broken > 0 && counters.broken == u64::from(broken) && counters.forgotten == 0, "{counters:?}");
}

#[test]
fn hostile_datagrams_do_no_harm() {
    let mut venue = Venue::calm();
    let (bid, _) = venue.best(Side::Buy);
    let messages = [
        enter_message(&venue.order(1, b'B', 100, bid, b'0')),
        replace_message(1, 2, 100, bid.into()),
        cancel_message(1, 50),
        b"Q".to_vec(),
    ];
    // Cut at every length: never accepted, always counted.
    let whole = framed(&messages[0]);
    for len in 1..whole.len() {
        let before = venue.gateway.counters().malformed;
        assert!(venue.datagram(client(0), &whole[..len]).is_empty());
        assert_eq!(venue.gateway.counters().malformed, before + 1, "{len}");
    }
    // Lengths that lie about their options.
    for (declared, options) in [(1u16, &b""[..]), (0, b"x"), (2, b"\x05\x02"), (1, b"\0"), (65_535, b"ab")] {
        let mut message = messages[0][..45].to_vec();
        message.extend_from_slice(&declared.to_be_bytes());
        message.extend_from_slice(options);
        assert!(venue.datagram(client(0), &framed(&message)).is_empty());
    }
    let mut rng = Rng::new(5);
    let mut said = 0u64;
    for round in 1..300_000u32 {
        let mut payload = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let mut message = messages[rng.index(4)].clone();
            let number = if message[0] == b'U' { 5..9 } else { 1..5 };
            if message[0] != b'Q' {
                message[number].copy_from_slice(&round.to_be_bytes());
            }
            payload.extend(framed(&message));
        }
        for _ in 0..rng.below(6) {
            // Mostly behind the first number: one that jumps ahead silences its client for good.
            let skipped = if rng.chance(1, 1_000) { 0 } else { 8.min(payload.len() - 1) };
            let at = skipped + rng.index(payload.len() - skipped);
            payload[at] = rng.next() as u8;
        }
        payload.truncate(rng.index(payload.len() + 1));
        let Venue { market, gateway, books, .. } = &mut venue;
        gateway.on_datagram(client((round / 5_000) as u16), &payload, market, &mut |message| {
            said += 1;
            books.apply(message).expect("a right feed, whatever clients send");
        });
        gateway.send(&mut |_, payload| assert!(Packet::parse(payload).is_some()));
        if round % 8 == 0 {
            venue.step();
        }
    }
    assert!(said > 1_000, "some of it was meant well: {said}");
    assert!(venue.books.resting().eq(venue.market.resting()));
    assert!(venue.gateway.counters().malformed > 100_000);
}
