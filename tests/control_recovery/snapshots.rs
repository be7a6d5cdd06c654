//! Stale books and snapshot servers.

use std::time::{Duration, Instant};

use wirebook::pipeline::health::{FeedState, Mended};

use crate::fake_loop::{FakeLoop, config};
use crate::servers::{Peer, Server, glimpse, message, nobody};

/// More than the hand-over ring and the sockets' buffers hold together.
const LARGE: u64 = 400_000;

fn is_snapshot(handler: &FakeLoop, count: u64, next: u64) -> bool {
    handler.next == Some(next)
        && handler.snapshot.len() as u64 == count
        && (1..).zip(&handler.snapshot).all(|(sequence, got)| *got == message(sequence))
}

/// A handler that wants a snapshot of `server`, going on from 5 or later.
fn wanting(server: &Server) -> FakeLoop {
    let mut handler = FakeLoop::new(&config(&[], Some(server.address)));
    handler.want_snapshot(5);
    handler
}

#[test]
fn a_snapshot_is_loaded_and_logged_out_of() {
    let (send, heard) = std::sync::mpsc::channel();
    let server = glimpse(0, move |_, peer| {
        let login = peer.accept();
        peer.snapshot(1_000, 77);
        send.send((login, peer.hear())).unwrap();
    });
    let mut handler = wanting(&server);
    handler.until("loaded", |handler| handler.next.is_some());
    assert!(is_snapshot(&handler, 1_000, 77));
    let (login, last) = heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((&login.username, &login.password), (b"WIRE01", b"secret    "));
    assert_eq!(login.sequence, 1);
    assert!(last.ends_with(&[0, 1, b'O']), "{last:?}");
    assert_eq!(handler.health().state, FeedState::Recovering, "until the loop has put it to use");
    handler.want_nothing();
    handler.until("told", |handler| handler.health().finished == 1);
    assert_eq!(handler.health().episodes[0].mended, Mended::Snapshot);
}

#[test]
fn a_loop_without_room_is_waited_for() {
    let server = glimpse(0, |_, peer| {
        peer.accept();
        peer.snapshot(LARGE, LARGE + 1);
        peer.hear();
    });
    let mut handler = wanting(&server);
    handler.asleep = true;
    handler.until("full", |handler| handler.count("recovery_snapshot_no_room") > 100);
    handler.asleep = false;
    handler.until("loaded", |handler| handler.next.is_some());
    assert!(is_snapshot(&handler, LARGE, LARGE + 1));
}

#[test]
fn every_kind_of_failure_is_got_over() {
    let server = glimpse(0, |count, peer| match count {
        // Gone at once; then in the middle; then with half a packet.
        0 => {}
        1 => {
            peer.accept();
            for sequence in 1..=50 {
                peer.send(b'S', &message(sequence));
            }
        }
        2 => {
            peer.accept();
            peer.raw(&[0, 40, b'S', 1, 2, 3]);
        }
        3 => {
            peer.login();
            peer.send(b'J', b"A");
            peer.hear();
        }
        // A length of nothing; noise; an end before its time; a sequence that is none.
        4 => {
            peer.accept();
            peer.raw(&[0, 0]);
            peer.hear();
        }
        5 => {
            peer.raw(&[0xEE; 100_000]);
            peer.hear();
        }
        6 => {
            peer.accept();
            peer.send(b'Z', b"");
            peer.hear();
        }
        7 => {
            peer.accept();
            peer.send(b'S', b"G99999999999999999999");
            peer.hear();
        }
        8 => {
            peer.accept();
            peer.snapshot(3, 4);
            peer.hear();
        }
        _ => {
            peer.accept();
            peer.snapshot(100, 101);
            peer.hear();
        }
    });
    let mut handler = wanting(&server);
    handler.until("loaded", |handler| handler.next == Some(101));
    assert!(is_snapshot(&handler, 100, 101));
    handler.until("counted", |handler| {
        let failures: u64 = (handler.health().rows.iter())
            .filter(|(row, _)| row.starts_with("recovery_failed_"))
            .map(|(_, n)| n)
            .sum();
        failures >= 9
    });
    assert!(handler.count("recovery_failed_login_rejected") == 1, "{:?}", handler.health());
}

#[test]
fn a_server_that_never_ends_is_left() {
    let server = glimpse(0, |count, peer| {
        peer.accept();
        if count == 0 {
            let mut sequence = 0;
            while peer.send(b'S', &message(sequence)) {
                sequence += 1;
            }
        } else {
            peer.snapshot(10, 11);
            peer.hear();
        }
    });
    let mut short = config(&[], Some(server.address));
    short.snapshot.as_mut().unwrap().max_messages = 20_000;
    let mut handler = FakeLoop::new(&short);
    handler.want_snapshot(5);
    handler.until("left", |handler| handler.count("recovery_failed_too_long") == 1);
    handler.until("loaded", |handler| handler.next == Some(11));
    assert!(is_snapshot(&handler, 10, 11));
}

#[test]
fn a_server_that_hangs_is_left() {
    let hang = |peer: &mut Peer| std::mem::drop(peer.hear());
    let server = glimpse(0, move |count, peer| match count {
        // No answer to the login; then silence in the middle.
        0 => hang(peer),
        1 => {
            peer.accept();
            peer.send(b'S', &message(1));
            hang(peer);
        }
        _ => {
            peer.accept();
            peer.snapshot(10, 11);
            hang(peer);
        }
    });
    let mut handler = wanting(&server);
    handler.until("loaded", |handler| handler.next == Some(11));
    handler.until("counted", |handler| {
        handler.count("recovery_failed_login_timeout") == 1 && handler.count("recovery_failed_silence") == 1
    });
}

#[test]
fn a_server_that_comes_later_is_found() {
    let address = nobody();
    let mut handler = FakeLoop::new(&config(&[], Some(address)));
    handler.want_snapshot(5);
    handler.until("refused", |handler| handler.count("recovery_failed_disconnected") > 2);
    assert_eq!(handler.health().state, FeedState::Stale);
    let _server = glimpse(address.port(), |_, peer| {
        peer.accept();
        peer.snapshot(10, 11);
        peer.hear();
    });
    handler.until("loaded", |handler| handler.next == Some(11));
    assert!(is_snapshot(&handler, 10, 11));
}

#[test]
fn a_new_wish_begins_anew() {
    let server = glimpse(0, |count, peer| {
        peer.accept();
        if count == 0 {
            peer.send(b'S', &message(1));
        } else {
            peer.snapshot(10, 101);
        }
        peer.hear();
    });
    let mut handler = wanting(&server);
    handler.until("begun", |handler| !handler.snapshot.is_empty());
    handler.want_snapshot(100);
    handler.until("loaded", |handler| handler.next == Some(101));
    assert!(is_snapshot(&handler, 10, 101));
}

#[test]
fn it_logs_out_when_told_to_end() {
    let (send, heard) = std::sync::mpsc::channel();
    let server = glimpse(0, move |_, peer| {
        peer.accept();
        peer.send(b'S', &message(1));
        send.send(peer.hear()).unwrap();
    });
    let mut handler = wanting(&server);
    handler.until("begun", |handler| !handler.snapshot.is_empty());
    let began = Instant::now();
    handler.thread.take().unwrap().stop();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let last = heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(last.ends_with(&[0, 1, b'O']), "{last:?}");
}
