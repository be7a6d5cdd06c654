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
mod memory;

/// One reason why EAL cannot start with these arguments here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No hugepages of any size are reserved.
    #[error(
        "no hugepages are reserved: `echo {pages} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages` as root, \
         or run with --no-huge -m 256"
    )]
    NoHugepages {
        /// How many 2 MiB pages would do.
        pages: u64,
    },
    /// Hugepages exist, too few are free.
    #[error(
        "{free_mib} MiB of hugepages are free and {wanted_mib} MiB are wanted: end what holds them, reserve more in \
         /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or lower -m"
    )]
    TooFewHugepages {
        /// Free, all sizes together.
        free_mib: u64,
        /// `-m`, or the least that makes sense.
        wanted_mib: u64,
    },
    /// Nowhere to put hugepage files.
    #[error(
        "hugetlbfs is not mounted{at}: `mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages` as root, \
         or run with --in-memory"
    )]
    NoHugetlbfs {
        /// ` at DIR` when `--huge-dir` names one.
        at: String,
    },
    /// The mount is there and not writable by this user.
    #[error(
        "no right to write to the hugepages in {dir}: run as root, mount it with uid=, or run with --in-memory"
    )]
    HugetlbfsNotWritable {
        /// The mount point.
        dir: String,
    },
    /// Options of EAL that exclude each other.
    #[error("{first} and {second} exclude each other: leave out {second}")]
    Conflict {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The lcore list cannot be read.
    #[error("{option} '{value}' is not a list of lcores: write it like {example}")]
    LcoreSyntax {
        /// As given.
        option: &'static str,
        /// As given.
        value: String,
        /// A form that this option takes.
        example: &'static str,
    },
    /// A CPU that is not online.
    #[error("{option} asks for CPU {cpu}, this machine has {online} online: choose among those")]
    CpuOffline {
        /// As given.
        option: &'static str,
        /// The first that is missing.
        cpu: u32,
        /// What there is.
        online: CpuSet,
    },
    /// A CPU that this process may not run on.
    #[error(
        "{option} asks for CPU {cpu}, this process may run only on {allowed} (taskset or cgroup cpuset): choose among \
         those, or widen the set"
    )]
    CpuNotAllowed {
        /// As given.
        option: &'static str,
        /// The first that is not allowed.
        cpu: u32,
        /// What is allowed.
        allowed: CpuSet,
    },
    /// `--main-lcore` is not one of the lcores.
    #[error("--main-lcore {main} is not among the lcores {lcores}: choose one of those")]
    MainLcore {
        /// As given.
        main: String,
        /// Those there are.
        lcores: CpuSet,
    },
    /// Another primary process has this prefix.
    #[error("file prefix '{prefix}' is in use by {owner}: end it, or run with --file-prefix=OTHER")]
    PrefixBusy {
        /// The prefix.
        prefix: String,
        /// `process 1234 (name)`.
        owner: String,
    },
    /// The driver of a virtual device, of a bus or of the buffer pools is not installed.
    #[error("{what} needs {library}, which is not in {dir}: `apt install {package}`")]
    NoDriver {
        /// Whose driver.
        what: String,
        /// The plugin's file name.
        library: String,
        /// EAL's plugin directory.
        dir: String,
        /// Debian's name of the package that has it.
        package: String,
    },
    /// The driver is not part of a statically linked program.
    #[error("{what} needs the driver {driver}, which is not linked into this program: it has {linked}")]
    NotLinked {
        /// Whose driver.
        what: String,
        /// Its name.
        driver: String,
        /// Those that are.
        linked: String,
    },
    /// `-a` names a device that is not there.
    #[error("-a {address}: no such PCI device: `lspci -D` lists those there are")]
    NoPciDevice {
        /// Domain:bus:device.function.
        address: String,
    },
    /// `-a` names a device without a driver.
    #[error(
        "-a {address}: bound to no driver: `tools/dpdk-devbind-wrapper.sh bind {address}` gives it to vfio-pci"
    )]
    PciUnbound {
        /// Domain:bus:device.function.
        address: String,
    },
    /// `-a` names a device that the kernel drives.
    #[error(
        "-a {address}: bound to the kernel driver {driver}{interface}: \
         `tools/dpdk-devbind-wrapper.sh bind {address}` gives it to vfio-pci"
    )]
    PciKernelDriver {
        /// Domain:bus:device.function.
        address: String,
        /// Such as `ixgbe`.
        driver: String,
        /// ` (interface NAME)` where it has one.
        interface: String,
    },
}

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

    /// The text of a file below the root; empty where it cannot be read.
    fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    fn check_lcores(&self, args: &EalArgs) -> Result<(), Refusal> {
        let online =
            CpuSet::parse_list(self.read("sys/devices/system/cpu/online").trim()).unwrap_or_default();
        let status = self.read("proc/self/status");
        let allowed = status
            .lines()
            .find_map(|l| l.strip_prefix("Cpus_allowed_list:"))
            .and_then(|list| CpuSet::parse_list(list.trim()))
            .unwrap_or_default();

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
