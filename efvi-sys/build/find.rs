//! Where ef_vi's headers and library are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Names an Onload source tree.
pub(crate) const TREE: &str = "ONLOAD_TREE";

const HEADER: &str = "etherfabric/ef_vi.h";

/// The static library is preferred, as Onload advises: an ABI between releases is not promised.
const LIBRARIES: [(&str, &str); 2] = [("libciul1.a", "static=ciul1"), ("libciul.so", "dylib=ciul")];

const SYSTEM_HEADERS: [&str; 2] = ["/usr/include", "/usr/local/include"];
const SYSTEM_LIBRARIES: [&str; 6] =
    ["/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/local/lib64", "/usr/local/lib", "/lib64"];

const HELP: &str = "ef_vi comes with Onload 9.0 or later, from https://github.com/Xilinx-CNS/onload (no NIC is needed to \
                    build it):\n\
                    git clone --branch v9.0.2 https://github.com/Xilinx-CNS/onload && cd onload\n\
                    PATH=\"$PWD/scripts:$PATH\"; mmakebuildtree gnu_x86_64 && make -C build/gnu_x86_64/lib/ciul\n\
                    then build wirebook with ONLOAD_TREE set to that directory, or without the feature `efvi`";

/// What is needed to build and link.
pub(crate) struct Onload {
    pub(crate) include: PathBuf,
    pub(crate) library: PathBuf,
    /// For cargo.
    pub(crate) link: &'static str,
}

pub(crate) fn onload() -> Result<Onload, String> {
    let (include, libraries) = match env::var_os(TREE) {
        Some(tree) => in_tree(Path::new(&tree))?,
        None => {
            let include = SYSTEM_HEADERS.iter().map(PathBuf::from).find(|dir| dir.join(HEADER).exists());
            let include = include.ok_or_else(|| {
                format!(
                    "ef_vi's headers ({HEADER}) were not found on this system, and {TREE} is not set.\n{HELP}"
                )
            })?;
            (include, SYSTEM_LIBRARIES.iter().map(PathBuf::from).collect())
        }
    };
    for dir in &libraries {
        for (file, link) in LIBRARIES {
            if dir.join(file).exists() {
                println!("cargo::rerun-if-changed={}", dir.join(file).display());
                return Ok(Onload { include, library: dir.clone(), link });
            }
        }
    }
    let looked: Vec<_> = libraries.iter().map(|dir| dir.display().to_string()).collect();
    Err(format!("libciul was not found; looked into: {}\n{HELP}", looked.join(" ")))
}

fn in_tree(tree: &Path) -> Result<(PathBuf, Vec<PathBuf>), String> {
    let include = tree.join("src/include");
    if !include.join(HEADER).exists() {
        return Err(format!("{TREE}={} has no src/include/{HEADER}.\n{HELP}", tree.display()));
    }
    // One directory for each platform it was built for; kernel builds have none of it.
    let mut libraries: Vec<PathBuf> = fs::read_dir(tree.join("build"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("lib/ciul"))
        .filter(|dir| dir.is_dir())
        .collect();
    libraries.sort();
    if libraries.is_empty() {
        return Err(format!("{TREE}={}: libciul was not built there.\n{HELP}", tree.display()));
    }
    Ok((include, libraries))
}
