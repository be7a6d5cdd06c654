//! What the market says goes one way: into the archive, then to the publisher.

use super::Output;
use crate::archive::Archive;
use crate::lines::Line;
use crate::publisher::{self, Publisher};

/// Publisher and archive, in step: a message has the same sequence in both.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) publisher: Publisher,
    pub(super) archive: Archive,
}

impl Feed {
    pub(super) fn new(config: &publisher::Config, archive_bytes: usize) -> Self {
        Self { publisher: Publisher::new(config), archive: Archive::new(config.session, archive_bytes) }
    }

    /// Says a message.
    pub(super) fn say(&mut self, at: u64, message: &[u8], out: &mut impl FnMut(Output<'_>)) {
        // No ITCH message is longer than a packet; one that were would have no sequence either.
        if self.publisher.push(at, message, &mut |line, _, packet| arrives(line, packet, out)).is_ok() {
            self.archive.push(message);
        }
    }

    pub(super) fn tick(&mut self, at: u64, out: &mut impl FnMut(Output<'_>)) {
        self.publisher.tick(at, &mut |line, _, packet| arrives(line, packet, out));
    }

    pub(super) fn lose_on_both(&mut self, at: u64, messages: u32, out: &mut impl FnMut(Output<'_>)) {
        self.publisher.lose_on_both(at, messages, &mut |line, _, packet| arrives(line, packet, out));
    }

    pub(super) fn close(&mut self, at: u64, out: &mut impl FnMut(Output<'_>)) {
        self.publisher.close(at, &mut |line, _, packet| arrives(line, packet, out));
    }

    /// Begins the next session and returns its name. If `said`, the end of the one before is told.
    pub(super) fn roll(&mut self, at: u64, said: bool, out: &mut impl FnMut(Output<'_>)) -> [u8; 10] {
        let session = next_session(self.publisher.session());
        self.publisher.roll(at, session, said, &mut |line, _, packet| arrives(line, packet, out));
        self.archive.roll(session);
        session
    }
}

/// Hands out a copy that arrives on a line.
fn arrives(line: Line, payload: &[u8], out: &mut impl FnMut(Output<'_>)) {
    out(Output::Line(line, payload));
}

/// The session after this one: the number at the end of its name is counted up, and goes round.
fn next_session(session: [u8; 10]) -> [u8; 10] {
    let mut next = session;
    for digit in next.iter_mut().rev() {
        match *digit {
            b'9' => *digit = b'0',
            b'0'..=b'8' => {
                *digit += 1;
                break;
            }
            _ => break,
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::next_session;

    #[test]
    fn sessions_are_counted_up() {
        for (session, next) in [
            (b"WIREBOOK01", b"WIREBOOK02"),
            (b"WIREBOOK99", b"WIREBOOK00"),
            (b"0000000199", b"0000000200"),
            (b"9999999999", b"0000000000"),
        ] {
            assert_eq!(next_session(*session), *next);
        }
        // A name without a number stays as it is.
        assert_eq!(next_session(*b"SESSION   "), *b"SESSION   ");
    }
}
