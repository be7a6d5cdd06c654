//! Once made, a stream allocates nothing, whatever it is sent.

use std::ops::Range;

use wirebook::feed::handover::{HOLES, Hole};
use wirebook::feed::{Line, Sink, Stream, StreamConfig};
use wirebook::wire::moldudp64::Blocks;

use crate::counting;
use crate::model::{CONFIG, FOREIGN, NEXT, SESSION, data, end_of_session, heartbeat};

/// Adds up lengths, so that every byte is really looked at.
#[derive(Default)]
struct Sum {
    bytes: usize,
    gaps: u64,
}

impl Sink for Sum {
    fn session(&mut self, _: [u8; 10], _: u64) {}
    fn messages(&mut self, _: u64, blocks: Blocks<'_>) {
        self.bytes += blocks.map(<[u8]>::len).sum::<usize>();
    }
    fn gap(&mut self, missing: Range<u64>) {
        self.gaps += missing.end - missing.start;
    }
    fn end_of_session(&mut self) {}
}

#[test]
fn nothing_is_allocated_after_construction() {
    let mut packets = Vec::new();
    for day in [SESSION, NEXT, FOREIGN] {
        for turn in 0..400_u64 {
            let first = 1 + turn * 4;
            let (line, other) = if turn % 3 == 0 { (Line::B, Line::A) } else { (Line::A, Line::B) };
            if turn % 5 != 0 {
                packets.push((line, data(day, first..first + 4)));
            }
            if turn % 7 != 0 && turn >= 3 {
                packets.push((other, data(day, first - 12..first - 8)));
            }
            if turn % 11 == 0 {
                packets.push((line, data(day, first + 8..first + 12)));
                packets.push((line, heartbeat(day, first + 2)));
                packets.push((other, data(FOREIGN, first..first + 1)));
                packets.push((other, data(day, first + 10_000_000..first + 10_000_004)));
                packets.push((other, vec![0; usize::try_from(turn).unwrap()]));
            }
        }
        // The second session rolls without an end of the first.
        if day != SESSION {
            packets.push((Line::A, end_of_session(day, 10_000)));
        }
    }
    let mut stream =
        Stream::new(StreamConfig { max_payload: 9_000, lost_ranges: 3, recovery_wait: 500, ..CONFIG });
    let mut sum = Sum::default();
    let mut holes = [Hole::default(); HOLES];
    let calls = counting::calls(|| {
        for (now, (line, packet)) in (0..).step_by(20).zip(&packets) {
            stream.on_packet(*line, packet, now, &mut sum);
            stream.on_tick(now + 10, &mut sum);
            if now % 600 == 0
                && let Some((_, ahead)) = packets.get(usize::try_from(now / 20 + 7).unwrap())
            {
                stream.on_recovered(ahead, now + 11, &mut sum);
            }
            stream.holes(&mut holes);
            if now % 900 == 0 {
                stream.abandon(holes[0].end, now + 12, &mut sum);
            }
        }
    });
    assert_eq!(calls, 0);
    // It went through everything that could have allocated.
    let counters = stream.counters();
    assert!(sum.bytes > 10_000 && sum.gaps > 0, "{} bytes, {} lost", sum.bytes, sum.gaps);
    assert!(counters.held > 100 && counters.released > 50, "{counters:?}");
    assert!(counters.overdue > 10 && counters.abandoned > 0, "{counters:?}");
    assert!(counters.lost_forgotten > 0 && counters.sessions >= 3 && counters.recovered > 0, "{counters:?}");
}
