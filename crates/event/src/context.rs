//! What the model is told: the fixed prefix, and how what follows it changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    BlobId, ItemId, KnownFile, Message, ModelId, Principal, ResponseFormat, Seq, TodoItem, ToolName, Way,
};

/// What the model is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum ContextEvent {
    /// A new fixed prefix; messages follow it and are only ever appended.
    #[serde(rename = "context.epoch")]
    Epoch {
        /// The item that prepared it.
        item: ItemId,
        /// The model it is for.
        model: ModelId,
        /// The system prompt.
        system: BlobId,
        /// The tools' names, descriptions and schemas, as a JSON array.
        tools: BlobId,
        /// The `turn.settings.tools` that it answers to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offered: Option<Vec<ToolName>>,
        /// What answers must be: the `turn.settings.format` that it answers to.
        #[serde(default, skip_serializing_if = "ResponseFormat::is_text")]
        format: ResponseFormat,
        /// The surest way of asking for that which is still tried.
        #[serde(default, skip_serializing_if = "is_native")]
        way: Way,
        /// The `turn.settings.supplement` that the system prompt ends with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supplement: Option<BlobId>,
    },
    /// A message that neither the user nor the model wrote.
    #[serde(rename = "context.added")]
    Added {
        /// The message.
        message: Message,
        /// Where it comes from.
        source: ContextSource,
    },
    /// The work entered folders with instructions of their own, which the result of a call told.
    #[serde(rename = "context.entered")]
    Entered {
        /// The call.
        item: ItemId,
        /// The files of instructions, relative to the root.
        files: Vec<String>,
    },
    /// Outputs of calls before a step give way to a line each; `recall` shows them again.
    #[serde(rename = "context.folded")]
    Folded {
        /// The record that began the step.
        before: Seq,
        /// How many outputs.
        outputs: u32,
        /// About how many tokens there were.
        tokens: u64,
    },
    /// All but what must stay gives way to the summary that was just given; where there was none, to a note.
    #[serde(rename = "context.compacted")]
    Compacted {
        /// The record that began the first step that stays; none does when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<Seq>,
        /// How many messages go.
        messages: u32,
        /// About how many tokens there were.
        tokens: u64,
    },
    /// The user asked that all but what must stay gives way to a summary, at the next step.
    #[serde(rename = "context.compaction_asked")]
    CompactionAsked {
        /// Who asked.
        by: Principal,
    },
    /// A summary that was asked for did not come: the conversation stays as it is, and the turn goes on with what the user
    /// has said meanwhile.
    #[serde(rename = "context.kept")]
    Kept {
        /// Why.
        why: String,
    },
    /// Files in work, or instructions of entered folders, that are shown anew, as they are now, after they gave way.
    #[serde(rename = "context.shown")]
    Shown {
        /// The item that read them.
        item: ItemId,
        /// What the model is told.
        message: Message,
        /// The files that it knows by it.
        known: Vec<KnownFile>,
        /// The files of instructions of entered folders that it tells, relative to the root.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        instructions: Vec<String>,
    },
    /// What the model has set itself to do, in place of what it had before.
    #[serde(rename = "context.todo")]
    Todo {
        /// The call.
        item: ItemId,
        /// The whole list.
        items: Vec<TodoItem>,
    },
    /// How long the context of a model is, as its server says.
    #[serde(rename = "context.window")]
    Window {
        /// The model.
        model: ModelId,
        /// Tokens of a request and its answer together.
        tokens: u32,
    },
    /// The conversation went back to what it was before a record, which began a turn or a step.
    #[serde(rename = "context.rewound")]
    Rewound {
        /// That record.
        to: Seq,
    },
}

/// Where an added message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContextSource {
    /// Instruction files (`AGENTS.md`) and facts about the machine.
    Environment,
    /// The policy against going in circles.
    NoProgress,
    /// What is wrong with an answer that does not fit its schema.
    Misfit,
    /// Files that went back to what they were, without the conversation.
    Restored,
    /// A summary is asked for, of what is to give way.
    Summary,
    /// Processes in the background that ended by themselves, or are lost.
    Process,
    /// What hooks have to say.
    Hook,
    /// What the check of the turn's settings says.
    Check,
}

fn is_native(way: &Way) -> bool {
    *way == Way::Native
}
