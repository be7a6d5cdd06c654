//! What every strategy must keep to, whatever market and venue do.

use wirebook::strategy::Strategy;
use wirebook::strategy::lean::Style;

use crate::all::{self, Demands, JOINER, MAKER, MODEL, TAKER, TEMPLATE};
use crate::rig::{LOCATES, Rig, Seen};

const STEPS: u32 = 120_000;

fn keeps_to<S: Strategy>(make: impl Fn(u32) -> S, demands: Demands) -> Seen {
    let mut all = Seen::default();
    for seed in 1..=3 {
        let mut rig = Rig::new(make(u32::from(LOCATES)), demands, seed);
        for _ in 0..STEPS {
            rig.step();
        }
        let (seen, counted) = (rig.seen, rig.strategy.counters());
        let name = demands.name;
        assert_eq!(seen.allocations, 0, "{name}");
        assert!(rig.books().usage().orders > 0);
        // Each intent was told of once: sent or not.
        let wanted = counted.enters + counted.replaces + counted.cancels;
        assert_eq!(wanted, seen.enters + seen.replaces + seen.cancels + seen.unsent, "{name}: {counted:?}");
        assert_eq!(counted.unsent, seen.unsent, "{name}");
        assert_eq!(counted.out_of_step, 0, "{name}");
        assert_eq!(counted.strangers, 0, "{name}");
        assert!(seen.enters > 100 && seen.executed > 50 && seen.rejected > 3, "{name}: {seen:?}");
        assert!(seen.unsent > 3 && counted.closed > 90, "{name}: {seen:?} {counted:?}");
        if demands.rests {
            assert!(seen.replaces > 20 && seen.cancels > 20, "{name}: {seen:?}");
        }
        if demands.times_out {
            assert!(seen.lost > 10 && counted.timeouts > 10, "{name}: {seen:?} {counted:?}");
            assert!(seen.late_cancels >= counted.timeouts, "{name}: {seen:?} {counted:?}");
        }
        if S::FOLLOWS {
            assert!(counted.events > 10_000 && counted.resyncs > 10, "{name}: {counted:?}");
        }
        all.enters += seen.enters;
    }
    all
}

#[test]
fn the_taker_of_imbalance() {
    keeps_to(|locates| all::imbalance(Style::Take, locates), TAKER);
}

#[test]
fn the_joiner_of_imbalance() {
    keeps_to(|locates| all::imbalance(Style::Join, locates), JOINER);
}

#[test]
fn the_model() {
    keeps_to(|locates| all::signal(Style::Join, locates), MODEL);
}

#[test]
fn the_maker() {
    keeps_to(all::maker, MAKER);
}

#[test]
fn the_template() {
    keeps_to(all::template, TEMPLATE);
}
