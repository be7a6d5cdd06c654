//! The splice itself: snapshots from around the one sequence that is right.

use exchange::rng::Rng;
use wirebook::market::BookState;

use crate::day::{Day, SYMBOLS};
use crate::rig::{Options, Rig};

/// A gap before `resume`; then the feed goes on to `upto`, and a snapshot as of `next` comes.
fn splice(day: &Day, resume: u64, upto: u64, next: u64) -> Rig {
    let mut rig = Rig::new(&Options::default());
    rig.play(day, 1, resume - 5, 7);
    rig.play(day, resume, upto, 3);
    rig.turns(10);
    assert_eq!(rig.need().oldest, resume, "the wish begins behind the gap");
    assert_eq!(rig.live(), [0_u16; 0]);
    rig.snapshot(&day.teller(next).snapshot(), next);
    rig
}

#[test]
fn a_snapshot_from_around_the_end_of_the_gap_is_exact_or_refused() {
    let day = Day::new(1, 6_000);
    let mut rng = Rng::new(1);
    for _ in 0..40 {
        let resume = 1_500 + u64::from(rng.below(3_000));
        for next in resume - 2..=resume + 2 {
            let upto = resume + 20;
            let mut rig = splice(&day, resume, upto, next);
            if next < resume {
                assert_eq!(rig.live(), [0_u16; 0], "N = {next}, the feed is whole from {resume}");
                assert_eq!(rig.count("repair_refused_old"), 1);
                assert_ne!(rig.need().snapshot, 0, "another one is wanted");
                // The next one is right.
                rig.snapshot(&day.teller(upto).snapshot(), upto);
            }
            assert_eq!(rig.agrees(&day.teller(upto)), usize::from(SYMBOLS), "N = {next}");
            assert_eq!(rig.need().snapshot, 0);
            rig.play(&day, upto, upto + 500, 11);
            assert_eq!(rig.agrees(&day.teller(upto + 500)), usize::from(SYMBOLS), "N = {next}");
            assert_eq!(rig.count("book_anomalies"), 0);
        }
    }
}

#[test]
fn a_snapshot_from_around_the_newest_message_is_exact_when_the_feed_has_come_so_far() {
    let day = Day::new(2, 6_000);
    let mut rng = Rng::new(2);
    for _ in 0..40 {
        let resume = 1_500 + u64::from(rng.below(3_000));
        let upto = resume + 30;
        for next in upto - 2..=upto + 2 {
            let mut rig = splice(&day, resume, upto, next);
            for at in upto..next {
                assert_eq!(rig.live(), [0_u16; 0], "the feed is at {at}, the snapshot at {next}");
                assert_eq!(rig.state(1), BookState::Recovering);
                rig.play(&day, at, at + 1, 1);
            }
            let now = next.max(upto);
            assert_eq!(rig.agrees(&day.teller(now)), usize::from(SYMBOLS), "N = {next}");
            rig.play(&day, now, now + 500, 11);
            assert_eq!(rig.agrees(&day.teller(now + 500)), usize::from(SYMBOLS), "N = {next}");
            assert_eq!(rig.count("book_anomalies"), 0);
        }
    }
}

#[test]
fn a_sequence_stated_too_low_is_found_by_the_orders_that_come_twice() {
    let day = Day::new(3, 6_000);
    let resume = 2_000;
    for lie in 1..=2 {
        let mut tried = 0;
        for next in (resume + 10..resume + 400)
            .filter(|next| day.range(next - lie, *next).iter().all(|message| b"AF".contains(&message[0])))
            .take(20)
        {
            let upto = resume + 500;
            let mut rig = Rig::new(&Options::default());
            rig.play(&day, 1, resume - 5, 7);
            rig.play(&day, resume, upto, 3);
            rig.turns(10);
            rig.snapshot(&day.teller(next).snapshot(), next - lie);
            assert!(rig.count("book_add_duplicate") >= lie.min(1), "N = {next}, stated {}", next - lie);
            let wrong: Vec<_> =
                day.range(next - lie, next).iter().map(|message| crate::day::locate(message)).collect();
            assert!(rig.live().iter().all(|live| !wrong.contains(live)));
            rig.agrees(&day.teller(upto));
            // Those books alone are wanted again, and a right snapshot makes them good.
            assert_ne!(rig.need().snapshot, 0);
            rig.snapshot(&day.teller(upto).snapshot(), upto);
            assert_eq!(rig.agrees(&day.teller(upto)), usize::from(SYMBOLS));
            tried += 1;
        }
        assert!(tried >= 5, "{tried}");
    }
}
