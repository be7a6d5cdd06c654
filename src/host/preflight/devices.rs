//! Drivers of virtual devices, and PCI devices with theirs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Host, Look, Refusal, families, vfio};
use crate::host::args::EalArgs;

/// Kernel drivers that hand a device to user space.
const USER_SPACE: &[&str] = &["vfio-pci", "igb_uio", "uio_pci_generic"];

/// Kernel drivers that share their device with DPDK: the device stays bound to them.
const BIFURCATED: &[&str] = &["mlx4_core", "mlx5_core", "mana"];

/// Mellanox/NVIDIA, all of whose NICs are such.
const MELLANOX: u16 = 0x15b3;

/// The drivers, and each PCI device.
pub(super) fn looks(host: &Host, args: &EalArgs) -> Vec<Look> {
    // With plugins of the user's own, EAL is the one to judge.
    let judge_drivers = args.plugins.is_empty();
    let mut looks = Vec::new();
    if judge_drivers {
        let about = if args.vdevs.is_empty() { "buffer pools".into() } else { args.vdevs.join(" ") };
        looks.push(Look::new(&["pmd"], about, virtual_drivers(host, args)));
    }
    if !args.no_pci {
        looks.extend(allowed(args).map(|address| look(host, args, &address, judge_drivers)));
    }
    looks
}

fn virtual_drivers(host: &Host, args: &EalArgs) -> Result<(), Refusal> {
    driver(host, "mempool_ring", "EAL's buffer pool")?;
    if !args.vdevs.is_empty() {
        driver(host, "bus_vdev", "--vdev")?;
    }
    args.vdevs.iter().try_for_each(|vdev| driver(host, driver_of(vdev), &format!("--vdev {vdev}")))
}

pub(super) fn look(host: &Host, args: &EalArgs, address: &str, judge_drivers: bool) -> Look {
    let device = match Device::find(host, address.to_owned()) {
        Ok(device) => device,
        Err(refusal) => return Look::new(&["port.present"], address, Err(refusal)),
    };
    let with_vfio = device.driver == "vfio-pci" && !args.maybe_secondary;
    let outcome = device
        .check_driver(host)
        .and_then(|()| if judge_drivers { device.check_pmd(host) } else { Ok(()) })
        .and_then(|()| if with_vfio { vfio::check(host, args, address) } else { Ok(()) });
    let mut ids = vec!["port.present"];
    let behind_iommu = with_vfio && !vfio::is_without_iommu(host, address);
    if behind_iommu || matches!(outcome, Err(Refusal::NoIommu { .. })) {
        ids.push("iommu");
    }
    ids.push("port.driver");
    if judge_drivers {
        ids.push("pmd");
    }
    if behind_iommu {
        ids.push("iommu.group");
    }
    if with_vfio {
        ids.extend(["vfio", "port.held"]);
    }
    if behind_iommu {
        ids.push("memlock");
    }
    Look::new(&ids, format!("{address}, {}", device.state()), outcome)
}

/// The PCI addresses among the allowed devices, in full.
pub(in crate::host) fn allowed(args: &EalArgs) -> impl Iterator<Item = String> {
    args.allow.iter().filter_map(|device| {
        let address = device.split(',').next().unwrap_or_default();
        pci_address(address.strip_prefix("pci:").unwrap_or(address))
    })
}

/// `net_af_packet0,iface=x` -> `net_af_packet`: the name without number and arguments, or the driver it belongs to.
fn driver_of(vdev: &str) -> &str {
    let device = vdev.split(',').next().unwrap_or_default();
    let name = device.trim_end_matches(|c: char| c.is_ascii_digit());
    match name {
        "net_bonding" => "net_bond",
        "net_tun" => "net_tap",
        "net_virtio_user" => "net_virtio",
        "eth_af_packet" => "net_af_packet",
        "eth_bond" => "net_bond",
        "eth_null" => "net_null",
        "eth_pcap" => "net_pcap",
        "eth_ring" => "net_ring",
        "eth_tap" => "net_tap",
        "eth_vhost" => "net_vhost",
        "virtio_user" => "net_virtio",
        other => other,
    }
}

fn driver(host: &Host, driver: &str, what: &str) -> Result<(), Refusal> {
    if is_available(host, driver) {
        return Ok(());
    }
    let Some(dir) = &host.plugin_dir else {
        let (driver, linked) = (driver.into(), host.linked.join(", "));
        return Err(Refusal::NotLinked { what: what.into(), driver, linked });
    };
    let library = format!("librte_{driver}.so");
    // Debian's way: a hyphen between a digit of the name and the number.
    let hyphen = if driver.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    let package = format!("librte-{}{hyphen}{}", driver.replace('_', "-"), abi(dir));
    Err(Refusal::NoDriver { what: what.into(), library, dir: dir.display().to_string(), package })
}

/// Linked into the program, or installed as a plugin: `librte_DRIVER.so`, `librte_DRIVER.so.23`, …
fn is_available(host: &Host, driver: &str) -> bool {
    let Some(dir) = &host.plugin_dir else {
        return host.linked.iter().any(|d| d == driver);
    };
    let library = format!("librte_{driver}.so");
    let entries = fs::read_dir(host.root.join(dir.strip_prefix("/").unwrap_or(dir)));
    entries.into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&library));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// `…/pmds-23.0` -> `23`: the ABI number that Debian's package names end with.
fn abi(plugin_dir: &Path) -> &str {
    let name = plugin_dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.strip_prefix("pmds-").and_then(|v| v.split('.').next()).unwrap_or_default()
}

/// `1:0.0`-like and `0000:01:00.0` -> the full form; `None` for what is no PCI address.
pub(in crate::host) fn pci_address(text: &str) -> Option<String> {
    let (bus_part, function) = text.split_once('.')?;
    let parts: Vec<_> = bus_part.split(':').collect();
    let (domain, bus, device) = match parts[..] {
        [bus, device] => ("0", bus, device),
        [domain, bus, device] => (domain, bus, device),
        _ => return None,
    };
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let (domain, bus, device, function) = (hex(domain)?, hex(bus)?, hex(device)?, hex(function)?);
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

/// A PCI device as sysfs shows it.
struct Device {
    /// In full.
    address: String,
    /// Its directory.
    path: PathBuf,
    /// The kernel's driver that has it; empty without one.
    driver: String,
    vendor: u16,
    device: u16,
}

impl Device {
    fn find(host: &Host, address: String) -> Result<Self, Refusal> {
        let path = host.pci(&address);
        if !path.exists() {
            return Err(Refusal::NoPciDevice { address });
        }
        let id = |file| {
            let text = host.read(path.join(file));
            u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).unwrap_or(0)
        };
        let (vendor, device) = (id("vendor"), id("device"));
        Ok(Self {
            driver: link_name(&path.join("driver")).unwrap_or_default(),
            address,
            path,
            vendor,
            device,
        })
    }

    /// Has it the kernel's driver that DPDK wants?
    fn check_driver(&self, host: &Host) -> Result<(), Refusal> {
        let address = self.address.clone();
        let driver = self.driver.as_str();
        if self.vendor == MELLANOX || BIFURCATED.contains(&driver) {
            return self.check_bifurcated();
        }
        if USER_SPACE.contains(&driver) {
            return Ok(());
        }
        let interface = self.interface().map(|name| format!(" (interface {name})")).unwrap_or_default();
        if !self.path.join("iommu_group").exists() && !vfio::has_no_iommu_mode(host) {
            return Err(Refusal::NoIommu { address, state: self.state() + &interface });
        }
        if driver.is_empty() {
            return Err(Refusal::PciUnbound { address });
        }
        Err(Refusal::PciKernelDriver { address, driver: driver.into(), interface })
    }

    fn check_bifurcated(&self) -> Result<(), Refusal> {
        let fix = match self.driver.as_str() {
            "" => "`modprobe mlx5_core` (older cards: mlx4_core)".to_owned(),
            // Verbs, by which the PMD finds its device, are a module of their own.
            "mlx5_core" if !self.path.join("infiniband").exists() => "`modprobe mlx5_ib`".to_owned(),
            "mlx4_core" if !self.path.join("infiniband").exists() => "`modprobe mlx4_ib`".to_owned(),
            driver if BIFURCATED.contains(&driver) => return Ok(()),
            _ => format!("`tools/dpdk-devbind-wrapper.sh restore {}`", self.address),
        };
        let mut state = self.state();
        if fix.ends_with("_ib`") {
            state += " without verbs";
        }
        Err(Refusal::Bifurcated { address: self.address.clone(), state, fix })
    }

    /// Is there a PMD for it? Devices of families that this program has not heard of are EAL's to judge.
    fn check_pmd(&self, host: &Host) -> Result<(), Refusal> {
        let what = format!("-a {} ({:04x}:{:04x})", self.address, self.vendor, self.device);
        driver(host, "bus_pci", &what)?;
        let drivers = families::drivers_of(self.vendor, self.device);
        if drivers.iter().any(|name| is_available(host, name)) {
            return Ok(());
        }
        drivers.first().map_or(Ok(()), |first| driver(host, first, &what))
    }

    fn state(&self) -> String {
        if self.driver.is_empty() { "bound to no driver".into() } else { format!("bound to {}", self.driver) }
    }

    /// Its first network interface; a virtio device has them one level deeper.
    fn interface(&self) -> Option<String> {
        let first = |dir: &Path| {
            let entry = fs::read_dir(dir).ok()?.flatten().next()?;
            Some(entry.file_name().to_string_lossy().into_owned())
        };
        first(&self.path.join("net")).or_else(|| {
            let entries = fs::read_dir(&self.path).ok()?.flatten();
            entries
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("virtio"))
                .find_map(|entry| first(&entry.path().join("net")))
        })
    }
}

/// The last part of where a link leads.
pub(in crate::host) fn link_name(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_of_virtual_devices() {
        assert_eq!(driver_of("net_af_packet0,iface=eth0"), "net_af_packet");
        assert_eq!(driver_of("net_virtio_user12,path=/x1"), "net_virtio");
        assert_eq!(driver_of("net_ring"), "net_ring");
    }

    #[test]
    fn pci_addresses_in_both_forms() {
        assert_eq!(pci_address("0000:01:00.0").as_deref(), Some("0000:01:00.0"));
        assert_eq!(pci_address("af:1F.7").as_deref(), Some("0000:af:1f.7"));
        for other in ["auxiliary:mlx5_core.sf.1", "vdev:net_ring0", "class=eth", "", "1:2"] {
            assert_eq!(pci_address(other), None, "{other}");
        }
    }
}
