//! A made-up machine: a sysfs tree, a kernel that answers writes to it, and the shell that the scripts run in.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) const PORT: &str = "0000:01:00.0";
pub(crate) const SECOND: &str = "0000:01:00.1";
pub(crate) const BRIDGE: &str = "0000:00:01.0";

/// Runs the script `$0` on a machine whose modules are the files of `modules`, and whose mounts are a file. Functions, for
/// busybox prefers its own applets to any program.
const ON_THIS_MACHINE: &str = r#"
modprobe() {
    echo "$1" >>"$MACHINE/modprobe.log"
    [ -e "$MACHINE/modules/$1" ] || return 1
    command mkdir -p "$MACHINE/sys/module/$1" "$MACHINE/sys/bus/pci/drivers/$1"
    : >"$MACHINE/sys/bus/pci/drivers/$1/unbind"
}
mount() {
    echo "$5 $6 $2 rw,relatime,$4 0 0" >>"$MACHINE/proc/mounts"
}
. "$0"
"#;

/// What runs the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Dash,
    Bash,
    /// With no program but busybox's own.
    Busybox,
}

/// A shell cannot trap what was ignored before it began, as SIGINT is where the tests run in the background.
fn heeding_signals(shell: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=INT,TERM", shell]);
    command
}

impl Shell {
    pub(crate) fn is_installed(self) -> bool {
        let name = match self {
            Self::Dash => "dash",
            Self::Bash => "bash",
            Self::Busybox => "busybox",
        };
        Command::new(name).args(["-c", "true"]).output().is_ok()
    }

    fn command(self) -> Command {
        match self {
            Self::Dash => heeding_signals("dash"),
            Self::Bash => heeding_signals("bash"),
            Self::Busybox => {
                let mut command = heeding_signals("busybox");
                command.arg("sh");
                command
            }
        }
    }
}

/// A machine with made-up PCI devices.
pub(crate) struct Machine {
    root: tempfile::TempDir,
    /// For busybox: its applets.
    programs: tempfile::TempDir,
    shell: Shell,
}

impl Machine {
    pub(crate) fn new(shell: Shell) -> Self {
        let machine =
            Self { root: tempfile::tempdir().unwrap(), programs: tempfile::tempdir().unwrap(), shell };
        if shell == Shell::Busybox {
            let installed = Command::new("busybox")
                .args(["--install", "-s"])
                .arg(machine.programs.path())
                .output()
                .unwrap();
            assert!(installed.status.success());
        }
        for driver in ["e1000e", "igb", "mlx5_core", "vfio-pci"] {
            machine.put(&format!("sys/bus/pci/drivers/{driver}/unbind"), "");
        }
        machine.put("sys/bus/pci/drivers_probe", "");
        machine.put("proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n");
        machine.put("proc/net/ipv6_route", "");
        machine.put("proc/net/if_inet6", "");
        machine.put("sys/module/vfio_iommu_type1/refcnt", "0\n");
        fs::create_dir_all(machine.path("sys/class/net")).unwrap();
        machine
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub(crate) fn put(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn append(&self, below: &str, text: &str) {
        let old = fs::read_to_string(self.path(below)).unwrap();
        self.put(below, &(old + text));
    }

    pub(crate) fn device(&self, address: &str, vendor: &str, class: &str, driver: &str, group: &str) {
        let base = format!("sys/bus/pci/devices/{address}");
        for (file, text) in [
            ("vendor", vendor),
            ("device", "0x10d3"),
            ("class", class),
            ("driver_override", "(null)"),
            ("numa_node", "0"),
        ] {
            self.put(&format!("{base}/{file}"), &format!("{text}\n"));
        }
        // What the device falls to when nothing overrides it: not a file of sysfs, but of our kernel.
        self.put(&format!("{base}/natural"), driver);
        if !driver.is_empty() {
            symlink(
                self.path(&format!("sys/bus/pci/drivers/{driver}")),
                self.path(&format!("{base}/driver")),
            )
            .unwrap();
        }
        if !group.is_empty() {
            let group = format!("sys/kernel/iommu_groups/{group}");
            fs::create_dir_all(self.path(&format!("{group}/devices/{address}"))).unwrap();
            symlink(self.path(&group), self.path(&format!("{base}/iommu_group"))).unwrap();
        }
    }

    pub(crate) fn interface(&self, address: &str, name: &str) {
        let base = self.path(&format!("sys/bus/pci/devices/{address}"));
        fs::create_dir_all(base.join("net").join(name)).unwrap();
        symlink(&base, base.join("net").join(name).join("device")).unwrap();
        symlink(base.join("net").join(name), self.path(&format!("sys/class/net/{name}"))).unwrap();
    }

    /// One Intel port on e1000e, alone in its IOMMU group beside a bridge.
    pub(crate) fn with_port(shell: Shell) -> Self {
        let machine = Self::new(shell);
        machine.device(PORT, "0x8086", "0x020000", "e1000e", "7");
        machine.device(BRIDGE, "0x8086", "0x060400", "", "7");
        machine.interface(PORT, "eth0");
        machine
    }

    /// The shell on this machine, to run a script after `prelude`.
    pub(crate) fn command(&self, prelude: &str, script_name: &str) -> Command {
        let mut command = self.shell.command();
        if self.shell == Shell::Busybox {
            command.env("PATH", self.programs.path());
        }
        command
            .env("MACHINE", self.path(""))
            .env("SYSFS_ROOT", self.path("sys"))
            .env("PROC_ROOT", self.path("proc"))
            .env("STATE_DIR", self.path("state"))
            .env("PCI_IDS", self.path("pci.ids"))
            .args(["-c", &format!("{prelude}{ON_THIS_MACHINE}")])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(script_name));
        command
    }

    fn run(&self, script_name: &str, arguments: &[&str]) -> Output {
        self.command("", script_name).args(arguments).output().unwrap()
    }

    /// Runs it, expects exit code `code`, and returns what it wrote, errors last.
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> String {
        self.expect_of("dpdk-devbind-wrapper.sh", code, arguments)
    }

    pub(crate) fn expect_of(&self, script_name: &str, code: i32, arguments: &[&str]) -> String {
        let output = self.run(script_name, arguments);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}:\n{text}");
        text
    }

    /// The text of a file, without the end of its line; empty where there is none.
    pub(crate) fn text(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap_or_default().trim_end().to_owned()
    }

    pub(crate) fn driver(&self, address: &str) -> Option<String> {
        let link = fs::read_link(self.path(&format!("sys/bus/pci/devices/{address}/driver"))).ok()?;
        Some(link.file_name().unwrap().to_str().unwrap().to_owned())
    }

    /// Everything that a file says, to see that nothing changed.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, String)> {
        let mut todo = vec![self.root.path().to_owned()];
        let mut all = Vec::new();
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_symlink() {
                    all.push((entry.path(), fs::read_link(entry.path()).unwrap().display().to_string()));
                } else if kind.is_dir() {
                    todo.push(entry.path());
                } else {
                    all.push((entry.path(), fs::read_to_string(entry.path()).unwrap()));
                }
            }
        }
        all.sort();
        all
    }
}

/// Answers writes to `unbind` and `drivers_probe`; `refusing` is a driver that takes no device.
pub(crate) struct Kernel {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Kernel {
    pub(crate) fn of(machine: &Machine, refusing: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (pci, stopped) = (machine.path("sys/bus/pci"), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for driver in fs::read_dir(pci.join("drivers")).unwrap().map(Result::unwrap) {
                    if let Some(address) = taken(&driver.path().join("unbind")) {
                        fs::remove_file(pci.join("devices").join(address).join("driver")).unwrap();
                    }
                }
                if let Some(address) = taken(&pci.join("drivers_probe")) {
                    let device = pci.join("devices").join(address);
                    let mut driver =
                        fs::read_to_string(device.join("driver_override")).unwrap().trim().to_owned();
                    if driver.is_empty() || driver == "(null)" {
                        driver = fs::read_to_string(device.join("natural")).unwrap();
                    }
                    if driver != refusing && !device.join("driver").exists() {
                        symlink(pci.join("drivers").join(driver), device.join("driver")).unwrap();
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// The line that was written into a file of the kernel's, which is empty afterwards.
fn taken(file: &Path) -> Option<String> {
    // A driver that is just being loaded has none yet.
    let text = fs::read_to_string(file).ok()?;
    let line = text.strip_suffix('\n')?.to_owned();
    fs::write(file, "").unwrap();
    Some(line)
}

/// Refuses `arguments` with exit 1 and `reason`, and changes nothing.
pub(crate) fn refuses(machine: &Machine, arguments: &[&str], reason: &str) {
    let before = machine.snapshot();
    let text = machine.expect(1, arguments);
    assert!(text.contains(reason), "{arguments:?}: {text}");
    assert!(text.contains("    fix: "), "{arguments:?}: {text}");
    assert_eq!(machine.snapshot(), before);
}
