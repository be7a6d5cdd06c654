//! Contestants, and taking them in turns.

use std::time::{Duration, Instant};

use crate::packets::{BURST, Packed, Packet};
use crate::stats::Rounds;

/// Something that takes a stream.
pub trait Contestant {
    /// Takes what one poll of a NIC would have brought.
    fn burst(&mut self, packets: &[Packet<'_>]);

    /// Called once after the last burst, timed.
    fn end(&mut self) {}

    /// What it holds at the end; `None` if it keeps no book.
    fn holds(&self) -> Option<Holds> {
        None
    }

    /// What must be said of this run, for example that something was refused.
    fn complaint(&self) -> Option<String> {
        None
    }
}

/// What books hold, as far as every kind of book can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Live orders.
    pub orders: u64,
    /// By locate: the best bid and the best ask, 0 where there is none.
    pub best: Vec<[u32; 2]>,
}

/// How a contestant's books compare with ours after the same messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Live orders: theirs and ours.
    pub orders: [u64; 2],
    /// Instruments whose best bid and ask are the same, of all that have orders.
    pub best: [usize; 2],
}

impl Agreement {
    /// Of `theirs` with `ours`.
    #[must_use]
    pub fn of(theirs: &Holds, ours: &Holds) -> Self {
        let with_orders = ours.best.iter().enumerate().filter(|(_, best)| **best != [0, 0]);
        let same =
            with_orders.clone().filter(|(locate, best)| theirs.best.get(*locate) == Some(best)).count();
        Self { orders: [theirs.orders, ours.orders], best: [same, with_orders.count()] }
    }

    /// Nothing differs.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.orders[0] == self.orders[1] && self.best[0] == self.best[1]
    }
}

/// Makes a contestant for a stream, ready to go; not timed.
pub type Make<'a> = Box<dyn Fn(&'a Packed, u64) -> Box<dyn Contestant + 'a> + 'a>;

/// One line of the field.
pub struct Entry<'a> {
    /// Its name.
    pub name: &'static str,
    /// What it keeps, or does, in a few words.
    pub keeps: &'static str,
    /// It gets only the first so many messages.
    pub at_most: u64,
    /// How it is made.
    pub make: Make<'a>,
}

/// What came of an [`Entry`].
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What it keeps, or does.
    pub keeps: &'static str,
    /// Messages of each round.
    pub messages: u64,
    /// ns a message, round by round.
    pub ns: Rounds,
    /// How its books compare with ours; `None` without books.
    pub agreement: Option<Agreement>,
    /// What must be said.
    pub complaint: Option<String>,
}

/// Lets each of `entries` take `stream`, one after the other, `rounds` times. `truth` tells what the books must hold
/// after the first so many messages.
pub fn hold<'a>(
    stream: &'a Packed,
    entries: &[Entry<'a>],
    rounds: u32,
    truth: impl Fn(&[Packet<'_>]) -> Holds,
    mut progress: impl FnMut(&str),
) -> Vec<Outcome> {
    let mut outcomes: Vec<_> = entries
        .iter()
        .map(|entry| Outcome {
            name: entry.name,
            keeps: entry.keeps,
            messages: 0,
            ns: Rounds::default(),
            agreement: None,
            complaint: None,
        })
        .collect();
    for round in 1..=rounds {
        for (entry, outcome) in entries.iter().zip(&mut outcomes) {
            progress(&format!("round {round} of {rounds}: {}", entry.name));
            let (packets, messages) = stream.packets(entry.at_most);
            let mut contestant = (entry.make)(stream, messages);
            let taken = time(contestant.as_mut(), &packets);
            outcome.messages = messages;
            outcome.ns.push(taken.as_nanos() as f64 / messages as f64);
            if outcome.complaint.is_none() {
                outcome.complaint = contestant.complaint();
            }
            if round == 1
                && let Some(holds) = contestant.holds()
            {
                outcome.agreement = Some(Agreement::of(&holds, &truth(&packets)));
            }
        }
    }
    outcomes
}

/// How long `contestant` takes for `packets`.
pub fn time(contestant: &mut dyn Contestant, packets: &[Packet<'_>]) -> Duration {
    let began = Instant::now();
    for burst in packets.chunks(BURST) {
        contestant.burst(burst);
    }
    contestant.end();
    began.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counts(u64);

    impl Contestant for Counts {
        fn burst(&mut self, packets: &[Packet<'_>]) {
            self.0 += packets.iter().map(Packet::count).sum::<u64>();
        }

        fn holds(&self) -> Option<Holds> {
            Some(Holds { orders: self.0, best: vec![[0, 0], [1, 0]] })
        }
    }

    #[test]
    fn every_entry_gets_its_messages_in_every_round() {
        let mut packed = Packed::default();
        (0..5_000).for_each(|_| packed.push(&[b'D'; 19]));
        packed.close();
        let entry = |at_most| Entry {
            name: "counts",
            keeps: "a number",
            at_most,
            make: Box::new(|_: &Packed, _| Box::new(Counts(0)) as Box<dyn Contestant>),
        };
        let mut steps = 0;
        let truth = |packets: &[Packet<'_>]| Holds {
            orders: packets.iter().map(Packet::count).sum(),
            best: vec![[0, 0], [2, 0]],
        };
        let outcomes = hold(&packed, &[entry(u64::MAX), entry(100)], 3, truth, |_| steps += 1);
        assert_eq!(steps, 6);
        assert_eq!(outcomes[0].messages, 5_000);
        assert!((100..200).contains(&outcomes[1].messages));
        for outcome in outcomes {
            let agreement = outcome.agreement.unwrap();
            assert_eq!(agreement.orders, [outcome.messages; 2]);
            assert_eq!(agreement.best, [0, 1]);
            assert!(!agreement.is_full());
            assert!(outcome.ns.min() > 0.0);
        }
    }
}
