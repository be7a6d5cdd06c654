//! What happens to instruments in the course of a day: crosses, halts, new listings, the breaker, broken trades.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};

use exchange::market::{Config, ConfigError, Fill, FillKind, Market, Mix, OutsideOrder, Phase};
use exchange::reference::Books;
use exchange::units::Side;

fn number(message: &[u8], at: usize, len: usize) -> u64 {
    message[at..at + len].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn locate(message: &[u8]) -> u16 {
    number(message, 1, 2) as u16
}

fn day(config: Config, messages: u64) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    let mut market = Market::new(config).expect("good");
    market.run_day(messages, &mut |message| said.push(message.to_vec())).expect("long enough");
    said
}

/// Everything on, and often.
fn busy(seed: u64) -> Config {
    Config {
        symbols: 96,
        seed,
        live_orders: 6_000,
        halt_every: 900,
        halt_length: 800,
        breaker_after: 25_000,
        offerings: 3,
        listings: 1,
        late: 2,
        release_after: 2_000,
        rising_refs_percent: if seed.is_multiple_of(2) { 77 } else { 100 },
        mix: if seed.is_multiple_of(3) { Mix::of_2026() } else { Mix::default() },
        ..Config::default()
    }
}

#[test]
fn a_day_with_the_default_configuration_has_every_type_of_message() {
    let said = day(Config::default(), 200_000);
    let kinds: BTreeSet<u8> = said.iter().map(|message| message[0]).collect();
    let kinds: Vec<u8> = kinds.into_iter().collect();
    assert_eq!(kinds, b"ABCDEFHIJKLNOPQRSUVWXYh");
}

/// The reference book refuses what a right feed does not contain; see there.
#[test]
fn days_with_everything_at_once_rebuild_the_markets_books_and_never_cross() {
    for seed in 1..=30 {
        let mut market = Market::new(busy(seed)).expect("good");
        let mut books = Books::new();
        let mut seen = 0u64;
        while market.phase() != Phase::Closed {
            let over = market.step_of_day(60_000, &mut |message| {
                books.apply(message).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
            });
            over.expect("long enough");
            seen += 1;
            if seen.is_multiple_of(10_000) {
                assert!(books.resting().eq(market.resting()), "seed {seed}");
            }
        }
        assert!(books.resting().eq(market.resting()), "seed {seed}");
        assert_eq!(books.messages(), 60_000);
        let counters = market.counters();
        assert!(counters.halts >= 20 && counters.breakers == 1, "seed {seed}: {counters:?}");
        assert!(counters.crosses > 300 && counters.broken > 2, "seed {seed}: {counters:?}");
    }
}

#[test]
fn crosses_execute_displayed_orders_at_one_price_and_print_once() {
    let (mut parts, mut kinds, mut empty) = (BTreeMap::<u8, u64>::new(), BTreeMap::<u8, u64>::new(), 0);
    for seed in 1..=5 {
        let mut open: BTreeMap<u16, (u64, u64, u64)> = BTreeMap::new();
        let (mut before, mut states) = (true, BTreeMap::<u16, u8>::new());
        for message in day(busy(seed), 60_000) {
            let here = locate(&message);
            match message[0] {
                b'S' if message[11] == b'Q' => before = false,
                b'S' if message[11] == b'M' => before = true,
                b'H' => {
                    states.insert(here, message[19]);
                }
                // Outside continuous trading: part of a cross.
                b'C' if before || states[&here] != b'T' => {
                    assert_eq!(message[31], b'N');
                    let (price, shares) = (number(&message, 32, 4), number(&message, 19, 4));
                    let part = open.entry(here).or_insert((price, 0, 0));
                    assert_eq!(part.0, price);
                    part.1 += shares;
                    part.2 += 1;
                }
                b'Q' => {
                    let (shares, price, kind) =
                        (number(&message, 11, 8), number(&message, 27, 4), message[39]);
                    *kinds.entry(kind).or_default() += 1;
                    empty += u64::from(shares == 0);
                    if let Some((at, sum, orders)) = open.remove(&here) {
                        assert!(at == price && sum <= shares && sum > 0);
                        *parts.entry(kind).or_default() += orders;
                    }
                }
                _ => {}
            }
        }
        assert!(open.is_empty());
    }
    for kind in *b"OCH" {
        assert!(kinds[&kind] > 200, "{} crosses of kind {}", kinds[&kind], char::from(kind));
        assert!(parts[&kind] > 30, "{} orders in crosses of kind {}", parts[&kind], char::from(kind));
    }
    assert_eq!(kinds.len(), 3);
    assert!(empty > 0, "now and then nobody finds anybody");
}

/// The last outlook before a cross promised what the cross then did, as far as displayed orders may take part.
#[test]
fn the_outlook_before_a_cross_is_what_it_comes_to() {
    let (mut same, mut all) = (0, 0);
    let mut outlook: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    for message in day(busy(11), 60_000) {
        match message[0] {
            b'I' => {
                outlook.insert(locate(&message), (number(&message, 11, 8), number(&message, 40, 4)));
            }
            b'Q' if message[39] == b'H' => {
                let (paired, near) = outlook[&locate(&message)];
                let (shares, price) = (number(&message, 11, 8), number(&message, 27, 4));
                assert!(shares <= paired);
                assert!(near == 0 || near == price || shares < paired);
                all += 1;
                same += u64::from(shares == paired);
            }
            _ => {}
        }
    }
    assert!(all > 100 && same * 10 > all * 8, "{same} of {all}");
}

/// The story that the feed tells of one instrument: its states, and what else concerns its release.
fn story(said: &[Vec<u8>], symbol: &[u8]) -> String {
    let of_it = |message: &&Vec<u8>| match message[0] {
        b'Q' => message[19..27] == *symbol,
        b'H' | b'K' | b'O' => message[11..19] == *symbol,
        b'I' => message[28..36] == *symbol && message[48] == b'H',
        _ => false,
    };
    let tell = |message: &Vec<u8>| match message[0] {
        b'H' => {
            format!("{}{} ", char::from(message[19]), String::from_utf8_lossy(&message[21..25]).trim_end())
        }
        b'K' => format!("K{} ", char::from(message[23])),
        b'O' => format!("O{} ", char::from(message[19])),
        b'Q' => format!("X{} ", char::from(message[39])),
        kind => format!("{} ", char::from(kind)),
    };
    said.iter().filter(of_it).map(tell).collect()
}

#[test]
fn new_instruments_are_let_in_one_step_after_the_other() {
    let mut told = BTreeSet::new();
    for seed in 1..=12 {
        // No halts: nothing else happens to them.
        let said = day(Config { halt_every: 0, ..busy(seed) }, 60_000);
        let named = said.iter().filter(|message| message[0] == b'R');
        let (mut offerings, mut listings) = (0, 0);
        for directory in named {
            let story = story(&said, &directory[11..19]);
            match directory[31] {
                b'Y' => {
                    offerings += 1;
                    let (start, end) = (story.starts_with("HIPO1 KA "), story.ends_with("XH TR1 XC "));
                    assert!(start && end, "{story}");
                }
                b'Z' => {
                    listings += 1;
                    assert_eq!(story, "HIPO1 QIPOQ ON I OY I XH TR1 XC ");
                }
                _ => assert!(story == "T XO XC " || story == "T XC ", "{story}"),
            }
            told.insert(story);
        }
        assert_eq!((offerings, listings), (3, 1));
    }
    assert!(told.contains("HIPO1 KA QIPOQ I I XH TR1 XC "));
    assert!(told.contains("HIPO1 KA KC KA QIPOQ I QIPOE I XH TR1 XC "), "one is put off: {told:?}");
    // What the opening said no state of is let in later, without an opening cross.
    assert!(told.contains("T XC "));
}

#[test]
fn new_instruments_show_no_order_before_they_are_released_for_quotation() {
    let said = day(busy(4), 60_000);
    let new: BTreeSet<u16> =
        said.iter().filter(|m| m[0] == b'R' && m[31] != b'N').map(|m| locate(m)).collect();
    let mut released = BTreeSet::new();
    let mut orders = 0;
    for message in &said {
        let here = locate(message);
        match message[0] {
            b'H' if message[19] == b'Q' => {
                released.insert(here);
            }
            b'A' | b'F' if new.contains(&here) => {
                assert!(released.contains(&here));
                orders += 1;
            }
            _ => {}
        }
    }
    assert!(new.len() == 4 && orders > 50, "{} instruments, {orders} orders", new.len());
}

#[test]
fn several_instruments_are_halted_at_once_and_the_breaker_halts_all() {
    let said = day(busy(5), 60_000);
    let (mut halted, mut most, mut breakers) = (BTreeSet::new(), 0, 0);
    let mut traded_by_all = 0;
    for message in &said {
        let key = (message[0], locate(message));
        match message[0] {
            b'W' => breakers += 1,
            b'H' if message[19] == b'T' => {
                halted.remove(&key);
            }
            b'H' => {
                halted.insert(key);
            }
            b'h' if message[19] == b'Q' && message[20] == b'T' => {
                halted.remove(&key);
            }
            b'h' if message[19] == b'Q' => {
                halted.insert(key);
            }
            b'E' => traded_by_all += 1,
            _ => {}
        }
        if breakers == 0 {
            most = most.max(halted.len());
        } else if halted.iter().filter(|(kind, _)| *kind == b'H').count() >= 90 {
            breakers = 2;
        }
    }
    assert!((4..40).contains(&most), "{most} at once before the breaker");
    assert_eq!(breakers, 2, "the breaker halts nearly all");
    assert!(traded_by_all > 500);
}

#[test]
fn a_trade_is_broken_once_and_was_one() {
    let mut trades = BTreeMap::new();
    let mut broken: BTreeMap<u8, u64> = BTreeMap::new();
    for seed in 1..=4 {
        trades.clear();
        let mix = Mix { broken_trades: 40, ..Mix::default() };
        for message in day(Config { mix, ..busy(seed) }, 60_000) {
            match message[0] {
                b'C' if message[31] == b'N' => {}
                b'E' | b'C' => {
                    trades.insert(number(&message, 23, 8), (message[0], locate(&message)));
                }
                b'P' => {
                    trades.insert(number(&message, 36, 8), (b'P', locate(&message)));
                }
                b'Q' => {
                    trades.insert(number(&message, 31, 8), (b'Q', locate(&message)));
                }
                b'B' => {
                    let (kind, of) = trades.remove(&number(&message, 11, 8)).expect("a trade that stands");
                    assert_eq!(of, locate(&message));
                    *broken.entry(kind).or_default() += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!(broken.keys().copied().collect::<Vec<_>>(), b"CEPQ");
}

/// Clients that trade and are told: what they are told agrees with the feed, trades in crosses and broken ones too.
#[test]
fn clients_are_told_of_their_trades_in_crosses_and_of_broken_ones() {
    let (mut told, mut broken, mut in_crosses) = (0, 0, 0);
    for seed in 1..=4 {
        let mix = Mix { broken_trades: 40, ..Mix::default() };
        let mut market = Market::new(Config { mix, ..busy(seed) }).expect("good");
        let mut books = Books::new();
        // Executions by match number as the feed says them: shares, the price where it is said, printable.
        let mut executions: BTreeMap<u64, (u64, Option<u64>, bool)> = BTreeMap::new();
        let mut fills: Vec<Fill> = Vec::new();
        let mut said_broken = BTreeSet::new();
        let mut turn = 0u32;
        let mut done = false;
        while !done {
            let mut hear = |message: &[u8]| {
                books.apply(message).expect("a right feed");
                match message[0] {
                    b'E' => {
                        executions.insert(number(message, 23, 8), (number(message, 19, 4), None, true));
                    }
                    b'C' => {
                        let price = Some(number(message, 32, 4));
                        executions.insert(
                            number(message, 23, 8),
                            (number(message, 19, 4), price, message[31] == b'Y'),
                        );
                    }
                    b'B' => {
                        said_broken.insert(number(message, 11, 8));
                    }
                    _ => {}
                }
            };
            done = market.step_of_day(60_000, &mut hear).expect("long enough");
            turn += 1;
            let instrument = turn / 7 % 96;
            if turn.is_multiple_of(7) && market.is_trading(instrument) {
                let side = if turn.is_multiple_of(2) { Side::Buy } else { Side::Sell };
                let book = market.book(instrument).expect("there");
                if let Some(price) = book.best_price(side) {
                    let tag = u64::from(turn);
                    let order =
                        OutsideOrder { tag, instrument, side, shares: 150, price, rests: true, mpid: None };
                    market.enter(&order, &mut hear).expect("it trades");
                }
            }
            fills.extend(market.take_fills());
        }
        assert!(books.resting().eq(market.resting()));
        let mut standing: BTreeMap<(u64, u64), Fill> = BTreeMap::new();
        for fill in fills {
            let key = (fill.tag, fill.match_number);
            match fill.kind {
                FillKind::Executed => {
                    let (shares, price, printable) = executions[&fill.match_number];
                    assert_eq!(u64::from(fill.shares), shares);
                    assert!(price.is_none_or(|price| price == u64::from(fill.price)));
                    in_crosses += u64::from(!printable);
                    assert!(standing.insert(key, fill).is_none());
                    told += 1;
                }
                FillKind::Broken => {
                    let was = standing.remove(&key).expect("told before");
                    assert_eq!((was.shares, was.price, was.rested), (fill.shares, fill.price, fill.rested));
                    assert!(fill.time >= was.time && said_broken.contains(&fill.match_number));
                    broken += 1;
                }
            }
        }
        // Nothing of theirs that the feed broke was kept from them.
        assert!(standing.keys().all(|(_, number)| !said_broken.contains(number)));
    }
    assert!(
        told > 500 && broken > 20 && in_crosses > 5,
        "{told} told, {broken} broken, {in_crosses} in crosses"
    );
}

#[test]
fn order_references_rise_as_often_as_asked_for() {
    for (percent, expected) in [(100, 1_000..=1_000), (77, 755..=785), (90, 885..=915)] {
        let config = Config { rising_refs_percent: percent, ..Config::default() };
        let (mut last, mut rises, mut all) = (0, 0, 0);
        let mut used = BTreeSet::new();
        for message in day(config, 200_000) {
            let order_ref = match message[0] {
                b'A' | b'F' => number(&message, 11, 8),
                b'U' => number(&message, 19, 8),
                _ => continue,
            };
            assert!(used.insert(order_ref), "unique in a day");
            rises += u64::from(order_ref > last);
            last = order_ref;
            all += 1;
        }
        let per_mille = rises * 1_000 / all;
        assert!(expected.contains(&per_mille), "{percent} per cent asked for: {per_mille} per mille");
    }
    let refused = Market::new(Config { rising_refs_percent: 74, ..Config::default() });
    assert_eq!(refused.err(), Some(ConfigError::Refs));
}

#[test]
fn the_profile_of_2026_replaces_more_than_a_quarter() {
    let said = day(Config { mix: Mix::of_2026(), ..Config::default() }, 200_000);
    let replaced = said.iter().filter(|message| message[0] == b'U').count();
    assert!((250..300).contains(&(replaced * 1_000 / said.len())), "{replaced}");
}

/// Odd configurations, from one instrument to a few, from no order to too many, everything always or never.
#[test]
fn odd_configurations_make_right_feeds_too() {
    let mut rng = exchange::rng::Rng::new(23);
    for round in 0..400 {
        let mut pick = |choices: &[u32]| choices[rng.index(choices.len())];
        let symbols = pick(&[1, 2, 3, 15, 16, 17, 40]) as u16;
        let opening_orders = pick(&[0, 1, 4, 40]);
        let max_orders = pick(&[50, 2_000]).max(u32::from(symbols) * opening_orders);
        let mut part = |most| pick(&[0, 0, 1, 100, most]);
        let config = Config {
            symbols,
            seed: round,
            rate: 1_000_000,
            start: 86_399_000_000_000 - u64::from(part(3_000)) * 1_000_000_000,
            live_orders: 1 + part(1_000).min(max_orders - 1),
            max_orders,
            opening_orders,
            halt_every: part(1_000),
            halt_length: part(300),
            breaker_after: part(2_000),
            offerings: part(3) as u16,
            listings: part(3) as u16,
            late: part(3) as u16,
            release_after: part(500),
            rising_refs_percent: 75 + part(25).min(25) as u8,
            mix: Mix {
                imbalances: part(1_400),
                hidden_trades: part(1_400),
                broken_trades: part(1_400),
                replaces: part(1_400),
                takes: part(1_400),
                cancels: part(1_400),
                notices: part(1_400),
            },
        };
        let mut market = Market::new(config).expect("good");
        let mut books = Books::new();
        let messages = market.shortest_day() + u64::from(round as u32 % 7) * 1_000;
        let mut tell = |message: &[u8]| {
            books.apply(message).unwrap_or_else(|fault| panic!("{config:?}: {fault}"));
        };
        market.run_day(messages, &mut tell).expect("long enough");
        assert_eq!(books.messages(), messages, "{config:?}");
        assert!(books.resting().eq(market.resting()), "{config:?}");
        assert!(market.counters().peak_orders <= u64::from(max_orders), "{config:?}");
    }
}
