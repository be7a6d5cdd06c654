//! Sessions: late join, roll, strays.

use wirebook::feed::{CONFIRM, Line, StreamConfig, Verdict};

use crate::model::Told::{End, Gap, Messages, Session};
use crate::model::{Bench, CONFIG, FOREIGN, NEXT, SESSION, begun, data, end_of_session, heartbeat};

#[test]
fn a_late_join_says_where_it_begins() {
    let mut bench = Bench::new(CONFIG);
    assert_eq!(bench.stream.session(), None);
    bench.wait(10);
    assert_eq!(bench.a(5_000..5_002), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 5_000), Messages(5_000..5_002)]);
    assert_eq!(bench.stream.lost().collect::<Vec<_>>(), [1..5_000]);
    assert_eq!(bench.b(4_990..4_995), Verdict::Late);
    assert_eq!(bench.b(4_995..5_003), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(5_002..5_003)]);
    assert_eq!(bench.stream.counters().gaps, 0);
    assert_eq!(bench.stream.session(), Some(SESSION));
}

#[test]
fn a_session_heard_near_its_start_waits_for_the_start() {
    let mut bench = Bench::new(CONFIG);
    assert_eq!(bench.a(5..9), Verdict::Held);
    assert_eq!(bench.b(1..5), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 1), Messages(1..9)]);

    let mut bench = Bench::new(CONFIG);
    assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 40)), Verdict::Control);
    bench.wait(100);
    assert_eq!(bench.told(), [Session(SESSION, 1), Gap(1..40)]);
    assert_eq!(bench.stream.line_counters(Line::A).skipped, 39);

    let mut bench = Bench::new(CONFIG);
    assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 51)), Verdict::Control);
    assert_eq!(bench.told(), [Session(SESSION, 51)]);
}

#[test]
fn yesterdays_end_does_not_stand_in_the_way_of_today() {
    let mut bench = Bench::new(CONFIG);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 9_000)), Verdict::Control);
    assert_eq!(bench.told(), [Session(SESSION, 9_000), End]);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 9_000)), Verdict::Control);
    assert_eq!(bench.packet(Line::A, &data(NEXT, 1..3)), Verdict::Delivered);
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 9_000)), Verdict::WrongSession);
    assert_eq!(bench.told(), [Session(NEXT, 1), Messages(1..3)]);
}

#[test]
fn a_stray_packet_never_takes_the_stream() {
    let mut bench = Bench::new(CONFIG);
    for turn in 0..100 {
        let first = 1 + turn * 2;
        assert_eq!(bench.a(first..first + 2), Verdict::Delivered);
        for stray in [data(FOREIGN, 1..3), heartbeat(FOREIGN, 1), end_of_session(FOREIGN, 7)] {
            assert_eq!(bench.packet(Line::A, &stray), Verdict::WrongSession);
        }
    }
    assert_eq!(bench.told(), [Session(SESSION, 1), Messages(1..201)]);
    assert_eq!(bench.stream.line_counters(Line::A).wrong_session, 300);
}

#[test]
fn a_roll_in_mid_flight_loses_nothing_of_the_new_session() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..20);
    bench.told();
    // Line A changes over while B still sends what A lost of the old session.
    assert_eq!(bench.packet(Line::A, &data(NEXT, 1..3)), Verdict::WrongSession);
    assert_eq!(bench.b(18..22), Verdict::Delivered);
    assert_eq!(bench.packet(Line::A, &data(NEXT, 3..5)), Verdict::WrongSession);
    assert_eq!(bench.b(24..26), Verdict::Held);
    assert_eq!(bench.packet(Line::A, &heartbeat(NEXT, 5)), Verdict::WrongSession);
    assert_eq!(bench.told(), [Messages(20..22)]);
    assert_eq!(bench.packet(Line::A, &data(NEXT, 5..7)), Verdict::Delivered);
    assert_eq!(bench.told(), [Gap(22..24), Messages(24..26), Session(NEXT, 1), Messages(1..7)]);
    // The tail of the old session on B is too long for a stray, and changes nothing.
    for first in 26..40 {
        assert_eq!(bench.b(first..first + 1), Verdict::WrongSession);
    }
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 40)), Verdict::WrongSession);
    assert_eq!(bench.packet(Line::B, &data(NEXT, 5..9)), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(7..9)]);
    assert_eq!(bench.stream.counters().sessions, 2);
}

#[test]
fn the_rows_of_two_lines_are_not_added_up() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..3);
    for _ in 1..CONFIRM {
        assert_eq!(bench.packet(Line::A, &heartbeat(NEXT, 1)), Verdict::WrongSession);
        assert_eq!(bench.packet(Line::B, &heartbeat(NEXT, 1)), Verdict::WrongSession);
    }
    // A third session makes a new row.
    assert_eq!(bench.packet(Line::A, &heartbeat(FOREIGN, 1)), Verdict::WrongSession);
    for _ in 1..CONFIRM {
        assert_eq!(bench.packet(Line::B, &heartbeat(NEXT, 1)), Verdict::WrongSession);
    }
    assert_eq!(bench.packet(Line::B, &heartbeat(NEXT, 1)), Verdict::Control);
    assert_eq!(bench.told(), [Session(SESSION, 1), Messages(1..3), Session(NEXT, 1)]);
}

#[test]
fn after_an_end_the_next_session_is_taken_at_once() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..4);
    bench.packet(Line::A, &end_of_session(SESSION, 4));
    assert_eq!(bench.packet(Line::B, &data(NEXT, 3..5)), Verdict::Held);
    assert_eq!(bench.packet(Line::A, &data(NEXT, 1..3)), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 1), Messages(1..4), End, Session(NEXT, 1), Messages(1..5)]);
}

#[test]
fn silence_makes_way_for_any_session() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..4);
    for _ in 0..CONFIRM {
        bench.packet(Line::A, &data(NEXT, 1..3));
    }
    bench.told();
    assert_eq!(bench.a(4..6), Verdict::WrongSession);
    bench.wait(9_900);
    assert_eq!(bench.a(4..6), Verdict::WrongSession);
    bench.wait(200);
    assert_eq!(bench.a(60..62), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 60), Messages(60..62)]);
}

#[test]
fn what_does_not_fit_while_a_session_is_doubted_is_a_hole_of_it() {
    let mut bench = Bench::new(StreamConfig { max_payload: 100, ..CONFIG });
    bench.a(1..4);
    bench.told();
    assert!(data(NEXT, 1..20).len() > 100);
    bench.packet(Line::A, &data(NEXT, 1..20));
    bench.packet(Line::A, &data(NEXT, 20..21));
    bench.packet(Line::A, &data(NEXT, 21..22));
    assert_eq!(bench.packet(Line::A, &data(NEXT, 22..23)), Verdict::Held);
    assert_eq!(bench.stream.hole(), Some(1..20));
    assert_eq!(bench.packet(Line::B, &data(NEXT, 1..20)), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(NEXT, 1), Messages(1..23)]);
}

#[test]
fn a_roll_into_the_middle_of_a_session_begins_with_the_first_packet_kept() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..4);
    bench.told();
    // The line's packets overtake each other, too.
    for first in [1_002, 1_000, 1_006, 1_004] {
        bench.packet(Line::B, &data(NEXT, first..first + 2));
    }
    assert_eq!(bench.told(), [Session(NEXT, 1_000), Messages(1_000..1_008)]);
}

#[test]
fn nothing_of_the_old_session_is_left_in_the_new_one() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..4);
    bench.a(8..9);
    bench.wait(100);
    assert_eq!(bench.stream.lost().collect::<Vec<_>>(), [4..8]);
    bench.packet(Line::A, &end_of_session(SESSION, 9));
    // The same sequences again: not late, and no copy of the old session's packets.
    bench.packet(Line::B, &data(NEXT, 1..8));
    assert_eq!(bench.stream.lost().len(), 0);
    assert_eq!(bench.packet(Line::A, &data(NEXT, 4..8)), Verdict::Duplicate);
    assert_eq!(bench.packet(Line::B, &data(NEXT, 8..9)), Verdict::Delivered);
    let skew = bench.stream.skew();
    assert_eq!((skew.a_behind.count, skew.b_behind.count), (0, 0));
}

#[test]
fn a_sequence_that_is_set_back_begins_the_session_anew_and_loses_nothing() {
    let mut bench = begun(CONFIG);
    bench.b(1..10);
    bench.wait(CONFIG.quiet);
    // Both lines, one after the other: what each brings is kept.
    for first in [1, 3] {
        assert_eq!(bench.a(first..first + 2), Verdict::Duplicate);
        assert_eq!(bench.b(first..first + 2), Verdict::Duplicate);
    }
    assert_eq!(bench.a(5..7), Verdict::Duplicate);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.a(7..8), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 1), Messages(1..8)]);
    assert_eq!(bench.b(5..9), Verdict::Delivered);
    assert_eq!(bench.a(8..12), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(8..12)]);
    assert_eq!((bench.stream.counters().rewinds, bench.stream.counters().gaps), (1, 0));
}

#[test]
fn a_venue_that_starts_anew_before_it_is_missed_costs_what_came_meanwhile() {
    let mut bench = Bench::new(CONFIG);
    bench.a(1..5_000);
    bench.told();
    for first in 1..30 {
        assert_eq!(bench.a(first..first + 1), Verdict::Duplicate);
    }
    bench.wait(CONFIG.quiet);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.a(30..32), Verdict::Held);
    bench.wait(CONFIG.hole_wait);
    assert_eq!(bench.told(), [Session(SESSION, 1), Gap(1..30), Messages(30..32)]);

    // Heartbeats tell it, too; too far from the start, it is a late join.
    let mut bench = begun(CONFIG);
    bench.a(10..1_000);
    bench.told();
    bench.wait(CONFIG.quiet);
    for _ in 1..CONFIRM {
        assert_eq!(bench.packet(Line::B, &heartbeat(SESSION, 999)), Verdict::Control);
        assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 100)), Verdict::Control);
    }
    // Line B still stood where the feed was.
    bench.wait(CONFIG.quiet);
    for _ in 2..CONFIRM {
        bench.packet(Line::A, &heartbeat(SESSION, 100));
    }
    assert_eq!(bench.told(), []);
    assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 100)), Verdict::Control);
    assert_eq!(bench.told(), [Session(SESSION, 100)]);
}

#[test]
fn a_line_that_repeats_or_lags_sets_nothing_back() {
    // One line repeats without end, the other stands where the feed does.
    let mut bench = begun(CONFIG);
    for _ in 0..100 {
        assert_eq!(bench.a(3..8), Verdict::Duplicate);
        bench.wait(CONFIG.quiet / 2);
        assert_eq!(bench.packet(Line::B, &heartbeat(SESSION, 10)), Verdict::Control);
    }
    // So does one that was never heard before and is far behind.
    let mut bench = begun(CONFIG);
    bench.wait(CONFIG.quiet);
    for first in 1..9 {
        assert_eq!(bench.b(first..first + 1), Verdict::Duplicate);
        bench.wait(CONFIG.quiet / 2);
    }
    // An end that contradicts what was sent is none.
    for _ in 0..10 {
        assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 4)), Verdict::Implausible);
        bench.wait(CONFIG.quiet);
    }
    assert_eq!(bench.told(), []);
    assert_eq!(bench.stream.counters().rewinds, 0);
}

#[test]
fn what_was_kept_of_one_attempt_is_no_part_of_the_next() {
    let mut bench = begun(CONFIG);
    bench.wait(CONFIG.quiet);
    bench.a(1..3);
    bench.a(3..5);
    // It was a repetition after all.
    assert_eq!(bench.a(10..12), Verdict::Delivered);
    bench.wait(CONFIG.quiet);
    for first in [5, 6, 7] {
        assert_eq!(bench.a(first..first + 1), Verdict::Duplicate);
    }
    assert_eq!(bench.a(8..9), Verdict::Held);
    bench.wait(CONFIG.hole_wait);
    assert_eq!(bench.told(), [Messages(10..12), Session(SESSION, 1), Gap(1..5), Messages(5..9)]);
}
