//! A process that is killed and started again: from the venue's replies alone it knows every order and every position of
//! those before it, sends nothing before it does, and no order twice.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "order_support/desk.rs"]
mod desk;
#[path = "order_support/piped.rs"]
mod piped;
#[path = "order_support/support.rs"]
mod support;

use exchange::market::Phase as MarketPhase;
use piped::{MS, SECOND, SYMBOLS, World, name, numbers, view};
use support::Rng;
use wirebook::blotter::{OrderEventKind, TimeInForce};
use wirebook::market::Side;
use wirebook::order::ouch_session::Phase;
use wirebook::risk::Refusal;
use wirebook::strategy::Intent;
use wirebook::strategy::imbalance::Style;

/// When the feed names its instruments to a new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Before,
    While,
    After,
}

/// What is open, worst case, by the venue's account.
fn venues_open_value(world: &World) -> u128 {
    let account = world.gateway.account_of("WBOOK").unwrap();
    account.open_orders().map(|order| u128::from(order.left()) * u128::from(order.entered.price)).sum()
}

fn settle(world: &mut World) {
    world.until(60 * SECOND, |w| w.phase() == Phase::Up && w.pipe.borrow().up.is_empty());
    world.pass(MS, usize::MAX, usize::MAX);
    world.pass(MS, usize::MAX, usize::MAX);
}

/// The new process hears the day. What the world comes to is compared with the venue.
fn start(world: &mut World, named: Named, rng: &mut Rng, seen: &mut Seen) {
    let mut is_named = named == Named::Before;
    if is_named {
        name(&mut world.desk, &world.market);
    }
    let (mut rounds, mut cuts) = (0, 0);
    while world.phase() != Phase::Up {
        // The market goes on, and may trade with what is still open.
        if rng.one_in(50) {
            world.market.step(&mut |_| {});
        }
        if named == Named::While && !is_named && world.desk.risk.blotter().counters().accepted > 20 {
            name(&mut world.desk, &world.market);
            is_named = true;
        }
        world.pass(MS, usize::MAX, 2_000 + rng.below(4_000) as usize);
        // It breaks in the middle of the replay, too.
        if world.phase() == Phase::Replaying && cuts < 2 && rng.one_in(300) {
            world.cut(rng);
            cuts += 1;
            seen.broken += 1;
        }
        rounds += 1;
        assert!(rounds < 100_000, "{:?}", world.phase());
    }
    settle(world);
    let blotter = world.desk.risk.blotter();
    assert_eq!(blotter.counters().replies_that_do_not_fit(), 0, "{:?}", blotter.counters());
    if !is_named {
        let account = world.gateway.account_of("WBOOK").unwrap();
        let symbols = (0..u32::from(SYMBOLS)).map(|i| world.market.symbol(i).unwrap());
        let busy = symbols.filter(|symbol| {
            account.position(*symbol).shares() != 0
                || account.open_orders().any(|order| order.entered.symbol == *symbol)
        });
        let busy = busy.count() as u32;
        assert_eq!((blotter.symbols_unnamed(), blotter.uncertain()), (busy, busy > 0));
        assert_eq!(blotter.open_value(), venues_open_value(world));
        if busy > 0 {
            seen.uncertain += 1;
            let shown = view(&world.market, 0, world.now);
            let enter = Intent::Enter {
                locate: 0,
                side: Side::Buy,
                shares: 100,
                price: wirebook::market::Price(100_000),
                time_in_force: TimeInForce::Day,
            };
            world.desk.risk.set_session_healthy(true);
            assert_eq!(world.desk.risk.check(enter, &shown, world.now), Err(Refusal::Uncertain));
        }
        name(&mut world.desk, &world.market);
    }
    let blotter = world.desk.risk.blotter();
    assert_eq!((blotter.symbols_unnamed(), blotter.open_value()), (0, venues_open_value(world)));
    world.assert_agreed();
    let symbol = |locate: u16| world.market.symbol(locate.into()).unwrap();
    for (id, order) in blotter.orders() {
        let account = world.gateway.account_of("WBOOK").unwrap();
        let theirs = account.open_orders().find(|theirs| theirs.entered.user_ref == id).unwrap();
        assert_eq!(symbol(order.locate), theirs.entered.symbol);
        assert!(order.adopted && order.accepted);
        assert_eq!(u64::from(order.price.0), theirs.entered.price);
        seen.adopted += 1;
    }
    let gross: u128 = (0..SYMBOLS).map(|locate| blotter.holding(locate).value()).sum();
    assert_eq!(blotter.position_value(), gross);
}

/// That the cases came up at all.
#[derive(Debug, Default)]
struct Seen {
    starts: usize,
    broken: u64,
    uncertain: u64,
    adopted: usize,
    cancelled: usize,
    written: usize,
}

/// One process gives out rising numbers; how many it did.
fn check_numbers(world: &World) -> usize {
    let numbers = numbers(&world.pipe.borrow().written);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    numbers.len()
}

fn run(style: Style, seed: u64, cancel_on_disconnect: bool, steps: u64) -> Seen {
    let mut world = World::new(style, seed, cancel_on_disconnect);
    let mut rng = Rng(seed);
    let mut seen = Seen::default();
    for step in 0..steps {
        if world.market.step(&mut |_| {}) == MarketPhase::Closed {
            break;
        }
        let shown = view(&world.market, (step % u64::from(SYMBOLS)) as u32, world.now);
        world.desk.on_top(&shown, &mut world.tx);
        let ns = if world.phase() == Phase::Up { 10_000 } else { 5 * MS };
        let busy = !world.pipe.borrow().up.is_empty();
        if world.phase() == Phase::Up && rng.one_in(if busy { 40 } else { 4_000 }) {
            seen.written += check_numbers(&world);
            world.kill(style, &mut rng);
            let named = [Named::Before, Named::While, Named::After][rng.below(3) as usize];
            start(&mut world, named, &mut rng, &mut seen);
            seen.cancelled += world.desk.cancel_adopted(world.now, &mut world.tx);
            seen.starts += 1;
        }
        world.pass(ns, rng.below(200) as usize, rng.below(300) as usize);
    }
    settle(&mut world);
    world.assert_agreed();
    assert_eq!(world.desk.risk.blotter().adopted_orders(), 0, "the venue has cancelled them");
    seen.written += check_numbers(&world);
    // A number that never came to the venue may be given out again; to the venue each came once.
    let counters = world.gateway.counters();
    assert_eq!((counters.repeated, counters.malformed), (0, 0));
    assert!(counters.accepted > 300 && seen.written > 300, "{seen:?} {counters:?}");
    seen
}

#[test]
fn a_new_process_knows_every_order_and_position_of_those_before_it() {
    let seen = run(Style::Join, 51, false, 250_000);
    assert!(seen.starts > 20 && seen.broken > 5 && seen.uncertain > 5, "{seen:?}");
    assert!(seen.adopted > 20 && seen.cancelled > 20, "{seen:?}");
    let seen = run(Style::Join, 52, true, 250_000);
    // What is left is what a connection had open that the venue still believed in.
    assert!(seen.starts > 20 && seen.uncertain > 5 && seen.adopted < seen.starts, "{seen:?}");
    let seen = run(Style::Take, 53, false, 30_000);
    assert!(seen.starts > 10 && seen.uncertain > 2, "{seen:?}");
}

#[test]
fn what_is_repeated_says_side_short_mark_and_time_in_force() {
    let decoded = |side: u8, time_in_force: u8| {
        let mut message = support::reply::accepted(7, side, 300, 1_234_500, b'L');
        message[34] = time_in_force;
        wirebook::order::ouch::decode_repeated(&message).unwrap().unwrap()
    };
    for (code, side, short) in [
        (b'B', Side::Buy, false),
        (b'S', Side::Sell, false),
        (b'T', Side::Sell, true),
        (b'E', Side::Sell, true),
    ] {
        for (tif, time_in_force) in
            [(b'0', TimeInForce::Day), (b'3', TimeInForce::Ioc), (b'5', TimeInForce::Day)]
        {
            let event = decoded(code, tif);
            let want = OrderEventKind::Adopted {
                symbol: wirebook::market::Symbol(*b"TEST    "),
                side,
                short,
                time_in_force,
                shares: 300,
                price: wirebook::market::Price(1_234_500),
                order_ref: 1_000_007,
                live: true,
            };
            assert_eq!((event.user_ref_num, event.kind), (7, want));
        }
    }
    // On whichever side it is, something is open.
    assert_eq!(decoded(b'X', b'0').kind, OrderEventKind::Lost { messages: 1 });
    let executed = support::reply::executed(7, 1, 2, 3);
    let (repeated, usual) =
        (wirebook::order::ouch::decode_repeated(&executed), wirebook::order::ouch::decode(&executed));
    assert_eq!(repeated, usual);
}
