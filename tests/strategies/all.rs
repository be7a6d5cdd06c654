//! The strategies as they are tried: eager, so that much happens.

use std::path::Path;

use wirebook::strategy::imbalance::Imbalance;
use wirebook::strategy::lean::{LeanParams, Style};
use wirebook::strategy::maker::{Maker, MakerParams};
use wirebook::strategy::model::Model;
use wirebook::strategy::signal::Signal;
use wirebook::strategy::template::{Template, TemplateParams};

pub(crate) const SHARES: u32 = 100;
pub(crate) const MAX_POSITION: u32 = 250;
pub(crate) const REPLY_NS: u64 = 50_000_000;

/// What is demanded of a strategy beyond what is demanded of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demands {
    pub(crate) name: &'static str,
    /// It has an order on each side, not one in all.
    pub(crate) two_sided: bool,
    /// Its orders rest: replacements and cancels are to be seen.
    pub(crate) rests: bool,
    /// The most shares that it may come to hold.
    pub(crate) position: Option<i64>,
    /// It asks for a cancel where a reply is missing.
    pub(crate) times_out: bool,
}

const PLAIN: Demands = Demands { name: "", two_sided: false, rests: false, position: None, times_out: false };

pub(crate) const TAKER: Demands = Demands { name: "imbalance, take", ..PLAIN };
pub(crate) const JOINER: Demands = Demands { name: "imbalance, join", rests: true, ..PLAIN };
pub(crate) const MODEL: Demands = Demands { name: "model", rests: true, ..PLAIN };
pub(crate) const MAKER: Demands = Demands {
    name: "maker",
    two_sided: true,
    rests: true,
    position: Some(MAX_POSITION as i64),
    times_out: true,
};
pub(crate) const TEMPLATE: Demands = Demands { name: "template", position: Some(SHARES as i64), ..PLAIN };

pub(crate) fn lean(style: Style, entry: u32, exit: u32) -> LeanParams {
    LeanParams {
        entry,
        exit,
        order_shares: SHARES,
        style,
        max_spread: 1_000,
        cooldown_ns: 100_000,
        symbols: None,
    }
}

pub(crate) fn imbalance(style: Style, locates: u32) -> Imbalance {
    Imbalance::new(lean(style, 3_000, 500), locates)
}

pub(crate) fn shipped_model() -> Model {
    Model::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/model.safetensors"))).unwrap()
}

pub(crate) fn signal(style: Style, locates: u32) -> Signal {
    Signal::new(shipped_model(), lean(style, 100, 20), locates, 64).unwrap()
}

pub(crate) fn maker(locates: u32) -> Maker {
    let params = MakerParams {
        order_shares: SHARES,
        edge: 50,
        skew: 25,
        max_position: MAX_POSITION,
        max_spread: 1_000,
        keep_ticks: 1,
        turn: 6_000,
        cooldown_ns: 100_000,
        reply_ns: REPLY_NS,
        instruments: 64,
    };
    Maker::new(params, locates).unwrap()
}

pub(crate) fn template(locates: u32) -> Template {
    let params = TemplateParams { order_shares: SHARES, max_spread: 1_000, cooldown_ns: 100_000 };
    Template::new(params, locates)
}
