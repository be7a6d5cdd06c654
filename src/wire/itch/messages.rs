//! The 23 layouts, as section 1 of the TotalView-ITCH 5.0 document (2026-02-19) gives them.

messages! {
    /// One ITCH message, by type. Sixteen bytes: a tag and a pointer into the block.
    pub enum Message;

    common {
        /// Day-scoped instrument index; 0 = not about one instrument.
        stock_locate: u16 @ 1,
        /// The exchange's own.
        tracking_number: u16 @ 3,
        /// ns since midnight US Eastern.
        timestamp: u48 @ 5,
    }

    /// `S`: a session event of the whole market.
    SystemEvent b'S' 12 {
        /// `O` start of messages, `S` start of system hours, `Q` start of market hours, `M` end of market hours,
        /// `E` end of system hours (deletes may follow), `C` end of messages.
        event_code: char @ 11,
    }

    /// `R`: an instrument exists today under this locate.
    StockDirectory b'R' 39 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// Listing market: `Q` `G` `S` are Nasdaq's tiers, `N` `A` `P` `M` `Z` `V` others; space = n/a.
        market_category: char @ 19,
        /// `N` normal, `D` deficient, `E` delinquent, `Q` bankrupt, `S` suspended, and combinations.
        financial_status: char @ 20,
        /// Shares in a round lot.
        round_lot_size: u32 @ 21,
        /// `Y`: only round lots are accepted.
        round_lots_only: char @ 25,
        /// Class of the security (the document's appendix).
        issue_classification: char @ 26,
        /// Sub-type of the security (the document's appendix).
        issue_sub_type: alpha2 @ 27,
        /// `P` live, `T` test.
        authenticity: char @ 29,
        /// `Y`: on the short-sale threshold list.
        short_sale_threshold: char @ 30,
        /// `Y` IPO of today, `Z` new listing that is not an IPO (since February 2026), `N`, space n/a.
        ipo_flag: char @ 31,
        /// Limit-up/limit-down tier, `1` or `2`; space n/a.
        luld_tier: char @ 32,
        /// `Y`: exchange-traded product.
        etp_flag: char @ 33,
        /// Leverage of an exchange-traded product, rounded down.
        etp_leverage_factor: u32 @ 34,
        /// `Y`: inverse exchange-traded product.
        inverse_indicator: char @ 38,
    }

    /// `H`: the instrument's trading state. An instrument that the pre-open spin omits counts as halted.
    StockTradingAction b'H' 25 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// `H` halted, `P` paused, `Q` quotation only, `T` trading.
        trading_state: char @ 19,
        /// Reserved.
        reserved: char @ 20,
        /// Reason code (the document's appendix).
        reason: alpha4 @ 21,
    }

    /// `Y`: the instrument's Reg SHO short-sale price restriction.
    RegShoRestriction b'Y' 20 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// `0` none, `1` in effect after an intraday drop, `2` still in effect.
        reg_sho_action: char @ 19,
    }

    /// `L`: a market participant's status in an instrument.
    MarketParticipantPosition b'L' 26 {
        /// The participant.
        mpid: alpha4 @ 11,
        /// Ticker, padded with spaces.
        stock: alpha8 @ 15,
        /// `Y`: primary market maker.
        primary_mm: char @ 23,
        /// `N` normal, `P` passive, `S` syndicate, `R` pre-syndicate, `L` penalty.
        mm_mode: char @ 24,
        /// `A` active, `E` excused, `W` withdrawn, `S` suspended, `D` deleted.
        mp_state: char @ 25,
    }

    /// `V`: the day's market-wide circuit-breaker levels. These three prices have eight decimals.
    MwcbDeclineLevel b'V' 35 {
        /// Level 1, in 1/100,000,000.
        level1: price8 @ 11,
        /// Level 2, in 1/100,000,000.
        level2: price8 @ 19,
        /// Level 3, in 1/100,000,000.
        level3: price8 @ 27,
    }

    /// `W`: a market-wide circuit breaker was hit.
    MwcbStatus b'W' 12 {
        /// `1`, `2` or `3`.
        breached_level: char @ 11,
    }

    /// `K`: when an IPO's quoting will begin. Its locate is always 0, and its time is in seconds.
    IpoQuotingPeriodUpdate b'K' 28 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// SECONDS since midnight; 0 when cancelled.
        release_time: u32 @ 19,
        /// `A` anticipated, `C` cancelled or postponed.
        release_qualifier: char @ 23,
        /// Price, in 1/10,000; 0 when cancelled.
        ipo_price: price4 @ 24,
    }

    /// `J`: the price collar of an auction that reopens a paused instrument.
    LuldAuctionCollar b'J' 35 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// Reference price, in 1/10,000.
        reference_price: price4 @ 19,
        /// Upper collar, in 1/10,000.
        upper_price: price4 @ 23,
        /// Lower collar, in 1/10,000.
        lower_price: price4 @ 27,
        /// Number of extensions so far.
        extension: u32 @ 31,
    }

    /// `h`: an operational halt of one market, apart from the trading state. Differs from `H` only in case.
    OperationalHalt b'h' 21 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// `Q` Nasdaq, `B` BX, `X` PSX.
        market_code: char @ 19,
        /// `H` halted, `T` lifted.
        halt_action: char @ 20,
    }

    /// `A`: a displayed order joins the book, without attribution.
    AddOrder b'A' 36 {
        /// Day-unique order reference.
        order_ref: u64 @ 11,
        /// `B` or `S`.
        side: char @ 19,
        /// Displayed shares.
        shares: u32 @ 20,
        /// Ticker, padded with spaces.
        stock: alpha8 @ 24,
        /// Display price, in 1/10,000.
        price: price4 @ 32,
    }

    /// `F`: a displayed order joins the book, with its participant's name.
    AddOrderMpid b'F' 40 {
        /// Day-unique order reference.
        order_ref: u64 @ 11,
        /// `B` or `S`.
        side: char @ 19,
        /// Displayed shares.
        shares: u32 @ 20,
        /// Ticker, padded with spaces.
        stock: alpha8 @ 24,
        /// Display price, in 1/10,000.
        price: price4 @ 32,
        /// The participant.
        attribution: alpha4 @ 36,
    }

    /// `E`: a resting order traded at its own price; it leaves the book when nothing is left.
    OrderExecuted b'E' 31 {
        /// The resting order.
        order_ref: u64 @ 11,
        /// Shares traded now (a decrement).
        executed_shares: u32 @ 19,
        /// The match.
        match_number: u64 @ 23,
    }

    /// `C`: a resting order traded at another price than its own, at which it nevertheless stays.
    OrderExecutedWithPrice b'C' 36 {
        /// The resting order.
        order_ref: u64 @ 11,
        /// Shares traded now (a decrement).
        executed_shares: u32 @ 19,
        /// The match.
        match_number: u64 @ 23,
        /// `N`: must not count into volume or time-and-sales.
        printable: char @ 31,
        /// Trade price, in 1/10,000.
        execution_price: price4 @ 32,
    }

    /// `X`: part of a resting order was cancelled; it keeps its place.
    OrderCancel b'X' 23 {
        /// The resting order.
        order_ref: u64 @ 11,
        /// Shares cancelled now (a decrement).
        cancelled_shares: u32 @ 19,
    }

    /// `D`: a resting order left the book.
    OrderDelete b'D' 19 {
        /// The resting order.
        order_ref: u64 @ 11,
    }

    /// `U`: a resting order left the book and a new one took its side and symbol, at the back of the queue.
    OrderReplace b'U' 35 {
        /// The order that leaves.
        orig_order_ref: u64 @ 11,
        /// The order that joins.
        new_order_ref: u64 @ 19,
        /// Displayed shares of the new order.
        shares: u32 @ 27,
        /// Display price of the new order, in 1/10,000.
        price: price4 @ 31,
    }

    /// `P`: a trade against an order that was not displayed. Changes no book.
    Trade b'P' 44 {
        /// Always 0 since 2010-12-06.
        order_ref: u64 @ 11,
        /// Always `B` since 2014-07-14.
        side: char @ 19,
        /// Shares traded.
        shares: u32 @ 20,
        /// Ticker, padded with spaces.
        stock: alpha8 @ 24,
        /// Trade price, in 1/10,000.
        price: price4 @ 32,
        /// The match.
        match_number: u64 @ 36,
    }

    /// `Q`: the volume of a cross. Changes no book.
    CrossTrade b'Q' 40 {
        /// Shares crossed; eight bytes wide, and may be 0.
        shares: u64 @ 11,
        /// Ticker, padded with spaces.
        stock: alpha8 @ 19,
        /// Cross price, in 1/10,000.
        cross_price: price4 @ 27,
        /// The match.
        match_number: u64 @ 31,
        /// `O` opening, `C` closing, `H` IPO or halt.
        cross_type: char @ 39,
    }

    /// `B`: a trade was broken. Changes no book.
    BrokenTrade b'B' 19 {
        /// The match that was broken.
        match_number: u64 @ 11,
    }

    /// `I`: net order imbalance before a cross.
    Noii b'I' 50 {
        /// Shares paired at the reference price.
        paired_shares: u64 @ 11,
        /// Shares not paired.
        imbalance_shares: u64 @ 19,
        /// `B` buy, `S` sell, `N` none, `O` too few orders, `P` paused.
        imbalance_direction: char @ 27,
        /// Ticker, padded with spaces.
        stock: alpha8 @ 28,
        /// Price at which cross orders alone would clear, in 1/10,000.
        far_price: price4 @ 36,
        /// Price at which cross and continuous orders would clear, in 1/10,000.
        near_price: price4 @ 40,
        /// Price that the indicators refer to, in 1/10,000.
        current_ref_price: price4 @ 44,
        /// `O` opening, `C` closing, `H` IPO or halt, `A` extended-trading close.
        cross_type: char @ 48,
        /// Band of the near price's distance to the reference: `L`, `1`-`9`, `A`-`C`; space n/a.
        price_variation: char @ 49,
    }

    /// `N`: retail interest. The programme ended in 2014; the type exists still.
    RetailInterest b'N' 20 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// `B` buy, `S` sell, `A` both, `N` none.
        interest_flag: char @ 19,
    }

    /// `O`: price discovery of a direct listing with a capital raise.
    DirectListing b'O' 48 {
        /// Ticker, padded with spaces.
        stock: alpha8 @ 11,
        /// `Y`: may be released.
        open_eligibility: char @ 19,
        /// Lowest price allowed, in 1/10,000.
        min_price: price4 @ 20,
        /// Highest price allowed, in 1/10,000.
        max_price: price4 @ 24,
        /// Price at which it would open now, in 1/10,000.
        near_exec_price: price4 @ 28,
        /// Time of that price; the document gives no unit (ns since midnight is assumed).
        near_exec_time: u64 @ 32,
        /// Lower collar, in 1/10,000.
        lower_collar: price4 @ 40,
        /// Upper collar, in 1/10,000.
        upper_collar: price4 @ 44,
    }
}
