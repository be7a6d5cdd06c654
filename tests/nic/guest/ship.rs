//! What goes into the guest: `wirebook` as this test run built it, the libraries it is linked with, DPDK's drivers that the
//! test bed needs, and our wrapper, all at the places where they are here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// DPDK's plugins: buses, memory pools, and the drivers of all NICs that a guest can have.
const PLUGINS: [&str; 7] =
    ["bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_virtio", "net_vmxnet3", "net_af_packet"];

/// Fills `root`, which the guest copies over its own.
pub(super) fn fill(root: &Path) -> Result<(), String> {
    let bin = root.join("bin");
    make(&bin)?;
    // Without debug information it is a tenth of its size.
    also(root, Path::new(env!("CARGO_BIN_EXE_wirebook")), "wirebook")?;
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
    for script in ["dpdk-devbind-wrapper.sh", "hugepages.sh"] {
        copy(&tools.join(script), &bin.join(script))?;
    }
    plugins(root)
}

/// Puts one more program into the guest's PATH, with its libraries. `root` is the directory `root` in
/// [`super::Guest::host`]: before the guest boots only, or to be copied from `/host/root` there.
pub(crate) fn also(root: &Path, program: &Path, name: &str) -> Result<(), String> {
    let to = root.join("bin").join(name);
    let stripped = Command::new("strip").arg("-o").arg(&to).arg(program).status();
    if !stripped.is_ok_and(|status| status.success()) {
        copy(program, &to)?;
    }
    ship_libraries(root, program)
}

fn ship_libraries(root: &Path, of: &Path) -> Result<(), String> {
    libraries(of)?.iter().try_for_each(|library| place(root, library))
}

/// The shared libraries of a program, as the loader finds them; none of a static one.
fn libraries(of: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let said = Command::new("ldd").arg(of).output().map_err(|why| format!("ldd: {why}"))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    if let Some(missing) = said.lines().find(|line| line.contains("not found")) {
        return Err(format!("{}: {}", of.display(), missing.trim()));
    }
    Ok(said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

/// Puts a file where it is here, with the link that leads to it: a library that is two files would be loaded twice.
fn place(root: &Path, file: &Path) -> Result<(), String> {
    let real = std::fs::canonicalize(file).map_err(|why| format!("{}: {why}", file.display()))?;
    let [link, copied] = [file, &real].map(|path| root.join(path.strip_prefix("/").unwrap_or(path)));
    if !copied.exists() {
        copy(&real, &copied)?;
    }
    if link != copied && link.symlink_metadata().is_err() {
        make(link.parent().unwrap_or(root))?;
        std::os::unix::fs::symlink(&real, &link).map_err(|why| format!("{}: {why}", link.display()))?;
    }
    Ok(())
}

/// The loader of programs looks for `librte_X.so.N`, EAL loads each `librte_X.so.N.0`: both names.
fn plugins(root: &Path) -> Result<(), String> {
    let linked = libraries(Path::new(env!("CARGO_BIN_EXE_wirebook")))?;
    let Some(eal) = linked.iter().find(|path| path.to_string_lossy().contains("/librte_eal.so.")) else {
        return Ok(());
    };
    let version = eal.to_string_lossy().rsplit_once(".so.").map(|(_, v)| v.to_owned()).unwrap_or_default();
    let eal = std::fs::canonicalize(eal).map_err(|why| why.to_string())?;
    let directory = eal.parent().unwrap_or(Path::new("/")).join(format!("dpdk/pmds-{version}.0"));
    for plugin in PLUGINS {
        for ending in [format!("so.{version}"), format!("so.{version}.0")] {
            let from = directory.join(format!("librte_{plugin}.{ending}"));
            place(root, &from).map_err(|why| format!("{why}: run tools/setup.sh nic"))?;
            ship_libraries(root, &from)?;
        }
    }
    Ok(())
}

fn make(directory: &Path) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|why| format!("{}: {why}", directory.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if let Some(parent) = to.parent() {
        make(parent)?;
    }
    std::fs::copy(from, to).map(|_| ()).map_err(|why| format!("{}: {why}", from.display()))
}
