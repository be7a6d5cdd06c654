//! The doctor as its users run it: a process, judged by its exit code and by what it prints.
#![allow(clippy::unwrap_used, reason = "a test's helpers stop at what they did not expect")]

use std::path::Path;
use std::process::{Command, Output};

fn doctor(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebook"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).arg("doctor").args(line.split_whitespace());
    command.output().unwrap()
}

/// Exit code, and what it printed.
fn said(line: &str) -> (Option<i32>, String, String) {
    let output = doctor(line);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn exit_codes_are_its_own() {
    let sockets = "-- --nic udp:10.0.0.2 --config config/feed.toml --seconds 0 --profile dev";
    let (code, text, _) = said(sockets);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("host    ") && text.contains("not measured: --seconds 0"), "{text}");
    let nowhere = "-- --nic direct:ffff:ff:1f.7 --config config/feed.toml --seconds 0";
    let (code, text, _) = said(nowhere);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("  FAIL  port.present     -a ffff:ff:1f.7: no such PCI device"), "{text}");
    for wrong in
        ["", "-- --config /nowhere/feed.toml", "--explain colour", "-- --config config/feed.toml --seconds x"]
    {
        let (code, text, complaint) = said(wrong);
        assert_eq!((code, text.as_str()), (Some(3), ""), "{wrong}: {complaint}");
        assert!(!complaint.is_empty() && !complaint.contains("panicked"), "{complaint}");
    }
    assert_eq!(said("--explain hugepages").0, Some(0));
}

#[test]
fn programs_can_read_it_and_the_shell_too() {
    let line = "-- --nic direct:ffff:ff:1f.7 --config config/feed.toml --profile lab --seconds 1";
    let (code, text, _) = said(&format!("{line} --json"));
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &page["exit"]), (Some(2), &2.into()));
    assert_eq!(page["ports"][0], "ffff:ff:1f.7");
    // It was measured where it polls, if this machine has a second CPU to poll.
    for one in page["jitter"].as_array().unwrap() {
        assert!(
            one["length_ns"].as_u64().unwrap() >= 1_000_000_000 && one["max_ns"].as_u64().is_some(),
            "{one}"
        );
    }
    assert_eq!(page["jitter"].as_array().unwrap().len(), page["polling"].as_array().unwrap().len());

    let (_, script, _) = said(&format!("{line} --script"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &script).unwrap();
    let shell = Command::new("sh").arg("-n").arg(file.path()).output().unwrap();
    assert!(shell.status.success(), "{script}\n{}", String::from_utf8_lossy(&shell.stderr));
}

/// The same words as at the start.
#[cfg(feature = "dpdk")]
#[test]
fn what_stops_the_start_is_said_as_at_the_start() {
    let line = "-l 0,4000 --no-huge --no-pci -m 64 --no-shconf -- --config config/feed.toml";
    let (code, text, _) = said(&format!("{line} --seconds 0"));
    assert_eq!(code, Some(2), "{text}");
    let start = Command::new(env!("CARGO_BIN_EXE_wirebook"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(line.split_whitespace())
        .output()
        .unwrap();
    let refusal = String::from_utf8(start.stderr).unwrap();
    let refusal = refusal.trim_end().strip_prefix("wirebook: ").unwrap();
    assert!(text.contains(&format!("  FAIL  lcores           {refusal}\n")), "{refusal}\n{text}");
}
