//! What the conversation was before it gave way to summaries: kept at hand, so that it can go back there, but not without
//! a bound. Beyond that it is in the journal alone.

use std::sync::Arc;

use codetether_event::Seq;

use crate::{Context, Known};

/// Most bytes of messages that are kept at hand, besides those of the last time.
const KEPT: u64 = 8 << 20;

/// What the conversation was before it gave way, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Past {
    kept: Vec<Before>,
    /// Before this record nothing is kept.
    lost: Option<Seq>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Before {
    /// The record by which it gave way.
    at: Seq,
    context: Arc<Context>,
    /// Bytes of its messages.
    weight: u64,
}

impl Past {
    /// The conversation as it is gives way by the record at `at`.
    pub(crate) fn keep(&mut self, at: Seq, context: Context) {
        let weight = context.weight(0);
        self.kept.push(Before { at, context: Arc::new(context), weight });
        while self.kept.len() > 1 && self.kept.iter().map(|before| before.weight).sum::<u64>() > KEPT {
            self.lost = Some(self.kept.remove(0).at);
        }
    }

    /// What the conversation was at a record, where it gave way since.
    pub(crate) fn at(&self, seq: Seq) -> Option<&Context> {
        self.kept.iter().find(|before| before.at > seq).map(|before| &*before.context)
    }

    /// Whether what was before a record is not kept.
    pub(crate) fn has_lost(&self, seq: Seq) -> bool {
        self.lost.is_some_and(|lost| seq < lost)
    }

    /// Whether anything is not kept.
    pub(crate) fn has_lost_any(&self) -> bool {
        self.lost.is_some()
    }

    /// Goes back to what the conversation was at a record: gives that, and forgets what came after it.
    pub(crate) fn go_back(&mut self, seq: Seq) -> Option<Context> {
        let at = self.kept.iter().position(|before| before.at > seq)?;
        let before = self.kept.drain(at..).next()?;
        Some(Arc::unwrap_or_clone(before.context))
    }

    /// All that is kept, the earliest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Context> {
        self.kept.iter().map(|before| &*before.context)
    }

    /// Files of the same names are others from now on.
    pub(crate) fn forget_files(&mut self) {
        for before in &mut self.kept {
            Arc::make_mut(&mut before.context).known = Known::default();
        }
    }
}
