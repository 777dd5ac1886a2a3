//! What a run came to: tokens, steps, calls, refusals, the last message.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use codetether_agent::Frame;
use codetether_event::{
    CallEvent, CheckStatus, ChildEvent, ContextEvent, ContextSource, Event, ItemId, Message, Money,
    ProcessEvent, ProviderFailure, Reading, Record, Role, SampleEvent, SampleOutcome, ToolName, Tries,
    TurnEvent, TurnId, Usage, Verdict,
};
use serde_json::Value;

use crate::printer;
use crate::run::progress::shortened;

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) steps: u32,
    pub(crate) calls: u32,
    pub(crate) usage: Usage,
    /// What it cost; absent when any of it has no known price.
    pub(crate) cost: Option<Money>,
    /// The version of the prices that the last of it was reckoned with.
    pub(crate) priced_by: Option<String>,
    pub(crate) last_message: String,
    /// The last answer that had the form that was asked for.
    pub(crate) value: Option<Value>,
    /// The tools that were refused, and what refused them.
    pub(crate) refused: Vec<(ToolName, String)>,
    pub(crate) wrote: BTreeSet<String>,
    /// The last check: what was run, and how it ended.
    pub(crate) check: Option<(String, CheckStatus)>,
    /// Which of how many tries it is, where it may be more than one.
    pub(crate) tries: Option<Tries>,
    /// What runs in the background.
    pub(crate) processes: BTreeMap<ItemId, String>,
    names: HashMap<ItemId, ToolName>,
    /// Whether the model sums up for itself: that is neither a step nor an answer.
    pub(crate) summing: bool,
    samples: u32,
    /// Whether the last request brought no answer.
    unanswered: bool,
    /// How the provider failed, where it has not answered since.
    pub(crate) failed: Option<ProviderFailure>,
}

impl Figures {
    /// Counts what belongs to the turn.
    pub(crate) fn see(&mut self, frame: &Frame, turn: TurnId) {
        let Frame::Record(record) = frame else { return };
        if record.turn == Some(turn) {
            self.count(record);
        }
    }

    /// Counts what of the turn came before this process watched.
    pub(crate) fn learn(&mut self, records: &[Record], turn: TurnId) {
        records.iter().filter(|record| record.turn == Some(turn)).for_each(|record| self.count(record));
    }

    fn name(&mut self, record: &Record, message: &Message) {
        let calls = message.calls().enumerate();
        self.names.extend(calls.map(|(n, call)| (ItemId::call(record.seq, n), call.name.clone())));
    }

    fn spend(&mut self, usage: Usage, cost: Option<Money>) {
        self.usage += usage;
        self.samples += 1;
        self.cost = match (self.samples, self.cost, cost) {
            (1, _, cost) => cost,
            (_, Some(before), Some(cost)) => Some(before + cost),
            _ => None,
        };
    }

    fn count(&mut self, record: &Record) {
        match &record.event {
            Event::Context(ContextEvent::Added { source: ContextSource::Summary, .. }) => self.summing = true,
            Event::Context(ContextEvent::Compacted { .. }) => self.summing = false,
            // What was not answered is asked for again, also of another model, in another way, or with less before it: as
            // the same step.
            Event::Sample(SampleEvent::Started { retry_of: None, .. }) if !self.summing => {
                self.steps += u32::from(!std::mem::take(&mut self.unanswered));
            }
            Event::Sample(SampleEvent::Ended {
                outcome, message, structured, usage, cost, prices, ..
            }) => {
                if !self.summing {
                    self.unanswered = matches!(outcome, SampleOutcome::Failed { .. } | SampleOutcome::Lost);
                }
                match outcome {
                    SampleOutcome::Answered { .. } => self.failed = None,
                    SampleOutcome::Failed { failure } => self.failed = Some(failure.clone()),
                    SampleOutcome::Interrupted | SampleOutcome::Lost => {}
                }
                self.spend(*usage, *cost);
                self.priced_by = prices.clone().or(self.priced_by.take());
                self.value = match structured.as_ref().and_then(|structured| structured.reading.as_ref()) {
                    Some(Reading::Fits { value, .. }) => Some((**value).clone()),
                    _ => None,
                };
                let answer = message.as_ref().filter(|message| message.role == Role::Assistant);
                if let Some(message) = answer.filter(|_| !self.summing) {
                    self.last_message = message.text();
                    self.name(record, message);
                }
            }
            Event::Call(CallEvent::Authorized { item, verdict: Verdict::Deny { rule }, .. }) => {
                let name = self.names.get(item).cloned().unwrap_or_else(|| ToolName::new("?"));
                self.refused.push((name, rule.clone()));
            }
            Event::Turn(TurnEvent::Started { settings, .. }) => {
                self.tries = settings.check.as_ref().and_then(|check| check.tries);
            }
            Event::Turn(TurnEvent::Checked { command, status, .. }) => {
                self.check = Some((command.clone(), status.clone()));
            }
            // What a child spent is in no sample of this session.
            Event::Child(ChildEvent::Ended { usage, cost, .. }) if usage.total() > 0 => {
                self.spend(*usage, *cost)
            }
            // Its call starts once more, to bring in what the child made.
            Event::Child(ChildEvent::Brought { .. }) => self.calls = self.calls.saturating_sub(1),
            Event::Call(CallEvent::Started { .. }) => self.calls += 1,
            Event::Call(CallEvent::Ended { wrote, .. }) => self.wrote.extend(wrote.iter().cloned()),
            Event::Process(ProcessEvent::Started { item, command, .. }) => {
                self.processes.insert(*item, command.clone());
            }
            Event::Process(ProcessEvent::Exited { item, .. } | ProcessEvent::Lost { item, .. }) => {
                self.processes.remove(item);
            }
            _ => {}
        }
    }

    /// Another try begins: of those before it counts what they took, and nothing of what they did.
    pub(crate) fn anew(&mut self) {
        self.refused.clear();
        self.wrote.clear();
        self.last_message.clear();
        (self.value, self.check) = (None, None);
    }

    /// What the check said, and which try it was; nothing where none ran.
    pub(crate) fn checked(&self) -> Option<String> {
        let (command, status) = self.check.as_ref()?;
        let tries = match self.tries {
            Some(Tries { number, most }) => format!(", try {number} of {most}"),
            None => String::new(),
        };
        let code = if status.passed() { " (exit code 0)" } else { "" };
        let status = printer::plain(&status.to_string());
        Some(format!("check `{}` {status}{code}{tries}", shortened(command)))
    }

    /// That what runs in the background ends with the session; nothing where there is none.
    pub(crate) fn left_running(&self) -> Option<String> {
        let names: Vec<String> =
            self.processes.values().map(|command| format!("`{}`", shortened(command))).collect();
        match names.len() {
            0 => None,
            1 => Some(format!("ended what still ran in the background: {}", names.join(", "))),
            count => Some(format!(
                "ended {count} processes that still ran in the background: {}",
                names.join(", ")
            )),
        }
    }

    /// The last answer: the value, where it has a form.
    pub(crate) fn answer(&self) -> String {
        self.value.as_ref().map_or_else(|| self.last_message.clone(), Value::to_string)
    }

    /// The report of what was refused; empty when nothing was.
    pub(crate) fn refusals(&self) -> String {
        let lines =
            self.refused.iter().map(|(tool, rule)| format!("refused: `{tool}` ({})\n", printer::plain(rule)));
        lines.collect()
    }
}
