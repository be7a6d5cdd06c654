//! Each refusal, on a made-up machine: 4 CPUs online, 0-2 allowed, hugepages reserved and mounted, a few drivers, one
//! PCI card at each kind of driver, each in an IOMMU group of its own.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::host::made_up::Machine;

mod pci;

impl Machine {
    fn new() -> Self {
        let mut machine = Self::empty();
        machine.host.plugin_dir = Some("/usr/lib/dpdk/pmds-23.0".into());
        machine.write("sys/devices/system/cpu/online", "0-3\n");
        machine.write("proc/self/status", "Name:\twirebook\nCpus_allowed:\t7\nCpus_allowed_list:\t0-2\n");
        machine.hugepages(128, 128);
        machine.write("proc/self/mounts", "proc /proc proc rw 0 0\nnone /dev/hugepages hugetlbfs rw 0 0\n");
        fs::create_dir_all(machine.dir.path().join("dev/hugepages")).unwrap();
        for driver in ["bus_pci", "bus_vdev", "mempool_ring", "net_ixgbe", "net_ring", "net_virtio"] {
            machine.write(&format!("usr/lib/dpdk/pmds-23.0/librte_{driver}.so.23"), "");
        }
        machine.card("0000:01:00.0", "8086:10fb", Some("vfio-pci"));
        machine.card("0000:02:00.0", "8086:10fb", Some("ixgbe"));
        machine.write("sys/bus/pci/devices/0000:02:00.0/net/enp2s0/mtu", "1500");
        machine.card("0000:03:00.0", "8086:10fb", None);
        machine.card("0000:04:00.0", "1414:00ba", Some("mana"));
        for (group, address) in [("1", "0000:01:00.0"), ("2", "0000:02:00.0"), ("3", "0000:03:00.0")] {
            machine.group(group, address);
        }
        machine.write("dev/vfio/vfio", "");
        machine.write("dev/vfio/1", "");
        machine.write("sys/module/vfio_iommu_type1/refcnt", "0\n");
        machine
    }

    fn hugepages(&self, reserved: u64, free: u64) {
        let dir = "sys/kernel/mm/hugepages/hugepages-2048kB";
        self.write(&format!("{dir}/nr_hugepages"), &format!("{reserved}\n"));
        self.write(&format!("{dir}/free_hugepages"), &format!("{free}\n"));
    }

    fn card(&self, address: &str, id: &str, driver: Option<&str>) {
        let (vendor, number) = id.split_once(':').unwrap();
        let device = format!("sys/bus/pci/devices/{address}");
        self.write(&format!("{device}/vendor"), &format!("0x{vendor}\n"));
        self.write(&format!("{device}/device"), &format!("0x{number}\n"));
        self.write(&format!("{device}/class"), "0x020000\n");
        self.bind(address, driver);
    }

    fn bind(&self, address: &str, driver: Option<&str>) {
        let link = self.dir.path().join("sys/bus/pci/devices").join(address).join("driver");
        let _ = fs::remove_file(&link);
        if let Some(driver) = driver {
            symlink(format!("../../../bus/pci/drivers/{driver}"), link).unwrap();
        }
    }

    /// Puts a card into an IOMMU group.
    fn group(&self, group: &str, address: &str) {
        let directory = self.dir.path().join("sys/kernel/iommu_groups").join(group);
        self.write(&format!("sys/kernel/iommu_groups/{group}/devices/{address}/class"), "");
        symlink(directory, self.dir.path().join("sys/bus/pci/devices").join(address).join("iommu_group"))
            .unwrap();
    }

    fn check(&self, line: &str) -> Result<(), Refusal> {
        self.host.check(&EalArgs::parse(&line.split_whitespace().collect::<Vec<_>>()))
    }

    /// The refusal's text, which must be one line.
    fn refuses(&self, line: &str) -> String {
        let text = self.check(line).expect_err(line).to_string();
        assert!(!text.contains('\n') && !text.contains("  "), "{text:?}");
        text
    }
}

#[test]
fn what_can_run_is_let_through() {
    let machine = Machine::new();
    for line in [
        "",
        "-l 0-1 --no-pci --vdev net_ring0",
        "-c 0x7 --main-lcore 2",
        "--lcores 9@1,10@2 --main-lcore 10 --in-memory",
        "--no-huge -m 4096 --vdev=net_virtio_user0,path=/x",
        "-a 01:00.0 -a 0000:04:00.0,dv_flow_en=0 -a auxiliary:mlx5_core.sf.4",
        "-d /opt/pmds --vdev net_other0",
        "--huge-dir /dev/hugepages/mine",
    ] {
        if line.contains("mine") {
            fs::create_dir_all(machine.dir.path().join("dev/hugepages/mine")).unwrap();
        }
        assert_eq!(machine.check(line), Ok(()), "{line}");
    }
}

#[test]
fn each_look_names_its_checks() {
    let machine = Machine::new();
    let looks = |line: &str| {
        let args = EalArgs::parse(&line.split_whitespace().collect::<Vec<_>>());
        machine.host.looks(&args)
    };
    for line in
        ["-a 01:00.0", "-a 02:00.0", "-a 04:00.0", "-a 09:00.0", "-l 9", "--huge-dir /x", "--vdev net_x0"]
    {
        for look in looks(line) {
            if let Err(refusal) = &look.outcome {
                assert!(look.ids.contains(&refusal.id()), "{look:?}");
            }
            for id in &look.ids {
                assert_eq!(crate::host::catalogue::entry(id).id, *id);
            }
        }
    }
    let of_card = |line: &str| looks(line).pop().unwrap().ids;
    let all = ["port.present", "iommu", "port.driver", "pmd", "iommu.group", "vfio", "port.held", "memlock"];
    assert_eq!(of_card("-a 01:00.0"), all);
    // What is bifurcated needs no VFIO; without an IOMMU nothing can be said of its groups.
    assert_eq!(of_card("-a 04:00.0"), ["port.present", "port.driver", "pmd"]);
    machine.write("sys/kernel/iommu_groups/1/name", "vfio-noiommu\n");
    assert_eq!(of_card("-a 01:00.0"), ["port.present", "port.driver", "pmd", "vfio", "port.held"]);
    assert_eq!(looks("--no-huge --no-pci").len(), 4);
}

#[test]
fn what_one_line_mends_has_that_line() {
    let machine = Machine::new();
    let command = |line: &str| machine.check(line).unwrap_err().command();
    assert_eq!(command("-a 03:00.0").as_deref(), Some("tools/dpdk-devbind-wrapper.sh bind 0000:03:00.0"));
    assert_eq!(command("-a 02:00.0"), None, "it has an interface");
    machine.remove("sys/module/vfio_iommu_type1");
    assert_eq!(command("-a 01:00.0").as_deref(), Some("modprobe vfio_iommu_type1"));
    machine.hugepages(0, 0);
    assert!(command("").unwrap().starts_with("echo 128 > /sys/kernel/mm/hugepages/"));
    assert_eq!(command("-l 9"), None);
}

#[test]
fn lcores() {
    let machine = Machine::new();
    let text = machine.refuses("-l 0,9");
    assert!(text.starts_with("-l asks for CPU 9, this machine has 0-3 online"), "{text}");
    let text = machine.refuses("-c f");
    assert!(text.starts_with("-c asks for CPU 3, this process may run only on 0-2"), "{text}");
    let text = machine.refuses("--lcores 0@7");
    assert!(text.starts_with("--lcores asks for CPU 7"), "{text}");
    let text = machine.refuses("-l zero");
    assert!(text.starts_with("-l 'zero' is not a list of lcores: write it like 0-1,4"), "{text}");
    let text = machine.refuses("-l 0-1 --main-lcore 2");
    assert!(text.starts_with("--main-lcore 2 is not among the lcores 0-1"), "{text}");
}

#[test]
fn hugepages() {
    let machine = Machine::new();
    machine.hugepages(0, 0);
    let text = machine.refuses("-m 512");
    assert!(
        text.contains("no hugepages") && text.contains("echo 256 >") && text.contains("--no-huge"),
        "{text}"
    );
    assert_eq!(machine.check("--no-huge"), Ok(()));
    assert_eq!(machine.check("--proc-type=secondary"), Ok(()));

    machine.hugepages(128, 16);
    let text = machine.refuses("");
    assert!(text.starts_with("32 MiB of hugepages are free and 64 MiB are wanted"), "{text}");
    assert_eq!(machine.check("-m 32"), Ok(()));
    // Pages of a program that was killed are given back; EAL finds them by the names of their files.
    fs::write(machine.dir.path().join("dev/hugepages/other"), vec![1; 40 << 20]).unwrap();
    assert_eq!(machine.refuses(""), text);
    fs::write(machine.dir.path().join("dev/hugepages/rtemap_0"), vec![1; 40 << 20]).unwrap();
    assert_eq!(machine.check(""), Ok(()));
    assert_eq!(machine.refuses("--in-memory"), text);

    machine.hugepages(128, 128);
    let text = machine.refuses("--huge-dir /mnt/huge");
    assert!(text.starts_with("hugetlbfs is not mounted at /mnt/huge"), "{text}");
    machine.write("proc/self/mounts", "proc /proc proc rw 0 0\n");
    assert!(machine.refuses("").starts_with("hugetlbfs is not mounted:"));
    assert_eq!(machine.check("--in-memory"), Ok(()));

    let text = machine.refuses("--no-huge --in-memory");
    assert_eq!(text, "--no-huge and --in-memory exclude each other: leave out --in-memory");

    machine.write("proc/self/mounts", "none /gone hugetlbfs rw 0 0\n");
    assert!(machine.refuses("").starts_with("no right to write to the hugepages in /gone"));
}

#[test]
fn drivers() {
    let mut machine = Machine::new();
    let text = machine.refuses("--vdev net_af_packet0,iface=eth0");
    assert_eq!(
        text,
        "--vdev net_af_packet0,iface=eth0 needs librte_net_af_packet.so, which is not in /usr/lib/dpdk/pmds-23.0: \
         `apt install librte-net-af-packet23`"
    );
    // A name that only begins like an installed driver's.
    assert!(machine.refuses("--vdev net_rin0").contains("librte_net_rin.so"));
    fs::remove_file(machine.dir.path().join("usr/lib/dpdk/pmds-23.0/librte_bus_vdev.so.23")).unwrap();
    assert!(machine.refuses("--vdev net_ring0").contains("apt install librte-bus-vdev23"));
    fs::remove_file(machine.dir.path().join("usr/lib/dpdk/pmds-23.0/librte_mempool_ring.so.23")).unwrap();
    assert!(machine.refuses("").contains("apt install librte-mempool-ring23"));

    machine.host.plugin_dir = None;
    machine.host.linked = ["bus_vdev", "mempool_ring", "net_ring"].map(str::to_owned).into();
    assert_eq!(machine.check("--vdev net_ring0"), Ok(()));
    let text = machine.refuses("--vdev net_null0");
    assert!(text.contains("net_null, which is not linked into this program: it has bus_vdev"), "{text}");
}

#[test]
fn a_busy_prefix() {
    let machine = Machine::new();
    machine.write("run/dpdk/mine/config", "");
    assert_eq!(machine.check("--file-prefix=mine"), Ok(()));

    // Another process must hold the lock: a process's own never conflicts with itself.
    let config = machine.dir.path().join("run/dpdk/mine/config");
    let holder = LockHolder::start(&config);
    let text = machine.refuses("--file-prefix mine");
    let expected = format!("file prefix 'mine' is in use by process {}", holder.0.id());
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(machine.check("--file-prefix other"), Ok(()));
    assert_eq!(machine.check("--file-prefix mine --no-shconf"), Ok(()));
    assert_eq!(machine.check("--file-prefix mine --proc-type auto"), Ok(()));
}

/// A child that locks a file as a primary process does, until dropped.
struct LockHolder(std::process::Child);

impl LockHolder {
    fn start(file: &Path) -> Self {
        use std::{io::Read, process::*};
        // fcntl locks, as EAL takes them; flock(1) would take the other kind.
        let script = "import fcntl,sys,time\nf=open(sys.argv[1],'r+')\nfcntl.lockf(f,fcntl.LOCK_EX)\n\
                      print('locked',flush=True)\ntime.sleep(60)";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 takes the lock for this test");
        let mut said = [0; 7];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        Self(child)
    }
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
