//! Hooks of calls: before one runs, where it takes a yes, and after it has run.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use codetether_event::{HookPoint, ItemId, ToolCall, ToolResult, Touches};
use codetether_tool::Cancel;
use serde_json::{Map, Value, json};

use crate::circumstances::Circumstances;
use crate::gate::Gate;
use crate::hooks::{Child, Hook, Hooks, Interrupted, Said, marked_all, object};

/// A call that hooks have a say about.
pub(crate) struct Call<'a> {
    pub(crate) item: ItemId,
    pub(crate) call: &'a ToolCall,
    pub(crate) args: &'a Value,
    /// With paths relative to the root.
    pub(crate) touches: &'a Touches,
    pub(crate) circumstances: &'a Circumstances,
}

/// What the hooks before calls said, so that one whose call is judged again need not run again: its input is the same.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<ItemId, Said>>);

impl Remembered {
    fn recall(&self, item: ItemId) -> Option<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&item).cloned()
    }

    fn keep(&self, item: ItemId, said: &Said) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of one answer at a time.
        kept.retain(|other, _| other.seq == item.seq);
        // The user was told already.
        kept.insert(item, Said { warnings: Vec::new(), ..said.clone() });
    }
}

impl Hooks {
    /// Before a call that is not denied.
    pub(crate) async fn before(
        &self,
        call: &Call<'_>,
        remembered: &Remembered,
        cancel: &Cancel,
    ) -> Result<Said, Interrupted> {
        if !self.has(HookPoint::PreToolUse) {
            return Ok(Said::default());
        }
        if let Some(said) = remembered.recall(call.item) {
            return Ok(said);
        }
        let said = self.run(HookPoint::PreToolUse, &call.input(), |hook| call.is_for(hook), cancel).await?;
        remembered.keep(call.item, &said);
        Ok(said)
    }

    /// Where a call takes a yes.
    pub(crate) async fn asked(
        &self,
        call: &Call<'_>,
        why: &str,
        cancel: &Cancel,
    ) -> Result<Said, Interrupted> {
        let mut input = call.input();
        input.extend(object(json!({ "reason": why })));
        self.run(HookPoint::PermissionRequest, &input, |hook| call.is_for(hook), cancel).await
    }

    /// After a call has run: what they have to say is added to its result. One that was told to stop says nothing.
    pub(crate) async fn after(
        &self,
        gate: &Gate,
        (item, call): (ItemId, &ToolCall),
        circumstances: &Circumstances,
        result: &mut ToolResult,
        cancel: &Cancel,
    ) -> Said {
        let point = HookPoint::PostToolUse;
        let seen = if self.has(point) { gate.seen(call) } else { None };
        let Some((args, touches)) = seen else { return Said::default() };
        let about = Call { item, call, args: &args.0, touches: &touches, circumstances };
        let mut input = about.input();
        let response = json!({ "text": result.text, "is_error": result.error });
        input.extend(object(json!({ "tool_response": response })));
        let said = self.run(point, &input, |hook| about.is_for(hook), cancel).await.unwrap_or_default();
        add(point, &said, result);
        said
    }

    /// Runs those for the end of a child. The child has ended; what they have against that, its parent hears.
    pub(crate) async fn after_child(
        &self,
        child: Child<'_>,
        result: &mut ToolResult,
        cancel: &Cancel,
    ) -> Said {
        let said = self.child_stop(child, cancel).await.unwrap_or_default();
        add(HookPoint::ChildStop, &said, result);
        said
    }
}

/// Adds to a result what hooks have to say of it.
fn add(point: HookPoint, said: &Said, result: &mut ToolResult) {
    let blocked = said.blocked.iter().map(|blocked| marked_all(point, blocked));
    for text in blocked.chain(said.context.iter().cloned()) {
        if !result.text.is_empty() && !result.text.ends_with('\n') {
            result.text.push('\n');
        }
        result.text.push_str(&text);
    }
}

impl Call<'_> {
    fn input(&self) -> Map<String, Value> {
        object(json!({
            "tool_name": self.call.name,
            "tool_input": self.args,
            "tool_use_id": self.call.id,
        }))
    }

    fn is_for(&self, hook: &Hook) -> bool {
        let tool = self.call.name.as_str();
        hook.matcher.as_ref().is_none_or(|matcher| self.circumstances.matches(matcher, tool, self.touches))
    }
}
