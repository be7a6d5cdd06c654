//! What would make EAL fail, found before it starts, each said in one line with its remedy.
//!
//! EAL stops at the first trouble after pages of its own text, and some of its words mislead ("Permission denied" for
//! missing hugepages). These checks only read. They are advice, not a guarantee: what changes between them and
//! `rte_eal_init`, EAL still reports itself.

use std::{fs, io::ErrorKind};

use super::{
    Host,
    args::EalArgs,
    cpus::{CpuSet, LcoreMap},
};

mod devices;
mod families;
pub(super) mod memory;
pub(super) mod numa;
mod refusal;
mod vfio;

pub(super) use devices::{link_name, pci_address};
pub use refusal::{Refusal, Warning};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The checks it is made of, by id, in the order in which they were made. That of [`Refusal::id`] failed, those behind it
    /// were not made.
    pub ids: Vec<&'static str>,
    /// What was looked at, and what was seen where it is as it should be.
    pub about: String,
    /// What came of it.
    pub outcome: Result<(), Refusal>,
}

impl Look {
    fn new(ids: &[&'static str], about: impl Into<String>, outcome: Result<(), Refusal>) -> Self {
        Self { ids: ids.to_vec(), about: about.into(), outcome }
    }
}

impl Host {
    /// Checks everything, the cheapest mistakes first.
    ///
    /// # Errors
    /// The first reason why EAL would not start.
    pub fn check(&self, args: &EalArgs) -> Result<(), Refusal> {
        self.looks(args).into_iter().try_for_each(|look| look.outcome)
    }

    /// The same, each for itself.
    #[must_use]
    pub fn looks(&self, args: &EalArgs) -> Vec<Look> {
        let lcores = self.check_lcores(args).map(drop);
        let about =
            args.lcores.as_ref().map_or("all CPUs".into(), |(option, list)| format!("{option} {list}"));
        let mut looks = vec![
            Look::new(&["lcores"], about, lcores),
            Look::new(&["options"], "no two exclude each other", options(args)),
        ];
        if !args.no_huge && !args.maybe_secondary {
            looks.push(Look::new(&["hugepages"], memory::describe(self, args), memory::check(self, args)));
            if !args.in_memory {
                let mount = memory::mount(self, args);
                let about = mount.as_ref().map_or(String::new(), |dir| dir.display().to_string());
                looks.push(Look::new(&["hugetlbfs"], about, mount.map(drop)));
            }
        }
        let prefix = args.file_prefix.as_deref().unwrap_or("rte");
        looks.push(Look::new(&["prefix.busy"], format!("file prefix {prefix}"), self.check_prefix(args)));
        looks.extend(devices::looks(self, args));
        looks
    }

    /// Why the CPUs that `args` name are in use already: a program runs with this prefix, or has the port.
    #[must_use]
    pub fn running(&self, args: &EalArgs) -> Option<Refusal> {
        let mut refusals = self.looks(args).into_iter().filter_map(|look| look.outcome.err());
        let runs =
            |refusal: &Refusal| matches!(refusal, Refusal::PrefixBusy { .. } | Refusal::DeviceHeld { .. });
        refusals.find(runs)
    }

    /// What EAL would start with, and the user may not have meant. To be asked where [`Host::check`] found nothing.
    #[must_use]
    pub fn warnings(&self, args: &EalArgs) -> Vec<Warning> {
        numa::warnings(self, args)
    }

    /// The lcores that are asked for.
    ///
    /// # Errors
    /// [`Refusal::LcoreSyntax`], [`Refusal::CpuOffline`], [`Refusal::CpuNotAllowed`], [`Refusal::MainLcore`].
    pub(super) fn check_lcores(&self, args: &EalArgs) -> Result<LcoreMap, Refusal> {
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
            _ => Ok(map),
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
pub(crate) fn allowed(args: &EalArgs) -> Vec<String> {
    devices::allowed(args).collect()
}

/// One PCI device that is driven over VFIO without EAL.
pub(super) fn look_at(host: &Host, address: &str) -> Look {
    devices::look(host, &EalArgs::default(), address, false)
}

/// Options that EAL refuses together.
fn options(args: &EalArgs) -> Result<(), Refusal> {
    // --no-huge implies --legacy-mem, which EAL refuses together with --in-memory.
    if args.no_huge && args.in_memory {
        return Err(Refusal::Conflict { first: "--no-huge", second: "--in-memory" });
    }
    if args.no_pci && devices::allowed(args).next().is_some() {
        return Err(Refusal::Conflict { first: "-a (a PCI device)", second: "--no-pci" });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
