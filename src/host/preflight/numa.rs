//! Is the device at the processor that polls it?

use std::fs;

use super::{Host, Warning, devices};
use crate::host::{
    args::EalArgs,
    cpus::{CpuSet, LcoreMap},
};

/// Which of the lcores polls, the configuration says, so this warns only where none of them can be right.
pub(super) fn warnings(host: &Host, args: &EalArgs) -> Vec<Warning> {
    let cpus = match args.lcore_map() {
        Some(map) => map.unwrap_or_default().cpus,
        None => LcoreMap::same(host.allowed_cpus()).cpus,
    };
    let nodes = nodes(host);
    let lcore_nodes: Vec<u32> = nodes
        .iter()
        .filter(|(_, of_node)| cpus.iter().any(|cpu| of_node.contains(cpu)))
        .map(|(node, _)| *node)
        .collect();
    devices::allowed(args)
        .filter_map(|address| {
            let device_node = device_node(host, &address)?;
            let (_, better) = nodes.iter().find(|(node, _)| *node == device_node)?;
            let far = !lcore_nodes.is_empty() && !lcore_nodes.contains(&device_node);
            far.then(|| Warning::NumaNode {
                address,
                device_node,
                lcore_nodes: lcore_nodes.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
                better: better.clone(),
            })
        })
        .collect()
}

/// The NUMA node of a PCI device; `None` where the firmware does not say (-1).
pub(in crate::host) fn device_node(host: &Host, address: &str) -> Option<u32> {
    host.read(host.pci(address).join("numa_node")).trim().parse().ok()
}

/// Each node that has CPUs, with them.
pub(in crate::host) fn nodes(host: &Host) -> Vec<(u32, CpuSet)> {
    let entries = fs::read_dir(host.root.join("sys/devices/system/node")).into_iter().flatten().flatten();
    let mut nodes: Vec<_> = entries
        .filter_map(|entry| {
            let node = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
            Some((node, CpuSet::parse_list(host.read(entry.path().join("cpulist")).trim())?))
        })
        .collect();
    nodes.sort_by_key(|(node, _)| *node);
    nodes
}
