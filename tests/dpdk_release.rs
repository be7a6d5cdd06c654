//! The DPDK that this program is tied to: headers and library are of one release, the bursts are those that were decided
//! on, and drivers are where EAL will look for them.
#![cfg(feature = "dpdk")]

use std::fs;

use wirebook::{eal::Linked, pmd::burst};

#[test]
fn headers_and_library_are_of_one_release() {
    let dpdk = Linked::dpdk();
    assert!(dpdk.running.starts_with(&dpdk.headers), "{dpdk:?}");
}

/// `DPDK_SYS_FORCE_SHIM=1` was there when this was compiled, or it was not.
#[test]
fn bursts_are_our_own_on_audited_releases_unless_the_shim_is_forced() {
    let forced = option_env!("DPDK_SYS_FORCE_SHIM") == Some("1");
    let dpdk = Linked::dpdk();
    let audited = ["22.11.", "23.11.", "24.11.", "25.11."]
        .iter()
        .any(|release| dpdk.running.starts_with(&format!("DPDK {release}")))
        && !dpdk.running.contains("-rc");
    assert_eq!(burst::OWN, audited && !forced, "{} with DPDK_SYS_FORCE_SHIM {forced}", dpdk.running);
}

#[test]
fn drivers_are_where_eal_looks() {
    let dpdk = Linked::dpdk();
    if !dpdk.drivers.is_empty() {
        for driver in ["bus_pci", "bus_vdev", "mempool_ring", "net_memif", "net_ring"] {
            assert!(dpdk.drivers.contains(&driver), "{driver} is not linked: {:?}", dpdk.drivers);
        }
        return;
    }
    let names: Vec<_> = fs::read_dir(&dpdk.plugin_dir)
        .unwrap_or_else(|why| panic!("{}: {why}", dpdk.plugin_dir))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for driver in ["bus_vdev", "mempool_ring", "net_memif", "net_ring"] {
        let library = format!("librte_{driver}.so");
        assert!(names.iter().any(|name| name.starts_with(&library)), "no {library} in {}", dpdk.plugin_dir);
    }
}
