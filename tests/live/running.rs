//! A program that runs while the test looks at it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::programs::{Ended, must, read};

/// How long anything may take on a loaded machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A child process; dropping it ends it at once.
pub(crate) struct Running {
    name: String,
    child: Child,
    scratch: tempfile::TempDir,
}

impl Running {
    /// Without standard input.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// With a standard input that stays open until [`end_input`](Self::end_input), or until the test is no more.
    pub(crate) fn start_held(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::piped())
    }

    fn start_with(command: &mut Command, input: Stdio) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let create = |name: &str| File::create(scratch.path().join(name)).unwrap();
        let child = command
            .stdin(input)
            .stdout(create("stdout"))
            .stderr(create("stderr"))
            .spawn()
            .unwrap_or_else(|why| panic!("{command:?}: {why}"));
        Self { name: format!("{command:?}"), child, scratch }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn stderr(&self) -> String {
        read(&self.file("stderr"))
    }

    pub(crate) fn stdout(&self) -> String {
        read(&self.file("stdout"))
    }

    /// True while the program has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until standard error holds `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(&format!("'{text}' on stderr"), |this| this.stderr().contains(text));
    }

    /// Waits until `reached`, which the program must live to see.
    pub(crate) fn wait_until(&mut self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !reached(self) {
            let running = self.is_running();
            assert!(
                running && began.elapsed() < PATIENCE,
                "{}: running: {running}, no {what} after {:?}\n{}{}",
                self.name,
                began.elapsed(),
                self.stdout(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        must(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()));
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => {
                    assert!(began.elapsed() < PATIENCE, "{} does not end:\n{}", self.name, self.stderr());
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        Ended { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
