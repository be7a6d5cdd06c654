//! What to link.

use std::{env, fs, path::Path};

use crate::find::{self, Dpdk};

/// Core libraries. Never a driver: EAL loads those from its plugin directory itself, and a driver linked into the
/// program changes the order in which mempool drivers register, which breaks secondary processes (dpdk-dumpcap).
const CORE: &[&str] =
    &["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_telemetry", "rte_pdump"];

pub(crate) fn shared(dpdk: &Dpdk, out: &Path) -> Result<(), String> {
    search_paths(dpdk);
    for library in CORE {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    if dpdk.release.has_log_library() {
        println!("cargo::rustc-link-lib=dylib=rte_log");
    }
    write_drivers(out, &[])
}

/// Drivers that the `static` feature links, where this release has them: none of them needs a library that is not
/// part of DPDK or of every system.
const DRIVERS: &[&str] = &[
    "bus_auxiliary",
    "bus_pci",
    "bus_vdev",
    "common_iavf",
    "mempool_ring",
    "mempool_stack",
    "net_af_packet",
    "net_bnxt",
    "net_e1000",
    "net_ena",
    "net_i40e",
    "net_iavf",
    "net_ice",
    "net_igc",
    "net_ixgbe",
    "net_memif",
    "net_null",
    "net_ring",
    "net_virtio",
    "net_vmxnet3",
];

/// Names of more drivers, between commas or spaces; each brings what it needs, shared libraries of the system included.
pub(crate) const MORE_DRIVERS: &str = "DPDK_SYS_STATIC_DRIVERS";

/// Drivers that are useless without another one.
const COMPANIONS: &[(&str, &str)] = &[
    ("net_mlx4", "bus_auxiliary"),
    ("net_mlx5", "common_mlx5"),
    ("net_sfc", "common_sfc_efx"),
    ("net_idpf", "common_idpf"),
    ("net_netvsc", "bus_vmbus"),
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

/// Core libraries linked whole: they have constructors that nothing refers to (telemetry commands, log types, the
/// default pool operations). Of all others only what is called.
const WHOLE: &[&str] =
    &["argparse", "eal", "ethdev", "kvargs", "log", "mbuf", "mempool", "net", "pdump", "ring", "telemetry"];

/// Libraries of the system that become part of the binary, where it has their archives: EAL needs them.
const ABSORBED: &[&str] = &["numa", "bsd", "md"];

pub(crate) fn statically(dpdk: &Dpdk, out: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-env-changed={MORE_DRIVERS}");
    let more = more_drivers();
    search_paths(dpdk);
    let mut drivers = Vec::new();
    let mut seen = Vec::new();
    for word in find::static_libs()? {
        if let Some(archive) = word.strip_prefix("-l:lib").and_then(|w| w.strip_suffix(".a")) {
            let short = archive.strip_prefix("rte_").unwrap_or(archive);
            let driver = DRIVER_CLASSES.iter().any(|class| short.starts_with(class));
            let wanted = !driver || DRIVERS.contains(&short) || more.iter().any(|name| name == short);
            if !wanted || !dpdk.has_library(&format!("lib{archive}.a")) {
                continue;
            }
            // Whole: drivers and pool operations register themselves in constructors that nothing refers to.
            let whole = if driver || WHOLE.contains(&short) { "+whole-archive," } else { "" };
            println!("cargo::rustc-link-lib=static:{whole}-bundle={archive}");
            if driver {
                drivers.push(short.to_owned());
            }
        } else if let Some(library) = word.strip_prefix("-l") {
            if library.starts_with("rte_") || seen.iter().any(|s| s == library) {
                continue;
            }
            seen.push(library.to_owned());
            if ABSORBED.contains(&library) && dpdk.has_library(&format!("lib{library}.a")) {
                println!("cargo::rustc-link-lib=static:-bundle={library}");
            } else if dpdk.has_library(&format!("lib{library}.so")) {
                // rustc links with --as-needed: what no driver of the list uses is not recorded.
                println!("cargo::rustc-link-lib=dylib={library}");
            }
        }
    }
    if drivers.iter().any(|d| d == "net_sfc") {
        // 16-byte atomics; comes with the C compiler.
        println!("cargo::rustc-link-lib=static:-bundle=atomic");
    }
    if !drivers.iter().any(|d| d.starts_with("net_")) {
        return Err("the static feature found no driver archives (librte_net_*.a) beside libdpdk.".into());
    }
    if let Some(missing) = more.iter().find(|name| !drivers.contains(name)) {
        return Err(format!(
            "{MORE_DRIVERS} names {missing}, and DPDK {} has no librte_{missing}.a here.",
            dpdk.version
        ));
    }
    drivers.sort();
    write_drivers(out, &drivers)
}

/// What [`MORE_DRIVERS`] asks for, with companions.
fn more_drivers() -> Vec<String> {
    let asked = env::var(MORE_DRIVERS).unwrap_or_default();
    let mut names: Vec<String> =
        asked.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    for (driver, companion) in COMPANIONS {
        if names.iter().any(|name| name == driver) && !names.iter().any(|name| name == companion) {
            names.push((*companion).to_owned());
        }
    }
    names
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
