//! What can be mended at run time, as a shell script for the operator to read and run.

use std::fmt::Write as _;

use super::{Finding, Fix, Level, Profile};

/// A word as the shell takes it, whatever is in it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The script, and words for the kernel's command line as a comment in it. Findings that are only told change nothing.
#[must_use]
pub fn script(findings: &[Finding], profile: Profile) -> String {
    let mut text = String::from(
        "#!/bin/sh\n# What `wirebook doctor` would change until the next boot. Read it, then run it as root, in wirebook's own\n\
         # directory.\nset -u\n",
    );
    let worse = |finding: &&Finding| finding.level(profile) >= Level::Warn;
    let mut boot = Vec::new();
    for finding in findings.iter().filter(worse) {
        let mut lines = Vec::new();
        for fix in &finding.fixes {
            match fix {
                Fix::Now(line) => lines.push(line.clone()),
                Fix::Boot(words) => boot.extend(words.split_whitespace().map(str::to_owned)),
                Fix::Firmware(what) => lines.push(format!("# BIOS, or the machine itself: {what}")),
                Fix::Words(what) => lines.push(format!("# {what}")),
            }
        }
        // Nothing in a comment ends it: findings are one line each.
        let _ = write!(text, "\n# {}: {}\n", finding.id(), finding.seen);
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    boot.sort();
    boot.dedup();
    if !boot.is_empty() {
        let _ = write!(
            text,
            "\n# For the kernel's command line, from the next boot on:\n#   {}\n",
            boot.join(" ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// Does the shell understand it? It is not run.
    fn passes(script: &str) -> bool {
        let mut shell =
            Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        shell.wait().unwrap().success()
    }

    #[test]
    fn the_shell_understands_it_whatever_names_say() {
        assert!(!passes("if"), "the test itself");
        let findings = [
            Finding::bad("irqbalance", "process 7\n$(reboot) `reboot` '\"", "none")
                .fix(Fix::Now("true".into())),
            Finding::bad("ksm", "1", "0").fix(Fix::Now("echo 0 > /sys/kernel/mm/ksm/run".into())),
            Finding::bad("isolated", "none", "1").fix(Fix::Boot("isolcpus=1 nohz_full=1".into())),
            Finding::bad("rcu_nocbs", "none", "1").fix(Fix::Boot("nohz_full=1".into())),
            Finding::bad("turbo", "on", "off").fix(Fix::Now("told, not judged: must not appear".into())),
            Finding::good("swap", "none"),
        ];
        let text = script(&findings, Profile::Lab);
        assert!(passes(&text), "{text}");
        assert!(text.contains("\n# irqbalance: process 7?$(reboot)"), "{text}");
        assert!(text.contains("\n#   isolcpus=1 nohz_full=1\n"), "{text}");
        assert!(text.contains("\necho 0 > /sys/kernel/mm/ksm/run\n"), "{text}");
        assert!(!text.contains("must not appear") && !text.contains("swap"), "{text}");
        assert!(passes(&script(&[], Profile::Live)));
    }

    #[test]
    fn words_of_others_are_quoted() {
        for (word, expected) in [
            ("/sys/fs/cgroup/a.slice/cpu.max", "/sys/fs/cgroup/a.slice/cpu.max"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's $(x)", "'it'\\''s $(x)'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
