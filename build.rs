//! Passes on what dpdk-sys found out. Finding and linking are its business.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set when the bursts of the DPDK release at hand were audited: `pmd::burst` then has its own.
    println!("cargo::rustc-check-cfg=cfg(dpdk_audited)");
    if env::var("DEP_DPDK_AUDITED").is_ok_and(|v| v == "1") {
        println!("cargo::rustc-cfg=dpdk_audited");
    }
}
