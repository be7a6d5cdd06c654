//! What to link.

use std::{fs, path::Path};

use crate::find::{self, Dpdk};

/// Core libraries. Never a driver: EAL loads those from its plugin directory itself, and a driver linked into the
/// program changes the order in which mempool drivers register, which breaks secondary processes (dpdk-dumpcap).
const CORE: &[&str] =
    &["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_telemetry", "rte_pdump"];

/// The log moved out of EAL into a library of its own in this release.
const LOG_LIBRARY_SINCE: (u32, u32) = (23, 11);

pub(crate) fn shared(dpdk: &Dpdk, out: &Path) -> Result<(), String> {
    search_paths(dpdk);
    for library in CORE {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    if dpdk.release >= LOG_LIBRARY_SINCE {
        println!("cargo::rustc-link-lib=dylib=rte_log");
    }
    write_drivers(out, &[])
}

/// Drivers that the `static` feature links, where this system has their archives.
const DRIVERS: &[&str] = &[
    "bus_pci",
    "bus_vdev",
    "bus_auxiliary",
    "common_iavf",
    "common_mlx5",
    "mempool_ring",
    "mempool_stack",
    "net_af_packet",
    "net_af_xdp",
    "net_e1000",
    "net_i40e",
    "net_iavf",
    "net_ice",
    "net_igc",
    "net_ixgbe",
    "net_memif",
    "net_mlx5",
    "net_null",
    "net_pcap",
    "net_ring",
    "net_tap",
    "net_vhost",
    "net_virtio",
    "net_vmxnet3",
];

/// Archive names that begin so belong to a driver; all others are core libraries.
const DRIVER_CLASSES: &[&str] = &[
    "bus_",
    "common_",
    "mempool_",
    "net_",
    "dma_",
    "raw_",
    "crypto_",
    "compress_",
    "regex_",
    "vdpa_",
    "event_",
    "baseband_",
    "gpu_",
    "ml_",
    "power_",
];

/// Core libraries that neither wirebook nor a driver of the list needs: left out of the binary.
const UNUSED: &[&str] = &[
    "node",
    "graph",
    "pipeline",
    "table",
    "port",
    "fib",
    "ipsec",
    "pdcp",
    "sched",
    "reorder",
    "rib",
    "regexdev",
    "rawdev",
    "member",
    "lpm",
    "jobstats",
    "ip_frag",
    "gpudev",
    "efd",
    "distributor",
    "compressdev",
    "cfgfile",
    "bbdev",
    "acl",
    "mldev",
    "power",
    "dispatcher",
    "eventdev",
];

pub(crate) fn statically(dpdk: &Dpdk, out: &Path) -> Result<(), String> {
    search_paths(dpdk);
    let mut drivers = Vec::new();
    let mut seen = Vec::new();
    for word in find::static_libs()? {
        if let Some(archive) = word.strip_prefix("-l:lib").and_then(|w| w.strip_suffix(".a")) {
            let short = archive.strip_prefix("rte_").unwrap_or(archive);
            let wanted = if DRIVER_CLASSES.iter().any(|class| short.starts_with(class)) {
                DRIVERS.contains(&short)
            } else {
                !UNUSED.contains(&short)
            };
            if wanted && dpdk.has_library(&format!("lib{archive}.a")) {
                // Whole: drivers and mempool operations register themselves in constructors nobody refers to.
                println!("cargo::rustc-link-lib=static:+whole-archive,-bundle={archive}");
                drivers.push(short.to_owned());
            }
        } else if let Some(library) = word.strip_prefix("-l") {
            // System libraries. rustc links with --as-needed: what no driver of the list uses is not recorded.
            let repeated = seen.iter().any(|s| s == library);
            if !library.starts_with("rte_") && !repeated && dpdk.has_library(&format!("lib{library}.so")) {
                println!("cargo::rustc-link-lib=dylib={library}");
                seen.push(library.to_owned());
            }
        }
    }
    drivers.retain(|d| DRIVERS.contains(&d.as_str()));
    if !drivers.iter().any(|d| d.starts_with("net_")) {
        return Err("the static feature found no driver archives (librte_net_*.a) beside libdpdk.".into());
    }
    write_drivers(out, &drivers)
}

fn search_paths(dpdk: &Dpdk) {
    for path in &dpdk.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
}

/// For `LINKED_DRIVERS` in the crate.
fn write_drivers(out: &Path, drivers: &[String]) -> Result<(), String> {
    let names: Vec<_> = drivers.iter().map(|d| format!("{:?}", d)).collect();
    fs::write(out.join("linked_drivers.rs"), format!("&[{}]", names.join(", "))).map_err(|e| e.to_string())
}
