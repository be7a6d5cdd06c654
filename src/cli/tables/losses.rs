//! Counters that mean that something was lost, refused or doubted: cause and remedy of each, in one table.

use std::fmt::Write as _;

use super::grouped;
use crate::pipeline::board::Row;

/// Counters that mean that something was dropped, refused or doubted: name, cause and remedy.
const LOSSES: &[(&str, &str)] = &[
    (
        "rx_missed",
        "the NIC had no free descriptor: raise port.rx_descriptors, or give the worker a core of its own",
    ),
    ("tap_dropped", "frames missing in the capture: raise --capture-buffer, or write to a faster disk"),
    ("tap_notes_dropped", "the same: a replay goes another way from there on"),
    ("tap_failed", "the capture ended early: see the log; is the disk full?"),
    ("link_losses", "the link was down in between: cable, optics, or the other side's port"),
    ("rx_errors", "the NIC refused frames: cable, optics or FEC"),
    ("rx_no_buffer", "the packet pool was empty: give the EAL more memory"),
    ("tx_errors", "the port did not take frames that were handed to it"),
    ("loop_rx_segmented", "a frame was longer than a buffer: raise port.mtu"),
    ("loop_rx_truncated", "a frame was longer than a buffer: raise port.mtu"),
    (
        "loop_rx_missed",
        "a worker was too slow for what another received: give it a core of its own, or raise port.rx_descriptors",
    ),
    ("loop_samples_dropped", "latency samples only: raise latency.sample_every"),
    (
        "udp_bad_checksum",
        "damaged, or a sender on this machine left the checksum to a NIC that is not there: ethtool -K IFACE tx off",
    ),
    ("ip_bad_checksum", "damaged on the way"),
    ("ip_icmp", "ping and its like, which are not answered: harmless"),
    ("ip_fragment", "the sender's packets exceed the path's MTU: nothing is reassembled here"),
    ("route_other_group", "the NIC or switch passes more groups than were asked for: harmless"),
    ("route_other_vlan", "the group comes in another VLAN than feed.line says"),
    ("route_other_source", "somebody else sends to the group"),
    ("route_broadcast", "broadcasts of other hosts: harmless"),
    (
        "route_other_station",
        "frames to other stations, as in promiscuous mode or from a flooding switch: harmless",
    ),
    ("route_other_address", "unicast to an address that is not ours"),
    ("route_other_port", "unicast to a port of ours that nobody listens on: not answered"),
    ("route_other_sender", "somebody else than the gateway sends to the order port: not believed"),
    ("carry_ring_full", "a storm of ARP or IGMP: look for its sender"),
    ("carry_unsent", "ARP or IGMP found the transmit ring full: raise port.tx_descriptors"),
    ("ip_tcp", "TCP, and no orders of ours go over it: harmless"),
    ("session_breaks", "the order connection broke: see the log, and the gateway's"),
    (
        "session_timeouts",
        "the gateway did not answer in time: does it listen on gateway.port, is the way there open?",
    ),
    (
        "session_never_arrived",
        "the order connection broke before these came to the venue: told to the strategy as rejected",
    ),
    ("session_cancels_unanswered", "cancels that never came, or that the venue had nothing to say to"),
    ("session_contradictions", "the venue counts orders it never answered: compare positions with it"),
    ("session_not_open", "cleared orders found the session away: taken back"),
    ("session_backlog", "the venue took no more, or too much was unanswered: cleared orders were taken back"),
    ("session_foreign_packets", "replies of another session than was begun: not believed"),
    ("session_ends", "the venue ended its session: no order leaves any more"),
    (
        "soup_client_rejected",
        "check gateway.username, its password and gateway.session; no other login was tried",
    ),
    ("soup_client_missing", "the venue did not repeat all replies: positions are uncertain"),
    (
        "soup_client_silent",
        "the gateway said nothing for 15 s, and sends heartbeats: the way there is broken",
    ),
    ("tcp_frames_lost", "TCP found the transmit ring full, and repeats itself: raise port.tx_descriptors"),
    ("tcp_probes", "acknowledgments were late: something was lost on the way, or the gateway is slow"),
    ("tcp_retransmitted", "the same, and later still"),
    ("tcp_bad_segments", "damaged on the way"),
    ("ktcp_failures", "connections that could not be made, or broke: does the gateway listen?"),
    ("session_no_next_hop", "the gateway's hardware address was not known: does it answer ARP?"),
    ("igmp_other_vlan", "IGMP in a VLAN that no line is in: harmless"),
    ("igmp_unreadable", "broken IGMP"),
    ("arp_other_vlan", "ARP in a VLAN that none of our addresses is in: harmless"),
    ("arp_unreadable", "broken ARP"),
    ("arp_conflicts", "another station uses our address: give each its own"),
    ("arp_not_believed", "somebody else claims the gateway's address: spoofed, or a second router"),
    ("arp_replies_held", "more ARP requests than are answered"),
    (
        "stream_gaps",
        "neither line brought these messages in time: books are stale until a snapshot, or for good",
    ),
    (
        "stream_recovery_timeouts",
        "requests did not fill a hole in recovery.hole_wait_ms: raise it, or check recovery.requests",
    ),
    ("stream_recovered_no_room", "answers did not fit behind the hole: raise feed.reorder_packets"),
    ("repair_refused_old", "the snapshot server lags behind the feed, or recovery.buffer_mib is too small"),
    ("repair_refused_ahead", "the snapshot names a sequence far from the feed's: is it the right server?"),
    ("repair_refused_flawed", "the snapshot holds what none may: is it the right server?"),
    ("repair_overflowed", "the snapshot took longer than recovery.buffer_mib lasts: raise it"),
    (
        "repair_fruitless",
        "a book went wrong again after its repair: a limit of [book], or the feed contradicts itself",
    ),
    ("repair_given_up", "books that stay stale after too many such repairs: a limit of [book], most likely"),
    ("stream_window_overflows", "more packets waited behind a hole than feed.reorder_packets"),
    ("desk_undecodable_all_stale", "a broken message of an unknown instrument: all books are stale"),
    (
        "desk_silences",
        "nothing came on any line, not even heartbeats: no orders meanwhile; is the feed up, and the cable in?",
    ),
    ("replay_undecodable_all_stale", "a broken message of an unknown instrument: all books are stale"),
    ("capture_not_ethernet", "capture on the interface itself, not on `any`"),
    ("capture_lost", "the capture's own buffer was full: raise --capture-buffer where it is made"),
    ("capture_bad_notes", "the capture is of another version of wirebook"),
    (
        "capture_snapshot_messages",
        "the loop rebuilt books from snapshots; a replay does not: they stay stale from their gap on",
    ),
    ("capture_cut_short", "captured with a snap length: capture with `-s 0`"),
    (
        "recovery_holes_abandoned",
        "no request server brought them: left to the snapshot; check recovery.requests",
    ),
    (
        "recovery_timeouts",
        "requests that were not answered in time, or were lost: raise recovery.requests.timeout_ms, or check the servers",
    ),
    ("recovery_answers_no_room", "the loop did not take answers in time: raise recovery.handover_kib"),
    ("recovery_failed_disconnected", "the snapshot server refused or closed the connection: does it listen?"),
    ("recovery_failed_login_rejected", "check recovery.snapshot.username and its password"),
    (
        "recovery_failed_wrong_session",
        "the snapshot server serves another day or feed: see recovery.snapshot.check_session",
    ),
    ("recovery_failed_too_slow", "raise recovery.snapshot.total_timeout_s, or find what is slow"),
    ("recovery_failed_too_long", "raise recovery.snapshot.max_messages"),
    ("recovery_failed_too_old", "the snapshot server lags behind the feed"),
    (
        "recovery_socket_errors",
        "requests did not leave, or found nobody: check the route and recovery.requests.servers",
    ),
    ("recovery_notices_dropped", "lines of the log only"),
    ("strategy_no_place", "instruments without features are not traded: raise strategy.instruments"),
    ("strategy_no_prediction", "the model made no number of some features: train it on a day like this one"),
    ("strategy_timeouts", "the venue did not answer within strategy.maker_reply_ms: is the gateway well?"),
    ("strategy_strangers", "replies about orders from before a restart: they are the loop's to cancel"),
    ("strategy_out_of_step", "features were not those of the book, and were made anew: please report it"),
    (
        "refused_journal",
        "no new order leaves unless it can be journalled: see journal_failures, or raise journal.ring_mib",
    ),
    (
        "refused_session",
        "the order session was not up: see the log for its connection and login, or the gateway",
    ),
    ("refused_killed", "the kill switch was thrown: no order leaves until wirebook is started again"),
    ("desk_kills", "the kill switch was thrown, once for each worker: see the log for whom"),
    ("journal_dropped", "records missing in the journal: raise journal.ring_mib, or write to a faster disk"),
    ("journal_failures", "times that the journal could not be written: see the log; is the disk full?"),
    ("journal_failed", "the journal is not complete: the next start puts the rest into it"),
    ("desk_orders_unsent", "cleared orders found the transmit ring full: raise port.tx_descriptors"),
];

/// The same for whole families of counters, by how their names begin; looked at after [`LOSSES`].
const FAMILIES: &[(&str, &str)] = &[
    ("refused_", "risk held an order back: see the section [risk] of the configuration"),
    ("frame_", "not IPv4 over Ethernet: harmless, unless the feed is expected in it"),
    ("ip_", "not UDP in an intact IPv4 packet"),
    ("udp_", "damaged on the way"),
    ("itch_", "a broken message: the book that it concerned is stale"),
    ("line_a_wrong_session", "another session than the feed's: does somebody else send to the group?"),
    ("line_b_wrong_session", "another session than the feed's: does somebody else send to the group?"),
    ("line_a_implausible", "a sequence far from the feed's: does somebody else send to the group?"),
    ("line_b_implausible", "a sequence far from the feed's: does somebody else send to the group?"),
    ("line_a_after_end", "from after the end of the session: it was none, or they are"),
    ("line_b_after_end", "from after the end of the session: it was none, or they are"),
    ("stream_jumps", "the feed's sequence jumped far: every book was given up"),
    (
        "stream_rewinds",
        "the feed's sequence was set back, and all books begun anew: did the venue lose its memory?",
    ),
    ("line_a_mold_", "no MoldUDP64 in it: is another feed on this group and port?"),
    ("line_b_mold_", "no MoldUDP64 in it: is another feed on this group and port?"),
    ("replies_", "the venue said what does not fit our orders: compare positions with it"),
    ("recovery_answers_", "answers that nobody asked for, or that cannot be read: is it the right server?"),
    ("recovery_failed_", "snapshots that came to nothing, by reason: books stayed stale longer"),
    ("soup_client_zero_", "the gateway said what is no SoupBinTCP: is gateway.port the right one?"),
    ("soup_client_too_", "the gateway said what is no SoupBinTCP: is gateway.port the right one?"),
    ("soup_client_bad_", "the gateway said what is no SoupBinTCP: is gateway.port the right one?"),
    ("soup_client_other_", "the gateway serves another session than before: compare positions with it"),
    ("session_bad_", "the venue said what cannot be read: compare positions with it"),
    ("session_gap", "replies were lost: positions are uncertain, nothing but cancels leaves"),
];

/// Counters of books that contradict their feed.
const ANOMALIES: &str =
    "the feed contradicted the book, which is stale since: a limit of [book], or messages lost unseen";

/// What was lost or refused, by reason, with what to do; the reasons that did not occur are left out.
#[must_use]
pub(in crate::cli) fn losses(rows: &[Row]) -> String {
    let remedy = |name: &str| {
        let exact = LOSSES.iter().find(|(loss, _)| *loss == name);
        let family = || FAMILIES.iter().find(|(start, _)| name.starts_with(start));
        let anomaly = || (name == "book_anomalies").then_some(ANOMALIES);
        exact.or_else(family).map(|(_, remedy)| *remedy).or_else(anomaly).map(str::to_owned)
    };
    let table: Vec<Vec<String>> = rows
        .iter()
        .filter(|(_, value)| *value != 0)
        .filter_map(|(name, value)| Some(vec![(*name).to_owned(), grouped(*value), remedy(name)?]))
        .collect();
    // The remedy is a sentence: it reads from the left.
    let width = table.iter().map(|row| row[0].len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &table {
        let _ = writeln!(text, "  {:<width$}  {:>14}  {}", row[0], row[1], row[2]);
    }
    if text.is_empty() { "  nothing\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::OUTCOMES;
    use super::*;
    use crate::control::membership::MembershipCounters;
    use crate::control::neighbour::NeighbourCounters;
    use crate::feed::recovery::RecoveryCounters;
    use crate::pipeline::board::Tally;

    /// Every counter that a run may show, whoever counts.
    fn counted() -> Vec<&'static str> {
        let of = |rows: &[Row]| rows.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let replay = [
            "replay_undecodable_all_stale",
            "capture_not_ethernet",
            "capture_cut_short",
            "capture_lost",
            "capture_bad_notes",
            "capture_snapshot_messages",
            "tap_failed",
            "journal_written",
            "journal_failures",
            "journal_failed",
        ];
        // What the ports count is known with DPDK only.
        #[cfg(feature = "dpdk")]
        let port = of(&crate::pmd::PortStats::default().rows());
        #[cfg(not(feature = "dpdk"))]
        let port = ["rx_missed", "rx_errors", "rx_no_buffer", "tx_errors"];
        (Tally::default().rows().map(|(name, _)| name))
            .chain(port)
            .chain(replay)
            .chain(of(&MembershipCounters::default().rows()))
            .chain(of(&NeighbourCounters::default().rows()))
            .chain(of(&RecoveryCounters::default().rows()))
            .chain(["recovery_socket_errors", "link_losses"])
            .collect()
    }

    /// A name that no counter has would hide its loss for good.
    #[test]
    fn every_loss_is_a_counter_that_exists_and_no_two_counters_share_a_name() {
        let names = counted();
        for (loss, _) in LOSSES {
            assert!(names.contains(loss), "{loss} is counted nowhere");
        }
        for (family, _) in FAMILIES {
            assert!(names.iter().any(|name| name.starts_with(family)), "{family} names no counter");
        }
        for (_, outcome) in OUTCOMES {
            assert!(names.contains(outcome), "{outcome} is counted nowhere");
        }
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn losses_name_their_remedy_and_skip_what_did_not_happen() {
        assert_eq!(losses(&[("stream_gaps", 0)]), "  nothing\n");
        assert!(losses(&[("stream_gaps", 3)]).contains("stale"));
    }
}
