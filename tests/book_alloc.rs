//! The books take all of their memory when they are made: nothing is allocated, and no page is first touched, later.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod counting;

use wirebook::book::{Books, Limits};
use wirebook::market::{BookState, Event, EventKind, Price, Side, Symbol};

/// Field `number` (from 1) of /proc/self/stat.
#[cfg(target_os = "linux")]
fn proc_stat(number: usize) -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The second field is a name in parentheses that may hold spaces.
    let rest = stat.rsplit_once(')').unwrap().1;
    rest.split_whitespace().nth(number - 3).unwrap().parse().unwrap()
}

/// Adds up to every limit, and beyond; executes, cancels, replaces and deletes; reads; clears.
fn exercise(books: &mut Books) -> u64 {
    let mut seen = 0_u64;
    for round in 0..2_u64 {
        let mut apply = |locate: u16, kind| {
            let change = books.apply(&Event { locate, timestamp: 0, kind });
            seen += u64::from(change.top_changed);
        };
        apply(1, EventKind::Directory { symbol: Symbol(*b"ABC     "), round_lot: 100 });
        for i in 0..250_000_u64 {
            let locate = (i % 6_000) as u16;
            let side = if i & 1 == 0 { Side::Buy } else { Side::Sell };
            let price = Price(1 + (i.wrapping_mul(0x9E37_79B9) >> 7) as u32 % 20);
            // Every third reference in the same few slots of the index.
            let order_ref = if i % 3 == 0 { i << 40 } else { i + round };
            apply(locate, EventKind::Add { order_ref, side, shares: 100, price });
            let order_ref = i / 2;
            apply(
                (order_ref % 6_000) as u16,
                match i % 5 {
                    0 => EventKind::Delete { order_ref },
                    1 => EventKind::Execute { order_ref, shares: 60, price: None, printable: true },
                    2 => EventKind::Cancel { order_ref, shares: 99 },
                    3 => EventKind::Replace { order_ref, new_order_ref: i << 20 | 7, shares: 5, price },
                    _ => EventKind::Trade { shares: 1, price, cross: false },
                },
            );
        }
        seen += books.resting().map(|order| u64::from(order.shares)).sum::<u64>();
        seen += books.depth(7, Side::Sell).map(|level| level.shares).sum::<u64>();
        seen += books.queue_position(1 << 40).map_or(0, |position| position.shares_ahead);
        seen += u64::from(books.locate_of(Symbol(*b"ABC     ")).unwrap());
        seen += u64::from(books.audit().unwrap().orders);
        books.set_all_states(BookState::Live);
        books.clear();
    }
    seen
}

#[test]
fn books_allocate_only_when_they_are_made() {
    let limits = Limits { locates: 5_000, orders: 60_000, levels: 44_000 };
    let mut books = Books::new(limits).unwrap();
    let calls = counting::calls(|| assert!(exercise(&mut books) > 0));
    assert_eq!(calls, 0, "calls to the allocator after the start");
    let counters = books.counters();
    assert!(
        counters.order_limit > 0 && counters.level_limit > 0,
        "the limits were not reached: {counters:?}"
    );

    #[cfg(target_os = "linux")]
    {
        // Resident pages (field 24) grow by all of the memory; minor faults (field 10) come no more.
        let resident = proc_stat(24);
        let mut books = Books::new(limits).unwrap();
        let grown = (proc_stat(24) - resident) * 4_096;
        let expected = limits.memory_bytes() as u64;
        assert!(grown > expected / 100 * 98, "{grown} of {expected} bytes were touched");
        let faults = proc_stat(10);
        exercise(&mut books);
        let faults = proc_stat(10) - faults;
        // Pages of code that runs for the first time, and of the test itself; the pools alone are thousands.
        assert!(faults < 100, "{faults} page faults after the start");
    }
}
