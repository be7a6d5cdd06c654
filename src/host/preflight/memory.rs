//! Hugepages: reserved, free, mounted, writable.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Host, Refusal};
use crate::host::{args::EalArgs, os};

/// Below this EAL and one port with its pools do not fit, MiB.
const LEAST_MIB: u64 = 64;

/// How much EAL is told to take, MiB, or the least that makes sense.
pub(in crate::host) fn wanted_mib(args: &EalArgs) -> u64 {
    args.memory_mib.unwrap_or(LEAST_MIB)
}

/// Hugepages are wanted: are there enough?
pub(super) fn check(host: &Host, args: &EalArgs) -> Result<(), Refusal> {
    let wanted_mib = wanted_mib(args);
    let (reserved_kib, free_kib) = pages(host);
    if reserved_kib == 0 {
        return Err(Refusal::NoHugepages { pages: wanted_mib.max(256).div_ceil(2) });
    }
    let directory = if args.in_memory { None } else { mount(host, args).ok() };
    let free_mib = (free_kib + directory.map_or(0, |directory| left_behind(&directory))) / 1024;
    if free_mib < wanted_mib {
        return Err(Refusal::TooFewHugepages { free_mib, wanted_mib });
    }
    Ok(())
}

/// What there is, in words.
pub(super) fn describe(host: &Host, args: &EalArgs) -> String {
    let (reserved_kib, free_kib) = pages(host);
    format!("{} of {} MiB free, {} MiB wanted", free_kib / 1024, reserved_kib / 1024, wanted_mib(args))
}

/// What EAL will give back before it takes pages, KiB: files of programs that have ended, killed or not. Those of
/// programs that run are locked.
fn left_behind(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().contains("map_"));
    let ended =
        files.filter_map(|entry| fs::File::open(entry.path()).ok()).filter(|file| !os::is_flocked(file));
    ended.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() / 2).sum()
}

/// (reserved, free) over all page sizes, KiB. Surplus pages that the kernel may add are not counted.
fn pages(host: &Host) -> (u64, u64) {
    let sizes = fs::read_dir(host.root.join("sys/kernel/mm/hugepages")).into_iter().flatten().flatten();
    let mut sum = (0, 0);
    for size in sizes {
        let name = size.file_name();
        let kib = name.to_str().and_then(|n| n.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok());
        let Some(kib): Option<u64> = kib else { continue };
        let count = |file| {
            fs::read_to_string(size.path().join(file))
                .ok()
                .and_then(|t| t.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        sum.0 += kib * count("nr_hugepages");
        sum.1 += kib * count("free_hugepages");
    }
    sum
}

/// The directory that EAL makes its files in.
pub(in crate::host) fn mount(host: &Host, args: &EalArgs) -> Result<PathBuf, Refusal> {
    let mounts = host.read("proc/self/mounts");
    let mut dirs = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (dir, kind) = (words.next()?, words.next()?);
        (kind == "hugetlbfs").then_some(dir)
    });
    let found = match &args.huge_dir {
        Some(wanted) => {
            // EAL also takes a directory below the mount.
            let wanted = wanted.trim_end_matches('/');
            dirs.any(|dir| {
                wanted == dir || wanted.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
            })
            .then_some(wanted)
            .ok_or_else(|| Refusal::NoHugetlbfs { at: format!(" at {wanted}") })?
        }
        None => dirs.next().ok_or_else(|| Refusal::NoHugetlbfs { at: String::new() })?,
    };
    let directory = host.root.join(found.trim_start_matches('/'));
    if os::is_writable(&directory) {
        Ok(directory)
    } else {
        Err(Refusal::HugetlbfsNotWritable { dir: found.into() })
    }
}
