//! `tools/dpdk-devbind-wrapper.sh` on a made-up sysfs tree, with a thread that answers its writes as the kernel does.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect; its helper functions too")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const PORT: &str = "0000:01:00.0";
const SECOND: &str = "0000:01:00.1";
const BRIDGE: &str = "0000:00:01.0";

/// A machine with made-up PCI devices.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for driver in ["e1000e", "igb", "mlx5_core", "vfio-pci"] {
            machine.put(&format!("sys/bus/pci/drivers/{driver}/unbind"), "");
        }
        machine.put("sys/bus/pci/drivers_probe", "");
        machine.put("proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n");
        machine.put("proc/net/ipv6_route", "");
        machine.put("proc/net/if_inet6", "");
        fs::create_dir_all(machine.path("sys/class/net")).unwrap();
        machine
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn put(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn append(&self, below: &str, text: &str) {
        let old = fs::read_to_string(self.path(below)).unwrap();
        self.put(below, &(old + text));
    }

    fn device(&self, address: &str, vendor: &str, class: &str, driver: &str, group: &str) {
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

    fn interface(&self, address: &str, name: &str) {
        let base = self.path(&format!("sys/bus/pci/devices/{address}"));
        fs::create_dir_all(base.join("net").join(name)).unwrap();
        symlink(&base, base.join("net").join(name).join("device")).unwrap();
        symlink(base.join("net").join(name), self.path(&format!("sys/class/net/{name}"))).unwrap();
    }

    /// One Intel port on e1000e, alone in its IOMMU group beside a bridge.
    fn with_port() -> Self {
        let machine = Self::new();
        machine.device(PORT, "0x8086", "0x020000", "e1000e", "7");
        machine.device(BRIDGE, "0x8086", "0x060400", "", "7");
        machine.interface(PORT, "eth0");
        machine
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/dpdk-devbind-wrapper.sh"))
            .args(arguments)
            .env("SYSFS_ROOT", self.path("sys"))
            .env("PROC_ROOT", self.path("proc"))
            .env("STATE_DIR", self.path("state"))
            .output()
            .unwrap()
    }

    /// Runs it, expects exit code `code`, and returns what it wrote, errors last.
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}:\n{text}");
        text
    }

    fn driver(&self, address: &str) -> Option<String> {
        let link = fs::read_link(self.path(&format!("sys/bus/pci/devices/{address}/driver"))).ok()?;
        Some(link.file_name().unwrap().to_str().unwrap().to_owned())
    }

    /// Everything that a file says, to see that nothing changed.
    fn snapshot(&self) -> Vec<(PathBuf, String)> {
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
struct Kernel {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Kernel {
    fn of(machine: &Machine, refusing: &'static str) -> Self {
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
    let text = fs::read_to_string(file).unwrap();
    let line = text.strip_suffix('\n')?.to_owned();
    fs::write(file, "").unwrap();
    Some(line)
}

#[test]
fn binds_and_restores() {
    let machine = Machine::with_port();
    let _kernel = Kernel::of(&machine, "");
    assert_eq!(machine.expect(0, &["bind", "eth0"]), "0000:01:00.0: e1000e -> vfio-pci\n");
    assert_eq!(machine.driver(PORT).as_deref(), Some("vfio-pci"));
    assert_eq!(machine.expect(0, &["bind", "01:00.0"]), "0000:01:00.0: already with vfio-pci\n");
    assert!(machine.expect(0, &["status"]).contains("came from e1000e"));

    assert_eq!(machine.expect(0, &["restore"]), "0000:01:00.0: given back to e1000e\n");
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
    assert!(machine.expect(0, &["restore"]).starts_with("nothing to restore"));
    assert!(machine.expect(1, &["restore", PORT]).contains("no former driver is remembered"));
}

#[test]
fn unbind_then_bind_still_restores_the_first_driver() {
    let machine = Machine::with_port();
    let _kernel = Kernel::of(&machine, "");
    assert_eq!(machine.expect(0, &["unbind", PORT]), "0000:01:00.0: e1000e -> no driver\n");
    assert_eq!(machine.driver(PORT), None);
    assert_eq!(machine.expect(0, &["bind", PORT]), "0000:01:00.0: no driver -> vfio-pci\n");
    assert_eq!(machine.expect(0, &["restore", PORT]), "0000:01:00.0: given back to e1000e\n");
}

#[test]
fn a_driver_that_the_kernel_would_not_choose_is_restored_by_name() {
    let machine = Machine::with_port();
    machine.put(&format!("sys/bus/pci/devices/{PORT}/natural"), "igb");
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT]);
    machine.expect(0, &["restore", PORT]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
}

#[test]
fn a_port_that_vfio_does_not_take_goes_back() {
    let machine = Machine::with_port();
    let _kernel = Kernel::of(&machine, "vfio-pci");
    let text = machine.expect(1, &["bind", PORT]);
    assert!(text.contains("vfio-pci did not take it"), "{text}");
    assert!(text.contains("given back to e1000e"), "{text}");
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
}

#[test]
fn a_dry_run_prints_each_write_and_does_none() {
    let machine = Machine::with_port();
    let before = machine.snapshot();
    let text = machine.expect(0, &["bind", "--dry-run", "eth0"]);
    let sys = machine.path("sys/bus/pci");
    let sys = sys.display();
    let expected = [
        format!("would remember 'e1000e' in {}", machine.path("state").join(PORT).display()),
        format!("would write 'vfio-pci' to {sys}/devices/{PORT}/driver_override"),
        format!("would write '{PORT}' to {sys}/drivers/e1000e/unbind"),
        format!("would write '{PORT}' to {sys}/drivers_probe"),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(machine.snapshot(), before);
}

/// Refuses `arguments` with exit 1 and `reason`, and changes nothing.
fn refuses(machine: &Machine, arguments: &[&str], reason: &str) {
    let before = machine.snapshot();
    let text = machine.expect(1, arguments);
    assert!(text.contains(reason), "{arguments:?}: {text}");
    assert!(text.contains("    fix: "), "{arguments:?}: {text}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn never_takes_the_default_route() {
    let default = "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    let machine = Machine::with_port();
    machine.append("proc/net/route", default);
    for command in ["bind", "unbind"] {
        refuses(&machine, &[command, "eth0"], "eth0 carries the default route");
        refuses(&machine, &[command, "--force", PORT], "eth0 carries the default route");
    }
    assert!(machine.expect(0, &["status"]).contains("carries the default route"));

    // By IPv6.
    let machine = Machine::with_port();
    let zeros = "0".repeat(32);
    machine.put(
        "proc/net/ipv6_route",
        &format!("{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 0 0 00000003     eth0\n"),
    );
    refuses(&machine, &["bind", "--force", PORT], "eth0 carries the default route");

    // Through a bond and a VLAN on it.
    let machine = Machine::with_port();
    machine.put("sys/class/net/eth0/upper_bond0/x", "");
    machine.put("sys/class/net/bond0/upper_bond0.7/x", "");
    machine.append("proc/net/route", &default.replace("eth0", "bond0.7"));
    refuses(&machine, &["bind", "--force", PORT], "eth0 carries the default route");
}

#[test]
fn takes_an_interface_with_an_address_only_by_force() {
    let machine = Machine::with_port();
    machine.append("proc/net/route", "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    refuses(&machine, &["bind", PORT], "eth0 has an address");
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", "--force", PORT]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("vfio-pci"));
}

#[test]
fn an_ipv6_address_counts_unless_it_is_link_local() {
    let machine = Machine::with_port();
    machine.put("proc/net/if_inet6", "fe800000000000000000000000000002 02 40 20 80     eth0\n");
    machine.expect(0, &["bind", "--dry-run", PORT]);
    machine.put("proc/net/if_inet6", "20010db8000000000000000000000002 02 40 00 80     eth0\n");
    refuses(&machine, &["bind", PORT], "eth0 has an address");
}

#[test]
fn bifurcated_ports_stay_with_their_kernel_driver() {
    let machine = Machine::new();
    machine.device(PORT, "0x15b3", "0x020000", "mlx5_core", "7");
    let before = machine.snapshot();
    let text = machine.expect(0, &["bind", PORT]);
    assert_eq!(text, "0000:01:00.0: nothing to do: DPDK works through its kernel driver mlx5_core\n");
    assert!(machine.expect(1, &["unbind", PORT]).contains("refused"));
    assert!(machine.expect(0, &["status"]).contains("do not bind"));
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn wants_an_iommu_and_the_whole_group() {
    let machine = Machine::new();
    machine.device(PORT, "0x8086", "0x020000", "igb", "");
    refuses(&machine, &["bind", PORT], "is in no IOMMU group");
    machine.put("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    assert!(machine.expect(0, &["bind", "--dry-run", PORT]).contains("warning: no IOMMU"));

    let machine = Machine::with_port();
    machine.device(SECOND, "0x8086", "0x020000", "igb", "7");
    refuses(&machine, &["bind", PORT], "its IOMMU group is shared with 0000:01:00.1, which igb has");
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT, SECOND]);
    assert_eq!(machine.driver(SECOND).as_deref(), Some("vfio-pci"));
    machine.expect(0, &["restore"]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
    assert_eq!(machine.driver(SECOND).as_deref(), Some("igb"));
}

#[test]
fn leaves_a_port_that_is_in_use() {
    let machine = Machine::with_port();
    {
        let _kernel = Kernel::of(&machine, "");
        machine.expect(0, &["bind", PORT]);
    }
    machine.put("proc/4711/comm", "wirebook\n");
    fs::create_dir_all(machine.path("proc/4711/fd")).unwrap();
    symlink("/dev/vfio/7", machine.path("proc/4711/fd/9")).unwrap();
    refuses(&machine, &["restore"], "held open by process 4711 (wirebook)");
    refuses(&machine, &["unbind", "--force", PORT], "held open by process 4711 (wirebook)");
}

#[test]
fn checks_everything_before_it_changes_anything() {
    let machine = Machine::with_port();
    machine.device(SECOND, "0x8086", "0x010601", "igb", "8");
    refuses(&machine, &["bind", PORT, SECOND], "class 0x010601 is not a network device");
    refuses(&machine, &["bind", PORT, "0000:09:00.0"], "there is no such PCI device");
    machine.put(&format!("sys/bus/pci/devices/{PORT}/sriov_numvfs"), "4\n");
    refuses(&machine, &["bind", PORT], "it has 4 virtual functions in being");
}

#[test]
fn says_what_a_device_is_not() {
    let machine = Machine::with_port();
    fs::create_dir_all(machine.path("sys/class/net/veth0")).unwrap();
    refuses(&machine, &["bind", "veth0"], "--vdev net_af_packet0,iface=veth0");
    refuses(&machine, &["bind", "eth9"], "neither a PCI address nor a network interface");
    refuses(&machine, &["bind", "../../etc"], "neither a PCI address nor a network interface");
    fs::remove_dir_all(machine.path("sys/bus/pci/drivers/vfio-pci")).unwrap();
    refuses(&machine, &["bind", PORT], "vfio-pci: is not loaded");
}

#[test]
fn wrong_arguments_exit_2() {
    let machine = Machine::with_port();
    for arguments in [
        &[][..],
        &["frob"],
        &["bind"],
        &["bind", "--frob", PORT],
        &["bind", "--driver"],
        &["bind", "--driver=../x", PORT],
        &["status", PORT],
    ] {
        machine.expect(2, arguments);
    }
    assert!(machine.expect(0, &["--help"]).contains("restore  gives the port back"));
}
