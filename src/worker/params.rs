//! What the sections `[strategy]` and `[risk]` say, as strategies and risk take it.

use crate::config::{Risk, Strategy, Style};
use crate::market::Price;
use crate::risk::{Rate, RiskLimits};
use crate::strategy::imbalance::{self, ImbalanceParams};
use crate::strategy::maker::MakerParams;
use crate::strategy::model::{Model, ModelError};
use crate::strategy::template::TemplateParams;

pub(super) fn imbalance_params(strategy: &Strategy) -> ImbalanceParams {
    let Price(max_spread) = strategy.max_spread;
    ImbalanceParams {
        entry: u32::from(strategy.entry_bp),
        exit: u32::from(strategy.exit_bp),
        order_shares: strategy.order_shares,
        style: match strategy.style {
            Style::Take => imbalance::Style::Take,
            Style::Join => imbalance::Style::Join,
        },
        max_spread,
        cooldown_ns: u64::try_from(strategy.cooldown.as_nanos()).unwrap_or(u64::MAX),
        // The desk shows the strategy only the instruments that it may act on.
        symbols: None,
    }
}

/// The model that the section names, if it names one.
///
/// # Errors
/// [`ModelError`], which says what is wrong with the file.
pub fn model(strategy: &Strategy) -> Result<Option<Model>, ModelError> {
    strategy.model.as_deref().map(Model::load).transpose()
}

pub(super) fn signal_params(strategy: &Strategy) -> ImbalanceParams {
    ImbalanceParams {
        entry: strategy.model_entry_mbp,
        exit: strategy.model_exit_mbp,
        ..imbalance_params(strategy)
    }
}

pub(super) fn maker_params(strategy: &Strategy) -> MakerParams {
    let (Price(max_spread), maker) = (strategy.max_spread, &strategy.maker);
    MakerParams {
        order_shares: strategy.order_shares,
        edge: maker.edge.0,
        skew: maker.skew.0,
        max_position: maker.position,
        max_spread,
        keep_ticks: maker.keep_ticks,
        turn: i32::from(maker.turn_bp),
        cooldown_ns: u64::try_from(strategy.cooldown.as_nanos()).unwrap_or(u64::MAX),
        reply_ns: u64::try_from(maker.reply.as_nanos()).unwrap_or(u64::MAX),
        instruments: strategy.instruments,
    }
}

pub(super) fn template_params(strategy: &Strategy) -> TemplateParams {
    let Price(max_spread) = strategy.max_spread;
    TemplateParams {
        order_shares: strategy.order_shares,
        max_spread,
        cooldown_ns: u64::try_from(strategy.cooldown.as_nanos()).unwrap_or(u64::MAX),
    }
}

pub(super) fn risk_limits(risk: &Risk) -> RiskLimits {
    // A second's worth may leave at once: the limit is what the file says, an amount a second.
    let rate = |per_second| Rate { per_second, burst: per_second };
    RiskLimits {
        max_order_shares: risk.max_order_shares,
        max_order_value: risk.max_order_value,
        collar_bps: u32::from(risk.collar_bp),
        reference_collar_bps: risk.reference_collar_bp.map(u32::from),
        max_long_shares: u64::from(risk.max_position_shares),
        max_short_shares: u64::from(risk.max_position_shares),
        max_gross_value: risk.max_gross_value,
        max_open_orders: risk.max_open_orders,
        port_rate: rate(risk.max_orders_per_second),
        symbol_rate: rate(risk.max_orders_per_second_per_symbol),
        repeat_window_ns: u64::try_from(risk.duplicate_window.as_nanos()).unwrap_or(u64::MAX),
        restricted: risk.restricted.clone(),
        hours: risk.hours.clone(),
        // Broken trades come for fills of the day; a few hundred for each order that may be open is plenty.
        fills_remembered: risk.max_open_orders.saturating_mul(256).clamp(1, 1 << 16),
    }
}
