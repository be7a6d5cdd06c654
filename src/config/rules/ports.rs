//! Contradictions about ports: their addresses, and the tags of what shares one.

use crate::config::document::Document;
use crate::config::{Config, PortRef};

/// On one port, a missing tag beside tagged streams is more often forgotten than meant.
pub(super) fn vlans(config: &Config, document: &mut Document<'_>) {
    let port = &config.port;
    let line_b = config.feed.line_b.map(|line| (&port.line_b, "feed.line.b", "feed.line.b.vlan", line.vlan));
    let gateway =
        config.gateway.as_ref().map(|gateway| (&port.orders, "gateway", "gateway.vlan", gateway.vlan));
    let mut streams = vec![(&port.feed, "feed.line.a", "feed.line.a.vlan", config.feed.line_a.vlan)];
    streams.extend(line_b);
    streams.extend(gateway);
    for (on, section, path, vlan) in &streams {
        let tagged =
            streams.iter().find_map(|(port, other, _, id)| id.filter(|_| port == on).map(|id| (other, id)));
        if let (Some((tagged, id)), None) = (tagged, vlan)
            && !document.says(path)
        {
            document.contradiction(
                &[path],
                format!("[{section}] has no vlan, while [{tagged}] on the same port is tagged {id}"),
                "add its vlan; vlan = 0 states that its frames are untagged",
            );
        }
    }
}

/// Addresses of our own, and whose they may not be.
pub(super) fn port(config: &Config, document: &mut Document<'_>) {
    let port = &config.port;
    if config.feed.line_b.is_none() && document.says("port.line_b") {
        document.contradiction(
            &["port.line_b"],
            "port.line_b names a port for line B, and there is no [feed.line.b]".to_owned(),
            "add [feed.line.b], or remove port.line_b",
        );
    }
    if port.line_b == port.feed && port.line_b_ip.is_some() {
        document.contradiction(
            &["port.line_b_ip"],
            "port.line_b_ip is an address on a port of its own, and line B comes by that of line A"
                .to_owned(),
            "name the other port in port.line_b, or remove port.line_b_ip",
        );
    }
    let mut own: Vec<(&'static str, &PortRef, _)> = Vec::new();
    own.extend(port.ip.map(|ip| ("port.ip", &port.feed, ip)));
    own.extend(port.line_b_ip.map(|ip| ("port.line_b_ip", &port.line_b, ip)));
    own.extend(config.gateway.as_ref().map(|gateway| ("gateway.local_ip", &port.orders, gateway.local_ip)));
    for (at, (path, on, ip)) in own.iter().enumerate() {
        for (other, port, address) in own.iter().skip(at + 1) {
            if ip == address && on != port {
                document.contradiction(
                    &[path, other],
                    format!("{path} and {other} are both {ip}, on two ports"),
                    &format!("give each port an address of its own, or remove {path}"),
                );
            }
        }
    }
    let Some(gateway) = &config.gateway else { return };
    for (path, ip) in [("port.ip", port.ip), ("port.line_b_ip", port.line_b_ip)] {
        if ip.is_some_and(|ip| ip == gateway.next_hop.unwrap_or(gateway.ip)) {
            document.contradiction(
                &[path, "gateway.next_hop", "gateway.ip"],
                format!("{path} is the address of the other side"),
                "give this port an address of its own",
            );
        }
    }
}
