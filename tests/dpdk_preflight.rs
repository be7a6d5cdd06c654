//! What is checked before EAL starts, against this machine and a real primary process: each refusal is one line, and
//! EAL has not said a word by then.
//!
//! EAL starts once in a process, so the primary is this test program run again.
#![cfg(feature = "dpdk")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers; the child tells its parent it is up"
)]

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use wirebook::eal::{Eal, EalError, Refusal, preflight};

/// Set in a child: the EAL arguments to start with. It says `up`, and ends when its standard input does.
const CHILD: &str = "WIREBOOK_TEST_EAL_ARGS";

#[test]
fn refusals() {
    if let Ok(args) = env::var(CHILD) {
        child(&args);
        return;
    }
    let refused = |line: &str| {
        let refusal = preflight(&line.split(' ').collect::<Vec<_>>()).expect_err(line);
        let text = refusal.to_string();
        assert!(!text.contains('\n'), "{text:?}");
        (refusal, text)
    };
    let no_huge = "--no-huge --no-pci -m 64";

    let (refusal, text) = refused(&format!("{no_huge} -l 4000"));
    assert!(matches!(refusal, Refusal::CpuOffline { cpu: 4_000, .. }), "{text}");
    let (refusal, text) = refused(&format!("{no_huge} --vdev net_nosuch0"));
    assert!(matches!(refusal, Refusal::NoDriver { .. } | Refusal::NotLinked { .. }), "{text}");
    let (refusal, text) = refused("--no-huge -m 64 -a ffff:ff:1f.7");
    assert!(matches!(refusal, Refusal::NoPciDevice { .. }), "{text}");
    let (refusal, text) = refused("--in-memory --no-pci -m 99999999");
    assert!(matches!(refusal, Refusal::NoHugepages { .. } | Refusal::TooFewHugepages { .. }), "{text}");

    // A real primary holds the prefix; when it ends, the prefix is free.
    let prefix = format!("wirebook_test_{}", std::process::id());
    let line = format!("{no_huge} --no-telemetry --file-prefix={prefix}");
    let args: Vec<_> = line.split(' ').collect();
    assert_eq!(preflight(&args), Ok(()));
    let primary = Primary::start(&line);
    let (refusal, text) = refused(&line);
    assert!(matches!(refusal, Refusal::PrefixBusy { .. }), "{text}");
    assert!(text.contains(&format!("process {}", primary.0.id())), "{text}");
    // The same refusal reaches the caller of `init`, and EAL does not count as started.
    assert!(matches!(Eal::init(&args), Err(EalError::Preflight(Refusal::PrefixBusy { .. }))));
    drop(primary);
    let eal = Eal::init(&args).unwrap();
    assert_eq!(eal.main_lcore(), wirebook::eal::Lcore::current().unwrap());
}

fn child(args: &str) {
    let _eal = Eal::init(&args.split(' ').collect::<Vec<_>>()).unwrap();
    println!("up");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// This program as a primary process.
struct Primary(Child, BufReader<ChildStdout>);

impl Primary {
    fn start(args: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "refusals", "--nocapture"])
            .env(CHILD, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        assert!(
            out.by_ref().lines().map_while(Result::ok).any(|l| l.ends_with("up")),
            "the primary did not start"
        );
        Self(child, out)
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        // End of input ends it. What EAL logs goes to standard error unless it is redirected.
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.1.read_to_string(&mut said).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.0.wait().unwrap().success());
        assert!(!said.contains("EAL:"), "{said}");
    }
}
