//! What a message costs where more and more orders are live.
//!
//! For each number of live orders a stream climbs to it first. Then blocks of messages of the steady state are taken, the
//! first tenth of each untimed: the numbers take turns, so every block begins with what the others left in the caches.

use std::io;
use std::time::Instant;

use wirebook::book::Limits;

use crate::contest::Contestant;
use crate::ours::Ours;
use crate::packets::{BURST, Packed, blocks};
use crate::stats::Rounds;
use crate::stream::{Shape, Stream};

/// Numbers of live orders.
pub const LIVE: [u32; 7] = [100_000, 200_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 7_000_000];

/// What came of one number.
#[derive(Debug)]
pub struct Point {
    /// Orders that were live at the end.
    pub live: u64,
    /// Price levels at the end.
    pub levels: u64,
    /// ns a message, round by round.
    pub ns: Rounds,
    /// Anomalies and unread messages; to be 0.
    pub faults: u64,
}

struct Course {
    ours: Ours,
    blocks: Vec<Packed>,
    point: Point,
}

/// Measures each of `live`, a block of `messages` in each round.
///
/// # Errors
/// No memory for books.
pub fn measure(
    live: &[u32],
    messages: usize,
    rounds: u32,
    mut progress: impl FnMut(&str),
) -> io::Result<Vec<Point>> {
    let mut courses = Vec::with_capacity(live.len());
    for &live in live {
        progress(&format!("climbing to {live} live orders"));
        courses.push(course(live, messages, rounds)?);
    }
    for round in 0..rounds as usize {
        progress(&format!("round {} of {rounds}: {} blocks", round + 1, courses.len()));
        for course in &mut courses {
            let (packets, total) = course.blocks[round].packets(u64::MAX);
            let (first, untimed) = course.blocks[round].packets(total / 10);
            first.chunks(BURST).for_each(|burst| course.ours.burst(burst));
            let began = Instant::now();
            packets[first.len()..].chunks(BURST).for_each(|burst| course.ours.burst(burst));
            course.point.ns.push(began.elapsed().as_nanos() as f64 / (total - untimed) as f64);
        }
    }
    Ok(courses.into_iter().map(Course::end).collect())
}

impl Course {
    fn end(mut self) -> Point {
        let usage = self.ours.books().usage();
        (self.point.live, self.point.levels) = (u64::from(usage.orders), u64::from(usage.levels));
        self.point.faults = self.ours.faults();
        self.point
    }
}

fn course(live: u32, messages: usize, rounds: u32) -> io::Result<Course> {
    // The same limits for all of them: only the number of live orders differs.
    let mut ours = Ours::new(Limits::default()).map_err(io::Error::other)?;
    let mut shape = Shape::live_of(live);
    shape.messages = shape.messages.max(u64::from(live) * 2 + messages as u64 * (u64::from(rounds) + 2));
    let mut stream = Stream::new(&shape);
    let mut bytes = Vec::new();
    let mut packed = Packed::default();
    while !stream.climbed() && take(&mut stream, &mut bytes, &mut packed, 1 << 16) > 0 {
        packed.packets(u64::MAX).0.chunks(BURST).for_each(|burst| ours.burst(burst));
    }
    let mut blocks = Vec::with_capacity(rounds as usize);
    for _ in 0..rounds {
        let mut block = Packed::with_room_for(messages as u64);
        if take(&mut stream, &mut bytes, &mut block, messages) < messages {
            return Err(io::Error::other(format!("the stream of {live} live orders is too short")));
        }
        blocks.push(block);
    }
    let point = Point { live: 0, levels: 0, ns: Rounds::default(), faults: 0 };
    Ok(Course { ours, blocks, point })
}

/// Packs the next messages of `stream`, instead of what `packed` had.
pub(crate) fn take(stream: &mut Stream, bytes: &mut Vec<u8>, packed: &mut Packed, messages: usize) -> usize {
    bytes.clear();
    let taken = stream.fill(bytes, messages);
    packed.clear();
    blocks(bytes).for_each(|block| packed.push(block));
    packed.close();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_reached_without_faults() {
        let points = measure(&[60_000, 120_000], 40_000, 2, |_| {}).unwrap();
        for (point, live) in points.iter().zip([60_000.0, 120_000.0]) {
            assert!((0.8 * live..1.1 * live).contains(&(point.live as f64)), "{point:?}");
            assert_eq!(point.faults, 0);
            assert!(point.ns.min() > 0.0);
        }
    }
}
