//! What lines do to packets, and that it is counted.

use super::*;
use std::collections::BTreeSet;

type Copies = Vec<(Line, u64, u32)>;

fn run(config: &Config, packets: u32) -> (Lines, Copies) {
    let mut lines = Lines::new(config);
    let mut copies = Copies::new();
    let mut out = |line, at, packet: &[u8]| {
        copies.push((line, at, u32::from_be_bytes(packet.try_into().expect("4 bytes"))));
    };
    for number in 0..packets {
        lines.push(u64::from(number) * 1_000, &number.to_be_bytes(), &mut out);
    }
    lines.push_safely(u64::from(packets) * 1_000, &packets.to_be_bytes(), &mut out);
    lines.finish(&mut out);
    (lines, copies)
}

fn seen(copies: &Copies, line: Line) -> Vec<u32> {
    copies.iter().filter(|copy| copy.0 == line).map(|copy| copy.2).collect()
}

fn lossy() -> LineConfig {
    LineConfig { loss_ppm: 50_000, loss_burst: 4, delay_ns: 500, jitter_ns: 5_000, ..LineConfig::default() }
}

#[test]
fn perfect_lines_bring_everything_twice_in_order() {
    let (lines, copies) = run(&Config::default(), 1_000);
    let all: Vec<u32> = (0..=1_000).collect();
    assert_eq!(seen(&copies, Line::A), all);
    assert_eq!(seen(&copies, Line::B), all);
    assert!(copies.is_sorted_by_key(|copy| copy.1));
    assert_eq!(lines.lost_on_all(), 0);
}

#[test]
fn disjoint_losses_are_filled_by_the_other_line() {
    let config = Config { a: lossy(), b: Some(lossy()), ..Config::default() };
    let (lines, copies) = run(&config, 20_000);
    let (a, b) = (seen(&copies, Line::A), seen(&copies, Line::B));
    assert!(a.len() < 19_000 && b.len() < 19_000 && a != b);
    let either: BTreeSet<u32> = a.iter().chain(&b).copied().collect();
    assert_eq!(either.len(), 20_001);
    assert_eq!(lines.lost_on_all(), 0);
    assert!(a.is_sorted() && b.is_sorted() && copies.is_sorted_by_key(|copy| copy.1));
}

#[test]
fn holes_on_both_lines_are_counted() {
    let both = Config { a: lossy(), b: Some(lossy()), both_ppm: 1_000, ..Config::default() };
    for config in [both, Config { disjoint: false, both_ppm: 0, ..both }] {
        let (lines, copies) = run(&config, 20_000);
        let either: BTreeSet<u32> = copies.iter().map(|copy| copy.2).collect();
        assert!(lines.lost_on_all() > 0);
        assert_eq!(either.len() as u64, 20_001 - lines.lost_on_all());
    }
}

#[test]
fn reordering_keeps_every_packet_within_its_depth() {
    let a = LineConfig { reorder_ppm: 100_000, reorder_depth: 8, ..LineConfig::default() };
    let (lines, copies) = run(&Config { a, b: None, ..Config::default() }, 20_000);
    let a = seen(&copies, Line::A);
    assert!(!a.is_sorted() && a.iter().copied().collect::<BTreeSet<_>>().len() == 20_001);
    for (place, number) in a.iter().enumerate() {
        // Overtaken by at most eight, and moved forward by at most as many as are held at once.
        assert!((i64::from(*number) - place as i64).abs() <= 8, "{number} at {place}");
    }
    assert!(lines.counters(Line::A).is_some_and(|counters| counters.reordered > 1_000));
    assert!(lines.counters(Line::B).is_none());
}

#[test]
fn duplicates_come_one_after_the_other() {
    let a = LineConfig { duplicate_ppm: 200_000, ..LineConfig::default() };
    let (lines, copies) = run(&Config { a, b: None, ..Config::default() }, 5_000);
    let counters = *lines.counters(Line::A).expect("line A");
    assert_eq!(copies.len() as u64, 5_001 + counters.duplicated);
    assert_eq!(counters.delivered, copies.len() as u64);
    assert!((800..1_200).contains(&counters.duplicated));
}

#[test]
fn same_seed_same_accidents() {
    let config = Config { a: lossy(), b: Some(lossy()), disjoint: false, ..Config::default() };
    assert_eq!(run(&config, 3_000).1, run(&config, 3_000).1);
    assert_ne!(run(&config, 3_000).1, run(&Config { seed: 2, ..config }, 3_000).1);
}

#[test]
fn spoilt_packets_are_counted_and_the_other_line_brings_them_whole() {
    let bad = LineConfig { truncate_ppm: 30_000, bit_flip_ppm: 30_000, ..lossy() };
    let config = Config { a: bad, b: Some(bad), ..Config::default() };
    let mut lines = Lines::new(&config);
    let (mut whole, mut cut, mut flipped) = (BTreeSet::new(), [0u64; 2], [0u64; 2]);
    for number in 0..20_000u32 {
        // A number and its complement: a single flipped bit shows.
        let packet = [number.to_be_bytes(), (!number).to_be_bytes()].concat();
        lines.push(u64::from(number) * 1_000, &packet, &mut |line, _, packet: &[u8]| {
            let side = usize::from(line == Line::B);
            let Ok(bytes) = <[u8; 8]>::try_from(packet) else {
                cut[side] += 1;
                return;
            };
            let both = u64::from_be_bytes(bytes);
            let differing = ((both >> 32) ^ (both & 0xFFFF_FFFF) ^ 0xFFFF_FFFF).count_ones();
            match differing {
                0 => _ = whole.insert((both >> 32) as u32),
                bits => {
                    assert_eq!(bits, 1);
                    flipped[side] += 1;
                }
            }
        });
    }
    // The last packets may still be on their way.
    assert!((0..19_900).all(|number| whole.contains(&number)));
    for (side, line) in [(0, Line::A), (1, Line::B)] {
        let counters = lines.counters(line).expect("two lines");
        assert!(counters.truncated > 300 && counters.truncated - cut[side] < 3, "{counters:?}");
        assert!(counters.bit_flipped > 300 && counters.bit_flipped - flipped[side] < 3, "{counters:?}");
    }
}

#[test]
fn strays_have_another_session_and_switching_them_on_changes_nothing_else() {
    let run = |stray_ppm| {
        let a = LineConfig { stray_ppm, ..lossy() };
        let mut lines = Lines::new(&Config { a, b: None, disjoint: false, ..Config::default() });
        let (mut own, mut strays) = (Vec::new(), Vec::new());
        for number in 1..=5_000u64 {
            let packet = [&b"SESSION001"[..], &number.to_be_bytes(), &[0, 0]].concat();
            lines.push(number * 1_000, &packet, &mut |_, at, packet: &[u8]| {
                let list = if packet.starts_with(b"SESSION001") { &mut own } else { &mut strays };
                list.push((at, packet.to_vec()));
            });
        }
        let counted = lines.counters(Line::A).expect("line A").strays;
        assert!(counted - strays.len() as u64 <= 5);
        (own, strays)
    };
    let (without, none) = run(0);
    let (with, strays) = run(100_000);
    assert!(none.is_empty() && with == without && strays.len() > 400);
    assert!(strays.iter().all(|(_, packet)| packet.starts_with(b"STRAY")));
    let sequences: BTreeSet<u64> =
        strays.iter().map(|(_, packet)| u64::from_be_bytes(packet[10..18].try_into().expect("8"))).collect();
    assert!(sequences.contains(&1) && sequences.contains(&(u64::MAX - 1)) && sequences.len() > 50);
}

#[test]
fn a_dead_line_is_silent_for_its_time_and_no_longer() {
    let a = LineConfig { dead_every_ns: 1_000_000, dead_length_ns: 100_000, ..LineConfig::default() };
    let config = Config { a, b: Some(LineConfig::default()), ..Config::default() };
    let mut lines = Lines::new(&config);
    lines.kill(Line::B, 50_000);
    let mut copies = Copies::new();
    for number in 0..5_000u32 {
        lines.push(u64::from(number) * 1_000, &number.to_be_bytes(), &mut |line, at, packet: &[u8]| {
            copies.push((line, at, u32::from_be_bytes(packet.try_into().expect("4 bytes"))));
        });
    }
    let alive = |number: &u32| *number < 1_000 || number % 1_000 >= 100;
    assert_eq!(seen(&copies, Line::A), (0..5_000).filter(alive).collect::<Vec<_>>());
    assert_eq!(seen(&copies, Line::B), (50..5_000).collect::<Vec<_>>());
    assert_eq!(lines.counters(Line::A).expect("A").dead, 400);
    assert_eq!(lines.counters(Line::B).expect("B").dead, 50);
    assert_eq!(lines.lost_on_all(), 0);
}

#[test]
fn what_is_on_its_way_is_bounded() {
    let a = LineConfig { delay_ns: u64::MAX / 2, ..LineConfig::default() };
    let mut lines = Lines::new(&Config { a, b: None, ..Config::default() });
    for _ in 0..IN_FLIGHT + 10 {
        lines.push(1, b"packet", &mut |_, _, _| panic!("nothing arrives so soon"));
    }
    assert_eq!(lines.counters(Line::A).expect("A").overflowed, 10);
    let mut arrived = 0;
    lines.finish(&mut |_, _, _| arrived += 1);
    assert_eq!(arrived, IN_FLIGHT);
}

#[test]
fn a_doomed_packet_comes_on_no_line() {
    let mut lines = Lines::new(&Config::default());
    let mut copies = 0;
    lines.push_lost(5, b"doomed", &mut |_, _, _| copies += 1);
    lines.push(6, b"not doomed", &mut |_, _, _| copies += 1);
    lines.finish(&mut |_, _, _| copies += 1);
    assert_eq!((copies, lines.lost_on_all()), (2, 1));
}
