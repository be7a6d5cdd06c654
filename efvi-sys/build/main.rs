//! Finds ef_vi, generates its bindings, compiles the shim and says what to link.
//!
//! - `ONLOAD_TREE`: an Onload source tree in which libciul was built. Both come from there.
//! - Otherwise the system's headers (`etherfabric/ef_vi.h`) and library are used.
#![allow(clippy::print_stdout, reason = "a build script talks to cargo that way")]

mod bind;
mod find;

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    for path in ["build", "shim"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed={}", find::TREE);
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
    let found = find::onload()?;
    bind::generate(&found.include, &out)?;
    cc::Build::new()
        .file("shim/shim.c")
        .include(&found.include)
        .warnings(true)
        .try_compile("efvi_shim")
        .map_err(|e| format!("the C shim over ef_vi's inlines does not compile: {e}"))?;
    println!("cargo::rustc-link-search=native={}", found.library.display());
    println!("cargo::rustc-link-lib={}", found.link);
    Ok(())
}
