//! The machine: what it is, what would stop the program on it, what would make it slow. Only reads.
//!
//! [`preflight`] has what would make EAL fail, and runs at every start. [`survey()`] looks at everything that is known to cost
//! latency besides, for the CPUs that poll and the ports that they poll, and [`jitter`] measures what is left. Each finding has an id;
//! [`catalogue`] says of each why it matters and how bad it is in which [`Profile`].
//!
//! Every check reads below a root, `/` in life, so that tests can make a machine up. What cannot be read is
//! [`Verdict::Unknown`] with the reason, never good.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

pub mod args;
pub mod catalogue;
pub mod cpus;
pub mod finding;
pub mod interrupts;
pub mod jitter;
pub mod lcores;
pub mod machine;
mod os;
pub mod preflight;
pub mod script;
pub mod survey;

pub use catalogue::{Level, Profile};
pub use finding::{Finding, Fix, Verdict};
pub use survey::{Measured, Subject, survey};

use cpus::CpuSet;

/// Longest file that is read, in bytes: /proc/interrupts of a machine with many CPUs is the longest there is.
const MAX_FILE: u64 = 16 << 20;

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

/// Why a file says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is not there.
    Absent(String),
    /// It is there and cannot be read.
    Refused(String, String),
    /// It says something that is not understood: path, text.
    Malformed(String, String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(path) => write!(f, "there is no /{path}"),
            Self::Refused(path, why) => write!(f, "/{path} cannot be read: {why}"),
            Self::Malformed(path, text) => write!(f, "/{path} says `{text}`, which is not understood"),
        }
    }
}

impl Host {
    /// This machine and this process, with EAL's plugin directory and the drivers linked into the program.
    #[must_use]
    pub fn this(plugin_dir: &str, linked: &[&str]) -> Self {
        let linked: Vec<_> = linked.iter().map(|d| (*d).to_owned()).collect();
        let plugin_dir = linked.is_empty().then(|| plugin_dir.into());
        Self { root: "/".into(), plugin_dir, linked, runtime_dir: runtime_dir() }
    }

    /// The text of a file below the root, as it stands; empty where it cannot be read.
    fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// The text of a file below the root, without the blanks around it.
    pub(crate) fn text(&self, path: &str) -> Result<String, Unread> {
        let refused = |why: &io::Error| match why.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Unread::Absent(path.to_owned()),
            _ => Unread::Refused(path.to_owned(), why.to_string()),
        };
        let file = fs::File::open(self.root.join(path)).map_err(|why| refused(&why))?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|why| refused(&why))?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A whole number.
    fn number(&self, path: &str) -> Result<u64, Unread> {
        let text = self.text(path)?;
        text.parse().map_err(|_| malformed(path, &text))
    }

    /// A list of CPUs, which may be empty; the kernel writes `(null)` for one that was never set.
    fn cpus(&self, path: &str) -> Result<CpuSet, Unread> {
        let text = self.text(path)?;
        if text.is_empty() || text == "(null)" {
            return Ok(CpuSet::default());
        }
        CpuSet::parse_list(&text).ok_or_else(|| malformed(path, &text))
    }

    /// The names in a directory, sorted; none where it cannot be read.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The CPUs that this process may use.
    pub(crate) fn allowed_cpus(&self) -> CpuSet {
        let status = self.read("proc/self/status");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.and_then(|list| CpuSet::parse_list(list.trim())).unwrap_or_default()
    }

    /// The CPUs that run; empty where the kernel does not say.
    fn online_cpus(&self) -> CpuSet {
        self.cpus("sys/devices/system/cpu/online").unwrap_or_default()
    }

    /// The directory of a PCI device.
    fn pci(&self, address: &str) -> PathBuf {
        self.root.join("sys/bus/pci/devices").join(address)
    }

    /// The PCI address of a network interface.
    pub(crate) fn port_of(&self, interface: &str) -> Option<String> {
        let plain = !interface.is_empty() && !interface.contains('/') && interface != "..";
        let device = self.root.join("sys/class/net").join(interface).join("device");
        preflight::pci_address(&preflight::link_name(&device).filter(|_| plain)?)
    }

    /// What the kernel was started with, word by word.
    fn command_line(&self) -> Result<Vec<String>, Unread> {
        Ok(self.text("proc/cmdline")?.split_whitespace().map(str::to_owned).collect())
    }
}

fn malformed(path: &str, text: &str) -> Unread {
    Unread::Malformed(path.to_owned(), text.to_owned())
}

/// The word in brackets: `always [madvise] never` -> `madvise`.
fn bracketed(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word)
}

/// As EAL chooses it.
fn runtime_dir() -> PathBuf {
    let base = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_else(|| {
        if os::is_root() {
            "/var/run".into()
        } else {
            std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_else(|| "/tmp".into())
        }
    });
    Path::new(&base).join("dpdk")
}

#[cfg(test)]
mod made_up;
