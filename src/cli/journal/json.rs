//! A journal as lines of JSON, for programs. Names are those of [`Record`]'s fields; prices are integers in 1/10,000.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::summary::Summary;
use crate::journal::file::{Findings, Head};
use crate::journal::{Action, Kind, Record, flags};
use crate::market::Side;

fn line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

pub(super) fn head(out: &mut impl Write, head: &Head) -> io::Result<()> {
    let Head { run, began_unix_ns, workers, text, .. } = head;
    let lines: Vec<_> = text.lines().collect();
    line(
        out,
        &json!({ "journal": { "run": format!("{run:016x}"), "began_unix_ns": began_unix_ns, "workers": workers, "text": lines } }),
    )
}

pub(super) fn record(out: &mut impl Write, head: &Head, record: &Record) -> io::Result<()> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("unix_ns", head.unix_ns(record.time).into());
    put("worker", record.worker.into());
    put("sequence", record.sequence.into());
    put("kind", record.kind.word().into());
    if record.action != Action::None {
        put("action", record.action.word().into());
    }
    let reason = record.reason();
    if !reason.is_empty() {
        put("reason", reason.into());
    }
    if let Some(why) = record.refusal() {
        put("counter", why.name().into());
    }
    if record.locate != 0 {
        put("locate", record.locate.into());
        put("symbol", record.symbol.to_string().into());
        put("position", record.position.into());
    }
    for (name, value) in [
        ("order", u64::from(record.order)),
        ("other", record.other.into()),
        ("shares", record.shares.into()),
        ("price", record.price.0.into()),
        ("bid", record.bid.0.into()),
        ("ask", record.ask.0.into()),
        ("reference", record.reference.0.into()),
        ("feed_time", record.feed_time),
        ("venue_time", record.venue_time),
        ("number", record.number),
        ("code", record.code.into()),
    ] {
        if value != 0 {
            put(name, value.into());
        }
    }
    if matches!(record.kind, Kind::Cleared | Kind::Refused) {
        put("book", format!("{:?}", record.book).into());
        put("trading", format!("{:?}", record.trading).into());
        if record.action == Action::Enter {
            put("side", if record.side() == Side::Buy { "buy" } else { "sell" }.into());
        }
    }
    put("open_orders", record.open_orders.into());
    put("gross", record.gross.into());
    for (name, bit) in [
        ("short", flags::SHORT),
        ("ioc", flags::IOC),
        ("armed", flags::ARMED),
        ("healthy", flags::HEALTHY),
        ("withdrawn", flags::WITHDRAWN),
        ("live", flags::LIVE),
        ("uncertain", flags::UNCERTAIN),
    ] {
        if record.has(bit) {
            put(name, true.into());
        }
    }
    line(out, &Value::Object(fields))
}

pub(super) fn end(out: &mut impl Write, found: &Findings, summary: &Summary) -> io::Result<()> {
    let counts: Map<_, _> = summary.rows().map(|(what, count)| (what, Value::from(count))).collect();
    let instruments = summary.instruments.iter().map(|(symbol, traded)| {
        let net = i64::try_from(traded.bought - traded.sold).unwrap_or(i64::MAX);
        (symbol.to_string(), json!({ "sent": traded.sent, "net": net }))
    });
    line(
        out,
        &json!({
            "end": {
                "records": found.records,
                "from_rings": found.from_rings,
                "repeated": found.repeated,
                "torn_bytes": found.torn_bytes,
                "empty": found.empty,
                "damaged": found.damaged,
                "unknown": found.unknown,
                "missing": found.missing,
                "lost": found.lost,
                "workers_ended": found.ended,
            },
            "counts": counts,
            "instruments": instruments.collect::<Map<_, _>>(),
        }),
    )
}
