//! What the model is told: a fixed prefix, and messages that are only appended within it. Between prefixes they may become
//! less: outputs of calls fold to a line each, then all but what must stay gives way to a summary.

use std::collections::BTreeSet;
use std::sync::Arc;

use codetether_event::{
    ContentPart, Input, ItemId, Message, Role, Seq, StopReason, TodoItem, Usage, frame, todo_lines,
};

use crate::past::Past;
use crate::{EpochInfo, Known};

/// Outputs of calls of at most so many bytes are not folded: the line would be no shorter.
const SHORT: usize = 400;

/// Bytes from which on a text is a summary although calls come with it.
const SUMMARY: usize = 200;

/// Most files that were written that a summary names.
const NAMED: usize = 100;

/// What the model is told: a fixed prefix and messages that are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The prefix in force.
    pub epoch: Option<EpochInfo>,
    /// The messages, in order.
    pub messages: Vec<Arc<Message>>,
    /// The files that it has seen.
    pub known: Known,
    /// What each of them is.
    kinds: Vec<Kind>,
    /// Where turns and steps began.
    marks: Vec<Mark>,
    /// The instructions that were told when the work entered their folders.
    entered: Vec<Entered>,
    /// Files that calls wrote.
    wrote: BTreeSet<String>,
    /// What the provider counted last.
    counted: Counted,
    /// Where the messages begin that ask for a summary, while one is asked for.
    pub(crate) summing: Option<usize>,
    /// Whether the model has answered since the last summary: until then, another one wins nothing.
    answered: bool,
    /// Whether someone asked for a summary.
    pub(crate) asked: bool,
    /// The lists of what the model has set itself to do, and the records that say so; the last one holds.
    todos: Vec<(Seq, Arc<[TodoItem]>)>,
    /// Files in work that gave way, to be shown anew, the latest first.
    pub(crate) to_show: Vec<String>,
    /// Files of instructions of entered folders that gave way, to be told anew.
    pub(crate) to_tell: Vec<String>,
    /// Most bytes of the files in work, and of the instructions.
    pub(crate) room: u64,
    /// What it was before it gave way.
    past: Past,
}

/// A file of instructions that was told when the work entered its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entered {
    /// The record that says so.
    seq: Seq,
    /// The call whose result told it; none where it was told anew.
    call: Option<ItemId>,
    /// The file, relative to the root.
    file: String,
}

/// How the context gives way to a summary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compacting {
    /// The record that says so.
    pub(crate) at: Seq,
    /// The record that began the first step that stays.
    pub(crate) keep: Option<Seq>,
    /// The turn whose prompts are what is being worked on.
    pub(crate) goal: Seq,
    /// Most bytes of files in work to show anew.
    pub(crate) room: u64,
}

/// What a message is, where it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// About the place, and instructions: never given up.
    Environment,
    /// What the user said in the turn that began with this record.
    Prompt(Option<Seq>),
    /// The results of these calls.
    Results(Vec<ItemId>),
    /// Anything else.
    Other,
}

/// Where a turn or a step began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// The record that began it.
    seq: Seq,
    /// How many messages there were.
    messages: usize,
    /// Whether it is a turn.
    is_turn: bool,
}

/// A number of tokens that a provider counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counted {
    tokens: u64,
    /// How many messages it had.
    messages: usize,
}

impl Context {
    /// The files of instructions, relative to the root, that were told when the work entered their folders.
    pub fn entered(&self) -> impl Iterator<Item = &str> {
        self.entered.iter().map(|entered| entered.file.as_str())
    }

    pub(crate) fn enter(&mut self, seq: Seq, call: Option<ItemId>, files: &[String]) {
        self.entered.extend(files.iter().map(|file| Entered { seq, call, file: file.clone() }));
    }

    pub(crate) fn push(&mut self, message: Message, kind: Kind) {
        self.messages.push(Arc::new(message));
        self.kinds.push(kind);
    }

    /// Makes messages of what the user said in a turn.
    pub(crate) fn take_in(&mut self, pending: &mut Vec<Input>, turn: Seq) {
        for input in pending.drain(..) {
            self.push(Message { role: Role::User, parts: input.parts }, Kind::Prompt(Some(turn)));
        }
    }

    /// A call wrote these files.
    pub(crate) fn wrote(&mut self, files: &[String]) {
        let room = NAMED.saturating_sub(self.wrote.len());
        self.wrote.extend(files.iter().take(room).cloned());
    }

    /// A turn or a step begins here.
    pub(crate) fn mark(&mut self, seq: Seq, is_turn: bool) {
        // What is tried again is the same step.
        let again = |mark: &Mark| !mark.is_turn && mark.messages == self.messages.len();
        if !is_turn && self.marks.last().is_some_and(again) {
            return;
        }
        self.marks.push(Mark { seq, messages: self.messages.len(), is_turn });
    }

    /// The record with which the turn or step began that this one belongs to; also where it gave way since, as long as it
    /// can be gone back to.
    #[must_use]
    pub fn began_before(&self, seq: Seq) -> Option<Seq> {
        self.began_all(|_| true).into_iter().take_while(|mark| *mark < seq).last()
    }

    /// The records with which turns began that can be gone back to.
    #[must_use]
    pub fn turns(&self) -> Vec<Seq> {
        self.began_all(|mark| mark.is_turn).into_iter().collect()
    }

    /// Whether some of the conversation gave way so long ago that it cannot go back there.
    #[must_use]
    pub fn has_lost_any(&self) -> bool {
        self.past.has_lost_any()
    }

    fn began_all(&self, wanted: impl Fn(&Mark) -> bool) -> BTreeSet<Seq> {
        let marks = self.past.all().chain([self]).flat_map(|context| &context.marks);
        marks.filter(|mark| wanted(mark)).map(|mark| mark.seq).filter(|seq| self.began(*seq)).collect()
    }

    /// Whether a turn or a step began with this record, and the conversation can go back there.
    pub(crate) fn began(&self, seq: Seq) -> bool {
        let context = self.past.at(seq).unwrap_or(self);
        !self.is_too_far_back(seq) && context.marks.iter().any(|mark| mark.seq == seq)
    }

    /// Whether the conversation gave way since this record, so long ago that it is not kept.
    pub(crate) fn is_too_far_back(&self, seq: Seq) -> bool {
        self.past.has_lost(seq)
    }

    /// Forgets what was said from there on; what gave way since then is there again. What follows needs a prefix of its
    /// own, since the provider knows the old one with other words behind it.
    pub(crate) fn rewind(&mut self, to: Seq) {
        if !self.began(to) {
            return;
        }
        let mut past = std::mem::take(&mut self.past);
        if let Some(before) = past.go_back(to) {
            *self = before;
        }
        self.past = past;
        let Some(at) = self.marks.iter().position(|mark| mark.seq == to) else { return };
        let Some(mark) = self.marks.drain(at..).next() else { return };
        self.truncate(mark.messages);
        self.entered.retain(|entered| entered.seq < to);
        self.known.rewind(to);
        self.todos.retain(|(seq, _)| *seq < to);
        self.to_show.clear();
        self.to_tell.clear();
        self.asked = false;
    }

    /// Files of the same names are others from now on.
    pub(crate) fn forget_files(&mut self) {
        self.known = Known::default();
        self.to_show.clear();
        self.to_tell.clear();
        self.past.forget_files();
    }

    /// The model has set itself to do this, in place of what it had before.
    pub(crate) fn set_todo(&mut self, seq: Seq, items: &[TodoItem]) {
        self.todos.push((seq, items.into()));
    }

    /// What the model has set itself to do.
    #[must_use]
    pub fn todo(&self) -> &[TodoItem] {
        self.todos.last().map_or(&[], |(_, items)| items)
    }

    /// Whether the model is asked for a summary.
    #[must_use]
    pub fn is_summing(&self) -> bool {
        self.summing.is_some()
    }

    /// Whether someone asked for a summary.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// Whether a summary was asked for, by someone or by the rules.
    pub(crate) fn is_to_give_way(&self) -> bool {
        self.asked || self.summing.is_some()
    }

    /// The turn of the last prompt.
    pub(crate) fn last_prompt(&self) -> Option<Seq> {
        self.kinds.iter().rev().find_map(|kind| match kind {
            Kind::Prompt(turn) => *turn,
            _ => None,
        })
    }

    /// Forgets the messages from there on, and so the prefix.
    pub(crate) fn truncate(&mut self, messages: usize) {
        self.rescale(|context| {
            context.messages.truncate(messages);
            context.kinds.truncate(messages);
        });
    }

    /// The model answered; its provider counted the tokens of all messages but the last, and those of that.
    pub(crate) fn count(&mut self, usage: &Usage) {
        self.answered |= self.summing.is_none();
        if usage.input > 0 {
            self.counted = Counted { tokens: usage.total(), messages: self.messages.len() };
        }
    }

    /// About how many tokens the next request has: what was counted last, and what came since.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let Counted { tokens, messages, .. } = self.counted;
        tokens.saturating_add(self.weight(messages) / 3)
    }

    /// Bytes of the messages from there on.
    pub(crate) fn weight(&self, from: usize) -> u64 {
        self.messages.iter().skip(from).map(|message| weight(&message.parts)).sum()
    }

    /// Where the messages end, but for those that ask for a summary and give it.
    fn end(&self) -> usize {
        self.summing.unwrap_or(self.messages.len())
    }

    /// Makes the messages others, so that a new prefix is needed, and what was counted a guess.
    fn rescale(&mut self, change: impl FnOnce(&mut Self)) {
        let (tokens, before) = (self.tokens(), self.weight(0));
        change(self);
        let bytes = self.weight(0);
        let tokens = u128::from(tokens) * u128::from(bytes) / u128::from(before.max(1));
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        self.counted = Counted { tokens, messages: self.messages.len() };
        self.epoch = None;
    }

    /// The start of the step before which outputs may be folded, and how many of them there are: where the last `whole`
    /// steps stay as they are, and at least a fifth of all is won.
    pub(crate) fn foldable(&self, whole: usize) -> Option<(Seq, usize)> {
        let steps = || self.marks.iter().rev().filter(|mark| !mark.is_turn);
        let mark = steps().nth(whole.saturating_sub(1))?;
        let outputs = self.outputs(mark.messages);
        let won: usize = outputs.clone().map(|(text, _)| text.len().saturating_sub(SHORT / 2)).sum();
        (won as u64 >= self.weight(0) / 5 && won > 0).then(|| (mark.seq, outputs.count()))
    }

    /// Outputs that folding would shorten, and the calls that they are of.
    fn outputs(&self, before: usize) -> impl Iterator<Item = (&str, ItemId)> + Clone {
        self.messages.iter().zip(&self.kinds).take(before).flat_map(|(message, kind)| {
            let items: &[ItemId] = match kind {
                Kind::Results(items) => items,
                _ => &[],
            };
            let results = message.parts.iter().filter_map(|part| match part {
                ContentPart::ToolResult(result) => Some(result.text.as_str()),
                _ => None,
            });
            results.zip(items.iter().copied()).filter(|(text, _)| text.len() > SHORT)
        })
    }

    /// These instructions give way, and are to be told anew.
    fn leave(&mut self, gone: impl Fn(&Entered) -> bool) {
        for Entered { file, .. } in self.entered.extract_if(.., |entered| gone(entered)) {
            if !self.to_tell.contains(&file) {
                self.to_tell.push(file);
            }
        }
    }

    /// Folds the outputs of calls before the step that began there to a line each, which says how to see them again.
    pub(crate) fn fold(&mut self, before: Seq, recalls: bool, room: u64) {
        let Some(mark) = self.marks.iter().find(|mark| mark.seq == before).copied() else { return };
        self.asked = false;
        // They were told with outputs that go.
        let gone: Vec<ItemId> = self.outputs(mark.messages).map(|(_, item)| item).collect();
        self.leave(|entered| entered.call.is_some_and(|call| gone.contains(&call)));
        self.room = room;
        self.rescale(|context| {
            let messages = context.messages.iter_mut().zip(&context.kinds).take(mark.messages);
            for (message, kind) in messages {
                let Kind::Results(items) = kind else { continue };
                if message.parts.iter().any(|part| matches!(part, ContentPart::Image { .. })) {
                    let parts = &mut Arc::make_mut(message).parts;
                    parts.retain(|part| !matches!(part, ContentPart::Image { .. }));
                }
                let results = Arc::make_mut(message).parts.iter_mut().filter_map(|part| match part {
                    ContentPart::ToolResult(result) => Some(result),
                    _ => None,
                });
                for (result, item) in results.zip(items).filter(|(result, _)| result.text.len() > SHORT) {
                    let (lines, bytes) = (result.text.lines().count(), result.text.len());
                    let again = match recalls {
                        true => format!("`recall` with the id \"{item}\" shows them"),
                        false => "make the call again to see them".to_owned(),
                    };
                    result.text = format!("[{lines} lines, {bytes} bytes, left out to save room; {again}]");
                }
            }
        });
    }

    /// What a summary would be in place of: the start of the first step that stays, with at most so many bytes after it,
    /// and how many messages go. None where less than a fifth would be won, and until the model has answered on the last
    /// one: so no end of summaries can follow on each other.
    pub(crate) fn droppable(&self, most: u64, turn: Seq) -> Option<(Option<Seq>, usize)> {
        let end = self.end();
        let (all, beyond) = (self.weight(0).saturating_sub(self.weight(end)), self.weight(end));
        let stays = |mark: &&Mark| self.weight(mark.messages).saturating_sub(beyond) <= most;
        let steps = self.marks.iter().rev().filter(|mark| !mark.is_turn && mark.messages <= end);
        let stays = steps.take_while(stays).last();
        let cut = stays.map_or(end, |mark| mark.messages);
        let first = self.kinds.iter().position(|kind| matches!(kind, Kind::Prompt(_)));
        let goes = |(at, kind): &(usize, &Kind)| {
            **kind != Kind::Environment && **kind != Kind::Prompt(Some(turn)) && Some(*at) != first
        };
        let going: Vec<usize> =
            self.kinds.iter().take(cut).enumerate().filter(goes).map(|(at, _)| at).collect();
        let won: u64 =
            going.iter().filter_map(|at| self.messages.get(*at)).map(|message| weight(&message.parts)).sum();
        (self.answered && won > 0 && won >= all / 5).then(|| (stays.map(|mark| mark.seq), going.len()))
    }

    /// Puts a summary, if the model has just given one, in place of all but what must stay: what is about the place, what
    /// the user said first and in this turn, and the steps from that one on.
    pub(crate) fn compact(&mut self, how: Compacting, stop: Option<&StopReason>) {
        let Compacting { at, keep, goal: turn, room } = how;
        let asked = self.end();
        let summary = self.summary(stop).unwrap_or_default();
        self.summing = None;
        self.asked = false;
        self.truncate(asked);
        let mut past = std::mem::take(&mut self.past);
        past.keep(at, self.clone());
        self.past = past;
        self.answered = false;
        self.to_show = if room > 0 { self.known.before(keep) } else { Vec::new() };
        self.room = room;
        self.rescale(|context| {
            let mark = keep.and_then(|keep| context.marks.iter().find(|mark| mark.seq == keep).copied());
            let cut = mark.map_or(asked, |mark| mark.messages);
            let stays = (context.messages.split_off(cut), context.kinds.split_off(cut));
            let gone = context.messages.len();
            let first = context.kinds.iter().position(|kind| matches!(kind, Kind::Prompt(_)));
            let before: Vec<_> =
                context.messages.drain(..).zip(context.kinds.drain(..)).enumerate().collect();
            let mut put = |wanted: &dyn Fn(usize, &Kind) -> bool| {
                for (at, (message, kind)) in &before {
                    if wanted(*at, kind) {
                        context.messages.push(message.clone());
                        context.kinds.push(kind.clone());
                    }
                }
            };
            let of_turn = |kind: &Kind| *kind == Kind::Prompt(Some(turn));
            // Where the turn can be taken back to.
            let own = context.marks.iter().find(|mark| mark.is_turn && mark.seq == turn).copied();
            put(&|_, kind| *kind == Kind::Environment);
            put(&|at, kind| Some(at) == first && !of_turn(kind));
            // What gave way with the steps is put back whole; what stands in those that stay is there.
            let last = context.todos.pop();
            let todo = last.as_ref().filter(|(seq, _)| keep.is_none_or(|keep| *seq < keep));
            let todo = todo.map(|(_, items)| todo_lines(items)).unwrap_or_default();
            context.todos = last.into_iter().collect();
            let told = told(summary.trim(), gone, &context.wrote, &todo);
            context.messages.push(Arc::new(Message::user(told)));
            context.kinds.push(Kind::Other);
            let said = context.messages.len();
            for (_, (message, kind)) in before.iter().filter(|(_, (_, kind))| of_turn(kind)) {
                context.messages.push(message.clone());
                context.kinds.push(kind.clone());
            }
            let begins = context.messages.len();
            context.messages.extend(stays.0);
            context.kinds.extend(stays.1);
            let stays = |mark: &Mark| keep.is_some_and(|keep| mark.seq >= keep);
            context.marks.retain(|mark| stays(mark) && (cut..=asked).contains(&mark.messages));
            for mark in &mut context.marks {
                mark.messages = mark.messages.saturating_sub(cut).saturating_add(begins);
            }
            if let Some(own) = own.filter(|own| !context.marks.iter().any(|mark| mark.seq == own.seq)) {
                context.marks.insert(0, Mark { messages: said, ..own });
            }
            context.known.forget_before(keep);
            context.leave(|entered| keep.is_none_or(|keep| entered.seq < keep));
        });
    }

    /// The summary that the model has just given, if it is one.
    pub(crate) fn summary(&self, stop: Option<&StopReason>) -> Option<String> {
        let given = self.messages.iter().skip(self.summing?).rfind(|message| message.role == Role::Assistant);
        summary_of(given?, stop)
    }

    /// What was given in the place of a summary is forgotten; it is still asked for.
    pub(crate) fn ask_again_for_summary(&mut self) {
        if let Some(asked) = self.summing {
            self.truncate(asked.saturating_add(1));
        }
    }

    /// Takes back that a summary was asked for.
    pub(crate) fn give_up_summing(&mut self) {
        if let Some(asked) = self.summing.take() {
            self.truncate(asked);
        }
    }
}

/// What stands in the place of what was dropped.
fn told(summary: &str, gone: usize, wrote: &BTreeSet<String>, todo: &str) -> String {
    let mut text = match summary {
        "" => format!(
            "[{gone} messages before this were dropped, since they no longer fit; look again at what you need]"
        ),
        summary => {
            let summary = frame::inside("summary", summary);
            format!("<summary of=\"{gone} messages before this\">\n{summary}\n</summary>")
        }
    };
    if !wrote.is_empty() {
        let more = if wrote.len() == NAMED { " and more" } else { "" };
        let names: Vec<&str> = wrote.iter().map(String::as_str).collect();
        text.push_str(&format!("\nFiles that were written so far: {}{more}", names.join(", ")));
    }
    if !todo.is_empty() {
        text.push_str(&format!(
            "\nYour list of things to do, as you left it (`todo` changes it):\n{}",
            todo.trim_end()
        ));
    }
    text
}

/// The summary that an answer is, if it is one: what comes with calls, and is short, only says what the calls are for.
fn summary_of(answer: &Message, stop: Option<&StopReason>) -> Option<String> {
    let text = answer.text().trim().to_owned();
    match stop? {
        StopReason::EndTurn if answer.calls().next().is_none() => Some(text),
        StopReason::MaxOutput => Some(format!("{text}\n[the summary was cut off here]")),
        StopReason::EndTurn | StopReason::ToolUse if text.len() >= SUMMARY => Some(text),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

/// About as many bytes as this has in a request.
pub(crate) fn weight(parts: &[ContentPart]) -> u64 {
    let of = |part: &ContentPart| match part {
        ContentPart::Text { text } | ContentPart::Reasoning { text, .. } => text.len(),
        ContentPart::Image { .. } => 4_000,
        ContentPart::ToolCall(call) => call.sent_name().len().saturating_add(call.sent_arguments().len()),
        ContentPart::ToolResult(result) => result.text.len(),
    };
    parts.iter().map(|part| of(part) as u64).sum()
}
