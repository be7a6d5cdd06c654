//! ns a message of a whole stream: wirebook, the reference loops, decoders and peers in turns.

use crate::contest::{Contestant, Entry, Holds, Outcome, hold};
use crate::ours::{Decode, OneByOne, Ours};
use crate::packets::{BURST, Packed, Packet};
use crate::peers;
use crate::reference::{Touch, Walk};
use wirebook::book::Limits;

/// Name of our line: packets at once.
pub const OURS: &str = "wirebook, full packets";
/// Name of our line: message by message.
pub const ONE_BY_ONE: &str = "wirebook, message by message";
/// Name of our decoder's line.
pub const DECODE: &str = "wirebook decode";
/// Name of the reference loop's line.
pub const REFERENCE: &str = "reference loop";
/// Name of the walk's line.
pub const WALK: &str = "length prefixes";

/// Which lines there are besides the reference loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field {
    /// Books.
    pub books: bool,
    /// Decoders, and the walk over the length prefixes.
    pub decoders: bool,
    /// Other people's, of what is asked for.
    pub peers: bool,
}

fn ours(limits: Limits) -> Ours {
    // Not enough memory for the default limits is no machine to measure on.
    Ours::new(limits).unwrap_or_else(|error| panic!("{error}"))
}

fn entry<'a, C: Contestant + 'a>(
    name: &'static str,
    keeps: &'static str,
    make: impl Fn(&'a Packed) -> C + 'a,
) -> Entry<'a> {
    Entry { name, keeps, at_most: u64::MAX, make: Box::new(move |stream, _| Box::new(make(stream))) }
}

/// Measures `stream`.
pub fn measure(stream: &Packed, field: Field, rounds: u32, progress: impl FnMut(&str)) -> Vec<Outcome> {
    let limits = Limits::default();
    let mut entries = vec![entry(REFERENCE, "one touch of the order's record, 16 ahead", Touch::new)];
    if field.books {
        entries.push(entry(OURS, "every order in its queue, checks, states, signal", move |_| ours(limits)));
        entries.push(entry(ONE_BY_ONE, "the same", move |_| OneByOne(ours(limits))));
        if field.peers {
            entries.extend(peers::books());
        }
    }
    if field.decoders {
        entries.push(entry(WALK, "nothing", |_| Walk::default()));
        entries.push(entry(DECODE, "every field, as a record", |_| Decode::default()));
        if field.peers {
            entries.extend(peers::decoders());
        }
    }
    let truth = |packets: &[Packet<'_>]| -> Holds {
        let mut books = ours(limits);
        packets.chunks(BURST).for_each(|burst| books.burst(burst));
        books.held()
    };
    hold(stream, &entries, rounds, truth, progress)
}
