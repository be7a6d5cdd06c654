//! Snapshot servers that never come to an end, or never begin. Nobody brings what was lost: the books stay stale, orders
//! stop, and each kind of failure is named.

use super::peers::{Manner, Peer};
use super::{Played, hostile, play, snapshot_from};
use crate::programs::say;

/// Plays with a hole that nobody fills, and a server of these manners.
fn kept_waiting(test: &str, manners: &'static [Manner], lies: &[(&str, &str)]) {
    hostile(test, |network, test| {
        let server = Peer::snapshot_server(network, manners);
        let more = ["--plan", "2s lose 50"];
        let played = play(network, &snapshot_from(&server.address()), &more, || ());
        say(&format!("{test}: {} connections, {} bytes sent", server.asked(), server.sent()));
        played.is_sound(test);
        played.is_flagged();
        for (counter, said) in lies {
            played.counted(counter);
            played.says(said);
        }
        is_paced(&played, server.asked());
    });
}

/// It tried again and again, and rested in between: 50 ms, 100 ms, then 200 ms each time.
fn is_paced(played: &Played, connections: u64) {
    let most = 4 + 5 * played.seconds;
    assert!((2..=most).contains(&connections), "{connections} connections\n{}", played.all());
}

#[test]
fn live_hostile_snapshot_of_endless_length() {
    kept_waiting(
        "live_hostile_snapshot_of_endless_length",
        &[Manner::Endless],
        &[("recovery_failed_too_slow", "it took too long; next try in")],
    );
}

#[test]
fn live_hostile_snapshot_of_endless_orders() {
    kept_waiting(
        "live_hostile_snapshot_of_endless_orders",
        &[Manner::Orders],
        &[("recovery_failed_too_long", "raise recovery.snapshot.max_messages")],
    );
}

#[test]
fn live_hostile_snapshot_of_heartbeats() {
    kept_waiting(
        "live_hostile_snapshot_of_heartbeats",
        &[Manner::Heartbeats],
        &[("recovery_failed_too_slow", "raise recovery.snapshot.total_timeout_s")],
    );
}

#[test]
fn live_hostile_snapshot_of_no_length() {
    kept_waiting(
        "live_hostile_snapshot_of_no_length",
        &[Manner::NoLength],
        &[("recovery_failed_protocol", "check that recovery.snapshot.server is GLIMPSE over SoupBinTCP")],
    );
}

#[test]
fn live_hostile_snapshot_server_that_closes() {
    kept_waiting(
        "live_hostile_snapshot_server_that_closes",
        &[Manner::Close],
        &[("recovery_failed_disconnected", "check recovery.snapshot.server, and whether it listens")],
    );
}

#[test]
fn live_hostile_snapshot_server_that_says_nothing() {
    kept_waiting(
        "live_hostile_snapshot_server_that_says_nothing",
        &[Manner::Nothing],
        &[("recovery_failed_login_timeout", "no answer to the login in time")],
    );
}
