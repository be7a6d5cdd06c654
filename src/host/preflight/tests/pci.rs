//! Refusals and warnings about PCI devices.

use super::*;

const CARD: &str = "-a 0000:01:00.0";

#[test]
fn pci_devices() {
    let machine = Machine::new();
    assert_eq!(machine.check(CARD), Ok(()));
    assert!(machine.refuses("-a 09:00.0").starts_with("-a 0000:09:00.0: no such PCI device"));
    let text = machine.refuses("-a 0000:02:00.0");
    assert!(
        text.contains("kernel driver ixgbe (interface enp2s0)") && text.contains("bind 0000:02:00.0"),
        "{text}"
    );
    assert!(machine.refuses("-a 0000:03:00.0").contains("bound to no driver"));
    assert!(machine.refuses("-a 0000:01:00.0 --no-pci").contains("exclude each other"));

    // A virtio device has its interface one level deeper.
    machine.card("0000:05:00.0", "1af4:1041", Some("virtio-pci"));
    machine.group("5", "0000:05:00.0");
    machine.write("sys/bus/pci/devices/0000:05:00.0/virtio3/net/eth7/mtu", "1500");
    let text = machine.refuses("-a 0000:05:00.0");
    assert!(text.contains("kernel driver virtio-pci (interface eth7)"), "{text}");
}

#[test]
fn without_an_iommu() {
    let machine = Machine::new();
    for address in ["0000:02:00.0", "0000:03:00.0"] {
        machine.remove(&format!("sys/bus/pci/devices/{address}/iommu_group"));
    }
    let text = machine.refuses("-a 0000:02:00.0");
    let expected = "-a 0000:02:00.0: bound to ixgbe (interface enp2s0), and there is no IOMMU for vfio-pci: ";
    assert!(text.starts_with(expected) && text.contains("intel_iommu=on"), "{text}");
    let text = machine.refuses("-a 0000:03:00.0");
    assert!(text.starts_with("-a 0000:03:00.0: bound to no driver, and there is no IOMMU"), "{text}");

    // With the unsafe mode only the driver is wrong.
    machine.write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    assert!(machine.refuses("-a 0000:02:00.0").contains("bound to the kernel driver ixgbe"));

    // vfio-pci makes a group of its own then, whose file has another name.
    machine.write("sys/kernel/iommu_groups/1/name", "vfio-noiommu\n");
    machine.remove("sys/module/vfio_iommu_type1");
    let text = machine.refuses(CARD);
    assert!(text.contains("/dev/vfio/noiommu-1 is not there"), "{text}");
    machine.write("dev/vfio/noiommu-1", "");
    assert_eq!(machine.check(CARD), Ok(()));
}

#[test]
fn a_group_must_be_viable() {
    let machine = Machine::new();
    let (sibling, bridge) = ("0000:01:00.1", "0000:00:01.0");
    machine.card(sibling, "8086:10fb", None);
    machine.group("1", sibling);
    machine.card(bridge, "8086:3420", Some("pcieport"));
    machine.write(&format!("sys/bus/pci/devices/{bridge}/class"), "0x060400\n");
    machine.group("1", bridge);
    for harmless in [None, Some("vfio-pci"), Some("pci-stub")] {
        machine.bind(sibling, harmless);
        assert_eq!(machine.check(CARD), Ok(()), "{harmless:?}");
    }
    machine.bind(sibling, Some("ixgbe"));
    let text = machine.refuses(CARD);
    assert!(text.contains("group 1 also has 0000:01:00.1 (ixgbe): "), "{text}");
}

#[test]
fn modules_and_files_of_vfio() {
    let machine = Machine::new();
    machine.remove("sys/module/vfio_iommu_type1");
    let text = machine.refuses(CARD);
    assert!(text.contains("`modprobe vfio_iommu_type1`"), "{text}");
    // Its successor does as well.
    machine.write("sys/module/iommufd/refcnt", "0\n");
    assert_eq!(machine.check(CARD), Ok(()));
    machine.remove("dev/vfio/1");
    assert!(machine.refuses(CARD).contains("/dev/vfio/1 is not there: give it to the container"));
    machine.remove("dev/vfio/vfio");
    assert!(machine.refuses(CARD).contains("/dev/vfio/vfio is not there"));
}

#[test]
fn a_device_that_another_process_has() {
    let machine = Machine::new();
    let descriptors = machine.dir.path().join("proc/4711/fd");
    machine.write("proc/4711/comm", "wirebook\n");
    fs::create_dir_all(&descriptors).unwrap();
    symlink("/dev/vfio/11", descriptors.join("8")).unwrap();
    assert_eq!(machine.check(CARD), Ok(()));
    symlink("/dev/vfio/1", descriptors.join("9")).unwrap();
    let text = machine.refuses(CARD);
    assert!(
        text.starts_with("-a 0000:01:00.0: IOMMU group 1 is held by process 4711 (wirebook): "),
        "{text}"
    );
    // A second process of the same EAL is given the device by the first.
    assert_eq!(machine.check("-a 0000:01:00.0 --proc-type=secondary"), Ok(()));
}

#[test]
fn locked_memory_of_an_ordinary_user() {
    let machine = Machine::new();
    let status = |capabilities: &str| {
        machine.write(
            "proc/self/status",
            &format!("Name:\twirebook\nCapEff:\t{capabilities}\nCpus_allowed_list:\t0-2\n"),
        );
    };
    let limit = |limit: &str| {
        machine.write(
            "proc/self/limits",
            &format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max locked memory         {limit}              {limit}              bytes\n"
            ),
        );
    };
    status("0000000000000000");
    limit("8388608");
    let text = machine.refuses("-a 0000:01:00.0 -m 128");
    assert!(
        text.contains("may lock 8 MiB of memory and VFIO locks 128 MiB: `ulimit -l unlimited`"),
        "{text}"
    );
    limit("134217728");
    assert_eq!(machine.check("-a 0000:01:00.0 -m 128"), Ok(()));
    limit("unlimited");
    assert_eq!(machine.check("-a 0000:01:00.0 -m 128"), Ok(()));
    limit("8388608");
    status("000001ffffffffff");
    assert_eq!(machine.check("-a 0000:01:00.0 -m 128"), Ok(()));
}

#[test]
fn drivers_of_pci_devices() {
    let mut machine = Machine::new();
    machine.card("0000:01:00.0", "8086:10d3", Some("vfio-pci"));
    let text = machine.refuses(CARD);
    assert_eq!(
        text,
        "-a 0000:01:00.0 (8086:10d3) needs librte_net_e1000.so, which is not in /usr/lib/dpdk/pmds-23.0: \
         `apt install librte-net-e1000-23`"
    );
    // Either of two does, and the first is named.
    machine.card("0000:01:00.0", "8086:15f2", Some("vfio-pci"));
    assert!(machine.refuses(CARD).contains("apt install librte-net-igc23"));
    machine.write("usr/lib/dpdk/pmds-23.0/librte_net_e1000.so.23", "");
    assert_eq!(machine.check(CARD), Ok(()));
    // What is not known here is EAL's to judge; so is all with plugins of the user's own.
    machine.card("0000:01:00.0", "1234:10d3", Some("vfio-pci"));
    assert_eq!(machine.check(CARD), Ok(()));
    machine.card("0000:01:00.0", "15ad:07b0", Some("vfio-pci"));
    assert!(machine.refuses(CARD).contains("apt install librte-net-vmxnet3-23"));
    assert_eq!(machine.check(&format!("{CARD} -d /opt/pmds")), Ok(()));
    machine.remove("usr/lib/dpdk/pmds-23.0/librte_bus_pci.so.23");
    assert!(machine.refuses(CARD).contains("apt install librte-bus-pci23"));

    machine.host.plugin_dir = None;
    machine.host.linked = ["bus_pci", "mempool_ring", "net_e1000"].map(str::to_owned).into();
    let text = machine.refuses(CARD);
    assert!(text.contains("the driver net_vmxnet3, which is not linked into this program"), "{text}");
}

#[test]
fn bifurcated_devices() {
    let machine = Machine::new();
    machine.write("usr/lib/dpdk/pmds-23.0/librte_net_mlx5.so.23", "");
    machine.card("0000:01:00.0", "15b3:101d", None);
    let text = machine.refuses(CARD);
    assert!(
        text.contains("bound to no driver, and DPDK works through its kernel driver: `modprobe mlx5_core`")
    );
    machine.bind("0000:01:00.0", Some("vfio-pci"));
    assert!(machine.refuses(CARD).contains("bound to vfio-pci, and DPDK works through its kernel driver"));
    machine.bind("0000:01:00.0", Some("mlx5_core"));
    let text = machine.refuses(CARD);
    assert!(
        text.contains("bound to mlx5_core without verbs") && text.contains("`modprobe mlx5_ib`"),
        "{text}"
    );
    machine.write("sys/bus/pci/devices/0000:01:00.0/infiniband/mlx5_0/node_type", "1: CA\n");
    assert_eq!(machine.check(CARD), Ok(()));
}

#[test]
fn lcores_far_from_the_device() {
    let machine = Machine::new();
    machine.write("sys/devices/system/node/node0/cpulist", "0-1\n");
    machine.write("sys/devices/system/node/node1/cpulist", "2-3\n");
    machine.write("sys/bus/pci/devices/0000:01:00.0/numa_node", "1\n");
    let warnings = |line: &str| -> Vec<String> {
        let args = EalArgs::parse(&line.split_whitespace().collect::<Vec<_>>());
        machine.host.warnings(&args).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        warnings("-l 0-1 -a 01:00.0"),
        [
            "-a 0000:01:00.0 is on NUMA node 1 and the lcores are on node 0: every frame crosses from one to the other; \
          choose lcores among 2-3 (-l), and hugepages there"
        ]
    );
    for fits in ["-l 1-2 -a 01:00.0", "--lcores 0@3 -a 01:00.0", "-a 01:00.0", "-l 0-1", "-l 0 -a 02:00.0"] {
        assert!(warnings(fits).is_empty(), "{fits}");
    }
    // The firmware does not say.
    machine.write("sys/bus/pci/devices/0000:01:00.0/numa_node", "-1\n");
    assert!(warnings("-l 0 -a 01:00.0").is_empty());
}
