//! What it does, what it refuses, and what it says.

use std::fs;
use std::os::unix::fs::symlink;

use crate::machine::{Kernel, Machine, PORT, SECOND, Shell, refuses};

pub(crate) fn binds_and_restores(shell: Shell) {
    let machine = Machine::with_port(shell);
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

pub(crate) fn unbind_then_bind_still_restores_the_first_driver(shell: Shell) {
    let machine = Machine::with_port(shell);
    let _kernel = Kernel::of(&machine, "");
    assert_eq!(machine.expect(0, &["unbind", PORT]), "0000:01:00.0: e1000e -> no driver\n");
    assert_eq!(machine.driver(PORT), None);
    assert_eq!(machine.expect(0, &["bind", PORT]), "0000:01:00.0: no driver -> vfio-pci\n");
    assert_eq!(machine.expect(0, &["restore", PORT]), "0000:01:00.0: given back to e1000e\n");
}

pub(crate) fn a_driver_that_the_kernel_would_not_choose_is_restored_by_name(shell: Shell) {
    let machine = Machine::with_port(shell);
    machine.put(&format!("sys/bus/pci/devices/{PORT}/natural"), "igb");
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT]);
    machine.expect(0, &["restore", PORT]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
}

pub(crate) fn a_port_that_vfio_does_not_take_goes_back(shell: Shell) {
    let machine = Machine::with_port(shell);
    let _kernel = Kernel::of(&machine, "vfio-pci");
    let text = machine.expect(1, &["bind", PORT]);
    assert!(text.contains("vfio-pci did not take it"), "{text}");
    assert!(text.contains("given back to e1000e"), "{text}");
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
}

pub(crate) fn a_dry_run_prints_each_write_and_does_none(shell: Shell) {
    let machine = Machine::with_port(shell);
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

pub(crate) fn never_takes_the_default_route(shell: Shell) {
    let default = "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    let machine = Machine::with_port(shell);
    machine.append("proc/net/route", default);
    for command in ["bind", "unbind"] {
        refuses(&machine, &[command, "eth0"], "eth0 carries the default route");
        refuses(&machine, &[command, "--force", PORT], "eth0 carries the default route");
    }
    assert!(machine.expect(0, &["status"]).contains("carries the default route"));

    // By IPv6.
    let machine = Machine::with_port(shell);
    let zeros = "0".repeat(32);
    machine.put(
        "proc/net/ipv6_route",
        &format!("{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 0 0 00000003     eth0\n"),
    );
    refuses(&machine, &["bind", "--force", PORT], "eth0 carries the default route");

    // Through a bond and a VLAN on it.
    let machine = Machine::with_port(shell);
    machine.put("sys/class/net/eth0/upper_bond0/x", "");
    machine.put("sys/class/net/bond0/upper_bond0.7/x", "");
    machine.append("proc/net/route", &default.replace("eth0", "bond0.7"));
    refuses(&machine, &["bind", "--force", PORT], "eth0 carries the default route");
}

pub(crate) fn takes_an_interface_with_an_address_only_by_force(shell: Shell) {
    let machine = Machine::with_port(shell);
    machine.append("proc/net/route", "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    refuses(&machine, &["bind", PORT], "eth0 has an address");
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", "--force", PORT]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("vfio-pci"));
}

pub(crate) fn an_ipv6_address_counts_unless_it_is_link_local(shell: Shell) {
    let machine = Machine::with_port(shell);
    machine.put("proc/net/if_inet6", "fe800000000000000000000000000002 02 40 20 80     eth0\n");
    machine.expect(0, &["bind", "--dry-run", PORT]);
    machine.put("proc/net/if_inet6", "20010db8000000000000000000000002 02 40 00 80     eth0\n");
    refuses(&machine, &["bind", PORT], "eth0 has an address");
}

pub(crate) fn bifurcated_ports_stay_with_their_kernel_driver(shell: Shell) {
    let machine = Machine::new(shell);
    machine.device(PORT, "0x15b3", "0x020000", "mlx5_core", "7");
    let before = machine.snapshot();
    let text = machine.expect(0, &["bind", PORT]);
    assert_eq!(text, "0000:01:00.0: nothing to do: DPDK works through its kernel driver mlx5_core\n");
    assert!(machine.expect(1, &["unbind", PORT]).contains("refused"));
    assert!(machine.expect(0, &["status"]).contains("do not bind"));
    assert_eq!(machine.snapshot(), before);
}

pub(crate) fn wants_an_iommu_and_the_whole_group(shell: Shell) {
    let machine = Machine::new(shell);
    machine.device(PORT, "0x8086", "0x020000", "igb", "");
    machine.interface(PORT, "eth0");
    refuses(&machine, &["bind", PORT], "is in no IOMMU group");
    machine.put("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    assert!(machine.expect(0, &["bind", "--dry-run", PORT]).contains("warning: no IOMMU"));

    let machine = Machine::with_port(shell);
    machine.device(SECOND, "0x8086", "0x020000", "igb", "7");
    machine.interface(SECOND, "eth1");
    refuses(&machine, &["bind", PORT], "its IOMMU group 7 is shared with 0000:01:00.1, which igb has");
    assert!(machine.expect(0, &["status"]).contains("group not viable: shared with 0000:01:00.1 (igb)"));
    let _kernel = Kernel::of(&machine, "");
    machine.expect(0, &["bind", PORT, SECOND]);
    assert_eq!(machine.driver(SECOND).as_deref(), Some("vfio-pci"));
    machine.expect(0, &["restore"]);
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
    assert_eq!(machine.driver(SECOND).as_deref(), Some("igb"));
}

pub(crate) fn leaves_a_port_that_is_in_use(shell: Shell) {
    let machine = Machine::with_port(shell);
    {
        let _kernel = Kernel::of(&machine, "");
        machine.expect(0, &["bind", PORT]);
    }
    machine.put("proc/4711/comm", "wirebook\n");
    fs::create_dir_all(machine.path("proc/4711/fd")).unwrap();
    symlink("/dev/vfio/7", machine.path("proc/4711/fd/9")).unwrap();
    refuses(&machine, &["restore"], "held open by process 4711 (wirebook)");
    refuses(&machine, &["unbind", "--force", PORT], "held open by process 4711 (wirebook)");

    // By the other ways to a device: its own file of VFIO's, and UIO.
    for (link, entry) in [("/dev/vfio/devices/vfio3", "vfio-dev/vfio3"), ("/dev/uio0", "uio/uio0")] {
        fs::remove_file(machine.path("proc/4711/fd/9")).unwrap();
        symlink(link, machine.path("proc/4711/fd/9")).unwrap();
        machine.expect(0, &["restore", "--dry-run"]);
        fs::create_dir_all(machine.path(&format!("sys/bus/pci/devices/{PORT}/{entry}"))).unwrap();
        refuses(&machine, &["restore"], "held open by process 4711 (wirebook)");
    }
}

pub(crate) fn checks_everything_before_it_changes_anything(shell: Shell) {
    let machine = Machine::with_port(shell);
    machine.device(SECOND, "0x8086", "0x010601", "igb", "8");
    refuses(&machine, &["bind", PORT, SECOND], "class 0x010601 is not a network device");
    refuses(&machine, &["bind", PORT, "0000:09:00.0"], "there is no such PCI device");
    machine.put(&format!("sys/bus/pci/devices/{PORT}/sriov_numvfs"), "4\n");
    refuses(&machine, &["bind", PORT], "it has 4 virtual functions in being");
}

pub(crate) fn says_what_a_device_is_not(shell: Shell) {
    let machine = Machine::with_port(shell);
    fs::create_dir_all(machine.path("sys/class/net/veth0")).unwrap();
    refuses(&machine, &["bind", "veth0"], "--vdev net_af_packet0,iface=veth0");
    refuses(&machine, &["bind", "eth9"], "neither a PCI address nor a network interface");
    refuses(&machine, &["bind", "../../etc"], "neither a PCI address nor a network interface");
    fs::remove_dir_all(machine.path("sys/bus/pci/drivers/vfio-pci")).unwrap();
    assert!(machine.expect(1, &["bind", PORT]).contains("vfio-pci: is not loaded and cannot be"));
    assert_eq!(machine.driver(PORT).as_deref(), Some("e1000e"));
}

pub(crate) fn wrong_arguments_exit_2(shell: Shell) {
    let machine = Machine::with_port(shell);
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
    assert!(machine.expect(0, &["--help"]).contains("restore    gives the port back"));
}
