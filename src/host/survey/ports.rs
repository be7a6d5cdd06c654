//! What the kernel tells of the ports.

use super::Subject;
use crate::host::{Finding, Fix, Host};

pub(super) fn findings(host: &Host, subject: &Subject) -> Vec<Finding> {
    let there = |port: &&String| host.pci(port).exists();
    subject
        .ports
        .iter()
        .filter(there)
        .flat_map(|port| [route(host, port), link(host, port), errors(host, port), power(host, port)])
        .collect()
}

fn of(port: &str, file: &str) -> String {
    format!("sys/bus/pci/devices/{port}/{file}")
}

/// Does the default route leave by one of its interfaces?
fn route(host: &Host, port: &str) -> Finding {
    let mut interfaces = host.names(&of(port, "net"));
    // A virtio device has them one level deeper.
    for inner in host.names(&of(port, "")).iter().filter(|name| name.starts_with("virtio")) {
        interfaces.extend(host.names(&of(port, &format!("{inner}/net"))));
    }
    if interfaces.is_empty() {
        return Finding::good("port.route", format!("{port} has no interface"));
    }
    let routes = match host.text("proc/net/route") {
        Ok(routes) => routes,
        Err(why) => return Finding::unread("port.route", &why),
    };
    let default = routes.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        let (name, to) = (words.next()?, words.next()?);
        (to == "00000000" && interfaces.iter().any(|interface| interface == name)).then_some(name)
    });
    match default {
        None => Finding::good("port.route", format!("{port}: {}", interfaces.join(" "))),
        Some(name) => Finding::bad(
            "port.route",
            format!("{port}: {name} carries the default route"),
            "another interface",
        )
        .fix(Fix::Words("take another port".into())),
    }
}

fn link(host: &Host, port: &str) -> Finding {
    let mut now = Vec::new();
    let mut lower = false;
    for (what, unit) in [("speed", ""), ("width", "x")] {
        let [is, could] =
            ["current", "max"].map(|which| host.text(&of(port, &format!("{which}_link_{what}"))));
        match (is, could) {
            (Ok(is), Ok(could)) => {
                // `8.0 GT/s PCIe`; a device that has no link says `Unknown`.
                let value =
                    |text: &str| text.split_whitespace().next().and_then(|word| word.parse::<f32>().ok());
                let (Some(have), Some(most)) = (value(&is), value(&could)) else {
                    return Finding::unknown("pcie.link", format!("{port}: {what} {is}, of {could}"));
                };
                lower |= have < most;
                now.push(format!("{what} {unit}{is} of {unit}{could}"));
            }
            (Err(why), _) | (_, Err(why)) => return Finding::unread("pcie.link", &why),
        }
    }
    let seen = format!("{port}: {}", now.join(", "));
    if lower {
        Finding::bad("pcie.link", seen, "all that it could have").fix(Fix::Firmware(
            "put the card into a slot of its width and generation; look at the bifurcation of the slot"
                .into(),
        ))
    } else {
        Finding::good("pcie.link", seen)
    }
}

/// The files have a row for each kind, and one for their sum.
fn errors(host: &Host, port: &str) -> Finding {
    let (mut grown, mut looked) = (Vec::new(), false);
    for kind in ["correctable", "nonfatal", "fatal"] {
        let Ok(text) = host.text(&of(port, &format!("aer_dev_{kind}"))) else { continue };
        let total = text.lines().find_map(|line| {
            let (name, count) = line.rsplit_once(' ')?;
            name.starts_with("TOTAL_ERR").then(|| count.parse::<u64>().ok())?
        });
        let Some(total) = total else { continue };
        looked = true;
        if total > 0 {
            grown.push(format!("{total} {kind}"));
        }
    }
    match (looked, grown.is_empty()) {
        (false, _) => Finding::unknown("pcie.aer", format!("{port}: the kernel does not count its errors")),
        (true, true) => Finding::good("pcie.aer", format!("{port}: none")),
        (true, false) => Finding::bad("pcie.aer", format!("{port}: {}", grown.join(", ")), "none")
            .fix(Fix::Firmware("seat the card anew, or take another slot or riser".into())),
    }
}

fn power(host: &Host, port: &str) -> Finding {
    let path = of(port, "power/control");
    match host.text(&path) {
        Err(why) => Finding::unread("pci.power", &why),
        Ok(word) if word == "on" => Finding::good("pci.power", format!("{port}: on")),
        Ok(word) => Finding::bad("pci.power", format!("{port}: {word}"), "on")
            .fix(Fix::Now(format!("echo on > /{path}"))),
    }
}
