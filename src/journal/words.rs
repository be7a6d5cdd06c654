//! Records for people.

use std::fmt::{self, Write as _};

use super::file::Head;
use super::record::{Action, Kind, Record, flags};
use crate::blotter::NEVER_ARRIVED;
use crate::market::{BookState, Price, TradingState};
use crate::wire::ouch::outbound::reject_reason;

const DAY: u64 = 86_400;
const SECOND: u64 = 1_000_000_000;

/// A moment in UTC, from ns since 1970: `2026-11-22 08:05:04.123456789`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc(pub u64);

impl Utc {
    /// Year, month and day.
    #[must_use]
    pub const fn date(self) -> (u64, u64, u64) {
        // Days since 1 March of the year 0, which put the leap day at the end of its year (Hinnant, "chrono-compatible
        // low-level date algorithms").
        let days = self.0 / SECOND / DAY + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + (month <= 2) as u64, month, day)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02} {}", Clock(self.0 % (DAY * SECOND)))
    }
}

/// ns since midnight as hours, minutes, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(pub u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ns) = (self.0 / SECOND, self.0 % SECOND);
        write!(f, "{:02}:{:02}:{:02}.{ns:09}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// A venue's code of one letter; others by number.
fn letter(code: u16) -> String {
    match u8::try_from(code) {
        Ok(letter) if letter.is_ascii_graphic() => char::from(letter).to_string(),
        _ => code.to_string(),
    }
}

impl Record {
    /// Why something was refused, not sent, rejected, cancelled or killed, in words; empty where no reason is given.
    #[must_use]
    pub fn reason(&self) -> String {
        let known = match self.kind {
            Kind::Refused => self.refusal().map(|why| why.words().trim_end_matches('.').to_owned()),
            Kind::Unsent => self.unsent().map(|why| why.to_string()),
            Kind::Killed => self.kill_cause().map(|cause| cause.words().to_owned()),
            Kind::Event => Some(match self.action {
                Action::Rejected if self.code == NEVER_ARRIVED => {
                    "the connection broke before it came there".to_owned()
                }
                Action::Rejected => reject_reason(self.code).to_owned(),
                Action::Canceled | Action::Broken | Action::Restated | Action::System => {
                    format!("code {}", letter(self.code))
                }
                _ => String::new(),
            }),
            _ => Some(String::new()),
        };
        known.unwrap_or_else(|| format!("reason {}, unknown to this version", self.code))
    }

    /// On one line: time (UTC), worker and sequence, what, order, instrument, and the rest in words.
    #[must_use]
    pub fn line(&self, head: &Head) -> String {
        let time = Clock(head.unix_ns(self.time) % (DAY * SECOND));
        let mut line = format!("{time} {}#{:<6} {:<9}", self.worker, self.sequence, self.kind.word());
        // Writing to a String cannot fail.
        let _ = match self.kind {
            Kind::Cleared | Kind::Refused => {
                let _ = write!(line, " {}", self.intent());
                let _ = if self.kind == Kind::Refused { write!(line, ": {}", self.reason()) } else { Ok(()) };
                write!(line, "; {}", self.market())
            }
            Kind::Sent => write!(line, " {} {} {}", self.action.word(), self.order, self.symbol),
            Kind::Unsent => {
                write!(line, " {} {} {}: {}", self.action.word(), self.order, self.symbol, self.reason())
            }
            Kind::Event => write!(line, " {}", self.event()),
            Kind::Killed => write!(line, " {}: no further order leaves", self.reason()),
            Kind::Lost => write!(line, " {} records found the ring full", self.number),
            Kind::Start | Kind::End | Kind::Armed | Kind::Disarmed | Kind::SessionUp | Kind::SessionDown => {
                Ok(())
            }
        };
        line.truncate(line.trim_end().len());
        line
    }

    /// Side, shares, price and how long.
    fn terms(&self) -> String {
        let side = match (self.has(flags::SELL), self.has(flags::SHORT)) {
            (false, _) => "buy",
            (true, false) => "sell",
            (true, true) => "sell short",
        };
        let rest = if self.has(flags::IOC) { "ioc" } else { "day" };
        format!("{side} {} @ {} {rest}", self.shares, self.price)
    }

    fn intent(&self) -> String {
        let action = self.action.word();
        let by = if self.has(flags::WITHDRAWN) { " by the loop" } else { "" };
        let number = if self.order == 0 { "-".to_owned() } else { self.order.to_string() };
        let symbol = self.symbol;
        match self.action {
            Action::Enter => format!("{action} {number} {symbol} {}", self.terms()),
            Action::Replace => {
                format!("{action} {} by {number} {symbol} {} @ {}", self.other, self.shares, self.price)
            }
            _ => format!("{action} {number} {symbol}{by}"),
        }
    }

    /// What a decision looked at.
    fn market(&self) -> String {
        let price = |price: Price| if price.0 == 0 { "-".to_owned() } else { price.to_string() };
        let mut text = String::new();
        if self.action != Action::Cancel {
            let book = match self.book {
                BookState::Live => "live",
                BookState::Recovering => "recovering",
                BookState::Stale => "STALE",
            };
            let trading = match self.trading {
                TradingState::Trading => "trading",
                TradingState::QuotationOnly => "quotes only",
                TradingState::Paused => "paused",
                TradingState::Halted => "halted",
            };
            let _ = write!(text, "bid {} ask {} {book} {trading}", price(self.bid), price(self.ask));
            if self.reference.0 != 0 {
                let _ = write!(text, " last {}", self.reference);
            }
            if self.feed_time != 0 {
                let _ = write!(text, " at {}", Clock(self.feed_time));
            }
            text.push_str(", ");
        }
        let gross = format!("{}.{:02}", self.gross / 10_000, self.gross % 10_000 / 100);
        let _ = write!(text, "position {} open {} gross {gross}", self.position, self.open_orders);
        for (bit, wanted, word) in [
            (flags::ARMED, false, "disarmed"),
            (flags::HEALTHY, false, "session down"),
            (flags::UNCERTAIN, true, "positions uncertain"),
        ] {
            if self.has(bit) == wanted {
                let _ = write!(text, ", {word}");
            }
        }
        text
    }

    fn event(&self) -> String {
        let mut text = self.action.word().to_owned();
        if self.order != 0 {
            let _ = write!(text, " {} {}", self.order, self.symbol);
        }
        let _ = match self.action {
            Action::Accepted => {
                write!(text, " {} @ {} feed reference {}", self.shares, self.price, self.number)
            }
            Action::Adopted => write!(text, " {}", self.terms()),
            Action::Executed => {
                let (liquidity, number) = (letter(self.code), self.number);
                write!(text, " {} @ {} match {number} liquidity {liquidity}", self.shares, self.price)
            }
            Action::Canceled => write!(text, " {}: {}", self.shares, self.reason()),
            Action::Rejected => write!(text, ": {} ({})", self.reason(), self.code),
            Action::Replaced => {
                write!(
                    text,
                    " for {}: {} @ {} feed reference {}",
                    self.other, self.shares, self.price, self.number
                )
            }
            Action::Broken => write!(text, " match {}: {}", self.number, self.reason()),
            Action::PriorityUpdate => write!(text, " {} feed reference {}", self.price, self.number),
            Action::Modified => write!(text, " {}", self.shares),
            Action::Restated | Action::System => write!(text, ": {}", self.reason()),
            Action::NextUserRef | Action::Resumed => write!(text, " from {}", self.number),
            Action::RepliesLost => write!(text, " {} messages", self.number),
            _ => Ok(()),
        };
        let dead = matches!(self.action, Action::Accepted | Action::Adopted | Action::Replaced)
            && !self.has(flags::LIVE);
        if dead {
            text.push_str(", dead at once");
        }
        if self.order != 0 {
            let _ = write!(text, "; position {} open {}", self.position, self.open_orders);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Symbol;
    use crate::risk::Refusal;

    #[test]
    fn moments_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_251_200, "2024-03-01 00:00:00"),
            (1_795_334_704, "2026-11-22 08:05:04"),
            (4_102_444_799, "2099-12-31 23:59:59"),
        ] {
            assert_eq!(Utc(seconds * SECOND + 5).to_string(), format!("{text}.000000005"));
        }
        // Nothing in a file makes it fail.
        assert!(Utc(u64::MAX).to_string().starts_with("2554-"));
    }

    #[test]
    fn a_line_says_what_happened_and_why() {
        let head = Head { began_ns: 10, ..Head::default() };
        let refused = Record {
            sequence: 3,
            time: 10 + 34_200 * SECOND,
            symbol: Symbol::new("AAPL").unwrap(),
            kind: Kind::Refused,
            action: Action::Enter,
            code: Refusal::Collar.index() as u16,
            shares: 100,
            price: Price(1_500_100),
            bid: Price(1_000_000),
            flags: flags::SELL | flags::IOC | flags::ARMED | flags::HEALTHY,
            book: BookState::Live,
            trading: TradingState::Trading,
            ..Record::default()
        };
        assert_eq!(
            refused.line(&head),
            "09:30:00.000000000 0#3      refused   enter - AAPL sell 100 @ 150.0100 ioc: The price lies outside the \
             collar; bid 100.0000 ask - live trading, position 0 open 0 gross 0.00"
        );
        let rejected =
            Record { kind: Kind::Event, action: Action::Rejected, code: 0x17, order: 9, ..Record::default() };
        assert!(
            rejected.line(&head).contains("rejected 9 : invalid symbol (23)"),
            "{}",
            rejected.line(&head)
        );
    }

    /// Whatever stands in a record, it can be told.
    #[test]
    fn every_kind_and_action_has_a_line() {
        for kind in Kind::ALL {
            for action in Action::ALL {
                for code in [0, 3, 65_535] {
                    let record = Record { kind: *kind, action: *action, code, order: 1, ..Record::default() };
                    assert!(record.line(&Head::default()).contains(kind.word()));
                }
            }
        }
    }
}
