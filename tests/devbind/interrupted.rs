//! Killed, or told to stop, before any one of its changes: `bind` again and `restore` finish what was begun.
//!
//! The script runs with functions in place of the commands that change something. Each asks this test first, which
//! answers, or kills the shell while it waits.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::machine::{Kernel, Machine, PORT, SECOND, Shell};

/// Questions before each command that changes something; fd 8 has the answers, fd 9 the questions. Changes of sysfs are `printf '%s\n'`.
const ASKING: &str = r#"
exec 8<&0 9>&1
ask() { command printf 'ask %s\n' "$1" >&9; IFS= read -r _ <&8; }
mkdir() { ask mkdir; command mkdir "$@"; }
mv() { ask mv; command mv "$@"; }
rm() { ask rm; command rm "$@"; }
sleep() { ask sleep; command sleep "$@"; }
printf() { [ "$1" != '%s\n' ] || ask "printf ${2:-}"; command printf "$@"; }
"#;

/// A run that is asked about.
struct Asked {
    child: Child,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Asked {
    fn start(machine: &Machine, arguments: &[&str]) -> Self {
        let mut child = machine
            .command(ASKING, "dpdk-devbind-wrapper.sh")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next question; `None` at the end of the run.
    fn question(&mut self) -> Option<String> {
        self.said.by_ref().map_while(Result::ok).find(|line| line.starts_with("ask "))
    }

    fn answer(&mut self) {
        // One that is about to end may not wait for it.
        let _ = self.child.stdin.as_mut().unwrap().write_all(b"\n");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn code(mut self) -> Option<i32> {
        while self.question().is_some() {
            self.answer();
        }
        self.child.wait().unwrap().code()
    }
}

/// Runs it, killed at its question `at`. False if it did not come so far.
fn killed_at(machine: &Machine, arguments: &[&str], at: usize) -> bool {
    let mut asked = Asked::start(machine, arguments);
    for number in 0.. {
        if asked.question().is_none() {
            assert!(asked.child.wait().unwrap().success());
            break;
        }
        if number == at {
            asked.child.kill().unwrap();
            asked.child.wait().unwrap();
            return true;
        }
        asked.answer();
    }
    false
}

fn assert_as_before(machine: &Machine, at: usize) {
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"), "killed at {at}");
    let override_file = machine.text(&format!("sys/bus/pci/devices/{PORT}/driver_override"));
    assert!(["", "(null)"].contains(&override_file.as_str()), "killed at {at}: {override_file}");
    let left = std::fs::read_dir(machine.path("state")).into_iter().flatten().flatten();
    assert_eq!(left.filter(|e| !e.file_name().to_string_lossy().starts_with('.')).count(), 0);
}

pub(crate) fn a_bind_that_is_killed_is_finished_or_undone(shell: Shell) {
    let mut at = 0;
    loop {
        let undone = Machine::with_port(shell);
        let _kernel = Kernel::of(&undone, "");
        if !killed_at(&undone, &["bind", PORT], at) {
            break;
        }
        undone.expect(0, &["restore"]);
        assert_as_before(&undone, at);

        let finished = Machine::with_port(shell);
        let _kernel = Kernel::of(&finished, "");
        killed_at(&finished, &["bind", PORT], at);
        finished.expect(0, &["bind", PORT]);
        assert_eq!(finished.driver(PORT).as_deref(), Some("vfio-pci"), "killed at {at}");
        finished.expect(0, &["restore"]);
        assert_as_before(&finished, at);
        at += 1;
    }
    // At least: directory, text and name of what is remembered, override, unbind, probe.
    assert!(at >= 6, "{at} questions only");
}

pub(crate) fn a_restore_that_is_killed_is_finished(shell: Shell) {
    let mut at = 0;
    loop {
        let machine = Machine::with_port(shell);
        let _kernel = Kernel::of(&machine, "");
        machine.expect(0, &["bind", PORT]);
        if !killed_at(&machine, &["restore"], at) {
            assert_as_before(&machine, at);
            break;
        }
        machine.expect(0, &["restore"]);
        assert_as_before(&machine, at);
        at += 1;
    }
    // At least: override, unbind, probe, forgetting.
    assert!(at >= 4, "{at} questions only");
}

/// It finishes the port in hand, leaves the other, and says so by its exit code.
pub(crate) fn a_signal_ends_it_between_two_ports(shell: Shell) {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let machine = Machine::with_port(shell);
        machine.device(SECOND, "0x8086", "0x020000", "igb", "9");
        machine.interface(SECOND, "eth1");
        let _kernel = Kernel::of(&machine, "");
        let mut asked = Asked::start(&machine, &["bind", PORT, SECOND]);
        while let Some(question) = asked.question() {
            if question == "ask printf vfio-pci" {
                break;
            }
            asked.answer();
        }
        asked.signal(name);
        asked.answer();
        assert_eq!(asked.code(), Some(code), "{name}");
        assert_eq!(machine.driver(PORT).as_deref(), Some("vfio-pci"), "{name}");
        assert_eq!(machine.driver(SECOND).as_deref(), Some("igb"), "{name}");
        machine.expect(0, &["restore"]);
        assert_as_before(&machine, 0);
    }
}
