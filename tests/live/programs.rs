//! The programs under test, run as their users run them: as processes, judged by exit code, output and files.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// `wirebook` as this test run built it.
pub(crate) fn wirebook() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wirebook"))
}

/// `exchange`, built if need be: it is another package's program, which cargo builds for that package's tests only.
pub(crate) fn exchange() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    Command::new(BUILT.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--profile=test", "--package=exchange", "--bin=exchange"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(built.status.success(), "the exchange cannot be built");
        let said = String::from_utf8(built.stdout).unwrap();
        let (_, rest) = said.split_once("\"executable\":\"").expect("cargo names no program");
        rest.split('"').next().unwrap().into()
    }))
}

/// How a program ended and what it said.
pub(crate) struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `command` to its end, which must come within `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Ended {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name);
    let create = |name: &str| std::fs::File::create(file(name)).unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(create("stdout"))
        .stderr(create("stderr"))
        .spawn()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() < limit => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{command:?} did not end within {limit:?}:\n{}", read(&file("stderr")));
            }
        }
    };
    Ended { code: status.code(), stdout: read(&file("stdout")), stderr: read(&file("stderr")) }
}

/// Runs `command`, which must end with exit code 0; its standard output.
pub(crate) fn must(command: &mut Command) -> String {
    let ended = run(command, Duration::from_secs(300));
    assert_eq!(ended.code, Some(0), "{command:?}\n{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

pub(crate) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The orders of a dump: every line but the heading.
pub(crate) fn orders(dump: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dump).unwrap_or_else(|why| panic!("{}: {why}", dump.display()));
    text.lines().skip(1).map(String::from).collect()
}

/// Fails with the first line in which two dumps differ. A comparison of nothing proves nothing: `least` orders.
pub(crate) fn assert_same_books(what: &str, ours: &Path, theirs: &[String], least: usize) {
    let ours = orders(ours);
    assert!(theirs.len() >= least, "{what}: {} orders are too few to compare", theirs.len());
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(a, b, "{what}: order {at} of {} and {}", ours.len(), theirs.len());
    }
    assert_eq!(ours.len(), theirs.len(), "{what}: number of orders");
}

/// Says past the test harness, which keeps what passing tests print.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
