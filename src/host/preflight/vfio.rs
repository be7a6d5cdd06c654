//! A device that is with vfio-pci: may this process have it?

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Host, Refusal, devices::link_name, memory};
use crate::host::{args::EalArgs, os};

/// PCI class of a bridge between buses, which never stands in the way of its group.
const BRIDGE: &str = "0x0604";

/// The capability to lock memory without limit, as a bit of `CapEff`.
const CAP_IPC_LOCK: u64 = 1 << 14;

/// `address` is bound to vfio-pci.
pub(super) fn check(host: &Host, args: &EalArgs, address: &str) -> Result<(), Refusal> {
    let link = host.pci(address).join("iommu_group");
    let Some(group) = link_name(&link) else {
        return Err(Refusal::NoIommu { address: address.into(), state: "bound to vfio-pci".into() });
    };
    // Made by vfio-pci itself where there is no IOMMU: such a group has one device, and nothing is mapped or locked.
    let without_iommu = is_without_iommu(host, address);
    let file = format!("/dev/vfio/{}{group}", if without_iommu { "noiommu-" } else { "" });
    if !without_iommu {
        viable(host, address, &group)?;
        let can_map = ["vfio_iommu_type1", "iommufd", "vfio_iommu_spapr_tce"];
        if !can_map.iter().any(|module| host.root.join("sys/module").join(module).exists()) {
            return Err(Refusal::NoVfioType1 { address: address.into() });
        }
    }
    for file in ["/dev/vfio/vfio", file.as_str()] {
        let path = host.root.join(file.trim_start_matches('/'));
        let (address, file) = (address.to_owned(), file.to_owned());
        if !path.exists() {
            return Err(Refusal::NoVfioFile { address, file });
        }
        if !os::is_writable(&path) {
            return Err(Refusal::VfioNotPermitted { address, file });
        }
    }
    if let Some(owner) = holder(host, &file) {
        return Err(Refusal::DeviceHeld { address: address.into(), group, owner });
    }
    if without_iommu { Ok(()) } else { lockable(host, args, address) }
}

/// True for a device that vfio-pci has without an IOMMU.
pub(super) fn is_without_iommu(host: &Host, address: &str) -> bool {
    host.read(host.pci(address).join("iommu_group/name")).trim() == "vfio-noiommu"
}

/// True where vfio-pci takes devices without an IOMMU.
pub(super) fn has_no_iommu_mode(host: &Host) -> bool {
    host.read("sys/module/vfio/parameters/enable_unsafe_noiommu_mode").trim() == "Y"
}

fn viable(host: &Host, address: &str, group: &str) -> Result<(), Refusal> {
    let devices = fs::read_dir(host.pci(address).join("iommu_group/devices"));
    let mut others: Vec<_> = devices
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let other = entry.file_name().into_string().ok()?;
            let driver = link_name(&host.pci(&other).join("driver"))?;
            let harmless = driver == "pci-stub"
                || driver.contains("vfio")
                || host.read(host.pci(&other).join("class")).starts_with(BRIDGE);
            (!harmless).then(|| format!("{other} ({driver})"))
        })
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    others.sort();
    Err(Refusal::GroupNotViable { address: address.into(), group: group.into(), others: others.join(", ") })
}

/// The process that has the group open. Those of other users can be seen by root only.
fn holder(host: &Host, file: &str) -> Option<String> {
    let own = std::process::id().to_string();
    let open = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors.map(|fd| fd.path()).any(|fd| fs::read_link(fd).is_ok_and(|to| to == Path::new(file)))
    };
    fs::read_dir(host.root.join("proc")).into_iter().flatten().flatten().find_map(|entry| {
        let pid = entry.file_name().into_string().ok()?;
        let process: PathBuf = entry.path();
        if pid == own || !pid.bytes().all(|digit| digit.is_ascii_digit()) || !open(&process) {
            return None;
        }
        Some(format!("process {pid} ({})", host.read(process.join("comm")).trim()))
    })
}

/// VFIO locks the memory that it maps, within this process's limit.
fn lockable(host: &Host, args: &EalArgs, address: &str) -> Result<(), Refusal> {
    let status = host.read("proc/self/status");
    let capable = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_none_or(|mask| mask & CAP_IPC_LOCK != 0);
    let limits = host.read("proc/self/limits");
    // Absent, or `unlimited`, where there is none.
    let limit: Option<u64> = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    let wanted_mib = memory::wanted_mib(args);
    match limit {
        Some(bytes) if !capable && bytes >> 20 < wanted_mib => {
            Err(Refusal::MemoryLock { address: address.into(), limit_mib: bytes >> 20, wanted_mib })
        }
        _ => Ok(()),
    }
}
