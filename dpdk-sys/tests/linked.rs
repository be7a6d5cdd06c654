//! What was linked: the library is of the release of the headers, and with the feature `static` the drivers are those that
//! are always there and those that were asked for.
#![allow(unsafe_code, reason = "asks DPDK for its version")]

use std::ffi::CStr;

use dpdk_sys as sys;

#[test]
fn the_library_is_of_the_release_of_the_headers() {
    // SAFETY: returns a terminated string that is never freed; needs no EAL.
    let running = unsafe { CStr::from_ptr(sys::rte_version()) }.to_str().unwrap();
    let (year, month, minor) = (sys::SHIM_VERSION_YEAR, sys::SHIM_VERSION_MONTH, sys::SHIM_VERSION_MINOR);
    let headers = format!("DPDK {year}.{month:02}.{minor}");
    assert!(running.starts_with(&headers), "{running} runs, the headers are of {headers}");
}

#[test]
fn drivers_are_linked_with_the_feature_static_and_only_then() {
    let linked = sys::LINKED_DRIVERS;
    if !cfg!(feature = "static") {
        assert_eq!(linked, &[] as &[&str]);
        return;
    }
    let more = option_env!("DPDK_SYS_STATIC_DRIVERS").unwrap_or_default();
    let always = [
        "bus_pci",
        "bus_vdev",
        "mempool_ring",
        "net_e1000",
        "net_memif",
        "net_ring",
        "net_virtio",
        "net_vmxnet3",
    ];
    for driver in more.split([',', ' ']).filter(|name| !name.is_empty()).chain(always) {
        assert!(linked.contains(&driver), "{driver} is not linked: {linked:?}");
    }
}
