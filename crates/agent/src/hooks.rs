//! A user's own commands at the points of a session: which of them a point is for, one after the other in their order, and
//! what their answers come to. They can hold back and ask; only a user's own can allow, and only what would be asked.

mod answer;
mod calls;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codetether_event::{
    Event, HookPoint, InterruptReason, ItemId, Mode, NoteEvent, SessionId, TurnEvent, TurnId, frame,
};
use codetether_files::Root;
use codetether_permission::Matcher;
use codetether_sandbox::Audit;
use codetether_secret::Redactor;
use codetether_tool::Cancel;
use serde_json::{Map, Value, json};

pub(crate) use self::calls::{Call, Remembered};
use crate::confine::Sandbox;
use crate::hooks::answer::{Answer, Decision};
use crate::hooks::process::Ran;
use crate::redacted;

/// Bytes of a reason, or of what the model is to know, that are passed on.
const TOLD: usize = 16_000;

/// Bytes that all hooks of a point may tell the model together.
const TOLD_BY_ALL: usize = 4 * TOLD;

/// Characters of a command that name its hook.
const NAME: usize = 60;

/// How long the hooks of a session's end may take in all.
pub(crate) const AT_THE_END: Duration = Duration::from_secs(5);

/// A hook that is in force.
#[derive(Debug, Clone)]
pub struct Hook {
    /// When it runs.
    pub point: HookPoint,
    /// The calls that it is for; all when absent.
    pub matcher: Option<Matcher>,
    /// What `bash` runs.
    pub command: String,
    /// How long it may take.
    pub time: Duration,
    /// Where it is from, for people.
    pub from: String,
    /// What it can do.
    pub power: Power,
}

/// What a hook can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Hold back, ask, and allow what would be asked: the user's own.
    AllowsAsks,
    /// Hold back and ask: a project's.
    Narrows,
}

/// What it takes to run hooks, for one item.
#[derive(Clone)]
pub struct Hooks {
    pub(crate) hooks: Arc<Vec<Hook>>,
    pub(crate) root: Arc<Root>,
    pub(crate) environment: Arc<Vec<(OsString, OsString)>>,
    pub(crate) spool: PathBuf,
    /// The session's journal, which a hook outside of a sandbox can read.
    pub(crate) transcript: PathBuf,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) audit: Option<Audit>,
    pub(crate) session: Option<SessionId>,
    pub(crate) turn: Option<TurnId>,
    pub(crate) mode: Mode,
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    pub(crate) item: ItemId,
    pub(crate) marker: String,
}

/// What the hooks of a point said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Why one is against what comes next, and which one.
    pub blocked: Option<String>,
    /// Why one wants a person to be asked.
    pub asks: Option<String>,
    /// Which one allows what would be asked.
    pub allows: Option<String>,
    /// Why one ends the turn, and which one.
    pub stops: Option<String>,
    /// What they want the model to know, each marked as what it is.
    pub context: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// It was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl Said {
    /// What the user should know, as facts.
    pub(crate) fn notes(&mut self) -> Vec<Event> {
        let warnings = std::mem::take(&mut self.warnings).into_iter();
        warnings.map(|text| Event::Note(NoteEvent::Warned { text })).collect()
    }

    /// That the turn is to stop, as a fact.
    pub(crate) fn stop(&self) -> Option<Event> {
        let reason = InterruptReason::Hook(self.stops.clone()?);
        Some(Event::Turn(TurnEvent::Interrupted { reason }))
    }
}

impl Hooks {
    /// Whether any is for this point.
    pub(crate) fn has(&self, point: HookPoint) -> bool {
        self.hooks.iter().any(|hook| hook.point == point)
    }

    /// Runs the hooks of a point at the edge of a turn; the facts that follow.
    ///
    /// # Errors
    /// [`Interrupted`] when it was told to stop.
    pub(crate) async fn at(
        &self,
        point: HookPoint,
        input: Map<String, Value>,
        cancel: &Cancel,
    ) -> Result<Vec<Event>, Interrupted> {
        let mut said = self.run(point, &input, |_| true, cancel).await?;
        let mut facts = said.notes();
        let stop = said.stop();
        let against = matches!(point, HookPoint::UserPromptSubmit | HookPoint::PreCompact | HookPoint::Stop);
        // A prompt that ends the turn does not reach the model either.
        let ends = said.stops.take().filter(|_| point == HookPoint::UserPromptSubmit);
        let blocked = said.blocked.take().filter(|_| against).or(ends);
        let context = Some(said.context.join("\n")).filter(|context| !context.is_empty());
        facts.push(Event::Turn(TurnEvent::Hooked { item: self.item, point, blocked, context }));
        facts.extend(stop);
        Ok(facts)
    }

    /// Runs the hooks of a child's end: whether it may end, by [`Said::blocked`], whose reason the child is told then.
    /// `again` is whether it goes on for such a reason already; who calls this sees to it that it does not for ever.
    ///
    /// # Errors
    /// [`Interrupted`] when it was told to stop.
    pub async fn child_stop(&self, child: Child<'_>, cancel: &Cancel) -> Result<Said, Interrupted> {
        let Child { session, agent, last_message, again } = child;
        let input = object(json!({
            "agent_id": session,
            "agent_type": agent,
            "last_assistant_message": last_message,
            "stop_hook_active": again,
        }));
        self.run(HookPoint::ChildStop, &input, |_| true, cancel).await
    }

    /// Runs the hooks of the session's end, within a bound of time for all of them. What there is to say of them.
    pub(crate) async fn session_end(&self, reason: &str, within: Duration) -> Vec<Event> {
        let hooks = || self.hooks.iter().filter(|hook| hook.point == HookPoint::SessionEnd);
        let (end, input) = (Instant::now() + within, object(json!({ "reason": reason })));
        let mut said = Said::default();
        for (n, hook) in hooks().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let more = hooks().count().saturating_sub(n);
                said.warnings.push(format!(
                    "hooks of the session's end that were not run, since those before took the {} s that all have: {more}",
                    within.as_secs()
                ));
                break;
            }
            let hook = Hook { time: hook.time.min(left), ..hook.clone() };
            // Nobody tells it to stop.
            let _ = self.one(&hook, n, &input, &Cancel::new(), &mut said).await;
        }
        said.notes()
    }

    /// Runs those of the hooks that are for it. The first that is against it ends it: those after it are not run.
    pub(crate) async fn run(
        &self,
        point: HookPoint,
        input: &Map<String, Value>,
        wanted: impl Fn(&Hook) -> bool,
        cancel: &Cancel,
    ) -> Result<Said, Interrupted> {
        let mut said = Said::default();
        let hooks = self.hooks.iter().filter(|hook| hook.point == point && wanted(hook));
        for (n, hook) in hooks.enumerate() {
            self.one(hook, n, input, cancel, &mut said).await?;
            if said.blocked.is_some() || said.stops.is_some() {
                break;
            }
        }
        Ok(said)
    }

    async fn one(
        &self,
        hook: &Hook,
        number: usize,
        input: &Map<String, Value>,
        cancel: &Cancel,
        said: &mut Said,
    ) -> Result<(), Interrupted> {
        let mut told = object(json!({
            "session_id": self.session,
            "turn_id": self.turn,
            "transcript_path": self.transcript,
            "cwd": self.root.path(),
            "permission_mode": self.mode,
            "hook_event_name": hook.point,
        }));
        told.extend(input.clone());
        let mut told = Value::Object(told);
        // Text by text, since a secret may stand there with escapes once it is JSON.
        redacted::value(&self.redactor, &mut told);
        let input = told.to_string();
        let ran = process::run(self, hook, number, &input, cancel).await?;
        // What is said of it names it by its command, which may hold a secret.
        let hook = &Hook { command: self.redactor.redact(&hook.command).into_owned(), ..hook.clone() };
        let named = format!("hook `{}` of {} ({})", name(hook), hook.point, hook.from);
        match ran {
            Ran::Ended { warnings, answer } => {
                said.warnings.extend(warnings.into_iter().map(|warning| format!("{named}: {warning}")));
                said.take(hook, &named, answer);
            }
            Ran::Failed(problem) => said.warnings.push(format!("{named}: {problem}; the work goes on")),
        }
        Ok(())
    }
}

/// A child that is done.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// Its session.
    pub session: SessionId,
    /// What kind of agent it is.
    pub agent: &'a str,
    /// What it said last.
    pub last_message: &'a str,
    /// Whether it goes on because a hook was against its end.
    pub again: bool,
}

impl Said {
    /// Takes in what a hook answered, as far as it can have a say there.
    fn take(&mut self, hook: &Hook, named: &str, answer: Answer) {
        let Answer { decision, reason, stops, context, message } = answer;
        self.warnings.extend(message.map(|message| format!("{named}: {}", cut(&message))));
        let reason = cut(reason.trim());
        let reason = if reason.is_empty() { "it gives no reason".into() } else { reason };
        let by = || format!("hook `{}`: {reason}", name(hook));
        match (hook.point, decision) {
            (_, None) => {}
            (
                HookPoint::PreToolUse
                | HookPoint::PermissionRequest
                | HookPoint::PostToolUse
                | HookPoint::UserPromptSubmit
                | HookPoint::PreCompact
                | HookPoint::Stop
                | HookPoint::ChildStop,
                Some(Decision::Block),
            ) => self.blocked = Some(by()),
            (HookPoint::SessionStart | HookPoint::SessionEnd, Some(Decision::Block)) => {
                self.warnings.push(format!("{named} is against it, which it cannot hold back: {reason}"));
            }
            (HookPoint::PreToolUse, Some(Decision::Ask)) => self.asks = Some(by()),
            (HookPoint::PermissionRequest, Some(Decision::Allow)) => match hook.power {
                Power::AllowsAsks => self.allows = Some(by()),
                Power::Narrows => {
                    self.warnings.push(format!("{named} allows the call, which a project's hook cannot"));
                }
            },
            // What is not held back goes on as it would without a hook.
            (_, Some(Decision::Allow | Decision::Ask)) => {}
        }
        if let Some(reason) = stops {
            match hook.point {
                HookPoint::SessionEnd => {}
                _ => self.stops = Some(format!("hook `{}` ends the turn: {}", name(hook), cut(&reason))),
            }
        }
        if let Some(context) = context.filter(|context| !context.trim().is_empty()) {
            match hook.point {
                HookPoint::SessionStart
                | HookPoint::UserPromptSubmit
                | HookPoint::PostToolUse
                | HookPoint::PreCompact => {
                    let told: usize = self.context.iter().map(String::len).sum();
                    let more = marked(hook, &context);
                    if told.saturating_add(more.len()) > TOLD_BY_ALL {
                        self.warnings.push(format!(
                            "{named}: what it says was left out, since all hooks of a point may tell the model {TOLD_BY_ALL} bytes"
                        ));
                    } else {
                        self.context.push(more);
                    }
                }
                _ => self.warnings.push(format!("{named}: `additionalContext` has no effect there")),
            }
        }
    }
}

/// What a hook said, for the model: it begins and ends where the hook's words do.
fn marked(hook: &Hook, text: &str) -> String {
    let cut = cut(text.trim());
    let (inside, command) = (frame::inside("hook", &cut), frame::quoted(&name(hook).replace('"', "'")));
    format!("<hook point=\"{}\" command=\"{command}\">\n{inside}\n</hook>", hook.point)
}

/// The same of words that name their hook themselves.
pub(crate) fn marked_all(point: HookPoint, text: &str) -> String {
    format!("<hook point=\"{point}\">\n{}\n</hook>", frame::inside("hook", text))
}

/// A hook's command, or its beginning, on one line.
fn name(hook: &Hook) -> String {
    let line = hook.command.trim().replace(['\n', '\t'], " ");
    match line.char_indices().nth(NAME) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TOLD {
        return text.to_owned();
    }
    let at = text.floor_char_boundary(TOLD);
    format!("{}\n[… {} bytes left out …]", text.get(..at).unwrap_or_default(), text.len() - at)
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
#[path = "hooks/tests.rs"]
mod tests;
