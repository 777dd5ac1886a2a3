//! The runner's side of hooks: what those of a point are told, and the effect that runs them.

use codetether_event::{
    Cause, Confinement, Event, HookPoint, ItemEvent, ItemId, Message, Mode, Role, Seq, TurnSettings,
};
use codetether_journal::Durable;
use codetether_session::State;
use serde_json::{Map, Value, json};

use crate::RunError;
use crate::hooks::{AT_THE_END, Hooks, Interrupted, object};
use crate::live::{End, Live};

/// What holds for hooks of a session, also when its turn has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stance {
    mode: Mode,
    confinement: Confinement,
}

impl Stance {
    pub(crate) fn of(settings: &TurnSettings) -> Self {
        Self { mode: settings.mode, confinement: settings.confinement }
    }
}

/// What the processes of an item's hooks carry: not what those of its call do, since a hook that is ended takes all with
/// it that carries the same.
pub(crate) fn marker(state: &State, item: ItemId) -> String {
    format!("{}/hook", state.marker(item))
}

impl Live {
    /// What it takes to run hooks for this item.
    pub(crate) fn hooks(&self, item: ItemId) -> Hooks {
        let turn = self.state.turn.as_ref();
        let stance = turn.map(|turn| Stance::of(&turn.settings)).or(self.stance);
        let confined = stance.is_some_and(|stance| !stance.confinement.is_none());
        Hooks {
            hooks: self.hooks_in_force.clone(),
            root: self.gate.root.clone(),
            environment: self.environment.clone(),
            spool: self.spool.clone(),
            transcript: self.record_file.clone(),
            redactor: self.gate.redactor.clone(),
            audit: self.audit.clone(),
            session: self.state.session,
            turn: turn.map(|turn| turn.id),
            mode: stance.map_or(Mode::Plan, |stance| stance.mode),
            sandbox: self.sandbox.clone().filter(|_| confined),
            item,
            marker: marker(&self.state, item),
        }
    }

    /// Runs the hooks of a point at the edge of a turn.
    pub(crate) fn hook(&mut self, item: ItemId, point: HookPoint) {
        let (hooks, input) = (self.hooks(item), self.told(point));
        let cancel = self.cancel_for(item);
        self.effects.spawn(async move {
            let facts = hooks.at(point, input, &cancel).await.unwrap_or_else(|Interrupted| {
                vec![Event::Item(ItemEvent::Failed { item, error: "interrupted".to_owned() })]
            });
            End::of(item, facts)
        });
    }

    /// What the hooks of a point are told besides what all are.
    fn told(&self, point: HookPoint) -> Map<String, Value> {
        let Some(turn) = &self.state.turn else { return Map::new() };
        object(match point {
            HookPoint::SessionStart => {
                let new = self.state.attempt.0 <= 1 && self.state.context.messages.is_empty();
                let source = match (self.state.summed_up, new) {
                    (true, _) => "compact",
                    (false, true) => "startup",
                    (false, false) => "resume",
                };
                json!({ "source": source, "model": turn.model })
            }
            HookPoint::UserPromptSubmit => {
                let said = turn
                    .pending
                    .iter()
                    .skip(turn.hooks.passed())
                    .map(|input| Message { role: Role::User, parts: input.parts.clone() }.text());
                json!({ "prompt": said.collect::<Vec<_>>().join("\n") })
            }
            HookPoint::Stop => {
                let messages = &self.state.context.messages;
                let last = messages.iter().rfind(|message| message.role == Role::Assistant);
                json!({
                    "stop_hook_active": turn.hooks.stops > 0,
                    "last_assistant_message": last.map(|message| message.text()).unwrap_or_default(),
                })
            }
            HookPoint::PreCompact => {
                let asked = turn.compacting || self.state.context.is_asked();
                let trigger = if asked { "manual" } else { "auto" };
                json!({ "trigger": trigger, "custom_instructions": "" })
            }
            _ => json!({}),
        })
    }

    /// Runs the hooks of the session's end, where a turn has run.
    pub(crate) async fn end_session(&mut self) -> Result<(), RunError> {
        let hooks = self.hooks(ItemId::at(self.state.next));
        if self.stance.is_none() || !hooks.has(HookPoint::SessionEnd) {
            return Ok(());
        }
        let notes = hooks.session_end("other", AT_THE_END).await;
        let cause = Cause::After(Seq(self.state.next.0.saturating_sub(1)));
        self.append(notes, cause, Durable::Written).await
    }
}
