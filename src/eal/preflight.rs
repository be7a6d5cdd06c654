//! What would make EAL fail, found before it starts, each said in one line with its remedy.
//!
//! EAL stops at the first trouble after pages of its own text, and some of its words mislead ("Permission denied" for
//! missing hugepages). These checks only read. They are advice, not a guarantee: what changes between them and
//! `rte_eal_init`, EAL still reports itself.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    args::EalArgs,
    cpus::{CpuSet, LcoreMap},
};

mod devices;
mod families;
mod memory;
mod numa;
mod refusal;
mod vfio;

pub use refusal::{Refusal, Warning};

/// The machine as the checks see it. Tests give them a tree of their own.
#[derive(Clone, Debug)]
pub struct Host {
    /// `/`, or a tree that has `proc`, `sys` and `dev` for tests.
    pub root: PathBuf,
    /// EAL's plugin directory; `None` when drivers are linked into the program.
    pub plugin_dir: Option<PathBuf>,
    /// Drivers linked into the program.
    pub linked: Vec<String>,
    /// Where EAL keeps a directory for each file prefix.
    pub runtime_dir: PathBuf,
}

impl Host {
    /// This machine, this process, and EAL as it was linked.
    #[must_use]
    pub fn this(plugin_dir: &str, linked: &[&str]) -> Self {
        let linked: Vec<_> = linked.iter().map(|d| (*d).to_owned()).collect();
        let plugin_dir = linked.is_empty().then(|| plugin_dir.into());
        Self { root: "/".into(), plugin_dir, linked, runtime_dir: runtime_dir() }
    }

    /// Checks everything, the cheapest mistakes first.
    ///
    /// # Errors
    /// The first reason why EAL would not start.
    pub fn check(&self, args: &EalArgs) -> Result<(), Refusal> {
        self.check_lcores(args)?;
        memory::check(self, args)?;
        self.check_prefix(args)?;
        devices::check(self, args)
    }

    /// What EAL would start with, and the user may not have meant. To be asked where [`Host::check`] found nothing.
    #[must_use]
    pub fn warnings(&self, args: &EalArgs) -> Vec<Warning> {
        numa::warnings(self, args)
    }

    /// The text of a file below the root; empty where it cannot be read.
    fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// The CPUs that this process may use.
    fn allowed_cpus(&self) -> CpuSet {
        let status = self.read("proc/self/status");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.and_then(|list| CpuSet::parse_list(list.trim())).unwrap_or_default()
    }

    /// The directory of a PCI device.
    fn pci(&self, address: &str) -> PathBuf {
        self.root.join("sys/bus/pci/devices").join(address)
    }

    fn check_lcores(&self, args: &EalArgs) -> Result<(), Refusal> {
        let online =
            CpuSet::parse_list(self.read("sys/devices/system/cpu/online").trim()).unwrap_or_default();
        let allowed = self.allowed_cpus();

        let map = match (args.lcore_map(), &args.lcores) {
            (None, _) | (_, None) => LcoreMap::same(allowed),
            (Some(map), Some((option, value))) => {
                let option = *option;
                let map = map.map_err(|()| Refusal::LcoreSyntax {
                    option,
                    value: value.clone(),
                    example: if option == "-c" { "0x3" } else { "0-1,4" },
                })?;
                for cpu in map.cpus.iter() {
                    if !online.contains(cpu) {
                        return Err(Refusal::CpuOffline { option, cpu, online });
                    }
                    if !allowed.contains(cpu) {
                        return Err(Refusal::CpuNotAllowed { option, cpu, allowed });
                    }
                }
                map
            }
        };
        match &args.main_lcore {
            Some(main) if !main.parse().is_ok_and(|n| map.lcores.contains(n)) => {
                Err(Refusal::MainLcore { main: main.clone(), lcores: map.lcores })
            }
            _ => Ok(()),
        }
    }

    /// A primary process keeps a write lock on `config` in the directory of its prefix.
    fn check_prefix(&self, args: &EalArgs) -> Result<(), Refusal> {
        if args.no_shconf || args.in_memory || args.maybe_secondary {
            return Ok(());
        }
        let prefix = args.file_prefix.as_deref().unwrap_or("rte");
        let file = match fs::File::open(self.runtime_dir.join(prefix).join("config")) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                let owner = "another user".into();
                return Err(Refusal::PrefixBusy { prefix: prefix.into(), owner });
            }
            Err(_) => return Ok(()),
        };
        match super::os::write_lock_holder(&file) {
            None => Ok(()),
            Some(pid) => {
                let name = self.read(format!("proc/{pid}/comm"));
                let owner = format!("process {pid} ({})", name.trim());
                Err(Refusal::PrefixBusy { prefix: prefix.into(), owner })
            }
        }
    }
}

/// The PCI addresses among the allowed devices, in full.
pub(super) fn allowed(args: &EalArgs) -> Vec<String> {
    devices::allowed(args).collect()
}

/// As EAL chooses it.
fn runtime_dir() -> PathBuf {
    let base = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_else(|| {
        if super::os::is_root() {
            "/var/run".into()
        } else {
            std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_else(|| "/tmp".into())
        }
    });
    Path::new(&base).join("dpdk")
}

#[cfg(test)]
mod tests;
