use super::*;
use crate::journal::file::Head;
use crate::market::{Price, Symbol};

fn journal() -> Vec<u8> {
    let text = "program = wirebook\n".to_owned();
    let head = Head { run: 9, began_unix_ns: 1_000, workers: 1, text, ..Head::default() };
    let symbol = Symbol::new("AAPL").unwrap();
    let on = |kind, action, order| Record { kind, action, order, symbol, locate: 3, ..Record::default() };
    use crate::journal::Action as A;
    let records = [
        Record { kind: Kind::Start, ..Record::default() },
        Record { shares: 100, price: Price(5), ..on(Kind::Cleared, A::Enter, 1) },
        on(Kind::Sent, A::Enter, 1),
        Record { other: 1, shares: 50, ..on(Kind::Cleared, A::Replace, 2) },
        on(Kind::Sent, A::Replace, 2),
        Record { shares: 30, price: Price(10), number: 77, ..on(Kind::Event, A::Executed, 2) },
        // The same again, another, and that one broken.
        Record { shares: 30, price: Price(10), number: 77, ..on(Kind::Event, A::Executed, 2) },
        Record { shares: 5, price: Price(10), number: 78, ..on(Kind::Event, A::Executed, 2) },
        Record { number: 78, ..on(Kind::Event, A::Broken, 2) },
        Record { code: 2, ..on(Kind::Refused, A::Enter, 0) },
        on(Kind::Cleared, A::Enter, 3),
        Record { kind: Kind::End, ..Record::default() },
    ];
    let mut bytes = head.to_bytes();
    for (sequence, record) in (1..).zip(records) {
        bytes.extend(Record { sequence, ..record }.to_bytes(9));
    }
    bytes
}

fn told(bytes: &[u8], change: impl FnOnce(&mut JournalArgs)) -> (String, Findings, Exit) {
    let mut args =
        JournalArgs { file: PathBuf::new(), json: false, summary: false, order: None, follow: false };
    change(&mut args);
    let mut out = Vec::new();
    let orders = args.order.into_iter().collect();
    let mut shown = Shown { args: &args, out: &mut out, summary: Summary::default(), orders };
    let found = tell(Reader::new(bytes).unwrap(), &mut shown).unwrap();
    let exit = verdict(Path::new("j"), &found);
    (String::from_utf8(out).unwrap(), found, exit)
}

#[test]
fn every_record_is_a_line() {
    let (text, found, exit) = told(&journal(), |_| {});
    assert_eq!((text.lines().count(), found.records, exit), (15, 12, Exit::Done));
    assert!(text.ends_with("12 records; the run ended\n"), "{text}");
    assert!(text.contains("cleared   enter 1 AAPL buy 100 @ 0.0005 day"), "{text}");
}

#[test]
fn an_order_is_followed_through_its_replacements() {
    for order in [1, 2] {
        let (text, ..) = told(&journal(), |args| args.order = Some(order));
        let lines = text.lines().filter(|line| line.contains("AAPL")).count();
        // Before the replacement, nothing says that 2 will take the place of 1.
        assert_eq!(lines, if order == 1 { 8 } else { 6 }, "{text}");
        assert!(!text.contains("enter 3") && !text.contains("refused"), "{text}");
    }
}

#[test]
fn a_summary_counts_each_trade_once_and_takes_broken_ones_back() {
    let (text, ..) = told(&journal(), |args| args.summary = true);
    let row: Vec<_> = text.lines().find(|line| line.contains("AAPL")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["AAPL", "2", "30", "0", "30", "0.03"], "{text}");
    assert!(text.contains("refused, enter, The order session is not healthy"), "{text}");
}

#[test]
fn json_is_json() {
    let (text, ..) = told(&journal(), |args| args.json = true);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 14);
    assert_eq!(lines[2]["kind"], "cleared");
    assert_eq!(lines[2]["price"], 5);
    assert_eq!(lines[10]["counter"], "refused_session");
    assert_eq!(lines[13]["end"]["records"], 12);
    assert_eq!(lines[13]["instruments"]["AAPL"]["net"], 30);
}

#[test]
fn exit_codes_say_how_much_of_it_can_be_believed() {
    let whole = journal();
    let first = whole.len() - 12 * 128;
    let cut = |to: usize| told(&whole[..to], |_| {}).2;
    // Cut off at its end, as by a kill, it is what it is.
    assert_eq!((cut(whole.len() - 5), cut(first)), (Exit::Done, Exit::Done));
    let mut hole = whole.clone();
    hole.drain(first + 128..first + 256);
    assert_eq!(told(&hole, |_| {}).2, Exit::Flagged);
    let mut damaged = whole;
    damaged[first + 300] ^= 1;
    let (text, found, exit) = told(&damaged, |_| {});
    assert_eq!((found.records, exit), (11, Exit::Input));
    assert!(text.contains("1 DAMAGED, 1 MISSING"), "{text}");
}
