//! The handler killed in earnest (`kill -9`) while it trades over a TCP of its own, and started again, on a wire that at times
//! carries no answers. At the end the venue, the last process and its journal agree on every position, no order was sent twice,
//! and none is left open. `WIREBOOK_KILLS=20` is that many kills instead of four; `tests/order_kill` is the same at every step,
//! in virtual time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::orders::{USER, VDEV, journalled, may_run, order_config, serve};
use crate::place::{alone, private_eal, skip};
use crate::programs::{must, say, wirebook};
use crate::recovery::{REQUESTS, SERVES, SNAPSHOT};
use crate::report::Report;
use crate::running::Running;
use crate::veth::{Cable, positions};

/// When a process is killed, ms after its session came up: while it hears of orders before it, takes them back, trades.
const MOMENTS: [u64; 7] = [3_000, 20, 2_000, 1_200, 0, 350, 1_500];

#[test]
fn live_kills() {
    let _alone = alone();
    if let Err(why) = may_run(&[VDEV]) {
        return skip("live_kills", &why);
    }
    let kills = std::env::var("WIREBOOK_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let cable = Cable::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (journals, journal) = journalled(directory.path());
    // Each process but the first begins in mid-day.
    let recovery = format!("[recovery]\nhole_wait_ms = 4000\n{REQUESTS}{SNAPSHOT}");
    let config = order_config(directory.path(), "own", &format!("{recovery}{journal}"));
    // Its kernel asks for snapshots under an address of its own: what comes to ours is for our own TCP.
    must(cable.handler.run("ip").args(["address", "add", "10.0.0.3/24", "dev", "feed0"]));
    let mut server = serve(&cable, 60 + 10 * kills, &SERVES);

    let start = || {
        let mut program = wirebook();
        program.args(private_eal()).args([VDEV, "--", "--for", "600", "--config"]).arg(&config);
        program.arg("--report").arg(file("live.toml"));
        let began = Instant::now();
        let mut handler = Running::start(&mut cable.handler.enter(&program));
        handler.wait_for("order session up");
        (handler, began.elapsed())
    };
    // Where answers go: to the handler, or to nobody.
    let answers = |to: &str| {
        let neighbour = format!("neighbour replace 10.0.0.2 lladdr {to} dev feed1 nud permanent");
        must(cable.exchange.run("ip").args(neighbour.split_whitespace()));
    };
    say("kill  answers  after up  up after start");
    for (round, moment) in (0..kills).zip(MOMENTS.iter().cycle()) {
        let (handler, up) = start();
        let mute = round % 2 == 1;
        if mute {
            answers("02:00:00:00:00:99");
        }
        std::thread::sleep(Duration::from_millis(*moment));
        handler.signal("KILL");
        assert_eq!(handler.end().code, None, "it was killed");
        answers("02:00:00:00:00:02");
        let wire = if mute { "lost" } else { "arrive" };
        say(&format!("{:>4}  {wire:<7}  {moment:>5} ms  {:>11} ms", round + 1, up.as_millis()));
    }
    let (handler, _) = start();
    std::thread::sleep(Duration::from_secs(4));
    handler.signal("TERM");
    let ended = handler.end();
    server.end_input();
    let exchange = server.end();
    let report = Report::new(&file("live.toml"), &ended);
    let all = || format!("{}{}\n{}", exchange.stdout, exchange.stderr, report.text());
    assert_eq!((ended.code, exchange.code), (Some(0), Some(0)), "{}", all());

    // The venue, the last process, and the journal of the last process.
    assert!(exchange.stdout.contains(&format!("client {USER}: 0 open orders")), "{}", all());
    let theirs = positions(&exchange.stdout, USER);
    assert!(!theirs.is_empty(), "{}", all());
    assert_eq!(report.positions(), theirs, "{}", all());
    for never in ["replies_unknown", "replies_over_executions", "session_contradictions"] {
        assert_eq!(report.count(never), 0, "{never}: {}", all());
    }
    let journals = read_all(&journals);
    assert_eq!(journals.len() as u64, kills + 1);
    let last = journals.last().unwrap();
    assert_eq!(net(last), theirs, "the journal: {}", all());

    // No number is given to two orders, in whichever process; something was sent by most. One number may come back: that of a
    // replacement of an order that was no more. The venue ignores it, and says to the next process that its number is free.
    let mut sent = BTreeMap::new();
    let mut processes = 0;
    for (at, journal) in journals.iter().enumerate() {
        let mut own = BTreeMap::new();
        for record in journal.iter().filter(|record| record["kind"] == "sent") {
            if record["action"] == "enter" || record["action"] == "replace" {
                let number = record["order"].as_u64().unwrap();
                let again = own.insert(number, record["action"] == "replace").is_some();
                let free = sent.get(&number).is_none_or(|replaces| {
                    *replaces
                        && sent.last_key_value().is_some_and(|(last, _)| *last == number)
                        && !heard(&journals[..at], number)
                });
                assert!(free && !again, "sent twice: {record}");
            }
        }
        processes += usize::from(!own.is_empty());
        sent.append(&mut own);
    }
    assert!(processes >= 2, "{processes} processes sent orders\n{}", all());
    let adopted = last.iter().filter(|record| record["action"] == "adopted").count();
    assert!(adopted > 0, "the last process heard of nothing before it\n{}", all());
    say(&format!(
        "live_kills: {kills} kills, {} orders of {processes} processes, {adopted} known to the last",
        sent.len()
    ));
}

/// Did one of these processes hear of an order of this number?
fn heard(journals: &[Vec<Value>], number: u64) -> bool {
    journals.iter().flatten().any(|record| record["kind"] == "event" && record["order"] == number)
}

/// The journals of a directory in the order of their runs: each a list of records, the last of which is the summary.
pub(crate) fn read_all(directory: &Path) -> Vec<Vec<Value>> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "journal")).collect();
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Value> {
    let lines = must(wirebook().args(["journal", "--json"]).arg(path));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Net shares by symbol, those that are not 0.
pub(crate) fn net(journal: &[Value]) -> BTreeMap<String, i64> {
    let instruments = journal.last().unwrap()["instruments"].as_object().unwrap();
    let net = instruments.iter().map(|(symbol, traded)| (symbol.clone(), traded["net"].as_i64().unwrap()));
    net.filter(|(_, net)| *net != 0).collect()
}
