//! `dpdk-dumpcap` captures what our own bursts receive and send, and `dpdk-telemetry.py` gets our answers.
//!
//! Needs root, 256 MiB of hugepages on a hugetlbfs mount, and both tools (Debian: `dpdk`), so it runs only when asked
//! for: `cargo test --test dpdk_capture -- --ignored`.
#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use wirebook::{
    eal::Eal,
    nic::{RxBurst, RxQueue, TxQueue},
    pmd::{Port, PortConfig},
};

#[test]
#[ignore = "needs root, hugepages and DPDK's tools"]
fn capture_and_telemetry() {
    let prefix = format!("wirebook_test_{}", std::process::id());
    let prefix_arg = format!("--file-prefix={prefix}");
    let eal = Eal::init(&["-l", "0", "--no-pci", "-m", "200", &prefix_arg, "--vdev=net_ring0"]).unwrap();
    let _pdump = eal.pdump().unwrap();
    eal.register_command("/wirebook/test", "echoes its parameters", |params, answer| {
        assert!(answer.text("params", params));
        assert!(answer.number("limit", u64::MAX));
        assert!(!answer.number("a name with blanks", 1));
        // Beyond what one answer holds.
        assert_eq!((0..300).filter(|i| answer.number(&format!("n{i}"), *i)).count(), 254);
    })
    .unwrap();
    assert!(eal.register_command("/wirebook/test", "again", |_, _| {}).is_err());
    assert!(eal.register_command("no_slash", "", |_, _| {}).is_err());
    assert!(
        telemetry(&prefix, "/wirebook/test,a b")
            .contains(r#"{"params": "a b", "limit": 18446744073709551615"#)
    );

    let port = Port::probe(&eal, "net_ring0").unwrap().start(&PortConfig::default()).unwrap();
    let (mut rx, mut tx) = (port.rx_handle(0).unwrap().attach(), port.tx_handle(0).unwrap().attach());
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut dumpcap = Command::new("dpdk-dumpcap")
        .arg(&prefix_arg)
        .args(["-i", "net_ring0", "-c", "20", "-w"])
        .arg(file.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        let mut slot = tx.reserve().unwrap();
        slot[..60].fill(0x5a);
        tx.send(slot, 60).unwrap();
        assert_eq!(rx.poll().len(), 1);
        thread::sleep(Duration::from_micros(500));
        if let Some(status) = dumpcap.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "dpdk-dumpcap saw nothing");
    };
    assert!(status.success());
    let bytes = std::fs::read(file.path()).unwrap();
    let captured = bytes.windows(60).filter(|w| w.iter().all(|b| *b == 0x5a)).count();
    assert!(captured >= 20, "{captured} frames in the capture");
}

fn telemetry(prefix: &str, command: &str) -> String {
    let mut tool = Command::new("dpdk-telemetry.py")
        .args(["-f", prefix])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(tool.stdin.take().unwrap(), "{command}").unwrap();
    String::from_utf8(tool.wait_with_output().unwrap().stdout).unwrap()
}
