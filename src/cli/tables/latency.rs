//! Where the time goes: latencies by stage, and how far the rounds of the loop come.

use super::{columns, grouped};
use crate::control::Moment;
use crate::stats::stages::{COLD_AFTER, StageRow};

/// Latencies by stage, in ns, and each stage's share of the time that messages took.
#[must_use]
fn latency(stages: &[StageRow]) -> String {
    let whole: u64 = stages.iter().filter(|row| !is_way(row) && !is_wait(row)).map(|row| row.total).sum();
    let mut table = vec![StageRow::HEADS.iter().chain(&["share"]).map(|head| (*head).to_owned()).collect()];
    for row in stages {
        let share = if is_way(row) || is_wait(row) || whole == 0 {
            String::new()
        } else {
            format!("{} %", per_cent(row.total, whole, 1))
        };
        table.push(row.cells().into_iter().chain([share]).collect());
    }
    columns(&table)
}

/// The whole way holds the stages in it.
fn is_way(row: &StageRow) -> bool {
    row.name == "rx_to_tx"
}

/// Messages that wait cost nothing: others are being worked on.
fn is_wait(row: &StageRow) -> bool {
    row.name == "wait"
}

/// Everything about time at the end of a run: all passes, cold ones by themselves, and the rounds of the loop.
#[must_use]
pub(in crate::cli) fn time(moment: &Moment) -> String {
    let mut text = latency(&moment.stages);
    if moment.cold.iter().any(|row| row.count != 0) {
        text.push_str(&format!(
            "\nof those, cold: in the first frame after {} ms without any\n",
            COLD_AFTER / 1_000_000
        ));
        text.push_str(&latency(&moment.cold));
    }
    text.push_str(&rounds(moment));
    text
}

/// How many of the loop's rounds came how far.
fn rounds(moment: &Moment) -> String {
    let polls = moment.count("loop_polls");
    if polls == 0 {
        return String::new();
    }
    let cell = |words: &str, name: &str| format!("{words} {} %", per_cent(moment.count(name), polls, 4));
    format!(
        "\nof {} rounds of the loop: {}  {}  {}  {}\n",
        grouped(polls),
        cell("received", "loop_busy_polls"),
        cell("changed a book", "loop_message_polls"),
        cell("decided", "loop_decision_polls"),
        cell("ordered", "loop_order_polls")
    )
}

/// `part` of `whole` in per cent with so many decimals, without a float.
fn per_cent(part: u64, whole: u64, decimals: u32) -> String {
    let unit = 10_u128.pow(decimals);
    let scaled = u128::from(part) * 100 * unit / u128::from(whole.max(1));
    format!("{}.{:0width$}", scaled / unit, scaled % unit, width = decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::board::Tally;

    #[test]
    fn shares_are_of_the_work_and_leave_waiting_out() {
        let row = |name, total| StageRow { name, count: 1, total, ..StageRow::default() };
        let table = latency(&[row("wait", 900), row("decode", 25), row("book", 75), row("rx_to_tx", 1_000)]);
        let last = |at| table.lines().nth(at).unwrap().trim_end().to_owned();
        assert!(last(0).ends_with("share"), "{table}");
        assert!(last(2).ends_with("25.0 %") && last(3).ends_with("75.0 %"), "{table}");
        assert!(!last(1).ends_with('%') && !last(4).ends_with('%'), "{table}");
    }

    #[test]
    fn rounds_are_counted_by_how_far_they_came() {
        let counted = [
            ("loop_polls", 8_000),
            ("loop_busy_polls", 80),
            ("loop_message_polls", 40),
            ("loop_decision_polls", 4),
            ("loop_order_polls", 1),
        ];
        let text = rounds(&Moment { rows: counted.to_vec(), ..Moment::default() });
        for part in
            ["8,000", "received 1.0000 %", "changed a book 0.5000 %", "decided 0.0500 %", "ordered 0.0125 %"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let names: Vec<_> = Tally::default().rows().map(|(name, _)| name).collect();
        assert!(counted.iter().all(|(name, _)| names.contains(name)));
        assert_eq!(rounds(&Moment::default()), "");
    }
}
