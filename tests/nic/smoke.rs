//! A guest boots, takes commands, and has its NICs.

use crate::guest::{Guest, Model, Nic, Options, SHORT, Wire, alone};

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn a_guest_has_its_nics_and_takes_commands() {
    let _machine = alone();
    let nics = [
        Nic { wire: Wire::Nic(1), ..Nic::new(Model::E1000e) },
        Nic { model: Model::Virtio, mac: [2, 0, 0, 0, 0, 1], wire: Wire::Nic(0) },
    ];
    let options = Options { lan: true, ..Options::default() };
    let mut guest = Guest::boot("smoke", &nics, &options).unwrap();
    for (index, nic) in nics.iter().enumerate() {
        let driver = guest.must(&format!("readlink /sys/bus/pci/devices/{}/driver", guest.address(index)));
        assert_eq!(driver.trim().rsplit('/').next(), Some(nic.model.kernel_driver()));
    }
    assert_eq!(guest.run("exit 7", SHORT).code, Some(7));
    let version = guest.must("wirebook --version");
    assert_eq!(version.lines().next(), Some(concat!("wirebook ", env!("CARGO_PKG_VERSION"))));
    // The guest is there before its link is.
    let lan = "for i in $(seq 100); do grep -q up /sys/class/net/lan/operstate && break; sleep 0.1; done; \
               cat /sys/class/net/lan/operstate";
    assert!(guest.must(lan).contains("up"));
    let sleeper = guest.spawn("sh -c 'echo asleep >&2; exec sleep 1000'");
    guest.wait_for(&sleeper, "asleep", SHORT);
    guest.signal(&sleeper, "TERM");
    assert_eq!(guest.end(&sleeper, SHORT).code, Some(143));
    // Frames pass between the two, through the kernel's drivers.
    guest.must(
        "ip link set eth0 up; ip link set eth1 up; ip address add 10.9.0.1/24 dev eth0; \
         arping -c 1 -w 20 -I eth0 10.9.0.9 >/dev/null || true; \
         for i in eth0 eth1; do cat /sys/class/net/$i/statistics/rx_packets; done >/host/received",
    );
    let received: u64 = crate::guest::read(&guest.host().join("received"))
        .lines()
        .map(|line| line.parse::<u64>().unwrap())
        .sum();
    assert!(received > 0, "no frame passed");
}
