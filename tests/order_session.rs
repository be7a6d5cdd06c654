//! The OUCH session against the exchange of this workspace, over connections that break anywhere: no order is sent twice,
//! and whenever the session says that it is up, both sides mean the same orders and positions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "order_support/desk.rs"]
mod desk;
#[path = "order_support/piped.rs"]
mod piped;
#[path = "order_support/support.rs"]
mod support;

use std::rc::Rc;

use desk::Desk;
use exchange::market::Phase as MarketPhase;
use piped::{Fake, LOGIN, MS, SECOND, SYMBOLS, World, numbers, view};
use support::Rng;
use wirebook::order::Session;
use wirebook::order::ouch::OuchProfile;
use wirebook::order::ouch_session::{OuchSession, Phase};
use wirebook::order::soup::Login;
use wirebook::strategy::imbalance::Style;

fn run(style: Style, seed: u64, cancel_on_disconnect: bool) {
    let mut world = World::new(style, seed, cancel_on_disconnect);
    let mut rng = Rng(seed);
    let mut agreed = 0;
    for step in 0..400_000_u64 {
        if world.market.step(&mut |_| {}) == MarketPhase::Closed {
            break;
        }
        let shown = view(&world.market, (step % u64::from(SYMBOLS)) as u32, world.now);
        world.desk.on_top(&shown, &mut world.tx);
        let (up, down) = (rng.below(200) as usize, rng.below(300) as usize);
        // While the session is down time runs, for retries and the first heartbeat.
        let ns = if world.phase() == Phase::Up { 10_000 } else { 5 * MS };
        // Most breaks come while an order is under way.
        let busy = !world.pipe.borrow().up.is_empty();
        if world.phase() == Phase::Up && rng.one_in(if busy { 20 } else { 2_000 }) {
            world.cut(&mut rng);
        }
        world.pass(ns, up, down);
        if rng.one_in(2_000) {
            world.until(30 * SECOND, |w| w.phase() == Phase::Up && w.desk.session.healthy());
            world.until(SECOND, |w| w.pipe.borrow().up.is_empty());
            world.pass(MS, usize::MAX, usize::MAX);
            world.pass(MS, usize::MAX, usize::MAX);
            world.assert_agreed();
            agreed += 1;
        }
    }
    world.until(30 * SECOND, |w| w.phase() == Phase::Up);
    world.pass(MS, usize::MAX, usize::MAX);
    world.pass(MS, usize::MAX, usize::MAX);
    world.assert_agreed();

    let numbers = numbers(&world.pipe.borrow().written);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "each number once, and rising");
    let life = world.desk.session.life_counters();
    assert_eq!((life.ups, life.never_arrived, life.contradictions), (world.resumed, world.never_arrived, 0));
    assert!(life.breaks > 50 && world.disconnected == life.breaks, "{life:?}");
    assert!(
        agreed > 10 && numbers.len() > 500 && life.never_arrived > 20,
        "{agreed} {} {life:?}",
        numbers.len()
    );
    assert_eq!(world.gateway.counters().malformed, 0);
}

#[test]
fn a_connection_that_breaks_anywhere_leaves_no_order_unknown() {
    run(Style::Join, 21, true);
    run(Style::Join, 22, false);
    run(Style::Take, 23, true);
}

#[test]
fn a_later_process_hears_the_whole_day_before_it_is_up() {
    let mut world = World::new(Style::Take, 31, false);
    for step in 0..20_000_u64 {
        world.market.step(&mut |_| {});
        let shown = view(&world.market, (step % u64::from(SYMBOLS)) as u32, world.now);
        world.desk.on_top(&shown, &mut world.tx);
        let ns = if world.phase() == Phase::Up { 10_000 } else { 5 * MS };
        world.pass(ns, usize::MAX, usize::MAX);
        if step % 1_000 == 999 {
            world.cut(&mut Rng(step));
        }
    }
    world.until(30 * SECOND, |w| w.phase() == Phase::Up);
    let (session, next) = world.desk.session.resume_point();
    assert!(next > 500 && session == *b"OUCH000001");

    // Another process, which knows nothing: the answers to the earlier account queries are among what it hears.
    let fake = Fake::default();
    world.hang_up();
    world.pipe = Rc::clone(&fake.0);
    let session = OuchSession::new(fake, LOGIN, &OuchProfile::default(), 128).unwrap();
    world.desk = Desk::with(session, Style::Take, 1_000, desk::wide_limits());
    let mut replayed = 0;
    while world.phase() != Phase::Up {
        // A slow line: the answers come long before the end.
        world.pass(MS, usize::MAX, 500);
        replayed += 1;
        assert!(replayed < 20_000);
    }
    assert_eq!(world.desk.session.resume_point().1, next + 1, "everything, and the answer to its own query");
    assert_eq!(world.desk.session.life_counters().queries, 1);
    let account = world.gateway.account_of("WBOOK").unwrap();
    let cleared = account.next_user_ref();
    assert!(cleared > 500);
}

#[test]
fn what_stops_a_session_and_what_does_not() {
    let mut world = World::new(Style::Join, 41, true);
    let mut rng = Rng(1);
    // Never answered: attempts follow each other more and more slowly.
    world.pipe.borrow_mut().full = true;
    world.until(5 * SECOND, |w| w.phase() == Phase::Connecting);
    for _ in 0..10 {
        world.until(60 * SECOND, |w| w.phase() == Phase::Up);
        assert!(world.desk.session.healthy());
        world.cut(&mut rng);
        world.pass(MS, 0, 0);
        assert!(!world.desk.session.healthy());
        assert_eq!(world.phase(), Phase::Down);
    }
    world.until(60 * SECOND, |w| w.phase() == Phase::Up);
    // A silent server: given up after fifteen seconds.
    let began = world.now;
    while world.phase() == Phase::Up {
        world.pass(100 * MS, 0, 0);
    }
    assert_eq!((world.now - began).div_ceil(SECOND), 15);
    world.until(60 * SECOND, |w| w.phase() == Phase::Up);
    // Heartbeats keep it up for as long as one likes.
    let breaks = world.desk.session.life_counters().breaks;
    let before = world.desk.session.counters().heartbeats;
    for _ in 0..1_000 {
        world.pass(100 * MS, usize::MAX, usize::MAX);
    }
    assert_eq!((world.phase(), world.desk.session.life_counters().breaks), (Phase::Up, breaks));
    let heartbeats = world.desk.session.counters().heartbeats - before;
    assert!((90..=100).contains(&heartbeats), "{heartbeats}");

    // The day ends: no further attempt.
    let time = world.market.time();
    world.gateway.end(time, &mut |_, _| {});
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped);
    let connects = world.pipe.borrow().connects;
    for _ in 0..100 {
        world.pass(SECOND, usize::MAX, usize::MAX);
    }
    assert_eq!((world.pipe.borrow().connects, world.phase()), (connects, Phase::Stopped));
    assert_eq!(world.desk.session.counters().ends, 1);

    // A wrong password: once, and not again.
    let mut world = World::new(Style::Join, 42, true);
    let fake = Fake::default();
    world.pipe = Rc::clone(&fake.0);
    let login = Login { password: *b"WRONG     ", ..LOGIN };
    world.desk.session = OuchSession::new(fake, login, &OuchProfile::default(), 128).unwrap();
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped);
    assert_eq!(world.desk.session.soup_counters().rejected, 1);
    world.desk.session.resume();
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped && w.pipe.borrow().connects == 2);

    // We log out.
    let mut world = World::new(Style::Join, 43, true);
    world.until(60 * SECOND, |w| w.phase() == Phase::Up);
    let now = world.now;
    world.desk.session.log_out(now, &mut world.tx);
    assert_eq!(world.phase(), Phase::Leaving);
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped);
    assert!(world.pipe.borrow().written.ends_with(b"\x00\x01O"));
    assert_eq!(world.pipe.borrow().connects, 1);
}
