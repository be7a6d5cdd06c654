//! Contradictions of several poll loops: what all of them together may do is divided among them, and each must get
//! something.

use crate::config::document::Document;
use crate::config::value::dollars;
use crate::config::{Config, Framing, StrategyKind};

/// Limits too small to be divided.
pub(super) fn workers(config: &Config, document: &mut Document<'_>) {
    let count = config.lcores.count();
    if config.port.rx_queues.is_some_and(|queues| queues > count) {
        document.contradiction(
            &["port.rx_queues", "lcores.workers"],
            format!(
                "port.rx_queues {} leaves queues that none of {count} workers polls",
                config.port.rx_queues.unwrap_or(1)
            ),
            "lower it, or name more lcores.workers",
        );
    }
    if count == 1 {
        return;
    }
    let mut least =
        vec![("book.max_orders", config.book.max_orders), ("book.max_levels", config.book.max_levels)];
    if let Some(requests) = config.recovery.as_ref().and_then(|recovery| recovery.requests.as_ref()) {
        least.push(("recovery.requests.per_second", requests.per_second));
        least.push(("recovery.requests.outstanding", requests.outstanding.into()));
    }
    if config.strategy.kind != StrategyKind::None {
        least.push(("risk.max_open_orders", config.risk.max_open_orders));
        least.push(("risk.max_orders_per_second", config.risk.max_orders_per_second));
    }
    for (path, value) in least {
        if value < u32::from(count) {
            document.contradiction(
                &[path, "lcores.workers"],
                format!("{path} {value} cannot be divided among {count} workers"),
                &format!("raise {path} to {count} or more, or name fewer lcores.workers"),
            );
        }
    }
    let Some(gateway) = config.gateway.as_ref().filter(|_| config.strategy.kind != StrategyKind::None) else {
        return;
    };
    let share = config.risk.max_gross_value / u64::from(count);
    if config.risk.max_order_value > share {
        document.contradiction(
            &["risk.max_gross_value", "lcores.workers"],
            format!(
                "risk.max_order_value {} is above one worker's share of risk.max_gross_value, {}",
                dollars(config.risk.max_order_value),
                dollars(share)
            ),
            "lower max_order_value, raise max_gross_value, or name fewer lcores.workers",
        );
    }
    if gateway.framing == Framing::OuchTcp {
        document.contradiction(
            &["gateway.framing", "lcores.workers"],
            format!(
                "gateway.framing = \"ouch-tcp\" logs in as one user, and {count} workers would log each other out"
            ),
            "name one lcores.worker; a user for each worker means a process for each",
        );
        return;
    }
    if gateway.local_port > u16::MAX - (count - 1) {
        document.contradiction(
            &["gateway.local_port", "lcores.workers"],
            format!("gateway.local_port {} leaves no ports for {count} workers", gateway.local_port),
            &format!("lower gateway.local_port to {} or less", u16::MAX - (count - 1)),
        );
    }
}
