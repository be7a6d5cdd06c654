//! Holes and request servers.

use std::time::{Duration, Instant};

use wirebook::pipeline::health::{FeedState, Mended};
use wirebook::wire::moldudp64::emit_end_of_session;

use crate::fake_loop::{FakeLoop, config};
use crate::servers::{SESSION, answer, nobody, requests};

#[test]
fn holes_are_filled() {
    let server = requests(0, |_, request| vec![answer(request, SESSION)]);
    let mut handler = FakeLoop::new(&config(&[server.address], None));
    handler.until("live", |handler| handler.health().state == FeedState::Live);
    handler.miss(&[10..510, 1_000..1_003]);
    handler.until("filled", |handler| handler.need.open().next().is_none());
    assert!(handler.is_whole(10..510) && handler.is_whole(1_000..1_003));
    handler
        .until("told", |handler| handler.health().state == FeedState::Live && handler.health().finished == 1);
    let health = handler.health();
    let episode = health.episodes[0];
    assert_eq!((episode.messages, episode.mended), (503, Mended::Filled));
    assert!(health.took_max >= health.took_p50 && !health.took_p50.is_zero(), "{health:?}");
    assert!(handler.abandoned.is_empty());
}

#[test]
fn loss_duplicates_garbage_and_lies_only_delay() {
    let lossy = requests(0, |count, request| match count % 4 {
        0 => vec![],
        1 => vec![vec![0xFF; 300], answer(request, *b"YESTERDAY1"), answer(request, SESSION)],
        2 => {
            let mut end = vec![0; 20];
            emit_end_of_session(&mut end, SESSION, u64::MAX).unwrap();
            let mut far = request;
            (far.sequence, far.count) = (u64::MAX - 5, 3);
            vec![end, answer(far, SESSION), Vec::new(), answer(request, SESSION)]
        }
        _ => vec![answer(request, SESSION), answer(request, SESSION)],
    });
    let silent = requests(0, |_, _| vec![]);
    let mut handler = FakeLoop::new(&config(&[lossy.address, silent.address], None));
    handler.miss_one(1..2_001);
    handler.until("filled", |handler| handler.need.open().next().is_none());
    assert!(handler.is_whole(1..2_001));
    assert_eq!(handler.got.len(), 2_000, "nothing else was handed over");
    handler.until("told", |handler| {
        handler.count("recovery_answers_wrong_session") > 0
            && handler.count("recovery_answers_malformed") > 0
            && handler.count("recovery_answers_not_data") > 0
            && handler.count("recovery_timeouts") > 0
    });
}

#[test]
fn a_server_that_restarts_is_used_again() {
    let first = requests(0, |count, request| if count < 3 { vec![answer(request, SESSION)] } else { vec![] });
    let address = first.address;
    let mut handler = FakeLoop::new(&config(&[address], None));
    handler.miss_one(1..1_001);
    handler.until("begun", |handler| !handler.got.is_empty());
    drop(first);
    std::thread::sleep(Duration::from_millis(100));
    let _second = requests(address.port(), |_, request| vec![answer(request, SESSION)]);
    handler.until("filled", |handler| handler.need.open().next().is_none());
    assert!(handler.is_whole(1..1_001));
}

#[test]
fn where_nobody_answers_holes_are_given_up_and_the_thread_goes_on() {
    let mut patient = config(&[nobody()], None);
    let limits = patient.requests.as_mut().unwrap();
    (limits.timeout, limits.retries) = (Duration::from_millis(5), 2);
    let mut handler = FakeLoop::new(&patient);
    handler.miss_one(7..20);
    handler.until("given up", |handler| handler.abandoned == [20]);
    handler.until("told", |handler| handler.count("recovery_socket_errors") > 0);
    // The loop calls it a gap, and wants what nobody has.
    handler.miss(&[]);
    handler.want_snapshot(20);
    handler.until("stale", |handler| handler.health().state == FeedState::Stale);
    let health = handler.health();
    assert!(health.snapshot_wanted && health.finished == 0, "{health:?}");
}

#[test]
fn it_ends_at_once_when_told() {
    let silent = requests(0, |_, _| vec![]);
    let mut handler = FakeLoop::new(&config(&[silent.address], Some(nobody())));
    handler.miss_one(1..1_000);
    handler.want_snapshot(1);
    handler.until("asked", |handler| handler.count("recovery_requests") > 0);
    let began = Instant::now();
    handler.thread.take().unwrap().stop();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
