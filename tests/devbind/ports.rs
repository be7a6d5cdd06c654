//! Modules, overrides, other namespaces, and kinds of port that want a word of their own.

use std::fs;
use std::os::unix::fs::symlink;

use crate::machine::{Kernel, Machine, PORT, SECOND, Shell, refuses};

pub(crate) fn loads_what_is_missing(shell: Shell) {
    let machine = Machine::with_port(shell);
    fs::remove_dir_all(machine.path("sys/bus/pci/drivers/vfio-pci")).unwrap();
    fs::remove_dir_all(machine.path("sys/module")).unwrap();
    let text = machine.expect(0, &["bind", "--dry-run", PORT]);
    assert!(
        text.starts_with("would run modprobe vfio-pci\nwould run modprobe vfio_iommu_type1\nwould remember"),
        "{text}"
    );
    for module in ["vfio-pci", "vfio_iommu_type1", "e1000e"] {
        machine.put(&format!("modules/{module}"), "");
    }
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT]);
    assert_eq!(machine.text("modprobe.log"), "vfio-pci\nvfio_iommu_type1");

    // Its own driver was unloaded in the meantime.
    fs::remove_dir_all(machine.path("sys/bus/pci/drivers/e1000e")).unwrap();
    machine.expect(0, &["restore"]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
    assert_eq!(machine.text("modprobe.log"), "vfio-pci\nvfio_iommu_type1\ne1000e");
}

pub(crate) fn an_override_that_was_there_comes_back(shell: Shell) {
    let machine = Machine::with_port(shell);
    let file = format!("sys/bus/pci/devices/{PORT}/driver_override");
    machine.put(&file, "e1000e\n");
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT]);
    assert_eq!(machine.text(&file), "vfio-pci");
    machine.expect(0, &["restore", PORT]);
    assert_eq!(machine.text(&file), "e1000e");
}

pub(crate) fn a_port_that_is_gone_is_forgotten(shell: Shell) {
    let machine = Machine::with_port(shell);
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT]);
    machine.put("state/0000:05:00.0", "igb\n\n");
    let text = machine.expect(0, &["restore"]);
    assert!(text.contains("0000:05:00.0: warning: is no longer in this machine: forgotten"), "{text}");
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
    assert_eq!(fs::read_dir(machine.path("state")).unwrap().count(), 0);
}

pub(crate) fn an_interface_in_another_namespace_is_seen_by_its_absence(shell: Shell) {
    let machine = Machine::new(shell);
    machine.device(PORT, "0x8086", "0x020000", "e1000e", "7");
    refuses(&machine, &["bind", PORT], "e1000e has it, and its interface is not to be seen");
    machine.expect(0, &["bind", "--dry-run", "--force", PORT]);

    // A virtio device without a driver of its own never had one.
    let machine = Machine::new(shell);
    machine.put("sys/bus/pci/drivers/virtio-pci/unbind", "");
    machine.device(PORT, "0x1af4", "0x020000", "virtio-pci", "7");
    let virtio = format!("sys/bus/pci/devices/{PORT}/virtio0");
    machine.put(&format!("{virtio}/status"), "0x1\n");
    machine.expect(0, &["bind", "--dry-run", PORT]);
    machine.put(&format!("{virtio}/driver/uevent"), "");
    refuses(&machine, &["bind", PORT], "virtio-pci has it, and its interface is not to be seen");
}

pub(crate) fn virtual_functions(shell: Shell) {
    let machine = Machine::with_port(shell);
    machine.put(&format!("sys/bus/pci/devices/{PORT}/sriov_numvfs"), "1\n");
    machine.device(SECOND, "0x8086", "0x020000", "", "9");
    let physical = machine.path(&format!("sys/bus/pci/devices/{PORT}"));
    symlink(physical, machine.path(&format!("sys/bus/pci/devices/{SECOND}/physfn"))).unwrap();
    refuses(&machine, &["bind", PORT], "it has 1 virtual functions in being");
    let text = machine.expect(0, &["status"]);
    assert!(text.contains("has 1 virtual functions"), "{text}");
    assert!(text.contains(&format!("virtual function of {PORT}")), "{text}");

    let bind = ["bind", "--dry-run", SECOND];
    let text = machine.expect(0, &bind);
    assert!(text.contains("ip link set eth0 vf N trust on"), "{text}");
    let link = machine.path(&format!("sys/bus/pci/devices/{PORT}/driver"));
    fs::remove_file(&link).unwrap();
    assert!(machine.expect(0, &bind).contains("has no driver: no frame passes"));
    symlink(machine.path("sys/bus/pci/drivers/vfio-pci"), &link).unwrap();
    assert!(machine.expect(0, &bind).contains("--vfio-vf-token"));
}

pub(crate) fn solarflare_and_virtio_are_told_what_matters(shell: Shell) {
    let machine = Machine::new(shell);
    machine.device(PORT, "0x1924", "0x020000", "", "7");
    let text = machine.expect(0, &["bind", "--dry-run", PORT]);
    assert!(text.contains("ef_vi and Onload need it to stay with its kernel driver sfc"), "{text}");

    let machine = Machine::new(shell);
    machine.put("sys/bus/pci/drivers/virtio-pci/unbind", "");
    machine.device(PORT, "0x1af4", "0x020000", "virtio-pci", "7");
    let features = format!("sys/bus/pci/devices/{PORT}/virtio0/features");
    for (bit_33, warned) in [('0', true), ('1', false)] {
        machine.put(&features, &format!("{}{bit_33}{}\n", "1".repeat(33), "0".repeat(30)));
        let text = machine.expect(0, &["bind", "--dry-run", PORT]);
        assert_eq!(text.contains("goes past the IOMMU"), warned, "{text}");
    }
}

pub(crate) fn status_is_a_table(shell: Shell) {
    let machine = Machine::with_port(shell);
    machine.append("proc/net/route", "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    machine.device(SECOND, "0x8086", "0x028000", "", "");
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let text = machine.expect(0, &["status"]);
    let table = rows(&text);
    assert_eq!(
        table[0],
        ["ADDRESS", "DEVICE", "DRIVER", "INTERFACE", "NUMA", "GROUP", "USE", "NAME", "REMARKS"]
    );
    // The bridge is none of it.
    assert_eq!(table.len(), 3, "{text}");
    assert_eq!(table[1], [PORT, "8086:10d3", "e1000e", "eth0", "0", "7", "address", "Ethernet"]);
    assert_eq!(table[2], [SECOND, "8086:10d3", "-", "-", "0", "-", "-", "network", "no", "IOMMU"]);

    // With a list of names. The same number of another vendor comes before it.
    machine.put(
        "pci.ids",
        "# list\n1000  Other\n\t10d3  Not this\n8086  Intel Corporation\n\t10d2  Nor this\n\t10d3  82574L Gigabit\n\
         \t\t10d3 a01f  A card\n9000  More\n\t10d3  Nor that\n",
    );
    let text = machine.expect(0, &["status"]);
    assert!(text.contains(" 82574L Gigabit ") && !text.contains("this"), "{text}");

    machine.put("proc/4711/comm", "wirebook\n");
    fs::create_dir_all(machine.path("proc/4711/fd")).unwrap();
    symlink("/dev/vfio/7", machine.path("proc/4711/fd/9")).unwrap();
    let text = machine.expect(0, &["status"]);
    assert!(text.contains(" held ") && text.contains("held by process 4711 (wirebook)"), "{text}");
}
