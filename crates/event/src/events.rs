//! Facts. Few variants a group; a group or variant arrives with its first real use.
//!
//! Each is written as an object whose `type` is `group.variant`, such as `sample.ended`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    Answer, AskId, Attempt, Audience, BlobId, CheckPoint, CheckStatus, ChildEvent, ContextEvent, EgressEvent,
    Evidence, FilesEvent, HookPoint, Input, ItemId, KnownFile, Message, ModelId, Money, Parent, Principal,
    ProcessEvent, ProviderFailure, Question, RawJson, Routed, Rung, Seq, SessionId, Sight, SnapshotId,
    Structured, Tier, ToolName, ToolResult, TurnSettings, Usage,
};

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session as a whole.
    Session(SessionEvent),
    /// A prompt until rest.
    Turn(TurnEvent),
    /// Work that has no richer start or end of its own.
    Item(ItemEvent),
    /// What the model is told.
    Context(ContextEvent),
    /// An answer asked of the model.
    Sample(SampleEvent),
    /// A tool call.
    Call(CallEvent),
    /// A question to whoever is there.
    Ask(AskEvent),
    /// The workspace's files as a whole.
    Files(FilesEvent),
    /// What commands wanted to reach and could not.
    Egress(EgressEvent),
    /// Processes that outlive their call.
    Process(ProcessEvent),
    /// A session that a call started.
    Child(ChildEvent),
    /// Something the user should know.
    Note(NoteEvent),
    /// Written by a newer build, kept verbatim. A session that holds one is read-only here.
    Unknown(RawJson),
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Session(event) => event.serialize(serializer),
            Self::Turn(event) => event.serialize(serializer),
            Self::Item(event) => event.serialize(serializer),
            Self::Context(event) => event.serialize(serializer),
            Self::Sample(event) => event.serialize(serializer),
            Self::Call(event) => event.serialize(serializer),
            Self::Ask(event) => event.serialize(serializer),
            Self::Files(event) => event.serialize(serializer),
            Self::Egress(event) => event.serialize(serializer),
            Self::Process(event) => event.serialize(serializer),
            Self::Child(event) => event.serialize(serializer),
            Self::Note(event) => event.serialize(serializer),
            Self::Unknown(raw) => raw.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Tag<'a> {
            #[serde(borrow)]
            r#type: Cow<'a, str>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let tag: Tag<'_> = serde_json::from_str(text).map_err(serde::de::Error::custom)?;
        let known = match tag.r#type.split_once('.').map_or("", |(group, _)| group) {
            "session" => serde_json::from_str(text).map(Self::Session),
            "turn" => serde_json::from_str(text).map(Self::Turn),
            "item" => serde_json::from_str(text).map(Self::Item),
            "context" => serde_json::from_str(text).map(Self::Context),
            "sample" => serde_json::from_str(text).map(Self::Sample),
            "call" => serde_json::from_str(text).map(Self::Call),
            "ask" => serde_json::from_str(text).map(Self::Ask),
            "files" => serde_json::from_str(text).map(Self::Files),
            "egress" => serde_json::from_str(text).map(Self::Egress),
            "process" => serde_json::from_str(text).map(Self::Process),
            "child" => serde_json::from_str(text).map(Self::Child),
            "note" => serde_json::from_str(text).map(Self::Note),
            _ => return Ok(Self::Unknown(RawJson(raw))),
        };
        // The journal's checksum has vouched for the bytes: what does not fit was written by a newer build.
        Ok(known.unwrap_or(Self::Unknown(RawJson(raw))))
    }
}

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let groups = [
            generator.subschema_for::<SessionEvent>(),
            generator.subschema_for::<TurnEvent>(),
            generator.subschema_for::<ItemEvent>(),
            generator.subschema_for::<ContextEvent>(),
            generator.subschema_for::<SampleEvent>(),
            generator.subschema_for::<CallEvent>(),
            generator.subschema_for::<AskEvent>(),
            generator.subschema_for::<FilesEvent>(),
            generator.subschema_for::<EgressEvent>(),
            generator.subschema_for::<ProcessEvent>(),
            generator.subschema_for::<ChildEvent>(),
            generator.subschema_for::<NoteEvent>(),
        ];
        schemars::json_schema!({
            "description": "A fact; `type` is `group.variant`. Expect further types from newer versions.",
            "anyOf": groups,
        })
    }
}

/// The session as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum SessionEvent {
    /// The first record of every journal.
    #[serde(rename = "session.opened")]
    Opened {
        /// Version of the journal's form: 1.
        schema: u32,
        /// The program that wrote it.
        build: String,
        /// The session's own id.
        session: SessionId,
        /// The folder it works in, absolute. Paths in other events are relative to it.
        root: String,
        /// Where it was forked from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked: Option<Fork>,
        /// The session that started it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// Another process took the session up.
    #[serde(rename = "session.adopted")]
    Adopted {
        /// Its ownership.
        attempt: Attempt,
        /// The program.
        build: String,
        /// The folder it works in from here on.
        root: String,
        /// Whether a turn that was under way goes on.
        go_on: bool,
    },
    /// Someone is there who can answer asks.
    #[serde(rename = "session.attached")]
    Attached {
        /// Who.
        audience: Audience,
    },
    /// Nobody is there any more.
    #[serde(rename = "session.detached")]
    Detached,
    /// The session was given a title.
    #[serde(rename = "session.renamed")]
    Renamed {
        /// The title.
        title: String,
    },
}

/// Where a session was forked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fork {
    /// The other session.
    pub session: SessionId,
    /// The last record that both share.
    pub at: Seq,
}

/// A prompt until rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum TurnEvent {
    /// A turn began.
    #[serde(rename = "turn.started")]
    Started {
        /// What the user said.
        input: Input,
        /// Who asked.
        by: Principal,
        /// What holds during the turn.
        settings: Box<TurnSettings>,
    },
    /// The user said something while the turn was under way.
    #[serde(rename = "turn.steered")]
    Steered {
        /// What the user said.
        input: Input,
        /// Who asked.
        by: Principal,
    },
    /// A turn that only puts a summary in the place of what was said: there is no prompt.
    #[serde(rename = "turn.compacting")]
    Compacting {
        /// Who asked.
        by: Principal,
        /// What holds during the turn.
        settings: Box<TurnSettings>,
    },
    /// A model failed for good, and the turn goes on with the next of its settings' `fallback`.
    #[serde(rename = "turn.fell_back")]
    FellBack {
        /// The model that goes on.
        model: ModelId,
        /// How the one before failed.
        failure: ProviderFailure,
    },
    /// It was decided which of the tiers' models is asked.
    #[serde(rename = "turn.routed")]
    Routed(Box<Routed>),
    /// The model was not enough, and the turn goes on with a larger one.
    #[serde(rename = "turn.escalated")]
    Escalated {
        /// The tier of that.
        tier: Tier,
        /// The model of that.
        model: ModelId,
        /// What shows that the one before was not.
        why: Evidence,
    },
    /// The hooks of a point have run.
    #[serde(rename = "turn.hooked")]
    Hooked {
        /// The item.
        item: ItemId,
        /// The point.
        point: HookPoint,
        /// Why one of them is against what comes next, and which one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocked: Option<String>,
        /// What they want the model to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
    },
    /// The check of the turn's settings has run.
    #[serde(rename = "turn.checked")]
    Checked {
        /// The item.
        item: ItemId,
        /// When.
        point: CheckPoint,
        /// What was run.
        command: String,
        /// How it ended.
        status: CheckStatus,
        /// Whether the work is right.
        passed: bool,
        /// What it wrote to standard output and standard error: the beginning and the end of it, where it is long.
        output: String,
        /// Bytes of it that were left out.
        #[serde(default, skip_serializing_if = "is_zero")]
        left_out: u64,
        /// How long it took.
        timing: Timing,
    },
    /// The turn is to stop: nothing new starts, and what is under way is cancelled.
    #[serde(rename = "turn.interrupted")]
    Interrupted {
        /// Why.
        reason: InterruptReason,
    },
    /// The turn is at rest.
    #[serde(rename = "turn.ended")]
    Ended {
        /// How it ended.
        outcome: Outcome,
    },
}

// The form that serde wants.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why a turn is to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterruptReason {
    /// Someone asked for it.
    Asked(Principal),
    /// Its time is up.
    TimeLimit,
    /// What the next request may cost does not fit under the limit; why, in words.
    CostLimit(String),
    /// Its owner ended in the middle of it, and it is not to be taken up again.
    Abandoned,
    /// Something of ours failed.
    Fault(String),
    /// A hook ended it; which one and why, in words.
    Hook(String),
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The model had nothing more to do.
    Completed,
    /// It was stopped.
    Interrupted,
    /// A limit was reached.
    LimitReached {
        /// Which.
        limit: LimitKind,
    },
    /// The provider failed for good.
    ProviderFailed {
        /// How.
        failure: ProviderFailure,
    },
    /// The answer never fitted the schema that was asked for.
    Misfit {
        /// What was wrong with the last one.
        problem: String,
    },
    /// The check of its settings says that the work is not right.
    CheckFailed {
        /// How it ended.
        status: CheckStatus,
    },
    /// Something of ours failed.
    Failed {
        /// What.
        error: String,
    },
    /// A hook ended it, or did not let the prompt pass.
    Blocked {
        /// Which one and why, in words.
        reason: String,
    },
}

/// A limit of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// The number of steps.
    Steps,
    /// The time.
    Time,
    /// The same call came back with the same result again and again.
    NoProgress,
    /// The number of tokens of one answer.
    Output,
    /// The money.
    Cost,
}

/// Work that has no richer start or end of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum ItemEvent {
    /// It is about to start.
    #[serde(rename = "item.begun")]
    Begun {
        /// The item.
        item: ItemId,
        /// What it is.
        what: Work,
    },
    /// It failed.
    #[serde(rename = "item.failed")]
    Failed {
        /// The item.
        item: ItemId,
        /// How.
        error: String,
    },
}

/// What an item without a richer start is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Putting together what an epoch is made of.
    Prepare,
    /// Judging calls; each gets a `call.authorized`.
    Authorize {
        /// The calls.
        calls: Vec<ItemId>,
    },
    /// Taking a snapshot of the workspace's files.
    Snapshot,
    /// Stopping what is under way; each ends by an event of its own.
    Cancel {
        /// What.
        items: Vec<ItemId>,
    },
    /// Running the hooks of a point.
    Hook {
        /// The point.
        point: HookPoint,
    },
    /// Running the check of the turn's settings.
    Check {
        /// When.
        point: CheckPoint,
    },
}

/// An answer asked of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum SampleEvent {
    /// The request is about to be sent.
    #[serde(rename = "sample.started")]
    Started {
        /// The item.
        item: ItemId,
        /// The failed sample that it repeats.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_of: Option<ItemId>,
        /// The model asked.
        model: ModelId,
    },
    /// The answer is there, or there will be none.
    #[serde(rename = "sample.ended")]
    Ended {
        /// The item.
        item: ItemId,
        /// What came of it.
        outcome: SampleOutcome,
        /// The answer, or as much of it as came before it was stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Message>,
        /// What came of it where it must have a form.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        structured: Option<Structured>,
        /// Tokens.
        usage: Usage,
        /// What it cost; absent when no price is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Money>,
        /// The version of the prices that the cost was reckoned with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prices: Option<String>,
        /// How long it took.
        timing: Timing,
        /// For a failure: chance for the time before the next try, in thousandths.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jitter: Option<u16>,
    },
}

/// What came of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SampleOutcome {
    /// An answer.
    Answered {
        /// Why the model stopped.
        stop: StopReason,
    },
    /// The one attempt failed.
    Failed {
        /// How.
        failure: ProviderFailure,
    },
    /// It was cancelled.
    Interrupted,
    /// Its owner ended before its end was known; it may have been paid for.
    Lost,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It was done.
    EndTurn,
    /// It waits for its calls' results.
    ToolUse,
    /// The limit of output tokens.
    MaxOutput,
    /// The provider or the model declined.
    Refused,
    /// Something else, in the provider's word.
    Other(String),
}

/// How long a sample or call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Milliseconds until the first piece came; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<u64>,
    /// Milliseconds until the end.
    pub total_ms: u64,
}

/// A tool call. Its item is named by the answer that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum CallEvent {
    /// It was judged.
    #[serde(rename = "call.authorized")]
    Authorized {
        /// The call.
        item: ItemId,
        /// The judgement.
        verdict: Verdict,
        /// How far its arguments had to be helped, if at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        helped: Option<Rung>,
    },
    /// It is about to run.
    #[serde(rename = "call.started")]
    Started {
        /// The call.
        item: ItemId,
        /// In the environment of every process that it starts, so that survivors of a crash are found.
        marker: String,
        /// The workspace's files before it, where it could change them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<SnapshotId>,
    },
    /// What it shows the model beside its result, which follows.
    #[serde(rename = "call.showed")]
    Showed {
        /// The call.
        item: ItemId,
        /// The images.
        images: Vec<Sight>,
    },
    /// It ended, or will never start.
    #[serde(rename = "call.ended")]
    Ended {
        /// The call.
        item: ItemId,
        /// What the model is told.
        result: ToolResult,
        /// The whole output, where the result holds only a part of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<BlobId>,
        /// Files that it wrote or removed, relative to the root.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<String>,
        /// Files that the model knows by it, as they were at its end.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<KnownFile>,
        /// How long it ran; absent when it never did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timing: Option<Timing>,
        /// The workspace's files after it, where it could change them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<SnapshotId>,
    },
}

/// The judgement of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// It may run.
    Allow {
        /// Whether it could write.
        writes: bool,
        /// The rule or mode that allows it.
        rule: String,
    },
    /// It may run if someone says so.
    Ask {
        /// What to show and to offer.
        ask: AskKind,
    },
    /// It may not run.
    Deny {
        /// The rule or mode that forbids it.
        rule: String,
    },
    /// Its arguments do not fit the tool.
    InvalidArguments {
        /// Where they do not, and what was expected.
        problems: String,
    },
    /// There is no such tool.
    UnknownTool {
        /// Names that come close, or all of them.
        offered: Vec<ToolName>,
    },
}

/// A question to whoever is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum AskEvent {
    /// It is open. Its id is the position of this record.
    #[serde(rename = "ask.opened")]
    Opened {
        /// The call that waits for it, or that a command of runs which does.
        item: ItemId,
        /// What is asked.
        ask: AskKind,
    },
    /// It was answered.
    #[serde(rename = "ask.answered")]
    Answered {
        /// Which.
        ask: AskId,
        /// How.
        answer: Answer,
        /// By whom.
        by: Principal,
    },
    /// Nobody will answer it: the turn was stopped, everyone left, or what waited for it has ended.
    #[serde(rename = "ask.withdrawn")]
    Withdrawn {
        /// Which.
        ask: AskId,
    },
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AskKind {
    /// May this call run?
    Permission {
        /// The tool.
        tool: ToolName,
        /// One line: what it would do.
        title: String,
        /// The exact command, or the change as a unified diff.
        detail: String,
        /// Why it is asked about, in words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
        /// The rules that "always" would add; none when no rule could allow it.
        #[serde(default, alias = "rule", deserialize_with = "one_or_many")]
        rules: Vec<String>,
        /// The file that "always" would add them to; without one they last as long as the session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// What does the user want? The answer is the call's result.
    Question(Question),
    /// May the command that runs reach this? Its connection waits for the answer, though not for ever.
    Egress {
        /// Where it wants to go, as `host:port`.
        target: String,
        /// Why it is asked about, in words.
        why: String,
        /// The rule of `sandbox.net` that would allow it.
        rule: String,
        /// The file that "always" would add it to; without one it lasts as long as the session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// A child asks.
    Child {
        /// Its session.
        session: SessionId,
        /// Its ask.
        ask: AskId,
        /// What it asks.
        asks: Box<AskKind>,
    },
}

impl AskKind {
    /// Why it is asked about, in words; may be empty.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Permission { why, .. } | Self::Egress { why, .. } => why,
            Self::Question(_) => "",
            Self::Child { asks, .. } => asks.why(),
        }
    }

    /// The rules that "session" and "always" would add; none when no rule could allow it.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        match self {
            Self::Permission { rules, .. } => rules,
            Self::Egress { rule, .. } => std::slice::from_ref(rule),
            Self::Question(_) => &[],
            Self::Child { asks, .. } => asks.rules(),
        }
    }

    /// The file that "always" would add them to.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Permission { file, .. } | Self::Egress { file, .. } => file.as_deref(),
            Self::Question(_) => None,
            Self::Child { asks, .. } => asks.file(),
        }
    }
}

/// Version 0.1.0 wrote one rule, as a text.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(rule) => vec![rule],
        OneOrMany::Many(rules) => rules,
    })
}

/// Something the user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum NoteEvent {
    /// A warning.
    #[serde(rename = "note.warned")]
    Warned {
        /// One line, or a few.
        text: String,
    },
    /// Time that was waited for has come.
    #[serde(rename = "note.woke")]
    Woke,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_tagged_by_group_and_variant() {
        let event =
            Event::Turn(TurnEvent::Ended { outcome: Outcome::LimitReached { limit: LimitKind::Steps } });
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"type":"turn.ended","outcome":{"kind":"limit_reached","limit":"steps"}}"#);
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn what_a_newer_build_wrote_is_kept_byte_for_byte() {
        for json in [
            r#"{"type":"swarm.planned","plan":{"z":1, "a":2}}"#,
            r#"{"type":"turn.paused"}"#,
            r#"{"type":"turn.ended","outcome":{"kind":"evaporated"}}"#,
        ] {
            let event: Event = serde_json::from_str(json).unwrap();
            assert!(matches!(event, Event::Unknown(_)), "{json}");
            assert_eq!(serde_json::to_string(&event).unwrap(), json);
        }
    }

    #[test]
    fn fields_of_newer_builds_are_passed_over() {
        let json = r#"{"type":"session.renamed","title":"x","colour":"red"}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        assert_eq!(event, Event::Session(SessionEvent::Renamed { title: "x".into() }));
    }
}
