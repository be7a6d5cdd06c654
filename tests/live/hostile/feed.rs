//! Somebody else sends to the feed's groups. A lone packet is not believed; several in a row of one line are, which costs
//! the books, until the exchange is heard again and its servers mend them.

use std::time::Duration;

use super::network::Network;
use super::peers::{Peer, Tally, again, packet};
use super::{HONEST, Played, hostile, play, requests_from, snapshot_from};
use crate::programs::say;

const OURS: [u8; 10] = *b"WIREBOOK01";

/// Plays while `work` sends to both groups; the books are the exchange's in the end.
fn disturbed(
    test: &str,
    network: &Network,
    work: impl FnOnce(&Tally, &mut dyn FnMut(&[u8])) + Send + 'static,
) -> Played {
    let recovery = requests_from(HONEST[0]) + &snapshot_from(HONEST[1]);
    let played = play(network, &recovery, &["--plan", "2s lose 50"], || Peer::sender(network, work));
    say(&format!("{test}: {} sessions", played.report.count("stream_sessions")));
    played.is_sound(test);
    played.is_right(test);
    played
}

#[test]
fn live_hostile_feed_jumps_to_the_end_of_numbers() {
    hostile("live_hostile_feed_jumps_to_the_end_of_numbers", |network, test| {
        let played = disturbed(test, network, |tally, send| {
            again(tally, Duration::from_millis(5), Duration::from_secs(2), |round| {
                for sequence in [u64::MAX, u64::MAX - 1, u64::MAX - 2] {
                    send(&packet(OURS, sequence, u16::try_from(round % 3).unwrap(), &[b"D", b"D"]));
                }
                // Now and then so many in a row that they are believed.
                if round % 100 == 50 {
                    for sequence in u64::MAX - 65..u64::MAX - 1 {
                        send(&packet(OURS, sequence, 1, &[b"D"]));
                    }
                }
            });
        });
        played.counted("line_a_implausible");
        played.counted("line_a_mold_sequence_overflow");
        played.counted("stream_jumps");
        played.says("sequence far from the feed's");
    });
}

#[test]
fn live_hostile_feed_of_many_sessions() {
    hostile("live_hostile_feed_of_many_sessions", |network, test| {
        let played = disturbed(test, network, |tally, send| {
            again(tally, Duration::from_micros(500), Duration::from_secs(2), |round| {
                let mut session = *b"EVIL000000";
                session[4..].copy_from_slice(format!("{:06}", round % 1_000_000).as_bytes());
                send(&packet(session, 1 + round, 1, &[b"D"]));
            });
        });
        played.counted("line_a_wrong_session");
        assert_eq!(played.report.count("stream_sessions"), 1, "{}", played.all());
        played.says("packets of another session");
    });
}

/// Somebody tells the end of the session, and the feed goes on: the end was none.
#[test]
fn live_hostile_feed_that_ends_and_goes_on() {
    hostile("live_hostile_feed_that_ends_and_goes_on", |network, test| {
        let played = disturbed(test, network, |_, send| {
            // The first that is not behind the feed is believed; it is reached at once.
            for end in (1..20_000).step_by(20) {
                send(&packet(OURS, end, u16::MAX, &[]));
            }
        });
        played.counted("line_a_after_end");
        played.counted("stream_reopened");
        played.says("after the end of the session");
    });
}
