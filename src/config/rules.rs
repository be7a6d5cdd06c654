//! Values that are right one by one and cannot be right together.

use std::collections::BTreeSet;

use super::document::Document;
use super::value::dollars;
use super::{Config, Framing, Instruments, Line, OUCH_PORTS, Stack, StrategyKind};

mod ports;
mod workers;

use ports::{port, vlans};
use workers::workers;

/// Bytes of an IPv4 header without options and a UDP header: what a payload needs beyond itself.
const IP_UDP: u16 = 28;

/// Notes every contradiction in `document`.
pub(super) fn check(config: &Config, document: &mut Document<'_>) {
    feed(config, document);
    recovery(config, document);
    vlans(config, document);
    port(config, document);
    workers(config, document);
    strategy(config, document);
    risk(config, document);
    gateway(config, document);
}

fn feed(config: &Config, document: &mut Document<'_>) {
    let feed = &config.feed;
    if feed.max_payload > config.port.mtu.saturating_sub(IP_UDP) {
        document.contradiction(
            &["feed.max_payload", "port.mtu"],
            format!("feed.max_payload {} does not fit into port.mtu {}", feed.max_payload, config.port.mtu),
            &format!("raise port.mtu to {} or more, or lower feed.max_payload", feed.max_payload + IP_UDP),
        );
    }
    if feed.reorder_packets == 0 && !feed.reorder_wait.is_zero() && document.says("feed.reorder_wait_us") {
        document.contradiction(
            &["feed.reorder_wait_us", "feed.reorder_packets"],
            "feed.reorder_wait_us waits for holes, but feed.reorder_packets = 0 holds nothing meanwhile"
                .to_owned(),
            "set feed.reorder_packets to 64 or more, or feed.reorder_wait_us to 0",
        );
    }
    let same_stream = |a: &Line, b: &Line| (a.group, a.port, a.vlan) == (b.group, b.port, b.vlan);
    let Some(line_b) = &feed.line_b else { return };
    let sources_differ = matches!((feed.line_a.source, line_b.source), (Some(a), Some(b)) if a != b);
    if same_stream(&feed.line_a, line_b) && !sources_differ {
        document.contradiction(
            &["feed.line.b.group", "feed.line.a.group", "feed.line.a.port", "feed.line.b.port"],
            format!("lines A and B are both {}:{}", line_b.group, line_b.port),
            "give line B its own group or port, or remove [feed.line.b]",
        );
    }
}

fn recovery(config: &Config, document: &mut Document<'_>) {
    let Some(recovery) = &config.recovery else { return };
    if recovery.requests.is_none() && recovery.snapshot.is_none() {
        document.contradiction(
            &["recovery"],
            "[recovery] has neither [recovery.requests] nor [recovery.snapshot]".to_owned(),
            "add one of the two, or both, or remove [recovery]",
        );
    }
    if recovery.requests.is_some() {
        if recovery.hole_wait <= config.feed.reorder_wait {
            document.contradiction(
                &["recovery.hole_wait_ms", "feed.reorder_wait_us"],
                format!(
                    "recovery.hole_wait_ms {} leaves no time to ask after feed.reorder_wait_us {}",
                    recovery.hole_wait.as_millis(),
                    config.feed.reorder_wait.as_micros()
                ),
                "raise recovery.hole_wait_ms or lower feed.reorder_wait_us",
            );
        }
        if config.feed.reorder_packets == 0 {
            document.contradiction(
                &["feed.reorder_packets", "recovery.requests"],
                "feed.reorder_packets = 0 holds nothing while [recovery.requests] asks for a hole".to_owned(),
                "set feed.reorder_packets to 4096 or more, or remove [recovery.requests]",
            );
        }
    }
    let Some(snapshot) = &recovery.snapshot else { return };
    if snapshot.back_off > snapshot.back_off_max {
        document.contradiction(
            &["recovery.snapshot.back_off_ms", "recovery.snapshot.back_off_max_ms"],
            format!(
                "recovery.snapshot.back_off_ms {} is above back_off_max_ms {}",
                snapshot.back_off.as_millis(),
                snapshot.back_off_max.as_millis()
            ),
            "lower back_off_ms or raise back_off_max_ms",
        );
    }
}

fn strategy(config: &Config, document: &mut Document<'_>) {
    let strategy = &config.strategy;
    if strategy.exit_bp >= strategy.entry_bp {
        document.contradiction(
            &["strategy.exit_bp", "strategy.entry_bp"],
            format!(
                "strategy.exit_bp {} is not below strategy.entry_bp {}",
                strategy.exit_bp, strategy.entry_bp
            ),
            "lower exit_bp or raise entry_bp: an order must not be cancelled by the signal that sent it",
        );
    }
    if strategy.model_exit_mbp >= strategy.model_entry_mbp {
        document.contradiction(
            &["strategy.model_exit_mbp", "strategy.model_entry_mbp"],
            format!(
                "strategy.model_exit_mbp {} is not below strategy.model_entry_mbp {}",
                strategy.model_exit_mbp, strategy.model_entry_mbp
            ),
            "lower model_exit_mbp or raise model_entry_mbp: an order must not be cancelled by the signal that sent it",
        );
    }
    if strategy.kind == StrategyKind::Model && strategy.model.is_none() {
        document.contradiction(
            &["strategy.kind"],
            "strategy.kind = \"model\" names no model".to_owned(),
            "write strategy.model = \"FILE.safetensors\", or set strategy.kind to another",
        );
    }
    if config.instruments == Instruments::All && document.says("instruments.symbols") {
        document.contradiction(
            &["instruments.symbols", "instruments.all"],
            "instruments.symbols lists some, while instruments.all = true takes all".to_owned(),
            "remove one of the two",
        );
    }
    if strategy.kind == StrategyKind::None {
        return;
    }
    if config.gateway.is_none() {
        document.contradiction(
            &["strategy.kind"],
            "strategy.kind asks for orders, and there is no [gateway] to send them to".to_owned(),
            "add a [gateway], or set strategy.kind = \"none\"",
        );
    }
    if config.instruments == Instruments::Listed(Vec::new()) {
        document.contradiction(
            &["strategy.kind", "instruments.symbols", "instruments.all"],
            "strategy.kind asks for orders, and [instruments] allows none".to_owned(),
            "list instruments.symbols, or set instruments.all = true",
        );
    }
    let shares = strategy.order_shares;
    if shares > config.risk.max_order_shares {
        document.contradiction(
            &["strategy.order_shares", "risk.max_order_shares"],
            format!(
                "strategy.order_shares {shares} is above risk.max_order_shares {}",
                config.risk.max_order_shares
            ),
            "lower order_shares or raise the limit: every order would be refused",
        );
    }
    if shares > config.risk.max_position_shares {
        document.contradiction(
            &["strategy.order_shares", "risk.max_position_shares"],
            format!(
                "strategy.order_shares {shares} is above risk.max_position_shares {}",
                config.risk.max_position_shares
            ),
            "lower order_shares or raise the limit: every order would be refused",
        );
    }
}

fn risk(config: &Config, document: &mut Document<'_>) {
    let risk = &config.risk;
    if risk.max_order_value > risk.max_gross_value {
        document.contradiction(
            &["risk.max_order_value", "risk.max_gross_value"],
            format!(
                "risk.max_order_value {} is above risk.max_gross_value {}",
                dollars(risk.max_order_value),
                dollars(risk.max_gross_value)
            ),
            "lower max_order_value or raise max_gross_value",
        );
    }
    if risk.max_orders_per_second_per_symbol > risk.max_orders_per_second {
        document.contradiction(
            &["risk.max_orders_per_second_per_symbol", "risk.max_orders_per_second"],
            format!(
                "risk.max_orders_per_second_per_symbol {} is above risk.max_orders_per_second {}",
                risk.max_orders_per_second_per_symbol, risk.max_orders_per_second
            ),
            "lower the limit of one symbol, or raise that of all",
        );
    }
    if let Instruments::Listed(symbols) = &config.instruments {
        let restricted: BTreeSet<_> = risk.restricted.iter().collect();
        for symbol in symbols.iter().filter(|symbol| restricted.contains(symbol)) {
            document.contradiction(
                &["risk.restricted", "instruments.symbols"],
                format!("{symbol} is both in risk.restricted and in instruments.symbols"),
                "remove it from one of the two",
            );
        }
    }
    if risk.armed && config.gateway.is_none() {
        document.contradiction(
            &["risk.armed"],
            "risk.armed = true, and there is no [gateway] that orders could go to".to_owned(),
            "add a [gateway], or leave risk.armed = false",
        );
    }
}

fn gateway(config: &Config, document: &mut Document<'_>) {
    let Some(gateway) = &config.gateway else { return };
    if gateway.local_ip == gateway.ip {
        document.contradiction(
            &["gateway.ip", "gateway.local_ip"],
            format!("gateway.ip and gateway.local_ip are both {}", gateway.ip),
            "give this port an address of its own",
        );
    }
    if gateway.framing == Framing::OuchTcp && gateway.ouch.username.is_empty() {
        document.contradiction(
            &["gateway.framing"],
            "gateway.framing = \"ouch-tcp\" logs in, and there is no gateway.username".to_owned(),
            "add gateway.username, and gateway.password_env or gateway.password where the venue gave one",
        );
    }
    if gateway.framing == Framing::OuchTcp
        && gateway.ouch.stack == Stack::Own
        && gateway.local_port > u16::MAX - (OUCH_PORTS - 1)
    {
        document.contradiction(
            &["gateway.local_port"],
            format!(
                "gateway.local_port {} leaves no room for the {OUCH_PORTS} ports that connections take in turn",
                gateway.local_port
            ),
            &format!("lower it to {} or less, or remove it", u16::MAX - (OUCH_PORTS - 1)),
        );
    }
    if gateway.framing == Framing::OuchTcp && gateway.ouch.stack == Stack::Kernel && gateway.local_port != 0 {
        document.contradiction(
            &["gateway.local_port", "gateway.stack"],
            "gateway.local_port is given, and gateway.stack = \"kernel\" leaves the port to the kernel"
                .to_owned(),
            "remove gateway.local_port",
        );
    }
    if gateway.mac.is_some() && gateway.next_hop.is_some() {
        document.contradiction(
            &["gateway.next_hop", "gateway.mac"],
            "gateway.next_hop is to be resolved, and gateway.mac says to what".to_owned(),
            "remove one of the two",
        );
    }
    if gateway.next_hop == Some(gateway.local_ip) {
        document.contradiction(
            &["gateway.next_hop", "gateway.local_ip"],
            format!("gateway.next_hop and gateway.local_ip are both {}", gateway.local_ip),
            "write the router's address into gateway.next_hop, or remove it where there is none",
        );
    }
    if gateway.mac.is_some() && gateway.local_mac == gateway.mac {
        document.contradiction(
            &["gateway.mac", "gateway.local_mac"],
            "gateway.mac and gateway.local_mac are the same".to_owned(),
            "write the next hop's hardware address into gateway.mac",
        );
    }
}
