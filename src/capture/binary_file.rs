//! Nasdaq BinaryFILE: each message behind a 16-bit big-endian length. A length of zero ends the session.

use std::io::Read;

use super::window::Window;
use super::{Fault, Step};

/// Longest message with which a file may begin and still be taken for a BinaryFILE; ITCH 5.0 has at most 50 bytes.
const MAX_FIRST: u16 = 64;

/// True if a file could begin like this: a short message whose type is a letter.
pub(super) fn is_plausible(head: &[u8]) -> bool {
    matches!(*head, [high, low, kind, ..]
        if (1..=MAX_FIRST).contains(&u16::from_be_bytes([high, low])) && kind.is_ascii_alphabetic())
}

pub(super) fn step<R: Read>(window: &mut Window<R>) -> Result<Step, Fault> {
    let have = window.ensure(2)?;
    let (high, low) = match *window.bytes() {
        [] => return Ok(Step::End),
        [_] => return Ok(Step::Truncated(1)),
        [high, low, ..] => (high, low),
    };
    let len = u16::from_be_bytes([high, low]);
    if len == 0 {
        return Ok(Step::EndMark(2));
    }
    let total = 2 + usize::from(len);
    if have < total {
        let have = window.ensure(total)?;
        if have < total {
            return Ok(Step::Truncated(have));
        }
    }
    Ok(Step::Record {
        at: 2,
        len: usize::from(len),
        stamp_ns: None,
        original_len: u32::from(len),
        link_type: 0,
        own: None,
        total,
    })
}
