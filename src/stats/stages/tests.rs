//! Tests of the stage clock.

use super::*;

/// One tick is one ns.
fn gigahertz() -> Clock {
    Clock::from_hz(1_000_000_000).unwrap()
}

fn sample(rx: u64, stamps: &[(Stamp, u64)]) -> StageSample {
    let mut sample = StageSample::new(rx);
    for (stamp, tsc) in stamps {
        sample.mark(*stamp, *tsc);
    }
    sample
}

#[test]
fn a_sample_is_less_than_a_cache_line() {
    assert_eq!(size_of::<StageSample>(), 48);
}

#[test]
fn each_stage_counts_its_own_part() {
    let (mut recorder, mut histograms) = stages(4, gigahertz());
    recorder.record(sample(
        1_000,
        &[
            (Stamp::Received, 1_003),
            (Stamp::Begun, 1_007),
            (Stamp::Decoded, 1_013),
            (Stamp::Booked, 1_033),
            (Stamp::Featured, 1_040),
            (Stamp::Inferred, 1_052),
            (Stamp::Decided, 1_063),
            (Stamp::Checked, 1_103),
            (Stamp::Sent, 1_153),
        ],
    ));
    assert_eq!(histograms.drain(), 1);
    let max = histograms.rows(Passes::Warm).map(|row| (row.name, row.count, row.max));
    let parts = [
        ("receive", 3),
        ("wait", 4),
        ("decode", 6),
        ("book", 20),
        ("features", 7),
        ("inference", 12),
        ("signal", 11),
        ("risk", 40),
        ("order", 50),
        ("rx_to_tx", 153),
    ];
    assert_eq!(max, parts.map(|(name, ns)| (name, 1, ns)));
}

#[test]
fn a_pass_that_ends_early_counts_where_it_came() {
    let (_, mut histograms) = stages(1, gigahertz());
    histograms.add(&sample(0, &[(Stamp::Decoded, 5), (Stamp::Decided, 25)]));
    assert_eq!(histograms.rows(Passes::All).map(|row| row.count), [0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    // The stage that was skipped is part of the next one, not lost.
    assert_eq!(histograms.row(Stage::Signal, Passes::All).max, 20);
    assert_eq!(
        histograms.row(Stage::Order, Passes::All).cells(),
        ["order", "0", "-", "-", "-", "-", "-", "-"]
    );
}

#[test]
fn odd_times_saturate() {
    let back = sample(100, &[(Stamp::Decoded, 40)]);
    assert_eq!(back.since_poll(Stamp::Decoded), Some(0));
    let late = sample(0, &[(Stamp::Sent, u64::MAX)]);
    assert_eq!(late.since_poll(Stamp::Sent), Some(u32::MAX - 1));
    assert_eq!(late.since_poll(Stamp::Checked), None);
    let (_, mut histograms) = stages(1, gigahertz());
    // Stamps out of order: the second stage took no time rather than a huge one.
    histograms.add(&sample(0, &[(Stamp::Decoded, 50), (Stamp::Booked, 30)]));
    assert_eq!(histograms.row(Stage::Book, Passes::All).max, 0);
}

#[test]
fn a_full_ring_drops_and_counts() {
    let (mut recorder, mut histograms) = stages(2, gigahertz());
    for rx in 0..5 {
        recorder.record(sample(rx, &[(Stamp::Decoded, rx + 1)]));
    }
    assert_eq!(recorder.dropped(), 3);
    assert_eq!((histograms.drain(), histograms.drain()), (2, 0));
    recorder.record(StageSample::new(9));
    assert_eq!((recorder.dropped(), histograms.drain()), (3, 1));
}

#[test]
fn quantiles_match_the_samples_to_three_digits() {
    let (_, mut histograms) = stages(1, gigahertz());
    for ns in 1..=10_000 {
        histograms.add(&sample(0, &[(Stamp::Decoded, ns)]));
    }
    let row = histograms.row(Stage::Decode, Passes::All);
    assert_eq!((row.count, row.name), (10_000, "decode"));
    for (got, exact) in [
        (row.p50, 5_000),
        (row.p90, 9_000),
        (row.p99, 9_900),
        (row.p999, 9_990),
        (row.p9999, 9_999),
        (row.max, 10_000),
    ] {
        assert!(got.abs_diff(exact) <= exact / 1_000, "{got} for {exact}");
    }
    assert_eq!(row.cells().len(), StageRow::HEADS.len());
    histograms.reset();
    assert_eq!(histograms.row(Stage::Decode, Passes::All).count, 0);
}

#[test]
fn samples_cross_threads() {
    let (mut recorder, mut histograms) = stages(64, gigahertz());
    let hot = std::thread::spawn(move || {
        for rx in 0..10_000 {
            recorder.record(sample(rx, &[(Stamp::Decoded, rx + 7)]));
        }
        recorder.dropped()
    });
    let mut counted = 0;
    while !hot.is_finished() {
        counted += histograms.drain();
    }
    counted += histograms.drain();
    let dropped = hot.join().unwrap();
    assert_eq!(counted as u64 + dropped, 10_000);
    let row = histograms.row(Stage::Decode, Passes::All);
    assert_eq!((row.count, row.p50), (counted as u64, 7));
}

#[test]
fn cold_and_warm_passes_are_told_apart_and_add_up() {
    let (_, mut histograms) = stages(1, gigahertz());
    histograms.add(&sample(0, &[(Stamp::Decoded, 5)]));
    histograms.add(&sample(0, &[(Stamp::Decoded, 7)]));
    histograms.add(&sample(0, &[(Stamp::Decoded, 500)]).cold(true));
    let of = |passes| histograms.row(Stage::Decode, passes);
    assert_eq!((of(Passes::Warm).count, of(Passes::Warm).max, of(Passes::Warm).total), (2, 7, 12));
    assert_eq!((of(Passes::Cold).count, of(Passes::Cold).p50), (1, 500));
    assert_eq!((of(Passes::All).count, of(Passes::All).total), (3, 512));
    histograms.reset();
    assert_eq!(histograms.row(Stage::Decode, Passes::Cold).count, 0);
}

#[test]
fn reading_the_clock_is_not_counted() {
    let clock = Clock::calibrate(std::time::Duration::from_millis(2)).unwrap();
    let cost = clock.read_cost();
    assert!(cost > 0);
    let (_, mut histograms) = stages(1, clock);
    let ticks = |ns: u64| clock.ticks(ns);
    // Two stages of one microsecond each, and the reads at their ends.
    let stamps = [(Stamp::Decoded, ticks(1_000) + cost), (Stamp::Sent, 2 * (ticks(1_000) + cost))];
    histograms.add(&sample(0, &stamps));
    for (stage, ns) in [(Stage::Decode, 1_000), (Stage::Order, 1_000), (Stage::RxToTx, 2_000u64)] {
        let got = histograms.row(stage, Passes::All).max;
        assert!(got.abs_diff(ns) <= 2, "{stage:?}: {got}");
    }
}

#[test]
fn a_poll_is_counted_with_its_first_message_only() {
    let (_, mut histograms) = stages(1, gigahertz());
    let stamps = [(Stamp::Received, 40), (Stamp::Decoded, 50), (Stamp::Sent, 90)];
    histograms.add(&sample(0, &stamps));
    histograms.add(&sample(0, &stamps).later(true));
    let counts =
        [Stage::Receive, Stage::Decode, Stage::RxToTx].map(|stage| histograms.row(stage, Passes::All).count);
    assert_eq!(counts, [1, 2, 2]);
    // The way of the second begins with the poll all the same.
    assert_eq!(histograms.row(Stage::RxToTx, Passes::All).total, 180);
}
