//! The command line of the doctor.

use clap::CommandFactory as _;

use super::*;
use crate::host::{Finding, Fix};

fn run(line: &str) -> Outcome {
    let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    match words.iter().position(|word| word == "--") {
        Some(at) => main(&words[..at], words[at + 1..].to_vec()),
        None => main(&[], words),
    }
}

#[test]
fn clap_agrees_with_itself() {
    DoctorArgs::command().debug_assert();
    ExplainArgs::command().debug_assert();
}

#[test]
fn every_check_can_be_explained() {
    for entry in catalogue::CATALOGUE {
        let text = report::explanation(entry);
        assert!(
            text.starts_with(entry.id) && text.contains(entry.why) && text.contains(entry.what),
            "{text}"
        );
        assert_eq!(text.contains("accept"), entry.may_be_accepted(), "{text}");
    }
    assert_eq!(run("--explain smt"), Outcome::Well);
    assert_eq!(run("--explain=smt"), Outcome::Well);
    for wrong in ["--explain", "--explain smtt", "--explain smt --json"] {
        assert_eq!(run(wrong), Outcome::NotSeen, "{wrong}");
    }
}

#[test]
fn a_wrong_line_is_no_diagnosis() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/feed.toml");
    for wrong in [
        "--".to_owned(),
        "-- --config /nowhere".to_owned(),
        format!("-- --config {config} --profile server"),
        format!("-- --config {config} --seconds x"),
        format!("-- --config {config} --seconds 3601"),
        format!("-- --config {config} --json --script"),
        format!("-- --config {config} --nic udp"),
        format!("-l 0-1 -- --config {config} --nic udp:10.0.0.2"),
        format!("-- --config {config} --unheard-of"),
    ] {
        assert_eq!(run(&wrong), Outcome::NotSeen, "{wrong}");
    }
    assert_eq!(run("--help"), Outcome::Well);
}

#[test]
fn the_line_of_the_live_form_is_taken_as_it_is() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/feed.toml");
    let line = format!("-- --nic udp:10.0.0.2 --arm --for 3 --config {config} --seconds 0 --profile dev");
    for format in ["", " --json", " --script"] {
        let outcome = run(&format!("{line}{format}"));
        // A quota of a container is worth a warning in this profile, and nothing else of a machine is.
        assert_eq!(outcome, Outcome::Well, "{format}");
    }
}

/// Files that are no configuration: refused, each of them.
#[test]
fn a_torn_or_random_configuration_is_refused() {
    let whole = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/feed.toml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("feed.toml");
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let noise: Vec<u8> = std::iter::repeat_with(&mut random).take(4_096).collect();
    let mut bent = whole.clone();
    for _ in 0..200 {
        let at = (usize::from(random()) << 8 | usize::from(random())) % bent.len();
        bent[at] = random();
    }
    let open = whole.windows(11).position(|window| window == b"group = \"23").unwrap();
    for bytes in [&b""[..], &noise, &bent, &whole[..open + 11]] {
        std::fs::write(&file, bytes).unwrap();
        let line = format!("-- --nic udp:10.0.0.2 --seconds 0 --config {}", file.display());
        assert_eq!(run(&line), Outcome::NotSeen);
    }
}

fn report<'a>(
    parts: &'a (Host, Subject, Vec<Finding>),
    profile: Profile,
    accepted: &'a [&'static str],
) -> Report<'a> {
    let (host, subject, findings) = parts;
    Report { host, subject, profile, strict: profile == Profile::Live, accepted, measured: &[], findings }
}

#[test]
fn warnings_count_unless_they_are_accepted() {
    let of = |findings: Vec<Finding>| (Host::this("", &[]), Subject::default(), findings);
    let smt = of(vec![Finding::good("swap", "none"), Finding::bad("smt", "CPU 3", "none")]);
    assert_eq!(report(&smt, Profile::Dev, &[]).outcome(), Outcome::Well);
    assert_eq!(report(&smt, Profile::Lab, &[]).outcome(), Outcome::Well);
    assert_eq!(report(&smt, Profile::Live, &[]).outcome(), Outcome::Warned);
    assert_eq!(report(&smt, Profile::Live, &["smt"]).outcome(), Outcome::Well);
    assert_eq!(Report { strict: true, ..report(&smt, Profile::Lab, &[]) }.outcome(), Outcome::Warned);
    let ill = of(vec![Finding::bad("hugepages", "none", "")]);
    assert_eq!(report(&ill, Profile::Dev, &["hugepages"]).outcome(), Outcome::Ill);
}

#[test]
fn text_and_json_say_the_same() {
    let findings = vec![
        Finding::bad("smt", "CPU 3 \"shares\"", "none")
            .fix(Fix::Now("echo 0 > x".into()))
            .fix(Fix::Boot("nosmt".into())),
        Finding::bad("swap", "/dev/sda2", "none"),
        Finding::unknown("edac", "there is none"),
        Finding::note("turbo", "on"),
        Finding::good("ksm", "0"),
    ];
    let parts = (Host::this("", &[]), Subject::default(), findings);
    let report = report(&parts, Profile::Live, &["swap"]);
    let text = report.text();
    for part in [
        "\n  warn  smt              CPU 3 \"shares\"; wanted: none\n",
        "fix (until reboot): echo 0 > x\n",
        "fix (kernel command line): nosmt\n",
        "\n  warn  swap             /dev/sda2; wanted: none   (accepted)\n",
        "\n  skip  edac             there is none\n",
        "\n  info  turbo            on\n",
        "\n1 ok · 1 warn · 0 FAIL · 1 skip · 1 info · 1 accepted  ",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let page: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(page["findings"][0]["seen"], "CPU 3 \"shares\"");
    assert_eq!(page["findings"][0]["fixes"][1]["lasts"], "kernel command line");
    assert_eq!(page["findings"][1]["accepted"], true);
    assert_eq!(page["findings"][2]["good"], serde_json::Value::Null);
    assert_eq!((&page["summary"]["warn"], &page["exit"]), (&1.into(), &1.into()));
}
