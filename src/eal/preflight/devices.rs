//! Drivers of virtual devices, and PCI devices with theirs.

use std::{fs, path::Path};

use super::{Host, Refusal};
use crate::eal::args::EalArgs;

/// Kernel drivers that hand a device to user space.
const USER_SPACE: &[&str] = &["vfio-pci", "igb_uio", "uio_pci_generic"];

/// Kernel drivers that share their device with DPDK: the device stays bound to them.
const BIFURCATED: &[&str] = &["mlx4_core", "mlx5_core", "mana"];

pub(super) fn check(host: &Host, args: &EalArgs) -> Result<(), Refusal> {
    // With plugins of the user's own, EAL is the one to judge.
    if args.plugins.is_empty() {
        driver(host, "mempool_ring", "EAL's buffer pool")?;
        if !args.vdevs.is_empty() {
            driver(host, "bus_vdev", "--vdev")?;
        }
        for vdev in &args.vdevs {
            driver(host, driver_of(vdev), &format!("--vdev {vdev}"))?;
        }
    }
    for device in &args.allow {
        let address = device.split(',').next().unwrap_or_default();
        let Some(address) = pci_address(address.strip_prefix("pci:").unwrap_or(address)) else { continue };
        if args.no_pci {
            return Err(Refusal::Conflict { first: "-a (a PCI device)", second: "--no-pci" });
        }
        pci(host, address)?;
    }
    Ok(())
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
    let Some(dir) = &host.plugin_dir else {
        return if host.linked.iter().any(|d| d == driver) {
            Ok(())
        } else {
            let (driver, linked) = (driver.into(), host.linked.join(", "));
            Err(Refusal::NotLinked { what: what.into(), driver, linked })
        };
    };
    let library = format!("librte_{driver}.so");
    let installed = fs::read_dir(host.root.join(dir.strip_prefix("/").unwrap_or(dir)))
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.strip_prefix(&library))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
    if installed {
        return Ok(());
    }
    let package = format!("librte-{}{}", driver.replace('_', "-"), abi(dir));
    Err(Refusal::NoDriver { what: what.into(), library, dir: dir.display().to_string(), package })
}

/// `…/pmds-23.0` -> `23`: the ABI number that Debian's package names end with.
fn abi(plugin_dir: &Path) -> &str {
    let name = plugin_dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.strip_prefix("pmds-").and_then(|v| v.split('.').next()).unwrap_or_default()
}

/// `1:0.0`-like and `0000:01:00.0` -> the full form; `None` for what is no PCI address.
fn pci_address(text: &str) -> Option<String> {
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

fn pci(host: &Host, address: String) -> Result<(), Refusal> {
    let device = host.root.join("sys/bus/pci/devices").join(&address);
    if !device.exists() {
        return Err(Refusal::NoPciDevice { address });
    }
    let Ok(link) = fs::read_link(device.join("driver")) else {
        return Err(Refusal::PciUnbound { address });
    };
    let driver = link.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if USER_SPACE.contains(&driver) || BIFURCATED.contains(&driver) {
        return Ok(());
    }
    let interface = fs::read_dir(device.join("net"))
        .into_iter()
        .flatten()
        .flatten()
        .next()
        .map(|entry| format!(" (interface {})", entry.file_name().to_string_lossy()))
        .unwrap_or_default();
    Err(Refusal::PciKernelDriver { address, driver: driver.into(), interface })
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
