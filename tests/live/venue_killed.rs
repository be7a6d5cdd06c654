//! The venue killed in earnest (`kill -9`) while we trade with it, and a new one in its place that knows of nothing: what was
//! open or held there cannot be told any more, so nothing further leaves.

use std::time::Duration;

use serde_json::Value;

use crate::kills::{net, read_all};
use crate::orders::{USER, VDEV, journalled, may_run, order_config, serve};
use crate::place::{alone, private_eal, skip};
use crate::programs::{say, wirebook};
use crate::report::Report;
use crate::running::Running;
use crate::veth::{Cable, positions};

#[test]
fn live_venue_killed() {
    let test = "live_venue_killed";
    let _alone = alone();
    if let Err(why) = may_run(&[VDEV]) {
        return skip(test, &why);
    }
    let cable = Cable::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (journals, journal) = journalled(directory.path());
    let config = order_config(directory.path(), "own", &journal);
    let mut program = wirebook();
    program.args(private_eal()).args([VDEV, "--", "--for", "600", "--config"]).arg(&config);
    program.arg("--report").arg(file("live.toml"));
    let mut handler = Running::start(&mut cable.handler.enter(&program));
    handler.wait_for("messages_per_s");

    let first = serve(&cable, 300, &[]);
    handler.wait_for("order session up");
    std::thread::sleep(Duration::from_secs(3));
    first.signal("KILL");
    assert_eq!(first.end().code, None, "it was killed");
    handler.wait_for("order session lost");
    // Long enough for some attempts, and for the lines to be missed.
    std::thread::sleep(Duration::from_secs(4));
    let mut second = serve(&cable, 300, &[]);
    std::thread::sleep(Duration::from_secs(8));

    handler.signal("TERM");
    let ended = handler.end();
    second.end_input();
    let exchange = second.end();
    let report = Report::new(&file("live.toml"), &ended);
    let all = || format!("{}{}\n{}", exchange.stdout, exchange.stderr, report.text());
    assert_eq!((ended.code, exchange.code), (Some(0), Some(0)), "{}", all());

    // The new venue does not know the session that we want to go on with; it is asked once.
    let counted = ["session_ups", "session_breaks", "soup_client_rejected"].map(|name| report.count(name));
    assert_eq!(counted, [1, 2, 1], "{}", all());
    // Its feed has the same name and begins again; the books are those of the new one, whole.
    let counted = ["desk_silences", "stream_rewinds", "stream_gaps"].map(|name| report.count(name));
    assert_eq!(counted, [1, 1, 0], "{}", all());
    assert!(ended.stderr.contains("sequence was set back"), "{}", all());
    assert!(exchange.stdout.contains(&format!("client {USER}: 0 open orders")), "{}", all());
    assert!(positions(&exchange.stdout, USER).is_empty(), "{}", all());

    let journals = read_all(&journals);
    let [journal] = &journals[..] else { panic!("one run, one journal: {}", all()) };
    let of = |records: &[Value], kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    let down = journal.iter().position(|record| record["kind"] == "session down");
    let (traded, after) = journal.split_at(down.unwrap_or_else(|| panic!("it went down: {}", all())));
    assert!(of(traded, "sent") > 10 && of(traded, "event") > 10, "{}", all());
    assert_eq!([of(after, "sent"), of(after, "session up")], [0, 0], "{}", all());
    // What the first venue said holds.
    assert_eq!(report.positions(), net(journal), "{}", all());
    say(&format!("{test}: {} orders before, none after", of(traded, "sent")));
}
