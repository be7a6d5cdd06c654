//! What does not happen on an ordinary packet: a session begins, another one shows up, a sequence is out of all reason.

use super::super::window::Held;
use super::super::{Line, Sink, Verdict};
use super::{CONFIRM, SetBack, State, Stream, line_of};
use crate::wire::moldudp64::{Kind, Packet};

impl Stream {
    /// A well-formed packet while no session is open, or of another session than the open one.
    #[cold]
    #[inline(never)]
    pub(super) fn off_session<S: Sink>(
        &mut self,
        line: Line,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        let session = packet.session();
        if self.state == State::Ended && session == self.session {
            return self.after_end(line, packet, payload, now, sink);
        }
        let quiet = now.saturating_sub(self.heard) >= self.config.quiet;
        let taken = match self.state {
            State::Waiting => true,
            _ if quiet => true,
            _ if self.previous == Some(session) => false,
            State::Ended => true,
            State::Open => self.is_confirmed(line, packet, payload, now),
        };
        if !taken {
            return Verdict::WrongSession;
        }
        let kept = self.newcomer == session;
        let first = match self.newcomer_window.front() {
            Some(front) if kept => front.first.min(packet.sequence()),
            _ => packet.sequence(),
        };
        self.close(sink);
        self.begin(session, first, sink);
        if kept {
            self.take_kept(now, sink);
        }
        self.forget_newcomer();
        if self.state == State::Open {
            self.take(Some(line), packet, payload, now, sink)
        } else {
            Verdict::AfterEnd
        }
    }

    /// A packet of the current session after its end: the end is repeated for a while.
    fn after_end<S: Sink>(
        &mut self,
        line: Line,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        let end = packet.sequence() + u64::from(packet.count());
        let limit = self.limit.unwrap_or(end);
        if end > limit {
            return self.beyond_end(Some(line), packet, payload, now, sink);
        }
        if packet.kind() == Kind::EndOfSession && end < limit {
            return Verdict::AfterEnd;
        }
        self.heard = now;
        let of_line = line_of(&mut self.lines, line);
        match packet.kind() {
            Kind::Data if self.lost.touches(packet.sequence(), end) => Verdict::Late,
            Kind::Data => Verdict::Duplicate,
            Kind::Heartbeat => {
                of_line.counters.heartbeats += 1;
                Verdict::Control
            }
            Kind::EndOfSession => {
                of_line.counters.ends_of_session += 1;
                Verdict::Control
            }
        }
    }

    /// A packet from beyond the announced end of the session. Once one line has sent several, the end was none: books that
    /// were left as of then would be wrong without a sign. The session begins anew, like after a late join.
    #[cold]
    #[inline(never)]
    pub(super) fn beyond_end<S: Sink>(
        &mut self,
        line: Option<Line>,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        // Another end contradicts the first one, but brings nothing that would be missed.
        let Some(line) = line.filter(|_| packet.kind() != Kind::EndOfSession) else {
            return Verdict::AfterEnd;
        };
        let of_line = line_of(&mut self.lines, line);
        of_line.beyond += 1;
        if of_line.beyond < CONFIRM {
            return Verdict::AfterEnd;
        }
        self.counters.reopened += 1;
        self.close(sink);
        self.begin_at(self.session, packet.sequence(), sink);
        self.take(Some(line), packet, payload, now, sink)
    }

    /// Counts a packet of a possible next session; true once its line has sent enough of them in a row. Until then its
    /// data are kept.
    fn is_confirmed(&mut self, line: Line, packet: &Packet<'_>, payload: &[u8], now: u64) -> bool {
        if self.newcomer != packet.session() {
            self.forget_newcomer();
            self.newcomer = packet.session();
        }
        let of_line = line_of(&mut self.lines, line);
        of_line.newcomer_run += 1;
        if of_line.newcomer_run >= CONFIRM {
            return true;
        }
        self.keep(line, packet, payload, now);
        false
    }

    /// Keeps the data of what may become the next session. Without room they are not kept, and are a hole of it then.
    fn keep(&mut self, line: Line, packet: &Packet<'_>, payload: &[u8], now: u64) {
        if packet.kind() == Kind::Data {
            let first = packet.sequence();
            let end = first + u64::from(packet.count());
            self.newcomer_window.hold(Held { first, end, line: Some(line), payload }, now);
        }
    }

    /// Puts the packets that were kept of the session that has just begun where they belong.
    fn take_kept<S: Sink>(&mut self, now: u64, sink: &mut S) {
        // Swapped out while it is read: `take` needs the rest of `self`, and cannot add to it.
        let mut kept = std::mem::take(&mut self.newcomer_window);
        while let Some(Held { line, payload, .. }) = kept.front() {
            if self.state == State::Open
                && let Ok(packet) = Packet::new_checked(payload)
            {
                self.take(line, &packet, payload, now, sink);
            }
            kept.pop_front();
        }
        self.newcomer_window = kept;
    }

    fn forget_newcomer(&mut self) {
        self.newcomer_window.clear();
        for line in &mut self.lines {
            line.newcomer_run = 0;
        }
    }

    /// Finishes the open session, if there is one: holes become gaps, what is held is handed on.
    fn close<S: Sink>(&mut self, sink: &mut S) {
        while !self.window.is_empty() {
            self.give_up(u64::MAX, sink);
            let mut everything = u32::MAX;
            self.settle(&mut everything, sink);
        }
    }

    /// Begins a session of which `first` is the first sequence heard.
    fn begin<S: Sink>(&mut self, session: [u8; 10], first: u64, sink: &mut S) {
        let start = if first <= self.config.near_start { 1 } else { first };
        self.begin_at(session, start, sink);
    }

    fn begin_at<S: Sink>(&mut self, session: [u8; 10], start: u64, sink: &mut S) {
        if self.state != State::Waiting && self.session != session {
            self.previous = Some(self.session);
        }
        self.state = State::Open;
        self.session = session;
        self.expected = start;
        self.limit = None;
        self.window.clear();
        self.holes.clear();
        self.skew.clear();
        self.lost.clear();
        if start > 1 {
            self.lost.add(1..start);
        }
        for line in &mut self.lines {
            // From 1 on, a line that begins later has skipped something; after a late join nobody can tell.
            line.next = u64::from(start == 1);
            line.far_run = 0;
            line.beyond = 0;
            line.set_back = SetBack::default();
        }
        self.counters.sessions += 1;
        sink.session(session, start);
    }

    /// Counts a packet from behind what its line has sent before; true once it must be believed that the sequence was set
    /// back. Until then its data are kept. A line that lags, or repeats, sends what is new to it in between.
    #[cold]
    #[inline(never)]
    pub(super) fn is_set_back(&mut self, line: Line, packet: &Packet<'_>, payload: &[u8], now: u64) -> bool {
        if packet.kind() == Kind::EndOfSession {
            return false;
        }
        let first = packet.sequence();
        let fresh = self.fresh;
        let set_back = &mut line_of(&mut self.lines, line).set_back;
        *set_back = match *set_back {
            SetBack { run: 1.., fresh: as_before, .. } if as_before == fresh => {
                SetBack { run: set_back.run.saturating_add(1), first: set_back.first.min(first), fresh }
            }
            _ => SetBack { run: 1, first, fresh },
        };
        let run = set_back.run;
        if now.saturating_sub(fresh) < self.config.quiet {
            return false;
        }
        if run >= CONFIRM {
            return true;
        }
        if (self.newcomer, self.kept_as_of) != (self.session, fresh) {
            self.forget_newcomer();
            (self.newcomer, self.kept_as_of) = (self.session, fresh);
        }
        self.keep(line, packet, payload, now);
        false
    }

    /// The sequence was set back: the session begins anew, with the first packet that told of it.
    #[cold]
    #[inline(never)]
    pub(super) fn rewind<S: Sink>(
        &mut self,
        line: Line,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        let first = line_of(&mut self.lines, line).set_back.first;
        let first = self.newcomer_window.front().map_or(first, |front| front.first.min(first));
        self.close(sink);
        if self.state != State::Open {
            return Verdict::AfterEnd;
        }
        self.counters.rewinds += 1;
        self.begin(self.session, first, sink);
        self.take_kept(now, sink);
        self.forget_newcomer();
        self.take(Some(line), packet, payload, now, sink)
    }

    /// A packet of the open session whose sequence is too far off: believed only after several such in a row.
    #[cold]
    #[inline(never)]
    pub(super) fn far<S: Sink>(
        &mut self,
        line: Option<Line>,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        let Some(of_line) = line.map(|line| line_of(&mut self.lines, line)) else {
            return Verdict::Implausible;
        };
        let first = packet.sequence();
        let goes_on = of_line.far_run > 0 && first.abs_diff(of_line.far_at) <= self.config.max_jump;
        of_line.far_run = if goes_on { of_line.far_run + 1 } else { 1 };
        of_line.far_at = first;
        if of_line.far_run < CONFIRM {
            return Verdict::Implausible;
        }
        of_line.far_run = 0;
        self.close(sink);
        if self.state != State::Open {
            return Verdict::AfterEnd;
        }
        self.counters.jumps += 1;
        if first > self.expected {
            self.give_up(first, sink);
        } else {
            self.begin(self.session, first, sink);
        }
        if self.state != State::Open {
            return Verdict::AfterEnd;
        }
        self.take(line, packet, payload, now, sink)
    }
}
