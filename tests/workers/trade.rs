//! Books and orders against the exchange, with loss on both lines.

use wirebook::nic::replay::{End, LinkConfig, pair};
use wirebook::nic::{RxBurst, RxQueue};
use wirebook::stop::StopFlag;
use wirebook::venue::{Legacy, Setup, Venue, exchange_config};

use crate::crew::{Crew, books_of, config};

/// ns of the exchange's time in one step of the lockstep.
const STEP: u64 = 100_000;

fn play(workers: u16, seed: u64, edit: &[(&str, &str)], steps: u64) -> (Crew, Legacy) {
    let wide = [
        ("reorder_wait_us = 50000", "reorder_wait_us = 1000000"),
        ("reorder_packets = 32768", "reorder_packets = 1024"),
    ];
    let config = config(workers, &[&wide, edit].concat());
    let mut crew = Crew::new(&config);
    let cable = LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 };
    let (mut venue_end, End { rx: mut wire, tx: mut to_venue }) = pair(cable);
    let exchange = exchange_config(200_000, 40, seed, 20_000);
    let mut venue = Venue::new(&Setup::new(&config, exchange, StopFlag::new())).unwrap();
    for step in 1..=steps + 40 {
        let now = step * STEP;
        if step == steps {
            // Orders that are under way are answered in the steps that are left.
            venue.close(&mut venue_end.tx, now);
        }
        while venue.pump(&mut venue_end.rx, &mut venue_end.tx, now) {}
        loop {
            let burst = wire.poll();
            if burst.is_empty() {
                break;
            }
            for at in 0..burst.len() {
                crew.receive(burst.frame(at).bytes);
            }
        }
        crew.turn(now);
        crew.send_to(&mut to_venue);
    }
    (crew, venue.leave())
}

#[test]
fn workers_divide_books_and_orders() {
    for (workers, seed) in [(1, 1), (2, 2), (2, 3), (3, 4)] {
        let style = if seed % 2 == 0 { "join" } else { "take" };
        let edit = [
            ("style = \"join\"", &*format!("style = \"{style}\"")),
            ("cooldown_us = 20000", "cooldown_us = 200"),
        ];
        let (crew, legacy) = play(workers, seed, &edit, 20_000);
        let case = format!("{workers} workers, seed {seed}");
        assert!(crew.dump() == books_of(&legacy), "{case}: the books differ");
        let (known, doubtful) = crew.known();
        assert_eq!((known.len(), doubtful.len()), (40, 0), "{case}");
        for happened in ["line_b_first", "desk_orders_sent", "orders_accepted", "orders_executed"] {
            let counts = crew.counts(happened);
            assert!(counts.iter().all(|count| *count > 5), "{case}: {happened} {counts:?}");
        }
        // All hear everything.
        let heard = crew.counts("stream_messages");
        assert!(
            heard.iter().all(|count| *count == heard[0] && *count == legacy.messages),
            "{case}: {heard:?}"
        );
        let applied: u64 = crew.counts("book_added").iter().sum();
        assert!(applied < heard[0], "{case}: every order was added once: {applied}");
        for never in [
            "stream_gaps",
            "replies_unknown",
            "replies_over_executions",
            "session_gaps",
            "desk_orders_unsent",
            "book_anomalies",
            "route_other_port",
        ] {
            assert_eq!(crew.counts(never).iter().sum::<u64>(), 0, "{case}: {never}");
        }
        let theirs: i64 = legacy.positions.iter().map(|(_, shares)| shares.abs()).sum();
        assert!(theirs > 0, "{case}: nothing was traded");
        assert_eq!(crew.positions(), legacy.positions, "{case}");
    }
}

/// Nobody trades: the stream is the same, and so are the books, byte for byte.
#[test]
fn the_books_do_not_depend_on_the_number_of_workers() {
    let quiet = [("armed = true", "armed = false")];
    let (one, theirs) = play(1, 7, &quiet, 6_000);
    let expected = one.dump();
    assert!(expected.lines().count() > 1_000 && expected == books_of(&theirs));
    for workers in [2, 3, 8] {
        let (crew, _) = play(workers, 7, &quiet, 6_000);
        assert!(crew.dump() == expected, "{workers} workers: the books differ");
    }
}
