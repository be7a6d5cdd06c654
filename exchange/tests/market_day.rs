//! A whole day of the simulated market, checked against a strict book built from its messages alone, and against
//! an ITCH decoder by somebody else.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use exchange::dump::Resting;
use exchange::market::{Config, ConfigError, Market, Phase};
use exchange::reference::Books;

fn day(config: Config, messages: u64) -> (Market, Vec<Vec<u8>>) {
    let mut market = Market::new(config).expect("a good configuration");
    let mut said = Vec::new();
    market.run_day(messages, &mut |message: &[u8]| said.push(message.to_vec())).expect("long enough");
    (market, said)
}

fn small(seed: u64) -> Config {
    Config {
        symbols: 40,
        seed,
        live_orders: 4_000,
        halt_every: 4_000,
        halt_length: 500,
        breaker_after: 60_000,
        ..Config::default()
    }
}

#[test]
fn same_seed_same_bytes_other_seed_other_bytes() {
    let (_, first) = day(small(9), 60_000);
    let (_, again) = day(small(9), 60_000);
    let (_, other) = day(small(10), 60_000);
    assert!(first == again);
    assert!(first != other);
}

#[test]
fn a_day_has_exactly_the_messages_asked_for() {
    let least = Market::new(small(1)).expect("good").shortest_day();
    for messages in [least, least + 1, least + 7, least + 8, least + 9, least + 100, 5_001] {
        let (market, said) = day(small(1), messages);
        assert_eq!(said.len() as u64, messages);
        assert_eq!(market.phase(), Phase::Closed);
        assert_eq!(market.counters().messages, messages);
    }
    let mut market = Market::new(small(1)).expect("good");
    let too_short = market.run_day(least - 1, &mut |_| panic!("nothing may be said")).expect_err("too short");
    assert_eq!(too_short.least, least);
}

/// The reference book refuses crossed books, executions out of turn or during halts, wrong symbols, unknown and
/// duplicate references, and time running backwards; so applying without a fault says that none of these happened.
#[test]
fn the_feed_rebuilds_the_markets_own_books() {
    for seed in 1..=6 {
        let (market, said) = day(small(seed), 120_000);
        let mut books = Books::new();
        for message in &said {
            books.apply(message).expect("a right feed");
        }
        let own: Vec<Resting> = market.resting().collect();
        let rebuilt: Vec<Resting> = books.resting().collect();
        assert!(own.len() > 2_000, "{} orders are too few to prove anything", own.len());
        assert!(own == rebuilt);
        assert!(books.ended());
        let (mut one, mut two) = (Vec::new(), Vec::new());
        market.dump(&mut one).expect("memory");
        books.dump(&mut two).expect("memory");
        assert!(one == two && one.starts_with(b"locate,symbol,side,price_int,order_ref,shares\n1,"));
    }
}

#[test]
fn the_book_is_never_locked_at_any_step() {
    let mut market = Market::new(small(3)).expect("good");
    for _ in 0..60_000 {
        market.step(&mut |_| {});
        for instrument in 0..40 {
            let book = market.book(instrument).expect("40 instruments");
            let bid = book.best_price(exchange::units::Side::Buy).unwrap_or(0);
            let ask = book.best_price(exchange::units::Side::Sell).unwrap_or(u32::MAX);
            assert!(bid < ask);
        }
    }
}

#[test]
fn every_kind_of_message_that_is_promised_occurs_in_about_its_share() {
    let (market, said) = day(small(2), 300_000);
    let mut share: BTreeMap<u8, usize> = BTreeMap::new();
    for message in &said {
        *share.entry(message[0]).or_default() += 1;
    }
    let kinds: Vec<u8> = share.keys().copied().collect();
    assert_eq!(kinds, b"ABCDEFHIJKLNOPQRSUVWXYh");
    let per_mille = |kind: u8| share[&kind] * 1_000 / said.len();
    assert!((400..=520).contains(&per_mille(b'A')), "A {}", per_mille(b'A'));
    assert!((330..=450).contains(&per_mille(b'D')), "D {}", per_mille(b'D'));
    assert!((60..=100).contains(&per_mille(b'U')), "U {}", per_mille(b'U'));
    assert!((12..=40).contains(&per_mille(b'E')), "E {}", per_mille(b'E'));
    assert!(market.counters().halts >= 6);
    let unprintable = said.iter().filter(|message| message[0] == b'C' && message[31] == b'N').count();
    assert!(unprintable > 0 && unprintable < share[&b'C']);
}

#[test]
fn the_day_has_its_frame() {
    let (_, said) = day(small(4), 20_000);
    let events: Vec<u8> =
        said.iter().filter(|message| message[0] == b'S').map(|message| message[11]).collect();
    assert_eq!(events, b"OSQMEC");
    assert_eq!(said.first().map(|message| message[11]), Some(b'O'));
    assert_eq!(said.last().map(|message| message[11]), Some(b'C'));
    // Deletes between the end of system hours and the end of messages.
    assert!(said[said.len() - 9..said.len() - 1].iter().all(|message| message[0] == b'D'));
}

#[test]
fn virtual_time_runs_at_the_rate_asked_for() {
    let rate = 50_000;
    let (market, said) = day(Config { rate, ..small(5) }, 200_000);
    let ns = market.time() - small(5).start;
    let expected = said.len() as u64 * 1_000_000_000 / u64::from(rate);
    assert!(ns > expected * 97 / 100 && ns < expected * 103 / 100, "{ns} against {expected}");
}

#[test]
fn thousands_of_symbols_and_a_limit_of_orders() {
    let config = Config {
        symbols: 9_000,
        live_orders: 40_000,
        max_orders: 40_000,
        halt_every: 0,
        ..Config::default()
    };
    let (market, said) = day(config, 400_000);
    assert!(market.counters().peak_orders <= 40_000);
    let mut books = Books::new();
    for message in &said {
        books.apply(message).expect("a right feed");
    }
    assert_eq!(books.instruments(), 9_000);
    assert!(books.resting().eq(market.resting()));
}

#[test]
fn bad_configurations_are_refused() {
    let bad = [
        (Config { symbols: 0, ..Config::default() }, ConfigError::NoSymbols),
        (Config { rate: 0, ..Config::default() }, ConfigError::Rate),
        (Config { start: 86_400_000_000_000, ..Config::default() }, ConfigError::Start),
        (Config { live_orders: 10, max_orders: 9, ..Config::default() }, ConfigError::Orders),
        (Config { symbols: 9, opening_orders: u32::MAX, ..Config::default() }, ConfigError::Orders),
    ];
    for (config, error) in bad {
        assert_eq!(Market::new(config).err(), Some(error));
    }
}

/// Counts what the public decoder recognises, and refuses values that it does not know.
#[derive(Default)]
struct Decoded {
    messages: u64,
    adds: u64,
    attributed: u64,
    executed_shares: u64,
    new_issues: u64,
    crossed_shares: u64,
    /// `I`, `J`, `K`, `N`, `O`, `W`, in that order.
    rare: [u64; 6],
}

/// A code that the decoder knows.
fn known(code: impl std::fmt::Debug) {
    assert!(!format!("{code:?}").contains("Unknown"), "{code:?}");
}

impl itch5::MessageHandler for Decoded {
    fn on_system_event(&mut self, message: &itch5::messages::SystemEvent) -> ControlFlow<()> {
        assert_eq!(message.stock_locate(), 0);
        self.messages += 1;
        ControlFlow::Continue(())
    }
    fn on_stock_directory(&mut self, message: &itch5::messages::StockDirectory) -> ControlFlow<()> {
        assert_eq!(message.round_lot_size(), 100);
        assert_eq!(message.stock().as_str().trim_end().len(), 4);
        self.new_issues += u64::from(matches!(message.ipo_flag(), itch5::messages::IpoFlag::NewIPO));
        self.messages += 1;
        ControlFlow::Continue(())
    }
    fn on_stock_trading_action(&mut self, message: &itch5::messages::StockTradingAction) -> ControlFlow<()> {
        known(message.reason());
        self.messages += 1;
        ControlFlow::Continue(())
    }
    fn on_add_order_no_mpid_attribution(
        &mut self,
        message: &itch5::messages::AddOrderNoMPIDAttribution,
    ) -> ControlFlow<()> {
        assert!(message.shares() > 0 && message.price().into_u32() > 0);
        self.messages += 1;
        self.adds += 1;
        ControlFlow::Continue(())
    }
    fn on_add_order_with_mpid_attribution(
        &mut self,
        message: &itch5::messages::AddOrderWithMPIDAttribution,
    ) -> ControlFlow<()> {
        assert!(message.attribution().iter().all(u8::is_ascii_uppercase));
        self.messages += 1;
        self.attributed += 1;
        ControlFlow::Continue(())
    }
    fn on_order_executed(&mut self, message: &itch5::messages::OrderExecuted) -> ControlFlow<()> {
        self.messages += 1;
        self.executed_shares += u64::from(message.executed_shares());
        ControlFlow::Continue(())
    }
    fn on_order_executed_with_price(
        &mut self,
        message: &itch5::messages::OrderExecutedWithPrice,
    ) -> ControlFlow<()> {
        self.messages += 1;
        self.executed_shares += u64::from(message.executed_shares());
        ControlFlow::Continue(())
    }
    fn on_cross_trade(&mut self, message: &itch5::messages::CrossTrade) -> ControlFlow<()> {
        known(message.cross_type());
        self.crossed_shares += message.shares();
        ControlFlow::Continue(())
    }
    fn on_net_order_imbalance_indicator(
        &mut self,
        message: &itch5::messages::NetOrderImbalanceIndicator,
    ) -> ControlFlow<()> {
        known((message.cross_type(), message.imbalance_direction(), message.price_variation_indicator()));
        self.rare[0] += 1;
        ControlFlow::Continue(())
    }
    fn on_luld_auction_collar(&mut self, message: &itch5::messages::LULDAuctionCollar) -> ControlFlow<()> {
        let prices = [
            message.lower_auction_collar_price().into_u32(),
            message.auction_collar_reference_price().into_u32(),
            message.upper_auction_collar_price().into_u32(),
        ];
        assert!(prices.is_sorted() && prices[0] > 0, "{prices:?}");
        self.rare[1] += 1;
        ControlFlow::Continue(())
    }
    fn on_quoting_period_update(
        &mut self,
        message: &itch5::messages::QuotingPeriodUpdate,
    ) -> ControlFlow<()> {
        assert_eq!(message.stock_locate(), 0);
        known(message.ipo_quotation_release_qualifier());
        self.rare[2] += 1;
        ControlFlow::Continue(())
    }
    fn on_retail_price_improvement_indicator(
        &mut self,
        message: &itch5::messages::RetailPriceImprovementIndicator,
    ) -> ControlFlow<()> {
        known(message.interest_flag());
        self.rare[3] += 1;
        ControlFlow::Continue(())
    }
    fn on_direct_listing_with_capital_raise_price_discovery(
        &mut self,
        message: &itch5::messages::DirectListingwithCapitalRaisePriceDiscovery,
    ) -> ControlFlow<()> {
        known(message.open_eligibility_status());
        self.rare[4] += 1;
        ControlFlow::Continue(())
    }
    fn on_mwcb_status(&mut self, message: &itch5::messages::MWCBStatus) -> ControlFlow<()> {
        known(message.breached_level());
        self.rare[5] += 1;
        ControlFlow::Continue(())
    }
}

#[test]
fn a_decoder_by_somebody_else_reads_every_message() {
    let (market, said) = day(small(6), 150_000);
    let mut file = Vec::new();
    for message in &said {
        file.extend_from_slice(&u16::try_from(message.len()).expect("short").to_be_bytes());
        file.extend_from_slice(message);
    }
    let mut decoded = Decoded::default();
    // Stops with an error at the first message of a wrong type or length.
    itch5::Parser::new(&file).parse_stream(&mut decoded).expect("every message decodes");
    let count = |kind: u8| said.iter().filter(|message| message[0] == kind).count() as u64;
    assert_eq!(decoded.messages, b"SRHAFEC".iter().map(|kind| count(*kind)).sum::<u64>());
    assert_eq!(decoded.adds, count(b'A'));
    assert_eq!(decoded.attributed, count(b'F'));
    assert_eq!(decoded.executed_shares, market.counters().shares);
    assert!(decoded.executed_shares > 0 && decoded.crossed_shares > 0);
    assert_eq!(decoded.new_issues, 1);
    assert_eq!(decoded.rare, b"IJKNOW".map(count));
    assert!(decoded.rare.iter().all(|count| *count > 0));
}
