//! Which lcores poll: those of the configuration, or the first that does not control.

use super::Host;
use super::args::EalArgs;
use super::cpus::{CpuSet, LcoreMap};

/// Why the loops have no lcore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLcore {
    /// The control thread has the only one.
    #[error(
        "there is one lcore, and two are needed: one to control, one to poll; give the EAL two, such as -l 0-1"
    )]
    One,
    /// The configuration names one that is not the EAL's, or that controls.
    #[error("{key} {lcore}, which is not a worker of the EAL; its workers are {workers}: change it, or -l")]
    NotAWorker {
        /// `lcores.worker =` or `lcores.workers names`.
        key: &'static str,
        /// What is named.
        lcore: u16,
        /// Those there are.
        workers: String,
    },
}

/// The lcores of the loops, by the EAL's numbers: `wanted`, or the first of its `workers`.
///
/// # Errors
/// [`NoLcore`].
pub fn of_loops(workers: &[u32], wanted: &[u16]) -> Result<Vec<u32>, NoLcore> {
    if wanted.is_empty() {
        return workers.first().map(|first| vec![*first]).ok_or(NoLcore::One);
    }
    let lcore = |lcore: &u16| {
        let number = u32::from(*lcore);
        workers.contains(&number).then_some(number).ok_or_else(|| {
            let workers = workers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            let key = if wanted.len() == 1 { "lcores.worker =" } else { "lcores.workers names" };
            NoLcore::NotAWorker { key, lcore: *lcore, workers }
        })
    };
    wanted.iter().map(lcore).collect()
}

/// Where the lcores of a run are, by the kernel's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The CPU of the main lcore.
    pub control: u32,
    /// Those of the lcores that poll.
    pub polling: CpuSet,
}

/// Where `args` and the configuration put the loops. `None`: EAL itself would refuse these lcores, as [`Host::looks`] tells.
///
/// # Errors
/// [`NoLcore`].
pub fn places(host: &Host, args: &EalArgs, wanted: &[u16]) -> Result<Option<Places>, NoLcore> {
    let Ok(LcoreMap { lcores, places, .. }) = host.check_lcores(args) else { return Ok(None) };
    let named = args.main_lcore.as_ref().and_then(|main| main.parse().ok());
    let Some(main) = named.or(lcores.iter().next()) else { return Ok(None) };
    let cpu_of = |lcore: u32| {
        let (_, cpus) = places.iter().rev().find(|(one, _)| *one == lcore)?;
        cpus.iter().next()
    };
    let workers: Vec<u32> = lcores.iter().filter(|lcore| *lcore != main).collect();
    let polling = of_loops(&workers, wanted)?.into_iter().filter_map(cpu_of).collect();
    Ok(cpu_of(main).map(|control| Places { control, polling }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::made_up::Machine;

    #[test]
    fn loops_go_where_they_are_told_or_beside_the_main_lcore() {
        let machine = Machine::empty();
        machine.write("sys/devices/system/cpu/online", "0-3\n");
        machine.write("proc/self/status", "Cpus_allowed_list:\t0-3\n");
        let placed = |line: &str, wanted: &[u16]| {
            let args = EalArgs::parse(&line.split_whitespace().collect::<Vec<_>>());
            places(&machine.host, &args, wanted)
                .map(|placed| placed.map(|l| format!("{} {}", l.control, l.polling)))
        };
        let is = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(placed("-l 0-2", &[]), is("0 1"));
        assert_eq!(placed("-l 0-2", &[1, 2]), is("0 1-2"));
        assert_eq!(placed("", &[]), is("0 1"), "every CPU that is allowed");
        assert_eq!(placed("-l 0-2 --main-lcore 2", &[]), is("2 0"));
        assert_eq!(placed("--lcores 0@2,1@3", &[]), is("2 3"));
        assert_eq!(placed("-l 0,9", &[]), Ok(None), "EAL's to refuse");
        assert_eq!(placed("-l 0", &[]), Err(NoLcore::One));
        assert_eq!(
            placed("-l 0-2", &[3]).unwrap_err().to_string(),
            "lcores.worker = 3, which is not a worker of the EAL; its workers are 1, 2: change it, or -l"
        );
        let why = placed("-l 0-2", &[1, 0]).unwrap_err().to_string();
        assert!(why.starts_with("lcores.workers names 0, "), "the main lcore controls: {why}");
    }
}
