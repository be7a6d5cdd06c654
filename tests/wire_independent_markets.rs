//! ITCH and OUCH against crates that others wrote from the same documents: every field of randomly filled messages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wire_support/rng.rs"]
mod rng;

use std::fmt::Debug;
use std::ops::ControlFlow;

use byteserde::prelude::{ByteDeserializeSlice, from_slice};
use itch5::{MessageHandler, Parser, messages};
use ouch_model::prelude as model;
use rng::Rng;
use wirebook::wire::itch::Message;
use wirebook::wire::ouch::{Inbound, Outbound};
use wirebook::wire::{Field, FieldKind};

/// Messages a type: enough for every printable character to stand in every code field.
const ROUNDS: usize = 2_000;

/// A message of the type with random content; code fields hold printable characters.
fn random(rng: &mut Rng, message_type: u8, len: usize, layout: &[Field]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill(&mut bytes);
    for field in layout.iter().filter(|field| field.kind == FieldKind::Char) {
        bytes[field.offset] = b' ' + rng.below(95) as u8;
    }
    bytes[0] = message_type;
    bytes
}

/// A code field of ours, read as theirs.
fn code<T: From<C> + Debug, C>(ours: C, theirs: &T) {
    assert_eq!(format!("{:?}", T::from(ours)), format!("{theirs:?}"));
}

fn text(ours: [u8; 8], theirs: &messages::Symbol) {
    assert_eq!(u64::from_be_bytes(ours), theirs.to_u64());
}

/// Compares the message that the other crate reads with ours, and counts.
struct Compare<'a> {
    ours: Message<'a>,
    compared: usize,
}

macro_rules! compare {
    ($($method:ident $type:ident . $locate:ident is $variant:ident |$a:ident, $b:ident| $body:block)*) => {
        impl MessageHandler for Compare<'_> {
            $(
                fn $method(&mut self, $b: &messages::$type) -> ControlFlow<()> {
                    let Message::$variant($a) = self.ours else { panic!("{:?}", self.ours) };
                    assert_eq!($a.stock_locate(), $b.$locate());
                    assert_eq!($a.tracking_number(), $b.tracking_number());
                    assert_eq!($a.timestamp(), $b.timestamp().to_u64());
                    $body
                    self.compared += 1;
                    ControlFlow::Continue(())
                }
            )*
        }
    };
}

compare! {
    on_system_event SystemEvent.stock_locate is SystemEvent |a, b| { code(a.event_code(), &b.event_code()); }
    on_stock_directory StockDirectory.stock_locate is StockDirectory |a, b| {
        text(a.stock(), b.stock());
        code(a.market_category(), &b.market_category());
        code(a.financial_status(), &b.financial_status_indicator());
        assert_eq!(a.round_lot_size(), b.round_lot_size());
        code(a.round_lots_only(), &b.round_lots_only());
        code(a.issue_classification(), &b.issue_classification());
        code(a.issue_sub_type(), &b.issue_sub_type());
        assert_eq!(a.authenticity(), match b.authenticity() {
            messages::Authenticity::LiveProduction => b'P',
            messages::Authenticity::Test => b'T',
            messages::Authenticity::Unknown(other) => other,
        });
        code(a.short_sale_threshold(), &b.short_sale_threshold_indicator());
        code(a.ipo_flag(), &b.ipo_flag());
        code(a.luld_tier(), &b.luld_reference_price_tier());
        code(a.etp_flag(), &b.etp_flag());
        assert_eq!(a.etp_leverage_factor(), b.etp_leverage_factor());
        code(a.inverse_indicator(), &b.inverse_indicator());
    }
    on_stock_trading_action StockTradingAction.stock_locate is StockTradingAction |a, b| {
        text(a.stock(), b.stock());
        code(a.trading_state(), &b.trading_state());
        assert_eq!(a.reserved(), b.reserved());
        if let messages::TradingActionReason::Unknown { reason_bytes, .. } = b.reason() {
            assert_eq!(a.reason(), reason_bytes);
        }
    }
    on_reg_sho_restriction RegSHORestriction.locate_code is RegShoRestriction |a, b| {
        text(a.stock(), b.stock());
        code(a.reg_sho_action(), &b.reg_sho_action());
    }
    on_market_participant_position MarketParticipantPosition.stock_locate is MarketParticipantPosition |a, b| {
        assert_eq!(a.mpid(), b.mpid());
        text(a.stock(), b.stock());
        code(a.primary_mm(), &b.primary_market_maker());
        assert_eq!(a.mm_mode(), match b.market_maker_mode() {
            messages::MarketMakerMode::Normal => b'N',
            messages::MarketMakerMode::Passive => b'P',
            messages::MarketMakerMode::Syndicate => b'S',
            messages::MarketMakerMode::PreSyndicate => b'R',
            messages::MarketMakerMode::Penalty => b'L',
            messages::MarketMakerMode::Unknown(other) => other,
        });
        code(a.mp_state(), &b.market_participant_state());
    }
    on_mwcb_decline_level MWCBDeclineLevel.stock_locate is MwcbDeclineLevel |a, b| {
        assert_eq!(a.level1(), b.level_1().into_u64());
        assert_eq!(a.level2(), b.level_2().into_u64());
        assert_eq!(a.level3(), b.level_3().into_u64());
    }
    on_mwcb_status MWCBStatus.stock_locate is MwcbStatus |a, b| { code(a.breached_level(), &b.breached_level()); }
    on_quoting_period_update QuotingPeriodUpdate.stock_locate is IpoQuotingPeriodUpdate |a, b| {
        text(a.stock(), b.stock());
        assert_eq!(a.release_time(), b.ipo_quotation_release_time());
        code(a.release_qualifier(), &b.ipo_quotation_release_qualifier());
        assert_eq!(a.ipo_price(), b.ipo_price().into_u32());
    }
    on_luld_auction_collar LULDAuctionCollar.stock_locate is LuldAuctionCollar |a, b| {
        text(a.stock(), b.stock());
        assert_eq!(a.reference_price(), b.auction_collar_reference_price().into_u32());
        assert_eq!(a.upper_price(), b.upper_auction_collar_price().into_u32());
        assert_eq!(a.lower_price(), b.lower_auction_collar_price().into_u32());
        assert_eq!(a.extension(), b.auction_collar_extension().into_u32());
    }
    on_operational_halt OperationalHalt.stock_locate is OperationalHalt |a, b| {
        text(a.stock(), b.stock());
        code(a.market_code(), &b.market_code());
        code(a.halt_action(), &b.operational_halt_action());
    }
    on_add_order_no_mpid_attribution AddOrderNoMPIDAttribution.stock_locate is AddOrder |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
        code(a.side(), &b.buy_sell_indicator());
        assert_eq!(a.shares(), b.shares());
        text(a.stock(), b.stock());
        assert_eq!(a.price(), b.price().into_u32());
    }
    on_add_order_with_mpid_attribution AddOrderWithMPIDAttribution.stock_locate is AddOrderMpid |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
        code(a.side(), &b.buy_sell_indicator());
        assert_eq!(a.shares(), b.shares());
        text(a.stock(), b.stock());
        assert_eq!(a.price(), b.price().into_u32());
        assert_eq!(a.attribution(), b.attribution());
    }
    on_order_executed OrderExecuted.stock_locate is OrderExecuted |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
        assert_eq!(a.executed_shares(), b.executed_shares());
        assert_eq!(a.match_number(), b.match_number());
    }
    on_order_executed_with_price OrderExecutedWithPrice.stock_locate is OrderExecutedWithPrice |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
        assert_eq!(a.executed_shares(), b.executed_shares());
        assert_eq!(a.match_number(), b.match_number());
        code(a.printable(), &b.printable());
        assert_eq!(a.execution_price(), b.execution_price().into_u32());
    }
    on_order_cancel OrderCancel.stock_locate is OrderCancel |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
        assert_eq!(a.cancelled_shares(), b.cancelled_shares());
    }
    on_order_delete OrderDelete.stock_locate is OrderDelete |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
    }
    on_order_replace OrderReplace.stock_locate is OrderReplace |a, b| {
        assert_eq!(a.orig_order_ref(), b.original_order_reference_number());
        assert_eq!(a.new_order_ref(), b.new_order_reference_number());
        assert_eq!(a.shares(), b.shares());
        assert_eq!(a.price(), b.price().into_u32());
    }
    on_trade Trade.stock_locate is Trade |a, b| {
        assert_eq!(a.order_ref(), b.order_reference_number());
        code(a.side(), &b.buy_sell_indicator());
        assert_eq!(a.shares(), b.shares());
        text(a.stock(), b.stock());
        assert_eq!(a.price(), b.price().into_u32());
        assert_eq!(a.match_number(), b.match_number());
    }
    on_cross_trade CrossTrade.stock_locate is CrossTrade |a, b| {
        assert_eq!(a.shares(), b.shares());
        text(a.stock(), b.stock());
        assert_eq!(a.cross_price(), b.cross_price().into_u32());
        assert_eq!(a.match_number(), b.match_number());
        code(a.cross_type(), &b.cross_type());
    }
    on_broken_trade BrokenTrade.stock_locate is BrokenTrade |a, b| {
        assert_eq!(a.match_number(), b.match_number());
    }
    on_net_order_imbalance_indicator NetOrderImbalanceIndicator.stock_locate is Noii |a, b| {
        assert_eq!(a.paired_shares(), b.paired_shares());
        assert_eq!(a.imbalance_shares(), b.imbalance_shares());
        code(a.imbalance_direction(), &b.imbalance_direction());
        text(a.stock(), b.stock());
        assert_eq!(a.far_price(), b.far_price().into_u32());
        assert_eq!(a.near_price(), b.near_price().into_u32());
        assert_eq!(a.current_ref_price(), b.current_reference_price().into_u32());
        code(a.cross_type(), &b.cross_type());
        code(a.price_variation(), &b.price_variation_indicator());
    }
    on_retail_price_improvement_indicator RetailPriceImprovementIndicator.stock_locate is RetailInterest |a, b| {
        text(a.stock(), b.stock());
        code(a.interest_flag(), &b.interest_flag());
    }
    on_direct_listing_with_capital_raise_price_discovery
    DirectListingwithCapitalRaisePriceDiscovery.stock_locate is DirectListing |a, b| {
        text(a.stock(), b.stock());
        code(a.open_eligibility(), &b.open_eligibility_status());
        assert_eq!(a.min_price(), b.minimum_allowable_price().into_u32());
        assert_eq!(a.max_price(), b.maximum_allowable_price().into_u32());
        assert_eq!(a.near_exec_price(), b.near_execution_price().into_u32());
        assert_eq!(a.near_exec_time(), b.near_execution_time());
        assert_eq!(a.lower_collar(), b.lower_price_range_collar().into_u32());
        assert_eq!(a.upper_collar(), b.upper_price_range_collar().into_u32());
    }
}

#[test]
fn all_23_itch_types_read_as_the_crate_itch5_reads_them() {
    let mut rng = Rng::new(1);
    for &(name, message_type, len, layout) in Message::LAYOUTS {
        let mut compared = 0;
        for _ in 0..ROUNDS {
            let bytes = random(&mut rng, message_type, len, layout);
            let framed = [&(len as u16).to_be_bytes(), bytes.as_slice()].concat();
            let mut compare = Compare { ours: Message::parse(&bytes).unwrap(), compared };
            Parser::new(&framed).parse_stream(&mut compare).unwrap();
            compared = compare.compared;
        }
        assert_eq!(compared, ROUNDS, "{name}");
    }
}

/// Random outbound messages of one type, each with an empty appendage where the other crate wants one.
fn outbound<T: ByteDeserializeSlice<T>>(
    message_type: u8,
    appendage: bool,
    mut compare: impl FnMut(Outbound<'_>, T),
) {
    let mut rng = Rng::new(u64::from(message_type));
    let &(_, _, len, layout) = Outbound::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap();
    for _ in 0..ROUNDS {
        let mut bytes = random(&mut rng, message_type, len, layout);
        if appendage {
            bytes.extend_from_slice(&[0, 0]);
        }
        compare(Outbound::parse(&bytes).unwrap(), from_slice(&bytes).unwrap());
    }
}

/// The crate's symbols are nine bytes long and its OrderCanceled has a field that no capture shows, so that it cannot
/// check Enter Order, Order Accepted, Order Replaced and Order Canceled; its System Event and Modify Order hide fields.
#[test]
fn ouch_replies_read_as_the_crate_ouch_model_reads_them() {
    outbound(b'E', true, |ours, b: model::OrderExecuted| {
        let Outbound::OrderExecuted(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.quantity(), b.quantity.value());
        assert_eq!(a.price(), b.price.value());
        assert_eq!(a.liquidity_flag(), b.liquidity_flag.value());
        assert_eq!(a.match_number(), b.match_number.value());
    });
    outbound(b'B', false, |ours, b: model::BrokenTrade| {
        let Outbound::BrokenTrade(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.match_number(), b.match_number.value());
        assert_eq!(a.reason(), b.broken_trade_reason.value());
        assert_eq!(&a.cl_ord_id(), b.clt_order_id.value());
    });
    outbound(b'J', false, |ours, b: model::OrderRejected| {
        let Outbound::Rejected(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.reason(), b.reject_reason.value());
        assert_eq!(&a.cl_ord_id(), b.clt_order_id.value());
    });
    outbound(b'P', false, |ours, b: model::CancelPending| {
        let Outbound::CancelPending(a) = ours else { panic!("{ours:?}") };
        assert_eq!((a.timestamp(), a.user_ref_num()), (b.timestamp.value(), b.user_ref_number.value()));
    });
    outbound(b'I', false, |ours, b: model::CancelReject| {
        let Outbound::CancelReject(a) = ours else { panic!("{ours:?}") };
        assert_eq!((a.timestamp(), a.user_ref_num()), (b.timestamp.value(), b.user_ref_number.value()));
    });
    outbound(b'T', false, |ours, b: model::PriorityUpdate| {
        let Outbound::OrderPriorityUpdate(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.price(), b.price.value());
        assert_eq!(a.display(), b.display.value());
        assert_eq!(a.order_ref(), b.order_reference_number.value());
    });
    outbound(b'M', false, |ours, b: model::OrderModified| {
        let Outbound::OrderModified(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.side(), b.side.value());
        assert_eq!(a.quantity(), b.quantity.value());
    });
    outbound(b'R', true, |ours, b: model::OrderRestated| {
        let Outbound::OrderRestated(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.reason(), b.restate_reason.value());
    });
    outbound(b'Q', false, |ours, b: model::AccountQueryResponse| {
        let Outbound::AccountQueryResponse(a) = ours else { panic!("{ours:?}") };
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.next_user_ref_num(), b.next_user_ref_number.value());
    });
}

/// The only reply whose reason the crate insists on: `Q`.
#[test]
fn aiq_canceled_reads_as_the_crate_ouch_model_reads_it() {
    let mut rng = Rng::new(2);
    let &(_, _, len, layout) = Outbound::LAYOUTS.iter().find(|layout| layout.1 == b'D').unwrap();
    for _ in 0..ROUNDS {
        let mut bytes = random(&mut rng, b'D', len, layout);
        bytes[17] = b'Q';
        let Ok(Outbound::AiqCanceled(a)) = Outbound::parse(&bytes) else { panic!("{bytes:?}") };
        let b: model::OrderAiqCanceled = from_slice(&bytes).unwrap();
        assert_eq!(a.timestamp(), b.timestamp.value());
        assert_eq!(a.user_ref_num(), b.user_ref_number.value());
        assert_eq!(a.decrement_shares(), b.decrement_shares.value());
        assert_eq!(a.reason(), b'Q');
        assert_eq!(a.qty_prevented(), b.prevented_from_trading.value());
        assert_eq!(a.execution_price(), b.execution_price.value());
        assert_eq!(a.liquidity_flag(), b.liquidity_flag.value());
        assert_eq!(a.aiq_strategy(), b.aiq_strategy.value());
    }
}

#[test]
fn orders_that_we_emit_read_as_the_crate_ouch_model_reads_them() {
    let mut rng = Rng::new(3);
    for message_type in [b'U', b'X'] {
        let &(_, _, len, _, layout) =
            Inbound::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap();
        for _ in 0..ROUNDS {
            let mut out = [0; 64];
            match Inbound::parse(&random(&mut rng, message_type, len, layout)).unwrap() {
                Inbound::ReplaceOrder(a, _) => {
                    let len = a.emit(&mut out).unwrap();
                    let b: model::ReplaceOrder = from_slice(&out[..len]).unwrap();
                    assert_eq!(a.orig_user_ref_num, b.orig_user_ref_number.value());
                    assert_eq!(a.user_ref_num, b.user_ref_number.value());
                    assert_eq!(a.quantity, b.quantity.value());
                    assert_eq!(a.price, b.price.value());
                    assert_eq!(a.time_in_force, b.time_in_force.value());
                    assert_eq!(a.display, b.display.value());
                    assert_eq!(a.iso, b.int_mkt_sweep_eligibility.value());
                    assert_eq!(&a.cl_ord_id, b.clt_order_id.value());
                }
                Inbound::CancelOrder(a, _) => {
                    let len = a.emit(&mut out).unwrap();
                    let b: model::CancelOrder = from_slice(&out[..len]).unwrap();
                    assert_eq!((a.user_ref_num, a.quantity), (b.user_ref_number.value(), b.quantity.value()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
