//! What both lines lost is had another way by each worker for itself: every book is whole again at the end.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use wirebook::control;
use wirebook::nic::replay::{End, LinkConfig, pair};
use wirebook::nic::{RxBurst, RxQueue};
use wirebook::pipeline::health::FeedState;
use wirebook::stop::StopFlag;
use wirebook::venue::{Setup, Venue, exchange_config};

use crate::crew::{Crew, books_of, config};

/// How long everything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays what the plan says until everything is mended; the books must be the exchange's.
fn mended(plan: &str, edit: &[(&str, &str)], happened: &[&str]) {
    let quiet = [("armed = true", "armed = false"), ("hole_wait_ms = 2000", "hole_wait_ms = 4000")];
    let mut config = config(2, &[&quiet, edit].concat());
    let mut exchange = exchange_config(20_000, 40, 5, 0);
    exchange.plan = exchange::plan::parse(plan).unwrap();
    let services = exchange::sockets::Config {
        requests: [Some(0); 2],
        glimpse: Some(0),
        ..exchange::sockets::Config::none(Ipv4Addr::LOCALHOST)
    };
    let setup = Setup {
        services: Some(services),
        linger: Duration::from_secs(60),
        ..Setup::new(&config, exchange, StopFlag::new())
    };
    let mut venue = Venue::new(&setup).unwrap();
    let at = venue.services().unwrap();
    let recovery = config.recovery.as_mut().unwrap();
    if let Some(requests) = &mut recovery.requests {
        requests.servers = [0, 1].into_iter().filter_map(|server| at.requests(server)).collect();
    }
    recovery.snapshot.as_mut().unwrap().server = at.glimpse().unwrap();

    let mut crew = Crew::new(&config);
    let threads = control::recovery::start(config.recovery.as_ref(), &mut crew.handles).unwrap();
    let cable = LinkConfig { ring: 8192, buffers: 16_384, slot_len: 2048 };
    let (mut venue_end, End { rx: mut wire, .. }) = pair(cable);
    let (began, mut closed) = (Instant::now(), None);
    loop {
        let elapsed = began.elapsed();
        let now = u64::try_from(elapsed.as_nanos()).unwrap();
        if closed.is_none() && elapsed > Duration::from_secs(3) {
            venue.close(&mut venue_end.tx, now);
            closed = Some(elapsed);
        }
        while venue.pump(&mut venue_end.rx, &mut venue_end.tx, now) {}
        loop {
            let burst = wire.poll();
            if burst.is_empty() {
                break;
            }
            for at in 0..burst.len() {
                crew.receive(burst.frame(at).bytes);
            }
        }
        crew.turn(now);
        let (known, doubtful) = crew.known();
        let quiet = closed.is_some_and(|closed| elapsed > closed + Duration::from_millis(500));
        if quiet && known.len() == 40 && doubtful.is_empty() {
            break;
        }
        assert!(
            elapsed < PATIENCE,
            "{} of {} books: {:?}",
            doubtful.len(),
            known.len(),
            crew.handles.health.view()
        );
    }
    assert_eq!(crew.handles.health.view().state, FeedState::Live);
    drop(threads);
    let view = crew.handles.health.view();
    for name in happened {
        let each: Vec<u64> = (crew.handles.health.each().iter())
            .map(|health| health.view().rows.iter().find(|(row, _)| row == name).unwrap().1)
            .collect();
        assert!(each.iter().all(|count| *count > 0), "{name}: {each:?} {view:?}");
    }
    let ours = crew.dump();
    assert!(ours.lines().count() > 500 && ours == books_of(&venue.leave()), "the books differ: {view:?}");
}

#[test]
fn each_worker_asks_for_what_both_lines_lost() {
    mended("1s lose 300; 2s lose 50", &[], &["recovery_holes_filled"]);
}

#[test]
fn each_worker_loads_its_own_books_from_a_snapshot() {
    mended(
        "1s requests silent; 1s lose 300",
        &[("hole_wait_ms = 4000", "hole_wait_ms = 200")],
        &["recovery_snapshots_loaded"],
    );
}
