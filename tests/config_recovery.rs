//! `[recovery]`: what it accepts, what it refuses, and that a password is shown nowhere.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect; its helper functions too")]

use std::process::Command;
use std::time::Duration;

use wirebook::config::{Config, Recovery, Stated};

/// The least that is accepted.
const LEAST: &str = "[port]\nname = \"0\"\n[feed.line.a]\ngroup = \"239.1.1.1\"\nport = 26400\n";
const REQUESTS: &str = "[recovery.requests]\nservers = [\"10.0.0.1:31011\"]\n";
const SNAPSHOT: &str = "[recovery.snapshot]\nserver = \"127.0.0.1:31013\"\nusername = \"WIRE01\"\n";

fn recovery(text: &str) -> Recovery {
    Config::parse(&format!("{LEAST}{text}"), "f.toml").unwrap().recovery.unwrap()
}

/// The only problem of `text`.
fn problem(text: &str) -> String {
    let errors = Config::parse(&format!("{LEAST}{text}"), "f.toml").unwrap_err();
    assert_eq!(errors.problems().len(), 1, "{errors}");
    assert!(!errors.problems()[0].remedy.is_empty());
    errors.problems()[0].what.clone()
}

#[test]
fn without_the_section_there_is_none() {
    assert_eq!(Config::parse(LEAST, "f.toml").unwrap().recovery, None);
}

#[test]
fn a_part_brings_the_whole_with_its_defaults() {
    let only_requests = recovery(REQUESTS);
    assert_eq!(only_requests.snapshot, None);
    assert_eq!(only_requests.hole_wait, Duration::from_millis(500));
    assert_eq!(only_requests.requests.unwrap().servers, ["10.0.0.1:31011".parse().unwrap()]);
    let only_snapshot = recovery(SNAPSHOT);
    assert_eq!(only_snapshot.requests, None);
    let snapshot = only_snapshot.snapshot.unwrap();
    assert_eq!((snapshot.username.as_str(), snapshot.password.expose()), ("WIRE01", ""));
    assert_eq!((snapshot.stated, snapshot.check_session), (Stated::Next, true));
    let units = recovery(&format!("[recovery]\nbuffer_mib = 2\nhandover_kib = 512\n{REQUESTS}"));
    assert_eq!((units.buffer_bytes, units.handover_bytes), (2 << 20, 512 << 10));
}

#[test]
fn what_cannot_be_is_refused() {
    let cases = [
        ("[recovery]\n".to_owned(), "[recovery] has neither [recovery.requests] nor [recovery.snapshot]"),
        ("[recovery.requests]\n".to_owned(), "recovery.requests.servers is missing"),
        ("[recovery.requests]\nservers = []".to_owned(), "recovery.requests.servers is empty"),
        (
            "[recovery.requests]\nservers = [\"239.1.1.1:1\"]".to_owned(),
            "recovery.requests.servers holds \"239.1.1.1:1\", not an IPv4 address of one host and a port",
        ),
        (
            "[recovery.requests]\nservers = [\"1.1.1.1:1\", \"1.1.1.1:2\", \"1.1.1.1:3\"]".to_owned(),
            "recovery.requests.servers has 3 elements, more than 2",
        ),
        (
            format!("[recovery]\nhole_wait_ms = 5\n{REQUESTS}"),
            "recovery.hole_wait_ms 5 leaves no time to ask after feed.reorder_wait_us 5000",
        ),
        (
            format!("[feed]\nreorder_packets = 0\n{REQUESTS}"),
            "feed.reorder_packets = 0 holds nothing while [recovery.requests] asks for a hole",
        ),
        (
            format!("{SNAPSHOT}back_off_ms = 200\nback_off_max_ms = 100"),
            "recovery.snapshot.back_off_ms 200 is above back_off_max_ms 100",
        ),
        (
            SNAPSHOT.replace("WIRE01", "WIREBOOK"),
            "recovery.snapshot.username is \"WIREBOOK\", not a name of 1 to 6 printable ASCII characters without spaces",
        ),
        (
            format!("{SNAPSHOT}password = \"a\"\npassword_env = \"PATH\""),
            "recovery.snapshot has both password and password_env",
        ),
        (
            format!("{SNAPSHOT}password_env = \"WIREBOOK_TEST_NOT_SET\""),
            "recovery.snapshot.password_env names WIREBOOK_TEST_NOT_SET, which is not set, or not to text",
        ),
        (
            format!("{SNAPSHOT}password_env = \"A=B\""),
            "recovery.snapshot.password_env is \"A=B\", not the name of an environment variable",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem(&text), expected, "{text}");
    }
}

#[test]
fn a_password_may_stand_in_the_environment() {
    let snapshot = recovery(&format!("{SNAPSHOT}password_env = \"CARGO_PKG_VERSION\"")).snapshot.unwrap();
    assert_eq!(snapshot.password.expose(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_password_is_shown_nowhere() {
    let text = format!("{LEAST}{SNAPSHOT}password = \"hush-hush\"\n");
    let config = Config::parse(&text, "f.toml").unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("hush"));
    for bad in ["password = \"hush hush\"", "password = \"hush-hush-hush\"", "password = [\"hush\"]"] {
        let errors = Config::parse(&format!("{LEAST}{SNAPSHOT}{bad}\n"), "f.toml").unwrap_err();
        assert!(errors.problems()[0].what.starts_with("recovery.snapshot.password is "), "{errors}");
        assert!(!errors.to_string().contains("hush"), "{errors}");
    }

    let file = tempfile::NamedTempFile::new().unwrap();
    let by_name = "password_env = \"WIREBOOK_TEST_PASSWORD\"\n";
    for (stated, held, code) in
        [("password = \"hush-hush\"\n", "", 0), (by_name, "hush-hush", 0), (by_name, "hush-hush-hush", 2)]
    {
        std::fs::write(file.path(), format!("{LEAST}{SNAPSHOT}{stated}")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_wirebook"))
            .arg("check-config")
            .arg(file.path())
            .env("WIREBOOK_TEST_PASSWORD", held)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code));
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert!(!shown.contains("hush"), "{shown}");
        assert!(code != 0 || shown.contains("snapshots from 127.0.0.1:31013"), "{shown}");
    }
}
