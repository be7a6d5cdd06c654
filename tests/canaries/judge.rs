//! Runs one judge: until it has passed, until its first test fails, or until it takes too long.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::list::Judge;
use super::scratch::Scratch;

/// KiB of address space that a judge may take: a bug that allocates without end must not take the machine with it.
const MEMORY: u64 = 12 << 20;

/// Characters that are shown of what a test says.
const TOLD: usize = 120;

/// What became of a judge.
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
}

/// What a judge found.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Passed { tests: u32 },
    /// A test failed; `panic`: where the handler itself panicked; `seed`: of the simulation, and why.
    Failed { test: String, panic: Option<String>, seed: Option<String> },
    /// It hangs.
    TimedOut,
    /// It ended without a word.
    Died(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { tests } => write!(f, "{tests} passed"),
            Self::Failed { test, panic, seed } => {
                let told: String = seed.as_ref().unwrap_or(test).chars().take(TOLD).collect();
                f.write_str(&told)?;
                panic.as_ref().map_or(Ok(()), |place| write!(f, " [the handler panics at {place}]"))
            }
            Self::TimedOut => f.write_str("[hangs]"),
            Self::Died(how) => write!(f, "[{how}]"),
        }
    }
}

/// A panic as told on standard error.
struct Panic {
    thread: String,
    place: String,
}

/// Runs `judge` with a bug or without.
pub(crate) fn run(judge: &Judge, scratch: &Scratch, canary: Option<u32>, limit: Duration) -> Outcome {
    let began = Instant::now();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -c 0; ulimit -v {MEMORY}; exec \"$0\" \"$@\""))
        .arg(scratch.executable(&judge.target))
        .args(&judge.args)
        // Told at once, and not when all is over.
        .args(["--nocapture", "--test-threads=2"])
        .current_dir(&scratch.tree)
        .env("WIREBOOK_CANARY", canary.unwrap_or(0).to_string())
        .env("RUST_BACKTRACE", "0")
        // The same cases in each run, and no time spent on making them small.
        .env("PROPTEST_RNG_SEED", "1")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .envs(&judge.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("a shell");
    let lines = reader(child.stdout.take().expect("piped"));
    let errors = reader(child.stderr.take().expect("piped"));
    let panics =
        thread::spawn(move || errors.into_iter().filter_map(|line| panic(&line)).collect::<Vec<_>>());
    let found = follow(&lines, began + limit);
    let verdict = match found {
        Found::End { tests } => {
            let status = child.wait().expect("a child");
            if status.success() { Verdict::Passed { tests } } else { Verdict::Died(status.to_string()) }
        }
        Found::Failure { test, seed } => {
            end(&mut child);
            let panics = panics.join().expect("a reader");
            let in_test = |panic: &&Panic| panic.thread == test || panic.thread == "<unnamed>";
            let panic = panics.iter().filter(in_test).find(|panic| is_the_handlers(scratch, panic));
            Verdict::Failed { panic: panic.map(|panic| panic.place.clone()), test, seed }
        }
        Found::Nothing => {
            end(&mut child);
            Verdict::TimedOut
        }
    };
    Outcome { verdict, took: began.elapsed() }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().expect("a child");
}

fn reader(from: impl Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    lines
}

enum Found {
    Failure {
        test: String,
        seed: Option<String>,
    },
    End {
        tests: u32,
    },
    /// Time is up.
    Nothing,
}

/// Follows what a test binary prints.
fn follow(lines: &Receiver<String>, deadline: Instant) -> Found {
    let (mut tests, mut seed) = (0, None);
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(test) =
                    line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
                {
                    return Found::Failure {
                        test: test.trim_end_matches(" - should panic").to_owned(),
                        seed,
                    };
                }
                if let Some(failed) = line.strip_prefix("FAILED seed ") {
                    seed.get_or_insert_with(|| format!("seed {failed}"));
                }
                let passed = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(' '));
                tests = passed.and_then(|(count, _)| count.parse().ok()).unwrap_or(tests);
            }
            Err(RecvTimeoutError::Disconnected) => return Found::End { tests },
            Err(RecvTimeoutError::Timeout) => return Found::Nothing,
        }
    }
}

/// `thread 'name' (4711) panicked at src/feed.rs:1:2:`
fn panic(line: &str) -> Option<Panic> {
    let (head, place) = line.split_once(" panicked at ")?;
    let (thread, _) = head.strip_prefix("thread '")?.split_once('\'')?;
    Some(Panic { thread: thread.to_owned(), place: place.trim_end_matches(':').to_owned() })
}

/// True for a panic in the handler's own code and not in a test's.
fn is_the_handlers(scratch: &Scratch, panic: &Panic) -> bool {
    let mut parts = panic.place.split(':');
    let (Some(file), Some(line)) = (parts.next(), parts.next()) else { return false };
    if !file.starts_with("src/") || file.ends_with("tests.rs") {
        return false;
    }
    let text = std::fs::read_to_string(scratch.tree.join(file)).unwrap_or_default();
    let tests_begin = text.lines().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(usize::MAX);
    line.parse::<usize>().is_ok_and(|line| line <= tests_begin)
}

#[test]
fn what_a_test_binary_prints_is_understood() {
    let lines = |text: &[&str]| {
        let (to, lines) = mpsc::channel();
        text.iter().for_each(|line| to.send((*line).to_owned()).unwrap());
        lines
    };
    let soon = Instant::now() + Duration::from_secs(60);
    let failing =
        lines(&["test a::b ... ok", "FAILED seed 7: why", "FAILED seed 9: why", "test a::c ... FAILED"]);
    assert!(matches!(follow(&failing, soon), Found::Failure { test, seed: Some(seed) }
        if test == "a::c" && seed == "seed 7: why"));
    let passing = lines(&["test a::b ... ok", "test result: ok. 12 passed; 0 failed; 1 ignored"]);
    assert!(matches!(follow(&passing, soon), Found::End { tests: 12 }));
    let (_to, silent) = mpsc::channel();
    assert!(matches!(follow(&silent, Instant::now()), Found::Nothing));
    let told = panic("thread 'a::c' (17) panicked at src/feed/stream.rs:10:5:").unwrap();
    assert_eq!((told.thread.as_str(), told.place.as_str()), ("a::c", "src/feed/stream.rs:10:5"));
}
