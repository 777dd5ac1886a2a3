//! How far the hooks of a turn have come, and what they said that has not been acted upon.

use std::collections::BTreeSet;
use std::ops::Range;

use codetether_event::{HookPoint, ItemId};

/// How far the hooks of a turn have come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooking {
    /// The point whose hooks run now.
    pub running: Option<(ItemId, HookPoint)>,
    /// How often one of the end was against it, and the model went on.
    pub stops: u32,
    /// The points whose hooks have had their say; those that come again are taken out when they may.
    done: BTreeSet<HookPoint>,
    /// How many of the prompts that wait for the next sample those that judge prompts have passed.
    passed: usize,
    /// How many they are looking at, those among them.
    judged: usize,
    /// Why the prompt does not reach the model.
    pub(crate) refused: Option<String>,
    /// Why the turn should not end yet.
    pub(crate) goes_on: Option<String>,
    /// Why older messages should stay.
    pub(crate) keeps: Option<String>,
    /// What the model is to be told before the next sample.
    pub(crate) context: Vec<String>,
    /// What it is to be told where it sums up.
    pub(crate) compaction: Option<String>,
}

impl Hooking {
    /// Whether the hooks of this point have had their say.
    #[must_use]
    pub fn is_done(&self, point: HookPoint) -> bool {
        self.done.contains(&point)
    }

    /// How many of the prompts that wait they have passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed
    }

    pub(crate) fn begin(&mut self, item: ItemId, point: HookPoint, pending: usize) {
        self.running = Some((item, point));
        self.judged = pending;
    }

    /// The prompts that waited reach the model.
    pub(crate) fn heard(&mut self) {
        self.passed = 0;
    }

    /// Those that were judged last: taken out where a hook is against them.
    pub(crate) fn judged(&mut self, against: bool) -> Range<usize> {
        let judged = self.passed..self.judged.max(self.passed);
        if !against {
            self.passed = judged.end;
        }
        judged
    }

    /// It ended without a word: it failed, or its owner did.
    pub(crate) fn fail(&mut self, item: ItemId) {
        self.running.take_if(|(running, _)| *running == item);
    }

    /// It ended; false when nothing of the kind was under way.
    pub(crate) fn end(
        &mut self,
        item: ItemId,
        point: HookPoint,
        blocked: Option<&String>,
        context: Option<&String>,
    ) -> bool {
        if self.running.take_if(|(running, _)| *running == item).is_none() {
            return false;
        }
        self.done.insert(point);
        match point {
            HookPoint::Stop => self.goes_on = blocked.cloned(),
            HookPoint::PreCompact => self.keeps = blocked.cloned(),
            _ => {}
        }
        match point {
            HookPoint::PreCompact => self.compaction = context.cloned(),
            _ => self.context.extend(context.cloned()),
        }
        true
    }

    /// The model was told what there was to tell; true when that was why it should go on.
    pub(crate) fn told(&mut self) -> bool {
        self.context.clear();
        self.done.remove(&HookPoint::Stop);
        let goes_on = self.goes_on.take().is_some();
        self.stops = self.stops.saturating_add(u32::from(goes_on));
        goes_on
    }

    /// Another answer is asked for: its end is another one.
    pub(crate) fn asked(&mut self) {
        self.done.remove(&HookPoint::Stop);
        self.goes_on = None;
    }

    /// Older messages gave way: the next time is another one.
    pub(crate) fn compacted(&mut self) {
        self.done.remove(&HookPoint::PreCompact);
        (self.compaction, self.keeps) = (None, None);
    }
}
