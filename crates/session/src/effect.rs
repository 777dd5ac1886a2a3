//! What `decide` can name: the next move, and the effects that a runner carries out.

use codetether_event::{
    Brought, CallEvent, CheckPoint, Effort, Event, FilesEvent, HookPoint, ItemEvent, ItemId, ModelId,
    OnConflict, ResponseFormat, SampleEvent, SnapshotId, Temperature, ToolCall, UnixMillis, Verdict, Way,
    Work,
};

use crate::{Pair, Phase, State};

/// The next move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Facts that follow from the state; append them and decide again. Never empty.
    Append(Vec<Event>),
    /// Effects that may start now, side by side. Their intents are appended first. Never empty.
    Start(Vec<Effect>),
    /// Nothing to do until a fact arrives, or until this time.
    Wait {
        /// Decide again at this time at the latest.
        until: Option<UnixMillis>,
    },
    /// Nothing is under way and nothing will happen by itself: the session may be unloaded.
    Rest,
}

/// Work with a start and an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put together the system prompt, the tools and the first message of an epoch.
    Prepare {
        /// Its item.
        item: ItemId,
        /// The model that the epoch is for.
        model: ModelId,
        /// What its answers must be.
        format: ResponseFormat,
        /// The surest way of asking for that which is tried.
        way: Way,
        /// Files in work that gave way, to be shown anew, the latest first.
        files: Vec<String>,
        /// Files of instructions of entered folders that gave way, to be told anew.
        instructions: Vec<String>,
        /// Most bytes of the files, and of the instructions.
        room: u64,
    },
    /// Ask the model for an answer: one attempt.
    Sample {
        /// Its item.
        item: ItemId,
        /// The failed sample that it repeats.
        retry_of: Option<ItemId>,
        /// The model.
        model: ModelId,
        /// How hard it should think.
        effort: Option<Effort>,
        /// Most tokens of the answer.
        max_output: Option<u32>,
        /// How much is left to chance.
        temperature: Option<Temperature>,
    },
    /// Judge calls: validate their arguments, resolve their paths, match the rules.
    Authorize {
        /// Its item.
        item: ItemId,
        /// The calls.
        calls: Vec<ItemId>,
    },
    /// Remember the workspace's files.
    Snapshot {
        /// Its item.
        item: ItemId,
    },
    /// Put back what changed between snapshots.
    Restore {
        /// Its item.
        item: ItemId,
        /// The files before it.
        before: SnapshotId,
        /// Which changes, the earliest first.
        pairs: Vec<Pair>,
        /// Only in these files, relative to the root; in all when empty.
        files: Vec<String>,
        /// What becomes of files that the user has changed since.
        conflicts: OnConflict,
    },
    /// Run the hooks of a point.
    Hook {
        /// Its item.
        item: ItemId,
        /// The point.
        point: HookPoint,
    },
    /// Run the check of the turn's settings.
    Check {
        /// Its item.
        item: ItemId,
        /// When.
        point: CheckPoint,
    },
    /// Run a call that may run.
    Run {
        /// The call.
        call: ItemId,
    },
    /// Stop what is under way.
    Cancel {
        /// Its item.
        item: ItemId,
        /// What to stop.
        items: Vec<ItemId>,
    },
}

impl Effect {
    /// The item that starts with this effect.
    #[must_use]
    pub fn item(&self) -> ItemId {
        match self {
            Self::Prepare { item, .. }
            | Self::Sample { item, .. }
            | Self::Authorize { item, .. }
            | Self::Snapshot { item }
            | Self::Restore { item, .. }
            | Self::Hook { item, .. }
            | Self::Check { item, .. }
            | Self::Cancel { item, .. } => *item,
            Self::Run { call } => *call,
        }
    }
}

impl State {
    /// The fact that goes into the journal before this effect starts.
    #[must_use]
    pub fn intent(&self, effect: &Effect) -> Event {
        match effect {
            Effect::Prepare { item, .. } => {
                Event::Item(ItemEvent::Begun { item: *item, what: Work::Prepare })
            }
            Effect::Authorize { item, calls } => {
                Event::Item(ItemEvent::Begun { item: *item, what: Work::Authorize { calls: calls.clone() } })
            }
            Effect::Cancel { item, items } => {
                Event::Item(ItemEvent::Begun { item: *item, what: Work::Cancel { items: items.clone() } })
            }
            Effect::Sample { item, retry_of, model, .. } => {
                Event::Sample(SampleEvent::Started { item: *item, retry_of: *retry_of, model: model.clone() })
            }
            Effect::Hook { item, point } => {
                Event::Item(ItemEvent::Begun { item: *item, what: Work::Hook { point: *point } })
            }
            Effect::Check { item, point } => {
                Event::Item(ItemEvent::Begun { item: *item, what: Work::Check { point: *point } })
            }
            Effect::Snapshot { item } => Event::Item(ItemEvent::Begun { item: *item, what: Work::Snapshot }),
            Effect::Restore { item, before, .. } => {
                Event::Files(FilesEvent::Restoring { item: *item, before: before.clone() })
            }
            Effect::Run { call } => {
                let before = self.turn.as_ref().and_then(|turn| {
                    turn.call(*call).filter(|call| call.could_write()).and(turn.step.before.clone())
                });
                Event::Call(CallEvent::Started { item: *call, marker: self.marker(*call), before })
            }
        }
    }

    /// What the processes of a call carry in their environment, so that survivors of a crash can be found.
    #[must_use]
    pub fn marker(&self, call: ItemId) -> String {
        let session = self.session.map_or_else(String::new, |session| session.to_string());
        format!("{session}/{}/{call}", self.attempt.0)
    }

    /// The right to run a call: given only once it was allowed and its start is in the journal.
    #[must_use]
    pub fn permit(&self, item: ItemId) -> Option<Permit> {
        let call = self.turn.as_ref()?.call(item)?;
        match (&call.phase, &call.verdict) {
            (Phase::Running, Some(Verdict::Allow { .. })) => {
                let brought = call.child.as_ref().and_then(|child| child.brought.clone());
                Some(Permit { item, call: call.call.clone(), marker: self.marker(item), brought })
            }
            _ => None,
        }
    }
}

/// The right to run one call with the arguments that were judged. Only [`State::permit`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    item: ItemId,
    call: ToolCall,
    marker: String,
    brought: Option<Brought>,
}

impl Permit {
    /// The call's item.
    #[must_use]
    pub fn item(&self) -> ItemId {
        self.item
    }

    /// The call that was judged.
    #[must_use]
    pub fn call(&self) -> &ToolCall {
        &self.call
    }

    /// What the call is to bring into the workspace, when its child has made it: that is all that the permit is for then.
    #[must_use]
    pub fn brought(&self) -> Option<&Brought> {
        self.brought.as_ref()
    }

    /// For the environment of every process that the call starts.
    #[must_use]
    pub fn marker(&self) -> &str {
        &self.marker
    }
}
