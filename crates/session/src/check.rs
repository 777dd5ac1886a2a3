//! How far the check of a turn has come, and what it said that has not been acted upon.

use codetether_event::{CheckPoint, CheckStatus, ItemId, SnapshotId};

use crate::{Call, Phase};

/// How far the check of a turn has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checking {
    /// The one that runs now.
    pub running: Option<(ItemId, CheckPoint)>,
    /// What the last one said; of files that have changed since, it says nothing.
    pub last: Option<Checked>,
    /// How often the model was told that it fails, and went on.
    pub rounds: u32,
    /// Whether a call may have changed files since the last one, or since the turn began.
    pub changed: bool,
    /// Whether it ran before the model was asked.
    pub(crate) began: bool,
    /// Whether the model does not know yet what it said before.
    pub(crate) untold: bool,
}

/// What a check said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was run.
    pub command: String,
    /// How it ended.
    pub status: CheckStatus,
    /// What it wrote.
    pub output: String,
    /// Bytes of it that were left out.
    pub left_out: u64,
}

impl Checking {
    /// What the check said before the model was asked, as long as it does not know.
    #[must_use]
    pub fn untold(&self) -> Option<&Checked> {
        self.last.as_ref().filter(|_| self.untold)
    }

    pub(crate) fn begin(&mut self, item: ItemId, point: CheckPoint) {
        self.running = Some((item, point));
    }

    /// It ended without a word: it was stopped, or its owner was.
    pub(crate) fn fail(&mut self, item: ItemId) {
        self.running.take_if(|(running, _)| *running == item);
    }

    /// It ended. What was not under way says nothing.
    pub(crate) fn end(&mut self, item: ItemId, point: CheckPoint, checked: Checked) {
        if self.running.take_if(|(running, _)| *running == item).is_none() {
            return;
        }
        if point == CheckPoint::First {
            (self.began, self.untold) = (true, true);
        }
        self.changed = false;
        self.last = Some(checked);
    }

    /// The model was told; true when that was why it should go on.
    pub(crate) fn told(&mut self, at_the_end: bool) -> bool {
        self.untold = false;
        self.rounds = self.rounds.saturating_add(u32::from(at_the_end));
        at_the_end
    }

    /// A call ended, with the files before and after it where they are known.
    pub(crate) fn call_ended(
        &mut self,
        call: &Call,
        wrote: &[String],
        files: (Option<&SnapshotId>, Option<&SnapshotId>),
    ) {
        let ran = call.phase == Phase::Running;
        self.changed |= match files {
            (Some(before), Some(after)) => before != after,
            // What it did is not known: as much as it could.
            _ => !wrote.is_empty() || (ran && call.could_write()),
        };
    }
}
