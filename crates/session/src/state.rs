//! What a journal folds to.

use std::collections::{BTreeMap, HashSet};

use codetether_event::{
    Answer, AskId, AskKind, Attempt, Audience, BlobId, Input, InterruptReason, ItemId, ModelId, Money, OpId,
    Outcome, Parent, Principal, ProviderFailure, ResponseFormat, Seq, SessionId, Sight, SnapshotId,
    StopReason, Tier, ToolCall, ToolName, ToolResult, TurnId, TurnSettings, UnixMillis, Usage, Verdict, Way,
};

use crate::child::Child;
use crate::{Checking, Context, Files, Hooking, Processes};

/// Everything that the next move depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The session's id, once it was opened.
    pub session: Option<SessionId>,
    /// The session that started it, if one did.
    pub parent: Option<Parent>,
    /// The folder it works in.
    pub root: String,
    /// Its title, if it was given one.
    pub title: Option<String>,
    /// The ownership under which records are written now.
    pub attempt: Attempt,
    /// The position of the next record.
    pub next: Seq,
    /// The time of the last record: the only clock there is.
    pub now: UnixMillis,
    /// Who can answer asks.
    pub audience: Option<Audience>,
    /// Rules that were allowed for the rest of the session.
    pub grants: Vec<String>,
    /// Rules for hosts that were allowed for the rest of the session.
    pub hosts: Vec<String>,
    /// What the model is told.
    pub context: Context,
    /// What was spent. Never rewinds.
    pub ledger: Ledger,
    /// The turn under way.
    pub turn: Option<Turn>,
    /// What became of the workspace's files. Never rewinds.
    pub files: Files,
    /// Tokens of the contexts of models, as their servers say.
    pub windows: BTreeMap<ModelId, u32>,
    /// What runs in the background.
    pub processes: Processes,
    /// How the last turn ended.
    pub last: Option<Outcome>,
    /// Where the hooks of the session's start have run: since it was opened or taken up, and as long as what they said is
    /// there.
    pub greeted: Option<Seq>,
    /// Whether what they had said gave way to a summary.
    pub summed_up: bool,
    /// Operations that were taken in already.
    pub(crate) seen: HashSet<OpId>,
    /// Whether a newer build wrote something that this one does not know.
    pub read_only: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            session: None,
            parent: None,
            root: String::new(),
            title: None,
            attempt: Attempt(1),
            next: Seq(1),
            now: UnixMillis(0),
            audience: None,
            grants: Vec::new(),
            hosts: Vec::new(),
            context: Context::default(),
            ledger: Ledger::default(),
            turn: None,
            files: Files::default(),
            windows: BTreeMap::new(),
            processes: Processes::default(),
            last: None,
            greeted: None,
            summed_up: false,
            seen: HashSet::new(),
            read_only: false,
        }
    }
}

/// A fixed prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochInfo {
    /// Position of the record that opened it; names it.
    pub seq: Seq,
    /// The model that it is for.
    pub model: ModelId,
    /// The system prompt.
    pub system: BlobId,
    /// The tools, as a JSON array.
    pub tools: BlobId,
    /// The selection of tools that it answers to.
    pub offered: Option<Vec<ToolName>>,
    /// What its answers must be.
    pub format: ResponseFormat,
    /// The surest way of asking for that which is still tried.
    pub way: Way,
    /// What the turn's settings add to the system prompt.
    pub supplement: Option<BlobId>,
    /// Whether the model has answered on it.
    pub answered: bool,
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Tokens of all samples.
    pub usage: Usage,
    /// What they cost, as far as prices are known.
    pub cost: Money,
    /// Samples whose price is not known.
    pub unpriced: u64,
    /// Samples asked for, retries among them.
    pub samples: u64,
    /// What of the cost is that of children.
    pub children: Money,
}

/// A prompt until rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// When it began.
    pub started: UnixMillis,
    /// Who asked.
    pub by: Principal,
    /// Whether it has no prompt, and only puts a summary in the place of what was said.
    pub compacting: bool,
    /// What holds during it.
    pub settings: TurnSettings,
    /// The model that is asked: that of the settings, or one that it fell back to.
    pub model: ModelId,
    /// How many of the settings' `fallback` were taken.
    pub fallbacks: usize,
    /// The tier that its model is of, where it was routed.
    pub tier: Tier,
    /// The model that is asked for a summary, where that is another.
    pub summarist: Option<ModelId>,
    /// Calls running that could not be made: of no tool there is, or with arguments that do not fit.
    pub invalid: u32,
    /// Milliseconds that do not count against its time: an ask was open, or nobody owned the session.
    pub paused: u64,
    /// What the user said that no sample has seen yet.
    pub pending: Vec<Input>,
    /// Answers asked for, retries not counted.
    pub steps: u32,
    /// The preparation under way.
    pub preparing: Option<ItemId>,
    /// The judging under way, and the calls that it has yet to judge.
    pub authorizing: Option<(ItemId, Vec<ItemId>)>,
    /// The snapshot under way.
    pub snapshotting: Option<ItemId>,
    /// The sample under way.
    pub sampling: Option<ItemId>,
    /// The last sample, if it failed.
    pub failed: Option<FailedSample>,
    /// Why the last answer stopped, until the next one is asked for.
    pub answered: Option<StopReason>,
    /// What is wrong with the last answer, if it does not fit its schema.
    pub misfit: Option<String>,
    /// How often the model was told so.
    pub misfits: u32,
    /// The way by which the answer must be asked for, where a surer one was refused.
    pub way: Option<Way>,
    /// The calls of the last answer.
    pub step: Step,
    /// The asks that are open.
    pub asks: Vec<OpenAsk>,
    /// Connections that wait for an ask which is not open yet.
    pub knocks: Vec<Knock>,
    /// Asks of children that need no answer any more and may still be open here.
    pub settled: Vec<String>,
    /// Since when at least one ask has been open.
    pub asking_since: Option<UnixMillis>,
    /// What failed on our side.
    pub fault: Option<String>,
    /// That it is to stop.
    pub interrupted: Option<InterruptReason>,
    /// Whether what was under way has been told to stop.
    pub cancelled: bool,
    /// The last step's calls and results, as a hash, and how many steps running had the same.
    pub repeat: Option<(u64, u32)>,
    /// Whether the model was told that it goes in circles, and has not left the circle since.
    pub nudged: bool,
    /// Calls that permission refused.
    pub refused: Vec<Refusal>,
    /// How far its hooks have come.
    pub hooks: Hooking,
    /// How far its check has come.
    pub checking: Checking,
}

impl Turn {
    /// The call of that item.
    #[must_use]
    pub fn call(&self, item: ItemId) -> Option<&Call> {
        self.step.calls.iter().find(|call| call.item == item)
    }

    /// When its time is up; none while nobody counts.
    #[must_use]
    pub fn deadline(&self) -> Option<UnixMillis> {
        if !self.asks.is_empty() {
            return None;
        }
        self.settings.max_time_ms.map(|limit| self.started.plus(limit).plus(self.paused))
    }

    /// The items under way that end by a fact of their own.
    pub fn open(&self) -> impl Iterator<Item = ItemId> {
        let authorizing = self.authorizing.as_ref().map(|(item, _)| *item);
        let hooking = self.hooks.running.map(|(item, _)| item);
        let checking = self.checking.running.map(|(item, _)| item);
        let work = [self.preparing, authorizing, self.snapshotting, self.sampling, hooking, checking];
        let work = work.into_iter().flatten();
        work.chain(self.step.calls.iter().filter(|call| call.phase == Phase::Running).map(|call| call.item))
    }
}

/// A sample that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedSample {
    /// Its item.
    pub item: ItemId,
    /// How.
    pub failure: ProviderFailure,
    /// When.
    pub at: UnixMillis,
    /// When the first try of this step failed.
    pub first_at: UnixMillis,
    /// Tries of this step so far.
    pub tries: u32,
    /// Chance for the time before the next try, in thousandths.
    pub jitter: u16,
}

/// One answer's calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// In the order in which the model made them.
    pub calls: Vec<Call>,
    /// Whether any of them wrote a file.
    pub wrote: bool,
    /// Whether any of them was started.
    pub ran: bool,
    /// The files as they are before the next call that could write.
    pub before: Option<SnapshotId>,
}

impl Step {
    /// Whether nothing before this call can change anything any more: all that could write has ended.
    #[must_use]
    pub fn is_settled_before(&self, item: ItemId) -> bool {
        let before = self.calls.iter().take_while(|call| call.item != item);
        before.into_iter().all(|call| matches!(call.phase, Phase::Ended(_)) || !call.could_write())
    }

    /// Whether every call has ended (also when there is none).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.calls.iter().all(|call| matches!(call.phase, Phase::Ended(_)))
    }
}

/// A call and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its item.
    pub item: ItemId,
    /// As the model made it.
    pub call: ToolCall,
    /// The last judgement.
    pub verdict: Option<Verdict>,
    /// Whether someone has allowed this very call.
    pub granted: bool,
    /// Whether it was judged more than once, so that its verdict came after those of its answer.
    pub judged_again: bool,
    /// The child that it started.
    pub child: Option<Child>,
    /// How far it has come.
    pub phase: Phase,
    /// What it shows beside its result.
    pub images: Vec<Sight>,
}

impl Call {
    /// Whether it could write; a call that is not judged yet counts as one that could. A question changes nothing.
    #[must_use]
    pub fn could_write(&self) -> bool {
        let reads = matches!(
            self.verdict,
            Some(Verdict::Allow { writes: false, .. } | Verdict::Ask { ask: AskKind::Question(_) })
        );
        !reads
    }
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// To be judged: for the first time, or again.
    Proposed,
    /// Judged.
    Judged,
    /// Someone was asked.
    Asked(AskId),
    /// Someone said no.
    Declined(Option<String>),
    /// The user answered the question that it is.
    Answered(Answer),
    /// Under way.
    Running,
    /// Over.
    Ended(ToolResult),
}

/// An open ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAsk {
    /// Its id.
    pub ask: AskId,
    /// The call that waits for it.
    pub item: ItemId,
    /// What is asked.
    pub kind: AskKind,
}

/// A connection of a command that waits to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knock {
    /// The call that runs.
    pub item: ItemId,
    /// Where it wants to go, as `host:port`.
    pub target: String,
    /// What is to be asked.
    pub ask: AskKind,
}

/// A call that permission refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The call.
    pub item: ItemId,
    /// The tool.
    pub tool: ToolName,
    /// The rule or mode that refused it.
    pub rule: String,
}
