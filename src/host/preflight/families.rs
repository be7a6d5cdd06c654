//! Which PMD drives which PCI device, as far as a good hint needs it.
//!
//! Not a list of what DPDK supports: families of NICs by vendor and ranges of device numbers, of DPDK 22.11, with only such
//! ranges as belong to one driver. What is not here is no mistake, and EAL judges it.

/// A driver's devices of one vendor: first and last number of each range.
struct Family {
    driver: &'static [&'static str],
    vendor: u16,
    devices: &'static [(u16, u16)],
}

const fn family(driver: &'static [&'static str], vendor: u16, devices: &'static [(u16, u16)]) -> Family {
    Family { driver, vendor, devices }
}

const INTEL: u16 = 0x8086;

#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    family(&["net_e1000"], INTEL, &[
        (0x100e, 0x101d), (0x105e, 0x10a9), (0x10c9, 0x10da), (0x10e6, 0x10e8), (0x1502, 0x1502), (0x150c, 0x1511),
        (0x1520, 0x1527), (0x1533, 0x1546), (0x156f, 0x1570), (0x15b7, 0x15be), (0x15d6, 0x15e3), (0x1f40, 0x1f45),
    ]),
    // From DPDK 25.03 on the first contains the second.
    family(&["net_igc", "net_e1000"], INTEL, &[(0x125b, 0x125f), (0x15f2, 0x15f8), (0x3100, 0x3102)]),
    family(&["net_ixgbe"], INTEL, &[
        (0x10b6, 0x10b6), (0x10c6, 0x10c8), (0x10db, 0x10e1), (0x10ec, 0x10f4), (0x10f7, 0x10fc), (0x1514, 0x1515),
        (0x151c, 0x151c), (0x1528, 0x152a), (0x154d, 0x1558), (0x155d, 0x1565), (0x15a8, 0x15b4), (0x15c2, 0x15ce),
    ]),
    family(&["net_i40e"], INTEL, &[(0x1572, 0x1574), (0x1580, 0x158b), (0x15ff, 0x15ff), (0x37ce, 0x37d3)]),
    family(&["net_ice"], INTEL, &[(0x124c, 0x124f), (0x1591, 0x159b), (0x188a, 0x189a), (0x579c, 0x579f)]),
    family(&["net_iavf"], INTEL, &[(0x154c, 0x154c), (0x1571, 0x1571)]),
    family(&["net_mlx4"], 0x15b3, &[(0x1003, 0x1007)]),
    family(&["net_mlx5"], 0x15b3, &[(0x1013, 0x1021), (0xa2d2, 0xa2dc)]),
    family(&["net_sfc"], 0x1924, &[(0x0903, 0x0903), (0x0923, 0x0923), (0x0a03, 0x0a03), (0x0b03, 0x0b03),
        (0x1903, 0x1903), (0x1923, 0x1923), (0x1a03, 0x1a03), (0x1b03, 0x1b03)]),
    family(&["net_sfc"], 0x10ee, &[(0x0100, 0x0100), (0x1100, 0x1100)]),
    family(&["net_bnxt"], 0x14e4, &[(0x16d6, 0x16d9), (0x1750, 0x1752), (0x1800, 0x1807)]),
    family(&["net_cxgbe"], 0x1425, &[(0x5000, 0x6fff)]),
    family(&["net_enic"], 0x1137, &[(0x0043, 0x0043), (0x0044, 0x0044), (0x0071, 0x0071)]),
    family(&["net_qede"], 0x1077, &[(0x1629, 0x1664), (0x8070, 0x8090)]),
    family(&["net_ena"], 0x1d0f, &[(0xec20, 0xec21)]),
    family(&["net_gve"], 0x1ae0, &[(0x0042, 0x0042)]),
    family(&["net_virtio"], 0x1af4, &[(0x1000, 0x1000), (0x1041, 0x1041)]),
    family(&["net_vmxnet3"], 0x15ad, &[(0x07b0, 0x07b0)]),
];

/// The drivers any one of which would do, the likeliest first; none for a device that is not known here.
pub(super) fn drivers_of(vendor: u16, device: u16) -> &'static [&'static str] {
    FAMILIES
        .iter()
        .find(|f| {
            f.vendor == vendor && f.devices.iter().any(|(first, last)| (*first..=*last).contains(&device))
        })
        .map_or(&[], |family| family.driver)
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "dpdk")]
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn cards_that_everybody_has() {
        for (vendor, device, driver) in [
            (0x8086, 0x10d3, "net_e1000"),
            (0x8086, 0x100e, "net_e1000"),
            (0x8086, 0x10c9, "net_e1000"),
            (0x8086, 0x10fb, "net_ixgbe"),
            (0x8086, 0x1572, "net_i40e"),
            (0x8086, 0x1592, "net_ice"),
            (0x8086, 0x15f2, "net_igc"),
            (0x15b3, 0x101d, "net_mlx5"),
            (0x1924, 0x0b03, "net_sfc"),
            (0x1af4, 0x1041, "net_virtio"),
            (0x15ad, 0x07b0, "net_vmxnet3"),
        ] {
            assert_eq!(drivers_of(vendor, device).first(), Some(&driver), "{vendor:04x}:{device:04x}");
        }
        assert!(drivers_of(0x8086, 0x1889).is_empty(), "two drivers take it");
        assert!(drivers_of(0x1234, 0x10d3).is_empty());
    }

    /// Every driver that is installed says in its file which devices it takes: none of them is said to be another's.
    #[cfg(feature = "dpdk")]
    #[test]
    fn no_hint_is_wrong() {
        let name = &crate::eal::Linked::dpdk().plugin_dir;
        let mut all = std::collections::BTreeMap::<(u16, u16), Vec<String>>::new();
        for entry in fs::read_dir(name).into_iter().flatten().flatten() {
            let file = entry.file_name().into_string().unwrap();
            let plugin = file.strip_prefix("librte_").and_then(|rest| rest.strip_suffix(".so"));
            let Some(driver) = plugin.filter(|driver| driver.starts_with("net_")) else { continue };
            for device in devices_in(&entry.path()) {
                all.entry(device).or_default().push(driver.to_owned());
            }
        }
        if Path::new(name).join("librte_net_e1000.so").exists() {
            assert!(all.contains_key(&(0x8086, 0x10d3)), "the format of PMD_INFO_STRING is another");
        }
        for ((vendor, device), drivers) in &all {
            let ours = drivers_of(*vendor, *device);
            assert!(
                ours.is_empty() || ours.iter().any(|name| drivers.iter().any(|driver| driver == name)),
                "{vendor:04x}:{device:04x} is {drivers:?}'s, not {ours:?}'s"
            );
        }
    }

    /// The `pci_ids` of each `PMD_INFO_STRING` in a plugin: `[[vendor, device, …],…]` in decimal numbers.
    #[cfg(feature = "dpdk")]
    fn devices_in(plugin: &Path) -> Vec<(u16, u16)> {
        let bytes = fs::read(plugin).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut devices = Vec::new();
        for info in text.split("PMD_INFO_STRING= ").skip(1) {
            let info = info.split('\0').next().unwrap_or_default();
            let Some((_, ids)) = info.split_once("\"pci_ids\": [") else { continue };
            for id in ids.split('[').skip(1) {
                let mut numbers = id.split(&[',', ']'][..]).map(|n| n.trim().parse());
                if let (Some(Ok(vendor)), Some(Ok(device))) = (numbers.next(), numbers.next()) {
                    devices.push((vendor, device));
                }
            }
        }
        devices
    }
}
