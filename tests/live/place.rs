//! Where the tests run: one at a time, on the first two CPUs, in network namespaces and hugepages of their own.
//!
//! A test that cannot run here says so in one line on stderr. With `WIREBOOK_REQUIRE_LIVE=1` that is a failure.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::programs::{must, say, wirebook};
use crate::running::Running;
use wirebook::eal::{Refusal, preflight};
use wirebook::host::cpus::CpuSet;

/// Holds the machine: every program here polls, and there may be two CPUs only.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that a test does not run here, and why.
pub(crate) fn skip(test: &str, why: &str) {
    say(&format!("SKIPPED {test}: {why}"));
    assert!(
        std::env::var_os("WIREBOOK_REQUIRE_LIVE").is_none_or(|value| value.is_empty() || value == "0"),
        "{test} was skipped ({why}), and WIREBOOK_REQUIRE_LIVE is set"
    );
}

pub(crate) fn is_root() -> bool {
    must(Command::new("id").arg("-u")).trim() == "0"
}

/// The first of these programs that is not there.
pub(crate) fn missing(programs: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &str| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|directory| directory.join(program).is_file())
    };
    programs.iter().find(|program| !there(program)).map(|program| format!("{program} is not installed"))
}

/// Why this virtual device cannot be made here, where its driver is missing.
pub(crate) fn no_driver(device: &str) -> Option<String> {
    match preflight(&["--no-huge", "--no-pci", "-m", "64", "--no-shconf", &format!("--vdev={device}")]) {
        Err(refusal @ (Refusal::NoDriver { .. } | Refusal::NotLinked { .. })) => Some(refusal.to_string()),
        _ => None,
    }
}

/// Two EAL lcores on the first CPUs that this process may use; one CPU carries both where there is no second.
pub(crate) fn lcores() -> String {
    let allowed = CpuSet::allowed();
    let mut cpus = allowed.iter();
    let first = cpus.next().unwrap_or(0);
    format!("--lcores=0@{first},1@{}", cpus.next().unwrap_or(first))
}

/// EAL arguments for virtual devices without hugepages; nothing is shared with other processes.
pub(crate) fn private_eal() -> Vec<String> {
    [&lcores(), "--no-pci", "--no-huge", "-m", "256", "--no-shconf", "--no-telemetry"]
        .map(str::to_owned)
        .to_vec()
}

/// A file prefix that no other process has.
pub(crate) struct Prefix(pub(crate) String);

impl Prefix {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("wirebook_live_{}_{count}", std::process::id()))
    }

    /// EAL's directory for it.
    pub(crate) fn directory(&self) -> PathBuf {
        let root = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        let user = || std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/tmp".into(), PathBuf::from);
        let base = root.unwrap_or_else(|| if is_root() { "/var/run".into() } else { user() });
        base.join("dpdk").join(&self.0)
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        // EAL leaves its directory behind.
        let _ = std::fs::remove_dir_all(self.directory());
    }
}

/// A namespace for interfaces and mounts that lasts as long as the process that holds it, at most ten minutes: nothing
/// is left behind, however a test ends.
pub(crate) struct Namespace(Running);

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut holder = Running::start(Command::new("unshare").args(["--net", "--mount", "sleep", "600"]));
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{}/ns/net", holder.pid());
        holder.wait_until("namespace", |_| std::fs::read_link(&path).is_ok_and(|theirs| theirs != own));
        let space = Self(holder);
        // Neighbour discovery is noise here.
        let quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true; ip link set lo up";
        must(space.run("sh").args(["-c", quiet]));
        space
    }

    pub(crate) fn pid(&self) -> String {
        self.0.pid().to_string()
    }

    /// `program`, to run in here.
    pub(crate) fn run(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let of = |what: &str, file: &str| format!("--{what}=/proc/{}/{file}", self.0.pid());
        command.args([of("net", "ns/net"), of("mount", "ns/mnt")]);
        // Entering a mount namespace ends at its own root, which is not ours where the tests run in a chroot.
        command.args([of("root", "root"), of("wd", "cwd")]).arg("--").arg(program);
        command
    }

    /// `command`, to run in here.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut inside = self.run(command.get_program());
        inside.args(command.get_args());
        inside
    }
}

/// A configuration in lines: what every test needs, and what `more` adds or replaces.
pub(crate) fn config(directory: &Path, port: &str, vlan: Option<u16>, more: &str) -> PathBuf {
    let mut text = format!("[port]\nname = \"{port}\"\nlink_wait_ms = 20000\n");
    // Loaded machines stand still for many milliseconds: only what is lost on both lines is a gap.
    text.push_str("[feed]\nreorder_packets = 4096\nreorder_wait_us = 1000000\n");
    for (line, group) in [("a", "239.1.1.1"), ("b", "239.1.1.2")] {
        let _ = write!(text, "[feed.line.{line}]\ngroup = \"{group}\"\nport = 26400\n");
        if let Some(vlan) = vlan {
            let _ = writeln!(text, "vlan = {vlan}");
        }
    }
    text.push_str("[book]\nmax_locates = 1024\nmax_orders = 400000\nmax_levels = 200000\n");
    text.push_str("[latency]\nprint_every_s = 1\n");
    text.push_str(more);
    let path = directory.join("feed.toml");
    std::fs::write(&path, text).unwrap();
    must(wirebook().arg("check-config").arg(&path));
    path
}

/// Books only: no orders are ever made.
pub(crate) const OBSERVE: &str = "[instruments]\nall = true\n[strategy]\nkind = \"none\"\n";

/// Trades on small imbalances in `symbols`, for the exchange's own gateway.
pub(crate) fn trade(symbols: &[String], armed: bool) -> String {
    let symbols: Vec<_> = symbols.iter().map(|symbol| format!("\"{symbol}\"")).collect();
    format!(
        r#"
[instruments]
symbols = [{}]
[strategy]
kind = "imbalance"
entry_bp = 4000
exit_bp = 1000
order_shares = 100
style = "take"
max_spread = "0.20"
cooldown_us = 20000
[risk]
armed = {armed}
max_position_shares = 5000
max_gross_value = 20000000
max_orders_per_second = 5000
duplicate_window_ms = 1
[gateway]
framing = "wutf-udp"
local_ip = "10.0.0.2"
local_port = 31000
ip = "10.0.0.1"
port = 31001
mac = "02:00:00:00:00:01"
"#,
        symbols.join(", ")
    )
}

/// The first tickers of the exchange's directory.
pub(crate) fn symbols(count: u32) -> Vec<String> {
    (0..count)
        .map(|index| {
            String::from_utf8_lossy(&exchange::units::Symbol::simulated(index).0).trim_end().to_owned()
        })
        .collect()
}
