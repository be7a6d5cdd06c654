//! Request servers that lie. What they say is not believed; the exchange's own snapshot server mends what was lost.

use std::time::Duration;

use super::network::Network;
use super::peers::{Peer, Request, Tally, again, packet};
use super::{HONEST, Played, hostile, play, requests_from, snapshot_from};
use crate::programs::say;

const LOSES: [&str; 2] = ["--plan", "2s lose 50; 3s lose 50; 4s lose 50"];

/// Plays with three holes and a request server that does as `answer` says; the books are the exchange's in the end.
fn lied_to(
    test: &str,
    network: &Network,
    answer: impl FnMut(&Request, &Tally, &mut dyn FnMut(&[u8])) + Send + 'static,
) -> Played {
    let liar = Peer::request_server(network, answer);
    let recovery = requests_from(&liar.address()) + &snapshot_from(HONEST[1]);
    let played = play(network, &recovery, &LOSES, || ());
    say(&format!("{test}: {} requests, {} bytes of answers", liar.asked(), liar.sent()));
    assert!(liar.asked() >= 3, "{} requests\n{}", liar.asked(), played.all());
    played.is_sound(test);
    played.is_right(test);
    played.counted("repair_done");
    played
}

/// What answers that are of no use look like: abandoned after all retries.
fn is_abandoned(played: &Played) {
    played
        .says("abandoned, a piece of it was not answered after all retries: check recovery.requests.servers");
    played.counted("recovery_holes_abandoned");
    assert_eq!(played.report.count("stream_recovered"), 0, "{}", played.all());
}

#[test]
fn live_hostile_answers_of_another_session() {
    hostile("live_hostile_answers_of_another_session", |network, test| {
        let played = lied_to(test, network, |request, _, send| {
            send(&packet(*b"EVIL000001", request.sequence, 2, &[b"D", b"D"]));
        });
        is_abandoned(&played);
        played.counted("recovery_answers_wrong_session");
    });
}

#[test]
fn live_hostile_answers_at_the_end_of_numbers() {
    hostile("live_hostile_answers_at_the_end_of_numbers", |network, test| {
        let played = lied_to(test, network, |request, _, send| {
            for sequence in [u64::MAX, u64::MAX - 1, u64::MAX - 2, 1 << 63, 0] {
                for count in [0, 1, 2, u16::MAX] {
                    send(&packet(request.session, sequence, count, &[b"D", b"D"]));
                }
            }
        });
        is_abandoned(&played);
        played.counted("recovery_answers_unasked");
        played.counted("recovery_answers_malformed");
        played.counted("recovery_answers_not_data");
    });
}

/// Each request is followed by a second of answers that nobody asked for.
#[test]
fn live_hostile_answers_never_asked_for() {
    hostile("live_hostile_answers_never_asked_for", |network, test| {
        let block = [b'D'; 1_400];
        let played = lied_to(test, network, move |request, tally, send| {
            again(tally, Duration::from_micros(50), Duration::from_secs(1), |round| {
                for ahead in 0..16 {
                    let sequence = request.sequence + 1_000_000 + round * 16 + ahead;
                    send(&packet(request.session, sequence, 1, &[&block]));
                }
                // Was handed on long ago.
                send(&packet(request.session, 1, 1, &[&block]));
            });
        });
        is_abandoned(&played);
        assert!(played.report.count("recovery_answers_unasked") > 10_000, "{}", played.all());
    });
}

/// The longest datagrams there are: one that claims more messages than it has, and one that is a single message, of the
/// session and sequence asked for, which no book can read.
#[test]
fn live_hostile_answers_that_are_too_long() {
    hostile("live_hostile_answers_that_are_too_long", |network, test| {
        let block = [b'A'; 65_507 - 22];
        let played = lied_to(test, network, move |request, _, send| {
            send(&packet(request.session, request.sequence, u16::MAX - 1, &[&block]));
            send(&packet(request.session, request.sequence, 1, &[&block]));
        });
        played.counted("recovery_answers_malformed");
        // It is what was asked for, and shows its damage when it is read: every book is doubted, and mended.
        played.counted("stream_recovered");
        played.counted("desk_undecodable_all_stale");
        played.says("asking the request servers");
    });
}
