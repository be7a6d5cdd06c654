//! What is written about days of the exchange, against labels looked up in the whole history.

use std::collections::BTreeMap;

use exchange::files::ItchWriter;
use exchange::market::{Config as MarketConfig, Market};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::*;
use crate::feed::itch;
use crate::market::{Level, TopOfBook};
use crate::strategy::features::NAMES;

/// Messages of a generated day.
fn day(seed: u64, messages: u64) -> Vec<Vec<u8>> {
    let config =
        MarketConfig { seed, symbols: 12, live_orders: 2_000, halt_every: 4_000, ..MarketConfig::default() };
    let mut market = Market::new(config).unwrap();
    let mut all = Vec::new();
    while !market.step_of_day(messages, &mut |message| all.push(message.to_vec())).unwrap() {}
    all
}

fn write(path: &Path, messages: &[Vec<u8>]) {
    let mut writer = ItchWriter::new(File::create(path).unwrap());
    messages.iter().for_each(|message| writer.write(message).unwrap());
    writer.finish().unwrap();
}

type Columns = BTreeMap<String, Option<f64>>;

fn read(path: &Path) -> Vec<(String, Columns)> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let row = |row: parquet::record::Row| {
        let mut symbol = String::new();
        let mut columns = Columns::new();
        for (name, field) in row.get_column_iter() {
            let value = match field {
                Field::Str(text) => {
                    symbol.clone_from(text);
                    continue;
                }
                Field::Long(value) => Some(*value as f64),
                Field::Int(value) => Some(f64::from(*value)),
                Field::Float(value) => Some(f64::from(*value)),
                Field::Null => None,
                other => panic!("{name}: {other:?}"),
            };
            columns.insert(name.clone(), value);
        }
        (symbol, columns)
    };
    reader.get_row_iter(None).unwrap().map(|each| row(each.unwrap())).collect()
}

/// One event of an instrument: time, touch after it, whether the touch changed, whether it makes a row.
struct Past {
    time: u64,
    touch: [Option<(u32, u64)>; 2],
    changed: bool,
    row: bool,
}

fn touch(top: TopOfBook) -> [Option<(u32, u64)>; 2] {
    [top.bid, top.ask].map(|level: Option<Level>| level.map(|level| (level.price.0, level.shares)))
}

/// The history of each instrument, and the latest stamp.
fn history(messages: &[Vec<u8>]) -> (BTreeMap<String, Vec<Past>>, u64) {
    let mut books = Books::new(limits_for(None)).unwrap();
    books.set_all_states(BookState::Live);
    let (mut all, mut end) = (BTreeMap::<String, Vec<Past>>::new(), 0);
    for message in messages {
        let event = itch::decode(message).unwrap();
        let before = touch(books.top(event.locate));
        books.apply(&event);
        end = event.timestamp;
        let Some(symbol) = books.symbol(event.locate) else { continue };
        let after = touch(books.top(event.locate));
        let changed = before != after;
        let open = matches!(after, [Some((bid, _)), Some((ask, _))] if bid < ask);
        let row = changed && open && books.trading_state(event.locate) == TradingState::Trading;
        all.entry(symbol.to_string()).or_default().push(Past { time: end, touch: after, changed, row });
    }
    assert_eq!(books.counters().anomalies, 0);
    (all, end)
}

fn twice_mid(touch: [Option<(u32, u64)>; 2]) -> Option<f64> {
    let [bid, ask] = touch;
    Some(f64::from(bid?.0) + f64::from(ask?.0))
}

/// Compares the file with the history; the rows, and the rows that have both labels.
fn compare(args: &ExportArgs, messages: &[Vec<u8>]) -> (u64, u64) {
    let (history, end) = history(messages);
    let mut rows = read(&args.out);
    let (mut compared, mut labelled) = (0, 0);
    for (symbol, past) in &history {
        let mine: Vec<Columns> =
            rows.extract_if(.., |(name, _)| name == symbol).map(|(_, columns)| columns).collect();
        let wanted = args.symbols.is_empty() || args.symbols.contains(&Symbol::new(symbol).unwrap());
        let mut changes = 0_u64;
        let mut made = past.iter().enumerate().filter(|(_, past)| {
            changes += u64::from(past.changed);
            past.row && changes.is_multiple_of(args.every) && wanted
        });
        for row in &mine {
            let (at, now) = made.next().expect("no row was to be made");
            let mid = twice_mid(now.touch).unwrap();
            let moved = |touch| twice_mid(touch).map(|later| (later - mid) / mid * 10_000.0);
            let by_changes = past[at + 1..].iter().filter(|past| past.changed).nth(args.changes as usize - 1);
            let due = now.time + args.ms * 1_000_000;
            let by_time = past[at..].iter().take_while(|past| past.time <= due).last().filter(|_| due < end);
            let got = |name: &str| row[name];
            assert_eq!((got("timestamp"), got("twice_mid")), (Some(now.time as f64), Some(mid)));
            for (name, want) in [
                ("move_changes", by_changes.and_then(|past| moved(past.touch))),
                ("move_ms", by_time.and_then(|past| moved(past.touch))),
            ] {
                let same = match (got(name), want) {
                    (Some(got), Some(want)) => (got - want).abs() < 1e-4,
                    (got, want) => got == want,
                };
                assert!(same, "{symbol} at {}: {name} {:?}, not {want:?}", now.time, got(name));
            }
            let [bids, asks] = now.touch.map(|level| level.unwrap().1 as f64);
            assert!((got("imbalance_1").unwrap() - (bids - asks) / (bids + asks)).abs() < 1e-6);
            assert!(NAMES.iter().all(|name| got(name).is_some_and(f64::is_finite)));
            compared += 1;
            labelled += u64::from(got("move_changes").is_some() && got("move_ms").is_some());
        }
        assert!(made.next().is_none(), "{symbol}: a row is missing");
    }
    assert!(rows.is_empty());
    (compared, labelled)
}

#[test]
fn rows_and_labels_are_those_of_the_history() {
    let scratch = tempfile::tempdir().unwrap();
    let (file, out) = (scratch.path().join("day.itch"), scratch.path().join("day.parquet"));
    let messages = day(1, 60_000);
    write(&file, &messages);
    let args =
        ExportArgs { file, out, every: 1, changes: 20, ms: 100, no_progress: true, ..ExportArgs::default() };
    let exported = run(&args).unwrap();
    let (rows, labelled) = compare(&args, &messages);
    assert!(
        !exported.flagged && exported.rows == rows && labelled > rows / 2 && rows > 5_000,
        "{exported:?}"
    );

    let known = history(&messages).0.into_keys().take(2);
    let few = ExportArgs {
        symbols: known.map(|name| Symbol::new(&name).unwrap()).collect(),
        every: 3,
        changes: 1,
        ms: 5_000,
        ..args
    };
    let exported = run(&few).unwrap();
    assert_eq!(compare(&few, &messages).0, exported.rows);
    assert!(exported.rows > 100 && exported.instruments == 2, "{exported:?}");
}

#[test]
fn a_late_start_gives_no_rows_and_is_flagged() {
    let scratch = tempfile::tempdir().unwrap();
    let (file, out) = (scratch.path().join("day.itch"), scratch.path().join("day.parquet"));
    write(&file, &day(2, 3_000)[1..]);
    let args = ExportArgs {
        file: file.clone(),
        out,
        every: 1,
        changes: 20,
        ms: 100,
        no_progress: true,
        ..ExportArgs::default()
    };
    let exported = run(&args).unwrap();
    assert!(exported.flagged && exported.rows == 0 && read(&args.out).is_empty());
    let onto_itself = ExportArgs { out: file, ..args };
    assert!(matches!(run(&onto_itself), Err(ExportError::OutIsInput(_))));
}
