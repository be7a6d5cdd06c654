//! Random streams over two bad lines, judged exactly.
//!
//! The rule of the model: a message is lost if and only if no copy of it arrived (in time, where time is short). So
//! "no false gap" and "no silent loss" are one equation.

use std::collections::BTreeSet;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use wirebook::feed::{Line, StreamConfig, Verdict};

use crate::model::{Bench, CONFIG, NEXT, SESSION, Told, control, data, end_of_session, heartbeat};

/// What happens to one packet on one line.
#[derive(Clone, Copy, Debug)]
struct Fate {
    lost: bool,
    doubled: bool,
    /// How many ticks it is late.
    delay: u64,
}

/// Bad luck: `loss` percent lost, some doubled, some late by up to `delay` ticks.
fn fate(loss: u32, delay: u64) -> impl Strategy<Value = Fate> {
    (0..100_u32, 0..100_u32, 0..100_u32, 0..=delay).prop_map(move |(lost, doubled, late, delay)| Fate {
        lost: lost < loss,
        doubled: doubled < 5,
        delay: if late < 20 { delay } else { 0 },
    })
}

/// One line: how it cuts the stream into packets, how far it lies behind, and what becomes of each packet.
#[derive(Clone, Debug)]
struct Way {
    cuts: Vec<u64>,
    lag: u64,
    fates: Vec<Fate>,
}

fn way(packets: usize, loss: u32, delay: u64) -> impl Strategy<Value = Way> {
    (vec(1..=40_u64, packets), 0..500_u64, vec(fate(loss, delay), packets))
        .prop_map(|(cuts, lag, fates)| Way { cuts, lag, fates })
}

/// Two lines; half of the time, as exchanges do, both carry the same packets.
fn ways(loss: u32, delay: u64) -> impl Strategy<Value = [Way; 2]> {
    (5..80_usize).prop_flat_map(move |packets| {
        (way(packets, loss, delay), way(packets, loss, delay), any::<bool>()).prop_map(|(a, mut b, same)| {
            if same {
                b.cuts.clone_from(&a.cuts);
            }
            [a, b]
        })
    })
}

/// A packet on its way: arrival time, line, session, messages.
type Flight = (u64, Line, [u8; 10], Range<u64>);

/// Sequences start at 1; a message leaves the exchange at a tick ten times its sequence, with its whole packet.
fn fly(ways: &[Way; 2], session: [u8; 10], departure: u64) -> Vec<Flight> {
    let mut flights = Vec::new();
    let end = ways.iter().map(|way| 1 + way.cuts.iter().sum::<u64>()).min().unwrap();
    for (line, way) in Line::ALL.into_iter().zip(ways) {
        let mut first = 1;
        for (cut, fate) in way.cuts.iter().zip(&way.fates) {
            let range = first..(first + cut).min(end);
            first = range.end;
            if range.is_empty() || fate.lost {
                continue;
            }
            let at = departure + range.start * 10 + way.lag + fate.delay;
            flights.push((at, line, session, range.clone()));
            if fate.doubled {
                flights.push((at + 3, line, session, range));
            }
        }
    }
    flights.sort_by_key(|flight| flight.0);
    flights
}

/// Sends all of it; `each` looks at the bench after every packet.
fn run(bench: &mut Bench, flights: &[Flight], mut each: impl FnMut(&mut Bench, &Flight, Verdict)) {
    for flight in flights {
        let (at, line, session, range) = flight;
        bench.now = bench.now.max(*at);
        bench.sink.received.entry(*session).or_default().extend(range.clone());
        let verdict =
            bench.stream.on_packet(*line, &data(*session, range.clone()), bench.now, &mut bench.sink);
        each(bench, flight, verdict);
    }
}

fn sent(flights: &[Flight], session: [u8; 10]) -> BTreeSet<u64> {
    flights.iter().filter(|flight| flight.2 == session).flat_map(|flight| flight.3.clone()).collect()
}

/// Enough room and time for anything.
const PATIENT: StreamConfig = StreamConfig {
    window_packets: 512,
    max_payload: 4_000,
    hole_wait: 1_000_000,
    quiet: u64::MAX,
    near_start: 60_000,
    ..CONFIG
};

/// The counters tell the same story as the sink.
fn check_counters(bench: &Bench) -> Result<(), TestCaseError> {
    let counters = bench.stream.counters();
    prop_assert_eq!(counters.messages, bench.sink.delivered().len() as u64);
    prop_assert_eq!(counters.lost_messages, bench.sink.lost().len() as u64);
    prop_assert_eq!(counters.gaps, bench.sink.gaps().count() as u64);
    prop_assert!(counters.released + counters.held_in_vain <= counters.held);
    for line in Line::ALL {
        let of_line = bench.stream.line_counters(line);
        let all =
            of_line.first + of_line.duplicates + of_line.late + of_line.heartbeats + of_line.ends_of_session;
        prop_assert_eq!(of_line.packets, all);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// With room and time, exactly that is lost which both lines lost, and nothing before the end is waited for.
    #[test]
    fn lost_is_what_both_lines_lost(ways in ways(20, 600)) {
        let mut bench = Bench::new(PATIENT);
        let flights = fly(&ways, SESSION, 0);
        run(&mut bench, &flights, |_, _, _| ());
        prop_assert_eq!(bench.sink.gaps().count(), 0);
        let end = 1 + ways.iter().map(|way| way.cuts.iter().sum::<u64>()).min().unwrap();
        bench.packet(Line::B, &heartbeat(SESSION, end));
        bench.packet(Line::A, &end_of_session(SESSION, end));
        bench.wait(PATIENT.hole_wait);
        let arrived = sent(&flights, SESSION);
        let missing: BTreeSet<_> = (1..end).filter(|sequence| !arrived.contains(sequence)).collect();
        prop_assert_eq!(bench.sink.delivered(), arrived);
        prop_assert_eq!(bench.sink.lost(), missing);
        prop_assert_eq!(bench.sink.told.last(), Some(&Told::End));
        check_counters(&bench)?;
    }

    /// With little room and time: nothing that was received is declared lost (the recorder checks), a hole stays open for
    /// exactly its time unless the window overflows, and all that came in time is handed on.
    #[test]
    fn holes_keep_their_time(
        ways in ways(30, 600), window_packets in 0..6_usize, hole_wait in 1..800_u64, max_payload in 100..1_500_usize,
    ) {
        let config = StreamConfig { window_packets, hole_wait, max_payload, ..PATIENT };
        let mut bench = Bench::new(config);
        let flights = fly(&ways, SESSION, 0);
        // When each packet beyond a hole arrived, by its first sequence.
        let mut arrivals: Vec<(u64, u64)> = Vec::new();
        let (mut gaps, mut overflows, mut expected) = (0, 0, 1);
        let mut late_or_lost = BTreeSet::new();
        run(&mut bench, &flights, |bench, (_, _, _, range), verdict| {
            let now = bench.now;
            if verdict == Verdict::Late {
                late_or_lost.extend(range.clone());
            }
            arrivals.push((range.start, now));
            let counters = *bench.stream.counters();
            let open_since = |expected| {
                arrivals.iter().filter(|(first, _)| *first > expected).map(|(_, at)| *at).min()
            };
            if counters.gaps > gaps && counters.window_overflows == overflows {
                let since = open_since(expected).unwrap();
                assert!(now >= since + hole_wait, "given up at {now}, open since {since}, wait {hole_wait}");
            }
            if let Some(hole) = bench.stream.hole() {
                let since = open_since(hole.start).unwrap();
                assert!(now < since + hole_wait, "{hole:?} open at {now}, since {since}, wait {hole_wait}");
            }
            (gaps, overflows, expected) = (counters.gaps, counters.window_overflows, bench.stream.expected());
        });
        bench.wait(hole_wait);
        prop_assert_eq!(bench.stream.hole(), None);
        let arrived = sent(&flights, SESSION);
        let (delivered, lost) = (bench.sink.delivered(), bench.sink.lost());
        // Each message that arrived was handed on, or came after it was declared lost.
        let unseen: BTreeSet<_> = arrived.difference(&delivered).copied().collect();
        prop_assert!(unseen.is_subset(&lost), "vanished: {:?}", unseen.difference(&lost));
        let all: BTreeSet<_> = delivered.union(&lost).copied().collect();
        prop_assert_eq!(all.len(), delivered.len() + lost.len());
        prop_assert_eq!(all, (1..bench.stream.expected()).collect::<BTreeSet<_>>());
        check_counters(&bench)?;
    }

    /// Lines that keep order need no clock: a hole is open only while a line may still bring it.
    #[test]
    fn ordered_lines_give_gaps_without_waiting(ways in ways(25, 0)) {
        let mut bench = Bench::new(StreamConfig { lines_reorder: false, ..PATIENT });
        let flights = fly(&ways, SESSION, 0);
        let mut reached = [0; 2];
        run(&mut bench, &flights, |bench, (_, line, _, range), _| {
            reached[*line as usize] = range.end.max(reached[*line as usize]);
            if let Some(hole) = bench.stream.hole() {
                assert!(reached.iter().any(|end| *end <= hole.start), "{hole:?} was passed by both: {reached:?}");
            }
        });
        let end = 1 + ways.iter().map(|way| way.cuts.iter().sum::<u64>()).min().unwrap();
        for line in Line::ALL {
            bench.packet(line, &heartbeat(SESSION, end));
        }
        let arrived = sent(&flights, SESSION);
        prop_assert_eq!(bench.sink.lost(), (1..end).filter(|it| !arrived.contains(it)).collect::<BTreeSet<_>>());
        prop_assert_eq!(bench.sink.delivered(), arrived);
        prop_assert_eq!(bench.stream.expected(), end);
        check_counters(&bench)?;
    }

    /// A roll in mid-flight, the lines changing over at different times: the new session loses only what both lost.
    #[test]
    fn a_roll_costs_the_new_session_nothing(old in ways(20, 300), new in ways(10, 0), pause in 0..300_u64) {
        let mut bench = Bench::new(PATIENT);
        let before = fly(&old, SESSION, 0);
        let departure = before.last().map_or(0, |flight| flight.0) + pause;
        // Each line sends the old session to its end and then the new one, but the lines overlap freely.
        let mut new = new;
        for (way, old) in new.iter_mut().zip(&old) {
            way.lag = old.lag;
        }
        let after = fly(&new, NEXT, departure.saturating_sub(600));
        let mut flights = [before, after.clone()].concat();
        flights.sort_by_key(|flight| flight.0);
        for line in Line::ALL {
            // In order on each line: what is still of the old session goes before the new one's first.
            let first_new = flights.iter().position(|flight| flight.1 == line && flight.2 == NEXT);
            let mut place = 0;
            flights.retain(|flight| {
                place += 1;
                flight.1 != line || flight.2 == NEXT || first_new.is_none_or(|first| place <= first)
            });
        }
        let sure = Line::ALL.iter().any(|line| {
            flights.iter().filter(|flight| flight.1 == *line && flight.2 == NEXT).count() >= 4
        });
        prop_assume!(sure && flights.iter().any(|flight| flight.2 == SESSION));
        prop_assume!(flights.first().is_some_and(|flight| flight.2 == SESSION));
        run(&mut bench, &flights, |_, _, _| ());
        bench.wait(PATIENT.hole_wait);
        let roll = bench.sink.told.iter().position(|told| *told == Told::Session(NEXT, 1));
        let told = bench.sink.told.split_off(roll.expect("rolled"));
        prop_assert_eq!(told.iter().filter(|told| matches!(told, Told::Session(..))).count(), 1);
        let delivered: BTreeSet<_> = told
            .iter()
            .filter_map(|told| if let Told::Messages(range) = told { Some(range.clone()) } else { None })
            .flatten()
            .collect();
        prop_assert_eq!(delivered, sent(&after, NEXT));
    }

    /// With recovery, what one line's packets leave open is filled from anywhere and in any order, or given up; nothing
    /// that was received is declared lost (the recorder checks), and what is named to ask for is just what is missing.
    #[test]
    fn holes_are_what_is_missing_and_answers_fill_them(
        ways in ways(35, 100), recovery_wait in 1..3_000_u64, window_packets in 1..200_usize,
        answers in vec((0..9_u64, 1..25_u64, any::<bool>()), 1..40),
    ) {
        let config = StreamConfig { hole_wait: 150, recovery_wait, window_packets, ..PATIENT };
        let mut bench = Bench::new(config);
        let flights = fly(&ways, SESSION, 0);
        let (mut answers, mut known) = (answers.iter().cycle(), BTreeSet::new());
        run(&mut bench, &flights, |bench, (_, _, _, range), _| {
            known.extend(range.clone());
            let holes = bench.holes();
            if let Some(last) = holes.last() {
                let missing = (bench.stream.expected()..last.end).filter(|at| !known.contains(at));
                // What was given up, or cut off with the window, is no hole; what is behind the eighth is not named.
                assert_eq!(holes.iter().cloned().flatten().collect::<Vec<_>>(), missing.collect::<Vec<_>>());
            }
            let (which, size, give_up) = answers.next().unwrap();
            let Some(hole) = holes.get(usize::try_from(*which).unwrap()) else { return };
            if *give_up && *which == 0 {
                bench.abandon(hole.start + size);
            } else {
                let part = (hole.end - size.min(&(hole.end - hole.start)))..hole.end;
                bench.sink.received.entry(SESSION).or_default().extend(part.clone());
                match bench.recovered(&data(SESSION, part.clone())) {
                    Verdict::NoRoom => {
                        for sequence in part {
                            bench.sink.received.entry(SESSION).or_default().remove(&sequence);
                        }
                    }
                    Verdict::Delivered | Verdict::Held => known.extend(part),
                    verdict => panic!("{part:?} of {holes:?}: {verdict:?}"),
                }
            }
        });
        bench.wait(config.recovery_wait.max(config.hole_wait));
        prop_assert_eq!(bench.stream.hole(), None);
        let (delivered, lost) = (bench.sink.delivered(), bench.sink.lost());
        let all: BTreeSet<_> = delivered.union(&lost).copied().collect();
        prop_assert_eq!(all.len(), delivered.len() + lost.len());
        prop_assert_eq!(all, (1..bench.stream.expected()).collect::<BTreeSet<_>>());
        let told = &bench.sink.told;
        let times = |which| told.iter().filter(|told| **told == which).count();
        prop_assert_eq!(times(Told::Overdue), times(Told::CaughtUp));
        prop_assert_eq!(bench.stream.counters().overdue, times(Told::Overdue) as u64);
        check_counters(&bench)?;
    }

    /// Anything at all: no panic, the sink's contract holds, and each packet is counted once.
    #[test]
    fn any_bytes_are_harmless(
        packets in vec((any::<bool>(), hostile(), 0..200_u64), 1..300),
        window_packets in 0..40_usize, lines_reorder: bool, skew_slots in 0..5_usize,
        recovery_wait in prop_oneof![Just(0_u64), 1..2_000_u64],
    ) {
        let config = StreamConfig {
            window_packets, lines_reorder, recovery_wait, skew_slots, max_payload: 200, lost_ranges: 2, quiet: 5_000, ..CONFIG
        };
        let mut bench = Bench::new(config);
        bench.sink.garbled = true;
        for (count, (b, payload, ticks)) in packets.iter().enumerate() {
            let line = if *b { Line::B } else { Line::A };
            bench.packet(line, payload);
            bench.wait(*ticks);
            if count % 4 == 3 {
                bench.recovered(payload);
            }
            if count % 25 == 24 {
                bench.abandon(bench.stream.expected().saturating_add(ticks / 20));
            }
            let holes = bench.holes();
            prop_assert!(holes.is_empty() || bench.stream.is_overdue());
            prop_assert!(holes.iter().all(|hole| hole.start < hole.end));
            prop_assert!(holes.windows(2).all(|two| two[0].end <= two[1].start));
            prop_assert!(recovery_wait > 0 || !bench.stream.is_overdue());
            if let Some(hole) = bench.stream.hole() {
                prop_assert!(hole.start < hole.end && hole.start == bench.stream.expected());
            }
            prop_assert!(bench.stream.lost().len() <= 2);
        }
        for line in Line::ALL {
            let counters = bench.stream.line_counters(line);
            let verdicts = counters.first + counters.duplicates + counters.late + counters.wrong_session
                + counters.after_end + counters.implausible + counters.sequence_zero + counters.malformed.total()
                + counters.heartbeats + counters.ends_of_session;
            // A newcomer's packets are counted as of the wrong session first, its heartbeats never twice.
            prop_assert_eq!(counters.packets, verdicts);
        }
        prop_assert_eq!(bench.stream.counters().gaps, bench.sink.gaps().count() as u64);
    }
}

/// Packets from an enemy: plausible, near, far, at the ends of the number space, cut, flipped, or noise.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let session = prop_oneof![8 => Just(SESSION), 3 => Just(NEXT), 1 => Just(*b"STRAY     ")];
    let first = prop_oneof![
        8 => 1..60_u64,
        2 => 100_000..100_100_u64,
        1 => (u64::MAX - 50)..=(u64::MAX - 45),
        1 => any::<u64>().prop_map(|any| any.min(u64::MAX - 50)),
    ];
    let valid = (session, first, 0..30_u64, 0..10_u8).prop_map(|(session, first, count, kind)| match kind {
        0 => heartbeat(session, first),
        1 => end_of_session(session, first),
        2 => control(session, u64::MAX, u16::try_from(count).unwrap()),
        _ => data(session, first..first + count),
    });
    let valid = valid.boxed();
    prop_oneof![
        10 => valid.clone(),
        1 => (valid.clone(), any::<prop::sample::Index>()).prop_map(|(mut packet, at)| {
            packet.truncate(at.index(packet.len() + 1));
            packet
        }),
        1 => (valid, any::<prop::sample::Index>(), 0..8_u8).prop_map(|(mut packet, at, bit)| {
            let at = at.index(packet.len());
            packet[at] ^= 1 << bit;
            packet
        }),
        1 => vec(any::<u8>(), 0..20),
    ]
}
