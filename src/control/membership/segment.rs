//! One VLAN: its groups, the version that its querier speaks, and what is to be said when.

use std::net::Ipv4Addr;

use super::super::random::Random;
use super::SPACING;
use crate::wire::igmp::{Query, Record, RecordKind};

/// Sources that are remembered of queries about one group. Who asks about more is told the whole state of the group.
const MOST_SOURCES: usize = 64;

/// A report of a change, to be sent `left` more times, next at `due`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) left: u8,
    pub(super) due: u64,
}

/// An answer on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timer {
    pub(super) due: Option<u64>,
    /// No answer before this moment.
    free: u64,
}

impl Timer {
    /// Sets it to `due`, or to the first moment that is allowed; 1 where that is later.
    fn set(&mut self, due: u64) -> u64 {
        self.due = Some(due.max(self.free));
        u64::from(due < self.free)
    }

    pub(super) fn answered(&mut self, now: u64) {
        *self = Self { due: None, free: now.saturating_add(SPACING) };
    }
}

/// A group and who is wanted in it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) group: Ipv4Addr,
    /// The senders wanted; none listed: all.
    pub(super) sources: Vec<Ipv4Addr>,
    timer: Timer,
    /// Sources that the pending answer is about; none: the whole group.
    about: Vec<Ipv4Addr>,
}

impl Group {
    pub(super) fn wants(&self, source: Ipv4Addr) -> bool {
        self.sources.is_empty() || self.sources.contains(&source)
    }

    /// What is wanted, as a current-state record (RFC 3376, 4.2.12).
    pub(super) fn state(&self) -> Record<'_> {
        let all = self.sources.is_empty();
        Record {
            kind: if all { RecordKind::ModeIsExclude } else { RecordKind::ModeIsInclude },
            group: self.group,
            sources: &self.sources,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) vlan: Option<u16>,
    /// The version in force.
    pub(super) version: u8,
    /// A querier of version 1 is taken to be there until then; 0: none was heard.
    pub(super) v1_until: u64,
    /// The same of version 2.
    pub(super) v2_until: u64,
    pub(super) change: Option<Change>,
    /// The answer to a general query, in version 3.
    pub(super) general: Timer,
    pub(super) groups: Vec<Group>,
}

impl Segment {
    pub(super) const fn new(vlan: Option<u16>, version: u8) -> Self {
        let general = Timer { due: None, free: 0 };
        Self { vlan, version, v1_until: 0, v2_until: 0, change: None, general, groups: Vec::new() }
    }

    /// One more group, or one more of a group's senders.
    pub(super) fn want(&mut self, group: Ipv4Addr, source: Option<Ipv4Addr>) {
        match (self.groups.iter_mut().find(|known| known.group == group), source) {
            (None, source) => self.groups.push(Group {
                group,
                sources: source.into_iter().collect(),
                timer: Timer::default(),
                about: Vec::new(),
            }),
            // Who wants all of a group wants each of its senders.
            (Some(known), None) => known.sources.clear(),
            (Some(known), Some(source)) => {
                if !known.wants(source) {
                    known.sources.push(source);
                }
            }
        }
    }

    /// Nothing is to be said any more.
    pub(super) fn cancel(&mut self) {
        self.change = None;
        self.general.due = None;
        for group in &mut self.groups {
            group.timer.due = None;
            group.about.clear();
        }
    }

    /// A report of a change has left; the next one, if any, is due at `next`.
    pub(super) fn changed(&mut self, next: u64) {
        self.change = self
            .change
            .map(|change| Change { left: change.left.saturating_sub(1), due: next })
            .filter(|change| change.left > 0);
    }

    /// The rules of RFC 3376, 5.2, numbered as there; `due` is the moment chosen for the answer. Answers held back: 0 or 1.
    pub(super) fn on_v3_query(&mut self, due: u64, query: &Query<'_>) -> u64 {
        // 1: an answer that says everything leaves sooner.
        if self.general.due.is_some_and(|pending| pending <= due) {
            return 0;
        }
        // 2
        if query.group.is_unspecified() {
            return self.general.set(due);
        }
        let Some(group) = self.groups.iter_mut().find(|group| group.group == query.group) else { return 0 };
        let Some(pending) = group.timer.due else {
            // 3
            group.about = query.sources.take(MOST_SOURCES + 1).collect();
            group.forget_too_many();
            return group.timer.set(due);
        };
        if query.sources.count() == 0 || group.about.is_empty() {
            // 4
            group.about.clear();
        } else {
            // 5
            for source in query.sources {
                if group.about.len() <= MOST_SOURCES && !group.about.contains(&source) {
                    group.about.push(source);
                }
            }
            group.forget_too_many();
        }
        group.timer.set(due.min(pending))
    }

    /// RFC 2236, 3: each group has its own delay; one that runs is shortened, never prolonged. Answers held back.
    pub(super) fn on_v2_query(
        &mut self,
        now: u64,
        longest: u64,
        about: Ipv4Addr,
        random: &mut Random,
    ) -> u64 {
        let mut held = 0;
        for group in &mut self.groups {
            let asked = about.is_unspecified() || about == group.group;
            if asked && group.timer.due.is_none_or(|pending| now + longest < pending) {
                held += group.timer.set(now + random.up_to(longest));
            }
        }
        held
    }

    /// What the answer about group `at` is to be about, where it is due; its timer stops.
    pub(super) fn take_due(&mut self, at: usize, now: u64) -> Option<Vec<Ipv4Addr>> {
        let group = self.groups.get_mut(at)?;
        group.timer.due.filter(|due| *due <= now)?;
        group.timer.answered(now);
        Some(std::mem::take(&mut group.about))
    }

    /// The next moment at which something is to be said, or a version may change back.
    pub(super) fn next_due(&self) -> Option<u64> {
        let older = [(1, self.v1_until), (2, self.v2_until)];
        let back = older.into_iter().find(|(version, _)| *version == self.version).map(|(_, until)| until);
        let timers = self.groups.iter().filter_map(|group| group.timer.due);
        timers
            .chain(self.general.due)
            .chain(self.change.map(|change| change.due))
            .chain(back.filter(|until| *until != 0))
            .min()
    }
}

impl Group {
    /// A list that is too long becomes "the whole group".
    fn forget_too_many(&mut self) {
        if self.about.len() > MOST_SOURCES {
            self.about.clear();
        }
    }
}
