//! Holes that are overdue: asked for, filled, abandoned.

use wirebook::feed::{Line, StreamConfig, Verdict};

use crate::model::Told::{CaughtUp, End, Gap, Messages, Overdue, Session};
use crate::model::{Bench, CONFIG, NEXT, SESSION, begun, data, end_of_session, heartbeat};

/// 1,000 ticks for recovery.
const PATIENT: StreamConfig = StreamConfig { recovery_wait: 1_000, window_packets: 64, ..CONFIG };

#[test]
fn a_hole_that_waits_too_long_is_overdue_and_then_a_gap() {
    let mut bench = begun(PATIENT);
    bench.a(12..14);
    bench.wait(99);
    assert_eq!((bench.told(), bench.holes()), (vec![], vec![]));
    assert!(!bench.stream.is_overdue());
    bench.wait(1);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..12]));
    assert!(bench.stream.is_overdue());
    // Order is kept meanwhile.
    assert_eq!(bench.a(14..16), Verdict::Held);
    bench.wait(898);
    assert_eq!(bench.told(), []);
    bench.wait(1);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..16), CaughtUp]);
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Late);
    assert_eq!(bench.holes(), []);
    let counters = bench.stream.counters();
    assert_eq!((counters.overdue, counters.recovery_timeouts, counters.gaps), (1, 1, 1));
}

#[test]
fn answers_fill_it_in_any_order_and_size() {
    let mut bench = begun(PATIENT);
    bench.a(30..31);
    bench.wait(100);
    assert_eq!(bench.recovered(&data(SESSION, 20..25)), Verdict::Held);
    assert_eq!(bench.holes(), [10..20, 25..30]);
    assert_eq!(bench.recovered(&data(SESSION, 8..12)), Verdict::Delivered);
    assert_eq!(bench.recovered(&data(SESSION, 9..12)), Verdict::Duplicate);
    assert_eq!(bench.holes(), [12..20, 25..30]);
    // A line may help.
    assert_eq!(bench.b(14..16), Verdict::Held);
    assert_eq!(bench.holes(), [12..14, 16..20, 25..30]);
    // Over two holes and what lies between, and over what was never announced: that is cut off.
    assert_eq!(bench.recovered(&data(SESSION, 17..45)), Verdict::Held);
    assert_eq!(bench.holes(), [12..14, 16..17]);
    assert_eq!(bench.told(), [Overdue, Messages(10..12)]);
    assert_eq!(bench.recovered(&data(SESSION, 12..17)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(12..31), CaughtUp]);
    assert_eq!(bench.a(31..32), Verdict::Delivered);
    assert_eq!(bench.stream.counters().gaps, 0);
}

#[test]
fn what_is_not_missing_is_refused() {
    let mut bench = begun(PATIENT);
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Implausible);
    bench.a(12..14);
    for first in [14, 15, 20_000, 1 << 40, u64::MAX - 9] {
        assert_eq!(bench.recovered(&data(SESSION, first..first + 5)), Verdict::Implausible, "{first}");
    }
    assert_eq!(bench.recovered(&data(SESSION, 12..14)), Verdict::Duplicate);
    assert_eq!(bench.recovered(&heartbeat(SESSION, 99)), Verdict::Malformed);
    assert_eq!(bench.recovered(&end_of_session(SESSION, 99)), Verdict::Malformed);
    assert_eq!(bench.recovered(&data(NEXT, 10..12)), Verdict::WrongSession);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.b(10..12), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..14)]);
    let counters = bench.stream.counters();
    assert_eq!((counters.recovered, counters.recovered_refused, counters.overdue), (0, 10, 0));
}

#[test]
fn recovered_packets_leave_a_quarter_of_the_window_to_the_lines() {
    let mut bench = begun(StreamConfig { window_packets: 8, ..PATIENT });
    bench.a(100..101);
    bench.wait(100);
    let held = (20..60).step_by(2).filter(|at| bench.recovered(&data(SESSION, *at..at + 1)) == Verdict::Held);
    assert_eq!(held.count(), 5);
    assert_eq!(bench.stream.counters().recovered_no_room, 15);
    // What is next needs no room.
    assert_eq!(bench.recovered(&data(SESSION, 10..20)), Verdict::Delivered);
    assert_eq!(bench.a(102..103), Verdict::Held);
    assert_eq!(bench.a(104..105), Verdict::Held);
    assert_eq!(bench.told(), [Overdue, Messages(10..21)]);
    assert_eq!(bench.stream.counters().window_overflows, 0);
}

#[test]
fn a_full_window_gives_up_the_first_hole_only() {
    let mut bench = begun(StreamConfig { window_packets: 3, ..PATIENT });
    bench.a(12..13);
    bench.a(15..16);
    bench.a(18..19);
    bench.wait(100);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..12, 13..15, 16..18]));
    assert_eq!(bench.a(21..22), Verdict::Held);
    // The next hole is as old, so it is overdue too: the books were behind all along.
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..13)]);
    assert_eq!(bench.holes(), [13..15, 16..18, 19..21]);
    assert_eq!(bench.stream.counters().window_overflows, 1);
}

#[test]
fn each_hole_is_overdue_at_its_own_time() {
    let mut bench = begun(PATIENT);
    bench.a(12..14);
    bench.wait(60);
    bench.a(16..18);
    bench.wait(39);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..12, 14..16]));
    // The first is filled before the second has waited long enough: the books are good in between.
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Delivered);
    assert_eq!((bench.told(), bench.holes()), (vec![Messages(10..14), CaughtUp], vec![]));
    bench.wait(60);
    assert_eq!(bench.told(), []);
    bench.wait(1);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![14..16]));
    bench.wait(899);
    assert_eq!(bench.told(), []);
    bench.wait(1);
    assert_eq!(bench.told(), [Gap(14..16), Messages(16..18), CaughtUp]);
}

#[test]
fn lines_that_keep_order_make_a_hole_overdue_at_once() {
    let mut bench = begun(StreamConfig { lines_reorder: false, ..PATIENT });
    bench.b(1..10);
    bench.a(12..14);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.b(12..14), Verdict::Duplicate);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..12]));
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..14), CaughtUp]);
}

#[test]
fn a_lost_tail_is_asked_for() {
    let mut bench = begun(PATIENT);
    bench.packet(Line::A, &heartbeat(SESSION, 15));
    bench.wait(100);
    bench.packet(Line::B, &heartbeat(SESSION, 15));
    bench.packet(Line::B, &heartbeat(SESSION, 13));
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..15]));
    assert_eq!(bench.recovered(&data(SESSION, 10..20)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..15), CaughtUp]);
    assert_eq!(bench.a(15..16), Verdict::Delivered);
}

#[test]
fn the_end_waits_for_what_is_overdue() {
    let mut bench = begun(PATIENT);
    bench.packet(Line::A, &end_of_session(SESSION, 15));
    bench.wait(500);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..15]));
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Delivered);
    bench.wait(400);
    assert_eq!(bench.told(), [Messages(10..12)]);
    assert_eq!(bench.recovered(&data(SESSION, 12..15)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(12..15), CaughtUp, End]);
    assert_eq!(bench.recovered(&data(SESSION, 12..15)), Verdict::WrongSession);

    let mut bench = begun(PATIENT);
    bench.packet(Line::A, &end_of_session(SESSION, 15));
    bench.wait(500);
    bench.wait(500);
    assert_eq!(bench.told(), [Overdue, Gap(10..15), CaughtUp, End]);
}

#[test]
fn a_late_start_is_a_hole_from_the_first_message() {
    let mut bench = Bench::new(PATIENT);
    bench.a(40..42);
    bench.wait(100);
    assert_eq!((bench.told(), bench.holes()), (vec![Session(SESSION, 1), Overdue], vec![1..40]));
    assert_eq!(bench.recovered(&data(SESSION, 1..40)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(1..42), CaughtUp]);
}

#[test]
fn a_new_session_ends_what_is_overdue_in_the_old_one() {
    let mut bench = begun(PATIENT);
    bench.a(12..14);
    bench.a(16..18);
    bench.wait(100);
    assert_eq!(bench.told(), [Overdue]);
    for first in [1, 3, 5, 7] {
        bench.packet(Line::A, &data(NEXT, first..first + 2));
    }
    let old = [Gap(10..12), Messages(12..14), Gap(14..16), Messages(16..18), CaughtUp];
    assert_eq!(bench.told(), [&old[..], &[Session(NEXT, 1), Messages(1..9)]].concat());
    assert_eq!(bench.holes(), []);
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::WrongSession);
}

#[test]
fn abandoning_gives_up_what_is_overdue_and_no_more() {
    let mut bench = begun(PATIENT);
    bench.abandon(u64::MAX);
    bench.a(20..22);
    bench.abandon(u64::MAX);
    assert_eq!(bench.told(), []);
    bench.wait(50);
    bench.a(24..26);
    bench.wait(50);
    assert_eq!((bench.told(), bench.holes()), (vec![Overdue], vec![10..20, 22..24]));
    bench.abandon(10);
    assert_eq!(bench.told(), []);
    // A part of a hole.
    bench.abandon(15);
    assert_eq!((bench.told(), bench.holes()), (vec![Gap(10..15)], vec![15..20, 22..24]));
    // The second hole has not waited long enough.
    bench.abandon(u64::MAX);
    assert_eq!((bench.told(), bench.holes()), (vec![Gap(15..20), Messages(20..22), CaughtUp], vec![]));
    bench.wait(100);
    bench.abandon(23);
    bench.abandon(u64::MAX);
    assert_eq!(bench.told(), [Overdue, Gap(22..23), Gap(23..24), Messages(24..26), CaughtUp]);
    assert_eq!(bench.stream.counters().abandoned, 4);
}

#[test]
fn a_backlog_is_worked_off_in_portions() {
    let mut bench = begun(PATIENT);
    for first in 12..70 {
        assert_eq!(bench.a(first..first + 1), Verdict::Held);
    }
    bench.wait(100);
    assert_eq!(bench.told(), [Overdue]);
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..28)]);
    assert!(bench.stream.has_backlog() && bench.stream.is_overdue());
    assert_eq!((bench.stream.hole(), bench.holes()), (None, vec![]));
    // Live packets go behind it, and each sets free more than its own.
    assert_eq!(bench.a(70..71), Verdict::Held);
    assert_eq!(bench.a(72..73), Verdict::Held);
    assert_eq!(bench.told(), [Messages(28..60)]);
    bench.stream.on_tick(bench.now, &mut bench.sink);
    assert_eq!((bench.told(), bench.stream.hole()), (vec![Messages(60..71), CaughtUp], Some(71..72)));
    assert!(!bench.stream.has_backlog());
}

#[test]
fn a_window_full_of_backlog_gives_nothing_up() {
    let mut bench = begun(StreamConfig { window_packets: 40, max_payload: 300, ..PATIENT });
    for first in 12..52 {
        assert_eq!(bench.a(first..first + 1), Verdict::Held);
    }
    bench.wait(100);
    assert_eq!(bench.recovered(&data(SESSION, 10..12)), Verdict::Delivered);
    // Longer than a slot: everything before it goes first.
    assert_eq!(bench.a(52..60), Verdict::Delivered);
    assert_eq!(bench.told(), [Overdue, Messages(10..52), CaughtUp, Messages(52..60)]);
    assert_eq!(bench.stream.counters().window_overflows, 0);
}
