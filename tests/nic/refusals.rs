//! What the wrapper and wirebook say to each mistake, on a machine that makes it for real: one guest with an IOMMU and two
//! NICs in one group, one without.

use crate::guest::{Ended, Guest, LONG, Model, Nic, Options, SHORT, say};

const WRAPPER: &str = "dpdk-devbind-wrapper.sh";
const HUGEPAGES: &str = "hugepages.sh";

/// The least configuration: one line of one feed, on the first port there is.
const CONFIG: &str = r#"
[port]
name = "0"
link_wait_ms = 0
[feed.line.a]
group = "239.1.1.1"
port = 26400
# The guest has less memory than the books of a whole market take.
[book]
max_locates = 100
max_orders = 100000
max_levels = 50000
"#;

/// wirebook as a user launches it, with these EAL arguments.
fn launch(eal: &str) -> String {
    format!("wirebook -l 0-1 -m 96 {eal} -- --config /host/feed.toml")
}

/// wirebook refuses: exit code 3, one line that says all of `says`, and nothing of DPDK's.
fn refuses(guest: &mut Guest, eal: &str, says: &[&str]) {
    let ended = guest.run(&launch(eal), LONG);
    assert_one_line(&ended, says);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    say(&format!("    {}", ended.stderr.trim()));
}

fn assert_one_line(ended: &Ended, says: &[&str]) {
    let Ended { stdout, stderr, .. } = ended;
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("wirebook: ") && stdout.is_empty(), "{stdout}{stderr}");
    for text in says {
        assert!(stderr.contains(text), "no '{text}' in: {stderr}");
    }
}

/// The wrapper refuses, or another script: exit code 1, and a line each for what, why where that needs saying, and the fix.
fn script_refuses(guest: &mut Guest, command: &str, says: &[&str]) {
    let ended = guest.run(command, SHORT);
    let text = &ended.stderr;
    assert_eq!(ended.code, Some(1), "{command}\n{}{text}", ended.stdout);
    assert!(text.contains("    fix: "), "{command}: {text}");
    for part in says {
        assert!(text.contains(part), "no '{part}' in: {text}");
    }
    say(&format!("    {}", text.trim().replace('\n', "\n    ")));
}

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn mistakes_on_a_machine_with_an_iommu() {
    let _machine = crate::guest::alone();
    let nics = [Nic::new(Model::E1000e), Nic { mac: [2, 0, 0, 0, 0, 3], ..Nic::new(Model::E1000e) }];
    let options = Options { one_group: true, two_nodes: true, vfio: false, ..Options::default() };
    let mut guest = Guest::boot("refusals", &nics, &options).unwrap_or_else(|why| panic!("{why}"));
    std::fs::write(guest.host().join("feed.toml"), CONFIG).unwrap();
    let [first, second] = [guest.address(0).to_owned(), guest.address(1).to_owned()];
    let device = format!("-a {first}");

    say("  addresses and drivers");
    refuses(&mut guest, "-a 0000:7f:1f.7", &["-a 0000:7f:1f.7: no such PCI device"]);
    script_refuses(&mut guest, &format!("{WRAPPER} bind 0000:7f:1f.7"), &["there is no such PCI device"]);
    script_refuses(&mut guest, &format!("{WRAPPER} bind lo"), &["is not a PCI device"]);
    refuses(&mut guest, &device, &["bound to the kernel driver e1000e (interface eth", "bind"]);

    say("  the IOMMU group");
    let shared = [second.as_str(), "which e1000e has", "VFIO hands out whole groups only"];
    script_refuses(&mut guest, &format!("{WRAPPER} bind {first}"), &shared);
    // Both together are possible. The modules come with it.
    let said = guest.must(&format!("{WRAPPER} bind {first} {second}"));
    assert!(said.contains(&format!("{first}: e1000e -> vfio-pci")), "{said}");
    guest.must(&format!("{WRAPPER} restore {second}"));
    refuses(&mut guest, &device, &["VFIO hands out whole IOMMU groups only", &format!("{second} (e1000e)")]);
    let said = guest.must(&format!("{WRAPPER} status"));
    assert!(said.contains(&format!("group not viable: shared with {second} (e1000e)")), "{said}");
    guest.must(&format!("{WRAPPER} unbind {second}"));

    say("  modules and drivers of DPDK");
    guest.must("rmmod vfio_iommu_type1");
    refuses(&mut guest, &device, &["`modprobe vfio_iommu_type1`"]);
    guest.must("modprobe vfio_iommu_type1");
    let plugins =
        guest.must("dirname $(find /usr -path '*/pmds-*' -name 'librte_net_e1000.so*' | head -n 1)");
    let plugins = plugins.trim();
    guest.must(&format!("mkdir /run/aside && mv {plugins}/librte_net_e1000.so* /run/aside"));
    refuses(&mut guest, &device, &["(8086:10d3) needs librte_net_e1000.so", "apt install librte-net-e1000-"]);
    // EAL starts where the user names plugins, and then has no driver for it.
    let pci = guest.must(&format!("ls {plugins}/librte_bus_pci.so.*.*"));
    let ended = guest.run(&launch(&format!("{device} -d {}", pci.trim())), LONG);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("wirebook: no port '0': no driver of DPDK took"), "{}", ended.stderr);
    say(&format!("    {last}"));
    guest.must(&format!("mv /run/aside/* {plugins}"));

    say("  hugepages");
    guest.must("umount /dev/hugepages");
    refuses(&mut guest, &device, &["hugetlbfs is not mounted"]);
    let said = guest.must(&format!("{HUGEPAGES} 0; {WRAPPER} hugepages"));
    assert!(
        said.contains("0 pages of 2048 kB reserved") && said.contains("hugetlbfs: not mounted"),
        "{said}"
    );
    refuses(&mut guest, &device, &["no hugepages are reserved"]);
    let spared = ["refused: 32768 pages are 65536 MiB", "MiB are available"];
    script_refuses(&mut guest, &format!("{HUGEPAGES} 64G"), &spared);
    let said = guest.must(&format!("{WRAPPER} hugepages 20M"));
    assert!(said.contains("10 pages of 2048 kB reserved, 20 MiB"), "{said}");
    assert!(said.contains("hugetlbfs mounted at /dev/hugepages"), "{said}");
    refuses(&mut guest, &device, &["20 MiB of hugepages are free and 96 MiB are wanted"]);
    guest.must(&format!("{HUGEPAGES} --node 0 96"));

    say("  a device that another process holds");
    let holder = guest.spawn(&launch(&format!("{device} --file-prefix holder")));
    guest.wait_for(&holder, "polling", LONG);
    refuses(&mut guest, &format!("{device} --in-memory"), &["is held by process", "(wirebook)"]);
    let held = ["held open by process", "(wirebook)", "stop it first"];
    script_refuses(&mut guest, &format!("{WRAPPER} restore"), &held);
    script_refuses(&mut guest, &format!("{WRAPPER} unbind --force {first}"), &held);
    let said = guest.must(&format!("{WRAPPER} status"));
    assert!(said.contains(" held "), "{said}");
    guest.signal(&holder, "TERM");
    guest.end(&holder, LONG);

    say("  another NUMA node");
    guest.must(&format!("echo 1 >/sys/bus/pci/devices/{first}/numa_node"));
    let ended = guest.run(&format!("wirebook -l 0 -m 32 {device} -- --config /host/feed.toml"), LONG);
    let warned = ended.stderr.lines().next().unwrap_or_default();
    let says = "is on NUMA node 1 and the lcores are on node 0: every frame crosses from one to the other; choose lcores among 1";
    assert!(warned.contains("WARN") && warned.contains(says), "{}", ended.stderr);
    say(&format!("    {warned}"));
    guest.must(&format!("echo 0 >/sys/bus/pci/devices/{first}/numa_node"));

    say("  an ordinary user");
    ordinary_user(&mut guest, &device);

    guest.must(&format!("{WRAPPER} restore"));
    assert_drivers(&mut guest, [&first, &second], "e1000e");
    say("  the wrapper, killed at one time or another");
    for tenths in [2, 4, 5, 7, 8, 11] {
        let bind = format!("{WRAPPER} bind {first} {second}");
        guest.run(&format!("{bind} & sleep {}.{}; kill -9 $!", tenths / 10, tenths % 10), SHORT);
        if tenths % 2 == 0 {
            guest.must(&bind);
            assert_drivers(&mut guest, [&first, &second], "vfio-pci");
        }
        guest.must(&format!("{WRAPPER} restore"));
        assert_drivers(&mut guest, [&first, &second], "e1000e");
    }
}

fn assert_drivers(guest: &mut Guest, addresses: [&str; 2], expected: &str) {
    for address in addresses {
        let driver = guest.must(&format!("readlink /sys/bus/pci/devices/{address}/driver"));
        assert_eq!(driver.trim().rsplit('/').next(), Some(expected), "{address}");
    }
}

/// What a user who is not root is told, until it runs.
fn ordinary_user(guest: &mut Guest, device: &str) {
    guest.must("echo 'trader:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd; chmod 1777 /tmp");
    let as_user = |eal: &str| format!("su trader -c '{}'", launch(eal));
    let refused = |guest: &mut Guest, eal: &str, says: &[&str]| {
        let ended = guest.run(&as_user(eal), LONG);
        assert_one_line(&ended, says);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        say(&format!("    {}", ended.stderr.trim()));
    };
    refused(guest, device, &["no right to write to the hugepages in /dev/hugepages", "--in-memory"]);
    let device = format!("{device} --in-memory");
    refused(guest, &device, &["no right to open /dev/vfio/", "chown USER"]);
    guest.must("for file in /dev/vfio/[0-9]*; do chown trader $file; done");
    refused(guest, &device, &["MiB of memory and VFIO locks 96 MiB: `ulimit -l unlimited`"]);
    let program = guest.spawn(&format!("sh -c \"ulimit -l unlimited; exec {}\"", as_user(&device)));
    guest.wait_for(&program, "polling", LONG);
    // The device is on node 0 with the main lcore, the worker is on node 1.
    let warned = "on NUMA node 0, and lcore 1, which polls it, on node 1: every frame crosses";
    assert!(program.stderr().contains(warned), "{}", program.stderr());
    guest.must("kill -TERM $(pidof wirebook)");
    guest.end(&program, LONG);
}

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn mistakes_on_a_machine_without_an_iommu() {
    let _machine = crate::guest::alone();
    let options = Options { iommu: false, lan: true, ..Options::default() };
    let mut guest = Guest::boot("refusals-no-iommu", &[Nic::new(Model::E1000e)], &options)
        .unwrap_or_else(|why| panic!("{why}"));
    std::fs::write(guest.host().join("feed.toml"), CONFIG).unwrap();
    let address = guest.address(0).to_owned();
    let device = format!("-a {address}");

    script_refuses(
        &mut guest,
        &format!("{WRAPPER} bind {address}"),
        &["is in no IOMMU group", "intel_iommu=on iommu=pt"],
    );
    refuses(&mut guest, &device, &["bound to e1000e (interface eth", "and there is no IOMMU for vfio-pci"]);
    guest.must(&format!("{WRAPPER} unbind {address}"));
    refuses(&mut guest, &device, &["bound to no driver, and there is no IOMMU"]);
    guest.must(&format!("{WRAPPER} restore"));

    // The interface that the machine lives by.
    script_refuses(&mut guest, &format!("{WRAPPER} bind lan"), &["lan has an address"]);
    guest.must("ip route add default via 10.0.2.2 dev lan");
    script_refuses(&mut guest, &format!("{WRAPPER} bind --force lan"), &["lan carries the default route"]);
    let said = guest.must(&format!("{WRAPPER} status"));
    assert!(said.contains(" route "), "{said}");
}
