//! Settings of the whole machine that are one value in one file.

use super::Subject;
use crate::host::{Finding, Fix, Host, Unread, bracketed};

/// One file, and what it should say.
struct Setting {
    id: &'static str,
    path: &'static str,
    /// What it says, in a word; `None` where the text is not understood.
    word: fn(&str) -> Option<&str>,
    good: fn(&str) -> bool,
    wanted: &'static str,
    /// A shell line; empty where there is none.
    now: &'static str,
    /// For the kernel's command line; empty where there is none.
    boot: &'static str,
}

/// A whole number.
fn number(text: &str) -> Option<&str> {
    text.parse::<u64>().ok().map(|_| text)
}

/// The first of several numbers.
fn first_number(text: &str) -> Option<&str> {
    text.split_whitespace().next().and_then(number)
}

fn word(text: &str) -> Option<&str> {
    (!text.is_empty() && !text.contains(char::is_whitespace)).then_some(text)
}

fn zero(word: &str) -> bool {
    word.bytes().all(|digit| digit == b'0')
}

const SETTINGS: [Setting; 11] = [
    Setting {
        id: "watchdog",
        path: "proc/sys/kernel/nmi_watchdog",
        word: number,
        good: zero,
        wanted: "0",
        now: "sysctl -w kernel.nmi_watchdog=0",
        boot: "nmi_watchdog=0",
    },
    Setting {
        id: "vmstat",
        path: "proc/sys/vm/stat_interval",
        word: number,
        good: |word| word.parse::<u64>().is_ok_and(|seconds| seconds >= 10),
        wanted: "10 s or more",
        now: "sysctl -w vm.stat_interval=60",
        boot: "",
    },
    Setting {
        id: "timer_migration",
        path: "proc/sys/kernel/timer_migration",
        word: number,
        good: zero,
        wanted: "0",
        now: "sysctl -w kernel.timer_migration=0",
        boot: "",
    },
    Setting {
        id: "ksm",
        path: "sys/kernel/mm/ksm/run",
        word: number,
        good: zero,
        wanted: "0",
        now: "echo 0 > /sys/kernel/mm/ksm/run",
        boot: "",
    },
    Setting {
        id: "console",
        path: "proc/sys/kernel/printk",
        word: first_number,
        good: |word| word.parse::<u64>().is_ok_and(|level| level <= 4),
        wanted: "4 or less",
        now: "dmesg -n 4",
        boot: "",
    },
    Setting {
        id: "aspm",
        path: "sys/module/pcie_aspm/parameters/policy",
        word: bracketed,
        good: |word| word == "performance",
        wanted: "performance",
        now: "echo performance > /sys/module/pcie_aspm/parameters/policy",
        boot: "pcie_aspm=off",
    },
    Setting {
        id: "clocksource",
        path: "sys/devices/system/clocksource/clocksource0/current_clocksource",
        word,
        good: |word| word == "tsc",
        wanted: "tsc",
        now: "",
        boot: "",
    },
    Setting {
        id: "thp",
        path: "sys/kernel/mm/transparent_hugepage/enabled",
        word: bracketed,
        good: |word| word == "madvise",
        wanted: "madvise",
        now: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        boot: "transparent_hugepage=madvise",
    },
    Setting {
        id: "thp.defrag",
        path: "sys/kernel/mm/transparent_hugepage/defrag",
        word: bracketed,
        good: |word| word != "always",
        wanted: "madvise",
        now: "echo madvise > /sys/kernel/mm/transparent_hugepage/defrag",
        boot: "",
    },
    Setting {
        id: "numa_balancing",
        path: "proc/sys/kernel/numa_balancing",
        word: number,
        good: zero,
        wanted: "0",
        now: "sysctl -w kernel.numa_balancing=0",
        boot: "numa_balancing=disable",
    },
    Setting {
        id: "compaction",
        path: "proc/sys/vm/compaction_proactiveness",
        word: number,
        good: zero,
        wanted: "0",
        now: "sysctl -w vm.compaction_proactiveness=0",
        boot: "",
    },
];

pub(super) fn findings(host: &Host, _: &Subject) -> Vec<Finding> {
    SETTINGS.iter().map(|setting| setting.look(host)).collect()
}

impl Setting {
    fn look(&self, host: &Host) -> Finding {
        let text = match host.text(self.path) {
            Ok(text) => text,
            Err(why) => return Finding::unread(self.id, &why),
        };
        let Some(word) = (self.word)(&text) else {
            return Finding::unread(self.id, &Unread::Malformed(self.path.into(), text));
        };
        if (self.good)(word) {
            return Finding::good(self.id, word);
        }
        let mut bad = Finding::bad(self.id, word, self.wanted);
        if !self.now.is_empty() {
            bad = bad.fix(Fix::Now(self.now.into()));
        }
        if !self.boot.is_empty() {
            bad = bad.fix(Fix::Boot(self.boot.into()));
        }
        bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Verdict;
    use crate::host::made_up::Machine;

    /// For each setting: something good, something bad, something else altogether.
    const TEXTS: [(&str, &str, &str, &str); SETTINGS.len()] = [
        ("watchdog", "0\n", "1\n", "on"),
        ("vmstat", "10\n", "1\n", "often"),
        ("timer_migration", "0\n", "1\n", ""),
        ("ksm", "0\n", "1\n", "-1"),
        ("console", "4\t4\t1\t7\n", "7\t4\t1\t7\n", "loud"),
        ("aspm", "default [performance] powersave\n", "[default] performance\n", "performance"),
        ("clocksource", "tsc\n", "hpet\n", "tsc hpet"),
        ("thp", "always [madvise] never\n", "[always] madvise never\n", "madvise"),
        ("thp.defrag", "always defer [madvise] never\n", "[always] never\n", ""),
        ("numa_balancing", "0\n", "1\n", "no"),
        ("compaction", "0\n", "20\n", "0 20"),
    ];

    #[test]
    fn each_setting_is_good_bad_malformed_absent_and_unreadable() {
        for (setting, (id, good, bad, malformed)) in SETTINGS.iter().zip(TEXTS) {
            assert_eq!(setting.id, id);
            let machine = Machine::empty();
            let verdict = || {
                let finding = setting.look(&machine.host);
                assert_eq!(finding.id(), id);
                finding.verdict
            };
            assert_eq!(verdict(), Verdict::Unknown, "{id}: absent");
            for (text, wanted) in [(good, Verdict::Good), (bad, Verdict::Bad), (malformed, Verdict::Unknown)]
            {
                machine.write(setting.path, text);
                assert_eq!(verdict(), wanted, "{id}: {text:?}");
            }
            machine.forbid(setting.path);
            assert_eq!(verdict(), Verdict::Unknown, "{id}: unreadable");
        }
    }
}
