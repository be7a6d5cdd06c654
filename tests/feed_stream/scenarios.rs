//! Arbitration, holes and gaps within one session.

use wirebook::feed::{Line, StreamConfig, Verdict};

use crate::model::Told::{End, Gap, Messages, Session};
use crate::model::{Bench, CONFIG, SESSION, begun, control, data, end_of_session, heartbeat};

#[test]
fn the_first_copy_wins_and_the_second_is_a_duplicate() {
    let mut bench = begun(CONFIG);
    assert_eq!(bench.b(1..10), Verdict::Duplicate);
    assert_eq!(bench.b(10..12), Verdict::Delivered);
    assert_eq!(bench.a(10..12), Verdict::Duplicate);
    assert_eq!(bench.told(), [Messages(10..12)]);
    let [a, b] = Line::ALL.map(|line| *bench.stream.line_counters(line));
    assert_eq!((a.packets, a.messages, a.first, a.duplicates), (2, 11, 1, 1));
    assert_eq!((b.packets, b.messages, b.first, b.duplicates), (2, 11, 1, 1));
    assert_eq!(bench.stream.counters().messages, 11);
    let skew = bench.stream.skew();
    assert_eq!((skew.b_behind.count, skew.b_behind.max), (1, 1));
    assert_eq!((skew.a_behind.count, skew.a_behind.max), (1, 1));
    assert_eq!(bench.stream.last_seen(Line::A), Some(bench.now));
}

#[test]
fn a_packet_partly_seen_is_trimmed() {
    let mut bench = begun(CONFIG);
    assert_eq!(bench.b(5..15), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..15)]);
    assert_eq!(bench.stream.counters().trimmed, 1);
}

#[test]
fn the_other_line_fills_a_hole_without_a_gap() {
    let mut bench = begun(CONFIG);
    assert_eq!(bench.a(12..14), Verdict::Held);
    assert_eq!(bench.a(14..16), Verdict::Held);
    assert_eq!(bench.b(12..14), Verdict::Duplicate);
    assert_eq!(bench.stream.hole(), Some(10..12));
    bench.wait(90);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.b(10..12), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..16)]);
    assert_eq!(bench.stream.hole(), None);
    bench.wait(1_000);
    assert_eq!(bench.told(), []);
    let counters = bench.stream.counters();
    assert_eq!((counters.holes, counters.held, counters.released, counters.gaps), (1, 2, 2, 0));
    assert_eq!(bench.stream.line_counters(Line::A).skipped, 2);
}

#[test]
fn a_hole_that_waits_too_long_is_a_gap() {
    let mut bench = begun(CONFIG);
    bench.a(12..14);
    bench.wait(99);
    assert_eq!(bench.told(), []);
    bench.wait(1);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..14)]);
    assert_eq!(bench.stream.lost().collect::<Vec<_>>(), [10..12]);
    // Too late: the books are stale already.
    assert_eq!(bench.b(10..12), Verdict::Late);
    assert_eq!(bench.b(11..14), Verdict::Late);
    assert_eq!(bench.b(12..14), Verdict::Duplicate);
    assert_eq!(bench.told(), []);
    let counters = bench.stream.counters();
    assert_eq!((counters.gaps, counters.lost_messages), (1, 2));
    let b = bench.stream.line_counters(Line::B);
    assert_eq!((b.late, b.duplicates, b.behind), (2, 1, 2));
}

#[test]
fn each_of_two_holes_has_its_own_time() {
    let mut bench = begun(CONFIG);
    bench.a(12..14);
    bench.wait(60);
    bench.a(16..18);
    bench.wait(39);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..14)]);
    bench.wait(60);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.b(14..16), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(14..18)]);
}

#[test]
fn a_packet_notices_the_time_too_and_may_still_fill_the_hole() {
    let mut bench = begun(CONFIG);
    bench.a(12..14);
    bench.now += 500;
    assert_eq!(bench.b(10..12), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..14)]);
    bench.a(16..18);
    bench.now += 500;
    assert_eq!(bench.a(18..19), Verdict::Held);
    assert_eq!(bench.told(), [Gap(14..16), Messages(16..19)]);
}

#[test]
fn a_full_window_gives_the_hole_up() {
    let mut bench = begun(StreamConfig { window_packets: 2, ..CONFIG });
    bench.a(12..13);
    bench.a(15..16);
    assert_eq!(bench.told(), []);
    // The first hole goes, which frees a slot for the third packet.
    assert_eq!(bench.a(18..19), Verdict::Held);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..13)]);
    // Without a hole before it, a packet never needs a slot.
    assert_eq!(bench.a(13..15), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(13..16)]);
    assert_eq!(bench.stream.counters().window_overflows, 1);
}

#[test]
fn without_a_window_every_hole_is_a_gap() {
    let mut bench = begun(StreamConfig { window_packets: 0, ..CONFIG });
    assert_eq!(bench.a(12..14), Verdict::Delivered);
    assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 16)), Verdict::Control);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 18)), Verdict::Control);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..14), Gap(14..16), Gap(16..18), End]);
}

#[test]
fn a_packet_longer_than_a_slot_gives_the_hole_up() {
    let mut bench = begun(StreamConfig { max_payload: 60, ..CONFIG });
    assert_eq!(bench.a(15..16), Verdict::Held);
    assert_eq!(bench.a(20..40), Verdict::Delivered);
    assert_eq!(bench.told(), [Gap(10..15), Messages(15..16), Gap(16..20), Messages(20..40)]);
}

#[test]
fn lines_that_keep_order_need_no_wait() {
    let mut bench = begun(StreamConfig { lines_reorder: false, ..CONFIG });
    bench.b(1..10);
    bench.a(12..14);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.b(12..14), Verdict::Duplicate);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..14)]);
    // A heartbeat shows as well that a line has passed the hole.
    bench.a(16..18);
    assert_eq!(bench.packet(Line::B, &heartbeat(SESSION, 18)), Verdict::Control);
    assert_eq!(bench.told(), [Gap(14..16), Messages(16..18)]);

    let mut alone = begun(StreamConfig { lines_reorder: false, both_lines: false, ..CONFIG });
    alone.a(12..14);
    assert_eq!(alone.told(), [Gap(10..12), Messages(12..14)]);
}

#[test]
fn a_heartbeat_shows_a_lost_tail() {
    let mut bench = begun(CONFIG);
    assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 10)), Verdict::Control);
    assert_eq!(bench.stream.hole(), None);
    assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, 15)), Verdict::Control);
    assert_eq!(bench.stream.hole(), Some(10..15));
    // The slower line brings part of it.
    assert_eq!(bench.b(10..12), Verdict::Delivered);
    bench.wait(100);
    assert_eq!(bench.told(), [Messages(10..12), Gap(12..15)]);
    assert_eq!(bench.a(15..16), Verdict::Delivered);
    assert_eq!(bench.stream.line_counters(Line::A).heartbeats, 2);
    // One that is behind the stream says nothing.
    bench.packet(Line::B, &heartbeat(SESSION, 12));
    bench.wait(1_000);
    assert_eq!(bench.told(), [Messages(15..16)]);
}

#[test]
fn the_end_waits_for_the_last_hole_and_comes_once() {
    let mut bench = begun(CONFIG);
    bench.a(12..14);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 16)), Verdict::Control);
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 16)), Verdict::Control);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.b(10..12), Verdict::Delivered);
    bench.wait(150);
    assert_eq!(bench.told(), [Messages(10..14), Gap(14..16), End]);
    assert!(bench.stream.has_ended());
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 16)), Verdict::Control);
    assert_eq!(bench.b(14..16), Verdict::Late);
    assert_eq!(bench.b(12..14), Verdict::Duplicate);
    assert_eq!(bench.b(16..20), Verdict::AfterEnd);
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 12)), Verdict::AfterEnd);
    bench.wait(1_000);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.stream.line_counters(Line::B).ends_of_session, 2);
}

#[test]
fn an_end_that_contradicts_the_stream_is_not_believed() {
    let mut bench = begun(CONFIG);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 5)), Verdict::Implausible);
    bench.a(12..14);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 13)), Verdict::Implausible);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 15)), Verdict::Control);
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 14)), Verdict::Implausible);
    assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, 20)), Verdict::AfterEnd);
    assert_eq!(bench.b(14..17), Verdict::AfterEnd);
    assert_eq!(bench.b(10..15), Verdict::Delivered);
    assert_eq!(bench.told(), [Messages(10..15), End]);
}

#[test]
fn an_end_that_the_feed_goes_on_beyond_was_none() {
    let mut bench = begun(CONFIG);
    bench.packet(Line::A, &end_of_session(SESSION, 10));
    assert_eq!(bench.told(), [End]);
    for first in [10, 12, 14] {
        assert_eq!(bench.a(first..first + 2), Verdict::AfterEnd);
        // Another end contradicts it too, but what it is worth nobody knows.
        assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, 90)), Verdict::AfterEnd);
    }
    assert_eq!(bench.b(10..12), Verdict::AfterEnd);
    assert!(bench.stream.has_ended());
    // Books begin anew, and are not believed: it is a late join.
    assert_eq!(bench.a(16..18), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 16), Messages(16..18)]);
    assert_eq!(bench.b(10..16), Verdict::Late);
    bench.packet(Line::B, &end_of_session(SESSION, 18));
    assert_eq!(bench.told(), [End]);
    assert_eq!((bench.stream.counters().reopened, bench.stream.counters().gaps), (1, 0));
}

#[test]
fn an_end_that_is_not_reached_yet_may_be_none_as_well() {
    let mut bench = begun(CONFIG);
    bench.packet(Line::A, &end_of_session(SESSION, 12));
    for first in [12, 14, 16] {
        assert_eq!(bench.b(first..first + 2), Verdict::AfterEnd);
    }
    assert_eq!(bench.told(), []);
    assert_eq!(bench.packet(Line::B, &heartbeat(SESSION, 18)), Verdict::Control);
    assert_eq!(bench.b(18..20), Verdict::Delivered);
    assert_eq!(bench.told(), [Gap(10..12), End, Session(SESSION, 18), Messages(18..20)]);
}

#[test]
fn recovered_packets_fill_holes_and_nothing_else() {
    let mut bench = begun(CONFIG);
    bench.a(14..16);
    let now = bench.now;
    let mut recover = |payload: &[u8]| bench.stream.on_recovered(payload, now, &mut bench.sink);
    assert_eq!(recover(&data(SESSION, 11..13)), Verdict::Held);
    assert_eq!(recover(&data(SESSION, 8..11)), Verdict::Delivered);
    assert_eq!(recover(&data(SESSION, 1..3)), Verdict::Duplicate);
    assert_eq!(recover(&data(*b"OTHER     ", 13..14)), Verdict::WrongSession);
    assert_eq!(recover(&heartbeat(SESSION, 99)), Verdict::Malformed);
    assert_eq!(recover(&[0; 3]), Verdict::Malformed);
    assert_eq!(recover(&data(SESSION, 13..14)), Verdict::Delivered);
    for _ in 0..10 {
        assert_eq!(recover(&data(SESSION, 1_000_000..1_000_001)), Verdict::Implausible);
    }
    assert_eq!(bench.told(), [Messages(10..16)]);
    let counters = bench.stream.counters();
    assert_eq!((counters.recovered, counters.recovered_refused, counters.gaps), (3, 14, 0));
    assert_eq!(bench.stream.line_counters(Line::A).packets, 2);
}

#[test]
fn malformed_packets_are_counted_by_kind_and_change_nothing() {
    let mut bench = begun(CONFIG);
    let whole = data(SESSION, 10..14);
    for cut in 0..whole.len() {
        assert_eq!(bench.packet(Line::B, &whole[..cut]), Verdict::Malformed, "cut at {cut}");
    }
    assert_eq!(bench.packet(Line::B, &heartbeat(SESSION, 0)), Verdict::Malformed);
    assert_eq!(bench.packet(Line::B, &data(SESSION, 0..3)), Verdict::Malformed);
    assert_eq!(bench.packet(Line::B, &control(SESSION, u64::MAX, 3)), Verdict::Malformed);
    assert_eq!(bench.told(), []);
    let b = bench.stream.line_counters(Line::B);
    assert_eq!(b.packets, whole.len() as u64 + 3);
    assert_eq!((b.malformed.mold_too_short, b.sequence_zero), (20, 2));
    assert_eq!(
        (b.malformed.mold_block_overrun, b.malformed.mold_sequence_overflow),
        (whole.len() as u64 - 20, 1)
    );
    assert_eq!(bench.packet(Line::B, &whole), Verdict::Delivered);
}

#[test]
fn an_absurd_sequence_is_not_believed_at_once() {
    let mut bench = begun(CONFIG);
    for turn in 0..10 {
        // Near each other, but packets from where the stream is break the row.
        for absurd in [500_000, 500_010, 500_020] {
            assert_eq!(bench.a(absurd..absurd + 2), Verdict::Implausible);
        }
        assert_eq!(bench.a(10 + turn..11 + turn), Verdict::Delivered);
    }
    // In a row, but nowhere near each other.
    for absurd in [u64::MAX, 1 << 40, 200_000, u64::MAX - 3, 1 << 50, 600_000, 1 << 41] {
        assert_eq!(bench.packet(Line::A, &heartbeat(SESSION, absurd)), Verdict::Implausible);
        assert_eq!(bench.packet(Line::B, &end_of_session(SESSION, absurd)), Verdict::Implausible);
    }
    bench.wait(1_000);
    assert_eq!(bench.told(), [Messages(10..20)]);
    assert_eq!(bench.stream.line_counters(Line::A).implausible, 37);
    assert_eq!(bench.stream.counters().jumps, 0);
}

#[test]
fn a_jump_that_lasts_is_one_gap() {
    let mut bench = begun(CONFIG);
    bench.a(12..14);
    for first in [500_000, 500_010, 500_020] {
        assert_eq!(bench.a(first..first + 10), Verdict::Implausible);
        assert_eq!(bench.b(first..first + 5), Verdict::Implausible);
    }
    assert_eq!(bench.told(), []);
    assert_eq!(bench.a(500_030..500_040), Verdict::Delivered);
    assert_eq!(bench.told(), [Gap(10..12), Messages(12..14), Gap(14..500_030), Messages(500_030..500_040)]);
    assert_eq!(bench.b(500_030..500_040), Verdict::Duplicate);
    assert_eq!(bench.stream.counters().jumps, 1);
}

#[test]
fn a_jump_back_that_lasts_begins_the_session_anew() {
    let mut bench = Bench::new(CONFIG);
    bench.a(u64::MAX - 9..u64::MAX - 5);
    let first = u64::MAX - 9;
    assert_eq!(bench.told(), [Session(SESSION, first), Messages(first..first + 4)]);
    for first in [700, 710, 720] {
        assert_eq!(bench.a(first..first + 10), Verdict::Implausible);
    }
    assert_eq!(bench.a(730..740), Verdict::Delivered);
    assert_eq!(bench.told(), [Session(SESSION, 730), Messages(730..740)]);
}

#[test]
fn the_very_last_sequences_are_sane() {
    let mut bench = Bench::new(CONFIG);
    bench.a(u64::MAX - 9..u64::MAX - 5);
    bench.packet(Line::A, &heartbeat(SESSION, u64::MAX));
    bench.a(u64::MAX - 1..u64::MAX);
    bench.wait(u64::MAX / 2);
    bench.wait(u64::MAX / 4);
    let first = u64::MAX - 9;
    assert_eq!(bench.told()[2..], [Gap(first + 4..u64::MAX - 1), Messages(u64::MAX - 1..u64::MAX)]);
    assert_eq!(bench.packet(Line::A, &end_of_session(SESSION, u64::MAX)), Verdict::Control);
    assert_eq!(bench.told(), [End]);
}
