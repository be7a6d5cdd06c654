//! Finds DPDK, generates its bindings, compiles the shim and says what to link.
//!
//! For dependent crates it leaves `DEP_DPDK_VERSION` (such as `22.11.11`) and `DEP_DPDK_AUDITED` (`1` when the inline
//! receive and transmit bursts of this release were read and may be re-implemented, else `0`).
//! `DPDK_SYS_FORCE_SHIM=1` makes that `0` whatever the release is.
#![allow(clippy::print_stdout, reason = "a build script talks to cargo that way")]

mod bind;
mod find;
mod help;
mod link;
mod release;

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    for path in ["build", "shim"] {
        println!("cargo::rerun-if-changed={path}");
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            for line in reason.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    let dpdk = find::dpdk()?;
    bind::generate(&dpdk, &out)?;
    compile_shim(&dpdk)?;
    if env::var_os("CARGO_FEATURE_STATIC").is_some() {
        link::statically(&dpdk, &out)?;
    } else {
        link::shared(&dpdk, &out)?;
    }
    println!("cargo::rerun-if-env-changed={}", find::FORCE_SHIM);
    println!("cargo::metadata=VERSION={}", dpdk.version);
    println!("cargo::metadata=AUDITED={}", u8::from(dpdk.bursts_audited()));
    Ok(())
}

fn compile_shim(dpdk: &find::Dpdk) -> Result<(), String> {
    let mut build = cc::Build::new();
    build.file("shim/shim.c").includes(&dpdk.include_paths).warnings(true);
    if env::var_os("CARGO_FEATURE_BENCH_C").is_some() {
        // The loops are the yardstick: optimised whatever the profile says.
        build.file("shim/bench.c").opt_level(3);
    }
    for flag in &dpdk.other_cflags {
        build.flag(flag);
    }
    build.try_compile("dpdk_shim").map_err(|e| {
        format!(
            "the C shim over DPDK's inlines does not compile: {e}\nis a C compiler there? {}",
            help::install()
        )
    })
}
