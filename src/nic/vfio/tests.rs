use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A made-up /sys with one device.
struct Machine {
    root: TempDir,
    device: PathBuf,
}

const BDF: &str = "0000:01:00.0";

impl Machine {
    fn new(driver: Option<&str>, group: Option<u32>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("sys/bus/pci/devices").join(BDF);
        fs::create_dir_all(&device).unwrap();
        for (file, text) in [("vendor", "0x8086\n"), ("device", "0x10d3\n"), ("numa_node", "-1\n")] {
            fs::write(device.join(file), text).unwrap();
        }
        if let Some(driver) = driver {
            symlink(format!("../../../bus/pci/drivers/{driver}"), device.join("driver")).unwrap();
        }
        if let Some(group) = group {
            symlink(format!("../../../kernel/iommu_groups/{group}"), device.join("iommu_group")).unwrap();
        }
        Self { root, device }
    }

    fn look(&self) -> Result<sysfs::Found, VfioError> {
        sysfs::look(self.root.path(), BDF.parse().unwrap())
    }
}

#[test]
fn addresses_are_read_and_written() {
    for (text, full) in [("0000:01:00.0", BDF), ("01:00.0", BDF), ("1:0.0", BDF), ("af:1F.7", "0000:af:1f.7")]
    {
        assert_eq!(text.parse::<Bdf>().unwrap().to_string(), full);
    }
    for wrong in [
        "",
        "1",
        "01:00",
        "01:00.8",
        "01:20.0",
        "100:00.0",
        "g1:00.0",
        "+1:00.0",
        "0:0:0:0.0",
        "eth0",
        "01:00.0 ",
    ] {
        assert!(wrong.parse::<Bdf>().is_err(), "{wrong}");
    }
}

#[test]
fn a_device_of_vfio_is_found() {
    let machine = Machine::new(Some("vfio-pci"), Some(12));
    let found = machine.look().unwrap();
    assert_eq!(found, sysfs::Found { id: (0x8086, 0x10d3), group: 12, numa_node: None });
    fs::write(machine.device.join("numa_node"), "1\n").unwrap();
    assert_eq!(machine.look().unwrap().numa_node, Some(1));
}

#[test]
fn refusals_say_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let bdf: Bdf = BDF.parse().unwrap();
    let why = sysfs::look(nowhere.path(), bdf).unwrap_err().to_string();
    assert!(why.contains("no such PCI device") && why.contains("lspci"), "{why}");

    let why = Machine::new(None, Some(1)).look().unwrap_err().to_string();
    assert!(why.contains("bound to no driver") && why.contains("bind 0000:01:00.0"), "{why}");

    let machine = Machine::new(Some("e1000e"), Some(1));
    fs::create_dir_all(machine.device.join("net/eth1")).unwrap();
    let why = machine.look().unwrap_err().to_string();
    assert!(why.contains("e1000e (interface eth1)") && why.contains("bind 0000:01:00.0"), "{why}");

    let why = Machine::new(Some("vfio-pci"), None).look().unwrap_err().to_string();
    assert!(why.contains("IOMMU") && why.contains("intel_iommu=on"), "{why}");

    let busy = io::Error::from_raw_os_error(libc::EBUSY);
    let why = VfioError::Group { bdf, group: 7, source: busy }.to_string();
    assert!(why.contains("/dev/vfio/7") && why.contains("another program"), "{why}");

    let full = io::Error::from_raw_os_error(libc::ENOMEM);
    let why = VfioError::NoHugepages { pages: 4, source: full }.to_string();
    assert!(why.contains("echo 4 > /sys/kernel/mm/hugepages/"), "{why}");
}

#[test]
fn others_of_a_group_are_named() {
    let machine = Machine::new(Some("vfio-pci"), Some(3));
    let root = machine.root.path();
    let group = root.join("sys/kernel/iommu_groups/3/devices");
    fs::create_dir_all(&group).unwrap();
    for (name, driver) in [("0000:01:00.1", "igb"), ("0000:00:01.0", "pcieport"), (BDF, "vfio-pci")] {
        let device = root.join("sys/bus/pci/devices").join(name);
        fs::create_dir_all(&device).unwrap();
        let _ = symlink(format!("../drivers/{driver}"), device.join("driver"));
        fs::write(group.join(name), "").unwrap();
    }
    let bdf: Bdf = BDF.parse().unwrap();
    let others = sysfs::strangers(root, 3, bdf);
    assert_eq!(others, "0000:01:00.1 (igb)");
    let why = VfioError::NotViable { bdf, group: 3, others }.to_string();
    assert!(!why.contains('\n') && why.contains("bind its other devices"), "{why}");
}
