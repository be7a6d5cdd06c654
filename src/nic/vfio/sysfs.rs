//! What the kernel tells of a PCI device before it is opened. Only reads.

use std::fs;
use std::path::Path;

use super::{Bdf, VfioError};

/// A device that VFIO has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: (u16, u16),
    pub(super) group: u32,
    pub(super) numa_node: Option<u32>,
}

/// Looks at the device below `root`, which is `/` but in tests.
pub(super) fn look(root: &Path, bdf: Bdf) -> Result<Found, VfioError> {
    let device = root.join("sys/bus/pci/devices").join(bdf.to_string());
    if !device.exists() {
        return Err(VfioError::NoDevice { bdf });
    }
    let text = |file: &str| fs::read_to_string(device.join(file)).unwrap_or_default();
    let hex = |file: &str| u16::from_str_radix(text(file).trim().trim_start_matches("0x"), 16).unwrap_or(0);
    match target(&device.join("driver")) {
        None => return Err(VfioError::Unbound { bdf }),
        Some(driver) if driver != "vfio-pci" => {
            let names = fs::read_dir(device.join("net")).into_iter().flatten().flatten();
            let interface =
                names.map(|entry| format!(" (interface {})", entry.file_name().to_string_lossy())).next();
            return Err(VfioError::OtherDriver { bdf, driver, interface: interface.unwrap_or_default() });
        }
        Some(_) => {}
    }
    let group = target(&device.join("iommu_group")).and_then(|number| number.parse().ok());
    let Some(group) = group else { return Err(VfioError::NoIommu { bdf }) };
    // -1: nowhere in particular.
    let numa_node = text("numa_node").trim().parse().ok();
    Ok(Found { id: (hex("vendor"), hex("device")), group, numa_node })
}

/// The devices of a group that keep it from being viable: `0000:01:00.1 (igb)`.
pub(super) fn strangers(root: &Path, group: u32, bdf: Bdf) -> String {
    let all = root.join("sys/kernel/iommu_groups").join(group.to_string()).join("devices");
    let mut names: Vec<_> = fs::read_dir(all)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let driver = target(&root.join("sys/bus/pci/devices").join(&name).join("driver"))?;
            // Bridges and stubs do not disturb.
            let harmless = ["vfio-pci", "pcieport", "pci-stub"].contains(&driver.as_str());
            (name != bdf.to_string() && !harmless).then(|| format!("{name} ({driver})"))
        })
        .collect();
    names.sort();
    if names.is_empty() { "see /sys/kernel/iommu_groups".to_owned() } else { names.join(", ") }
}

/// The last part of what a link points to.
fn target(link: &Path) -> Option<String> {
    let path = fs::read_link(link).ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}
