//! Trading for a while, over a cable that loses frames, through ends of every kind at any moment.

use wirebook::market::Price;
use wirebook::order::ouch_session::Phase;
use wirebook::order::stream::Stream;
use wirebook::order::tcp::{TcpAddressing, UserTcp};
use wirebook::strategy::Intent;

use crate::cable::{ADDRESSING, Cable, LATENCY, MS, SECOND, Tx};
use crate::table::{ENDS, End, end};
use crate::world::World;

/// Wants something at random; true where it left.
fn act(world: &mut World) -> bool {
    let resting = world.resting();
    let pick = resting.get(world.rng.below(resting.len().max(1) as u64) as usize).copied();
    let locate = world.rng.below(3) as u16;
    match (world.rng.below(8), pick) {
        (0..=2, _) | (_, None) => world.enter(locate, true).is_some(),
        (3, _) => world.enter(locate, false).is_some(),
        (4 | 5, Some((order, locate))) => {
            let price = world.ours.risk.blotter().order(order).unwrap().price;
            let shares = 50 + world.rng.below(200) as u32;
            let price = Price(price.0 - 100 * world.rng.below(2) as u32);
            let view = world.view(locate);
            let replace = Intent::Replace { locate, order, shares, price };
            world.ours.place(replace, &view, &mut world.tx).is_some()
        }
        (_, Some((order, locate))) => {
            let view = world.view(locate);
            world.ours.place(Intent::Cancel { locate, order }, &view, &mut world.tx).is_some()
        }
    }
}

fn settle(world: &mut World) {
    let settled = |world: &mut World| world.within(300 * SECOND, |w| w.is_settled());
    for _ in 0..2 {
        let well = settled(world);
        assert!(well, "{:?} {:?}", world.phase(), world.ours.session.life_counters());
        world.within(50 * MS, |_| false);
    }
    assert!(settled(world));
    world.agrees().unwrap();
}

fn run(cable: Cable, seed: u64, cancel_on_disconnect: bool) {
    let mut world = World::new(cancel_on_disconnect, seed);
    world.cable = cable;
    let (mut acts, mut ends) = (0, 0);
    for _ in 0..150 {
        for _ in 0..1 + world.rng.below(40) {
            acts += u64::from(act(&mut world));
            let pause = world.rng.below(20) * LATENCY;
            world.pass(pause);
        }
        match world.rng.below(3) {
            0 => {
                let kind = ENDS[world.rng.below(ENDS.len() as u64) as usize];
                end(&mut world, kind);
                ends += 1;
                // What it is on this cable.
                world.cable = if kind == End::Lossy { world.cable } else { cable };
            }
            // The window closes, and what is sent waits in our stack.
            1 => {
                world.venue.asleep = true;
                for _ in 0..40 {
                    acts += u64::from(act(&mut world));
                    world.pass(LATENCY);
                }
                let pause = world.rng.below(3_000) * MS;
                world.within(pause, |_| false);
                world.venue.asleep = false;
            }
            _ => {}
        }
        if world.rng.below(4) == 0 {
            settle(&mut world);
            world.cable = cable;
        }
    }
    settle(&mut world);
    assert!(acts > 1_000 && ends > 20, "{acts} {ends}");
    assert_eq!(world.venue.gateway.counters().repeated, 0);
}

#[test]
fn a_day_of_breaks_over_a_good_cable() {
    run(Cable::default(), 71, false);
    run(Cable::default(), 72, true);
}

#[test]
fn a_day_of_breaks_over_a_cable_that_loses_frames() {
    run(Cable { lost: 10, doubled: 5, late: 20 }, 73, false);
    run(Cable { lost: 50, doubled: 20, late: 50 }, 74, true);
}

/// The first sequence number of a process's first connection.
fn first_number(start: u64) -> u32 {
    let mut tcp = UserTcp::new(TcpAddressing { seed: 7 + start, ..ADDRESSING }).unwrap();
    let mut tx = Tx::default();
    tcp.connect(SECOND, &mut tx);
    u32::from_be_bytes(tx.sent[0][38..42].try_into().unwrap())
}

#[test]
fn sequence_numbers_wrap_in_the_middle_of_a_session() {
    let start = (0..).find(|start| first_number(*start) > u32::MAX - 500_000).unwrap();
    let bytes = u64::from(u32::MAX - first_number(start));
    let mut world = World::new(false, start);
    world.cable = Cable { lost: 5, doubled: 5, late: 10 };
    assert!(world.within(30 * SECOND, |w| w.phase() == Phase::Up));
    let mut sent = 0;
    while sent < bytes + 20_000 {
        // A little more than a cancel has.
        sent += 12 * u64::from(act(&mut world));
        world.pass(LATENCY / 2);
    }
    settle(&mut world);
    assert_eq!(world.ours.session.life_counters().breaks, 0, "all of it on one connection");
    assert!(world.ours.session.stream().counters().hot > 5_000);
}
