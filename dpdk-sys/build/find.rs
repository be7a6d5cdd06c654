//! Where DPDK is and which release.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{help, release::Release};

/// Set to `1`, every burst goes through the shim.
pub(crate) const FORCE_SHIM: &str = "DPDK_SYS_FORCE_SHIM";

/// What pkg-config knows.
pub(crate) struct Dpdk {
    pub(crate) version: String,
    pub(crate) release: Release,
    pub(crate) include_paths: Vec<PathBuf>,
    pub(crate) link_paths: Vec<PathBuf>,
    /// Neither include paths nor libraries: `-march=…`, `-include rte_config.h`.
    pub(crate) other_cflags: Vec<String>,
}

impl Dpdk {
    pub(crate) fn bursts_audited(&self) -> bool {
        self.release.bursts_audited(env::var(FORCE_SHIM).is_ok_and(|v| v == "1"))
    }

    /// True where a library of that file name stands in one of the link paths.
    pub(crate) fn has_library(&self, file: &str) -> bool {
        self.link_paths.iter().any(|dir| dir.join(file).exists())
    }
}

pub(crate) fn dpdk() -> Result<Dpdk, String> {
    let mut probe = pkg_config::Config::new();
    probe.cargo_metadata(false).print_system_libs(true).print_system_cflags(true);
    let library = probe.probe("libdpdk").map_err(|e| {
        format!("DPDK was not found (pkg-config libdpdk: {}).\n{}", help::first_line(&e), help::install())
    })?;
    let release = Release::read(&library.version)?;
    let mut link_paths = library.link_paths;
    let libdir = pkg_config::get_variable("libdpdk", "libdir").map_err(|e| e.to_string())?;
    if !link_paths.iter().any(|p| p == Path::new(&libdir)) {
        link_paths.push(libdir.into());
    }
    Ok(Dpdk {
        version: library.version,
        release,
        include_paths: library.include_paths,
        link_paths,
        other_cflags: ask(&["--cflags-only-other", "libdpdk"])?,
    })
}

/// The words of `pkg-config --static --libs libdpdk`, in order.
pub(crate) fn static_libs() -> Result<Vec<String>, String> {
    ask(&["--static", "--libs", "libdpdk"])
}

/// The words that pkg-config answers: for what the crate does not tell apart.
fn ask(arguments: &[&str]) -> Result<Vec<String>, String> {
    let tool = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(tool)
        .args(arguments)
        .output()
        .map_err(|e| format!("pkg-config does not run: {e}.\n{}", help::install()))?;
    let text = String::from_utf8(output.stdout).map_err(|e| e.to_string())?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}
