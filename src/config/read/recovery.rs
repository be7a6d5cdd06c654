//! `[recovery]`, `[recovery.requests]`, `[recovery.snapshot]`.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::super::document::Document;
use super::super::recovery::{Recovery, Requests, Snapshot, Stated};
use super::login::{self, USERNAME_WANTED, read_username};

const SERVER_WANTED: &str = "an IPv4 address of one host and a port";

/// `None` where the file has no `[recovery]`. All keys are asked for all the same, so that they are known; what is
/// missing then is no problem.
pub(super) fn recovery(document: &mut Document<'_>) -> Option<Recovery> {
    let wanted = document.has_section("recovery");
    let recovery = Recovery {
        hole_wait: ms(document, "recovery.hole_wait_ms", 1, 60_000, 500),
        buffer_bytes: document.int::<usize>("recovery.buffer_mib", 1..=16_384, 64) << 20,
        handover_bytes: document.int::<usize>("recovery.handover_kib", 256..=1_048_576, 4_096) << 10,
        requests: requests(document),
        snapshot: snapshot(document),
    };
    wanted.then_some(recovery)
}

fn requests(document: &mut Document<'_>) -> Option<Requests> {
    let wanted = document.has_section("recovery.requests");
    let (path, example) = ("recovery.requests.servers", "10.0.0.1:31011");
    let servers = if wanted {
        document.required_list(path, 2, SERVER_WANTED, example, read_server)
    } else {
        document.list(path, 2, SERVER_WANTED, example, read_server)
    };
    let requests = Requests {
        servers,
        max_messages: document.int("recovery.requests.max_messages", 1..=65_534, 1_000),
        timeout: ms(document, "recovery.requests.timeout_ms", 1, 10_000, 50),
        retries: document.int("recovery.requests.retries", 0..=100, 4),
        per_second: document.int("recovery.requests.per_second", 1..=100_000, 1_000),
        outstanding: document.int("recovery.requests.outstanding", 1..=64, 8),
        max_hole: document.int("recovery.requests.max_hole", 1..=10_000_000, 100_000),
    };
    wanted.then_some(requests)
}

fn snapshot(document: &mut Document<'_>) -> Option<Snapshot> {
    let wanted = document.has_section("recovery.snapshot");
    let (server, username) = ("recovery.snapshot.server", "recovery.snapshot.username");
    let (server, username) = if wanted {
        (
            document.required_text(server, SERVER_WANTED, "10.0.0.1:31013", read_server),
            document.required_text(username, USERNAME_WANTED, "WIRE01", read_username),
        )
    } else {
        (
            document.optional_text(server, SERVER_WANTED, "10.0.0.1:31013", read_server),
            document.optional_text(username, USERNAME_WANTED, "WIRE01", read_username),
        )
    };
    let snapshot = Snapshot {
        server: server.unwrap_or_else(|| SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0)),
        username: username.unwrap_or_default(),
        password: login::password(document, &login::SNAPSHOT),
        check_session: document.flag("recovery.snapshot.check_session", true),
        stated: document.choice(
            "recovery.snapshot.stated",
            &[("next", Stated::Next), ("last", Stated::Last)],
            Stated::Next,
        ),
        login_timeout: ms(document, "recovery.snapshot.login_timeout_ms", 100, 60_000, 5_000),
        silence_timeout: ms(document, "recovery.snapshot.silence_timeout_ms", 1_000, 120_000, 15_000),
        total_timeout: Duration::from_secs(document.int("recovery.snapshot.total_timeout_s", 1..=3_600, 120)),
        max_messages: document.int("recovery.snapshot.max_messages", 1_000..=1_000_000_000, 100_000_000),
        back_off: ms(document, "recovery.snapshot.back_off_ms", 10, 60_000, 1_000),
        back_off_max: ms(document, "recovery.snapshot.back_off_max_ms", 10, 600_000, 30_000),
    };
    wanted.then_some(snapshot)
}

fn ms(document: &mut Document<'_>, path: &'static str, least: u64, most: u64, default: u64) -> Duration {
    Duration::from_millis(document.int(path, least..=most, default))
}

/// Loopback is allowed here: these are kernel sockets.
fn read_server(text: &str) -> Option<SocketAddrV4> {
    let server: SocketAddrV4 = text.parse().ok()?;
    let first = server.ip().octets()[0];
    (first != 0 && first < 224 && server.port() != 0).then_some(server)
}
