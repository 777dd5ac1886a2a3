//! `todo`: the model writes down what it has set itself to do, the whole list each time. The session keeps it, shows it to the
//! user, and puts it back where the conversation gives way to a summary.

use codetether_event::{TodoItem, TodoState, Touches};
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;

/// Most things to do.
const ITEMS: usize = 50;
/// Most characters of one.
const TEXT: usize = 300;

#[derive(Deserialize, JsonSchema)]
struct TodoArgs {
    items: Vec<ItemArgs>,
}

#[derive(Deserialize, JsonSchema)]
struct ItemArgs {
    text: String,
    state: StateArgs,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StateArgs {
    Pending,
    InProgress,
    Done,
}

/// The tool `todo`.
pub struct Todo {
    spec: ToolSpec,
}

impl Default for Todo {
    fn default() -> Self {
        let description = "Keep a list of the steps of a long job: the whole list each time.";
        Self { spec: spec::<TodoArgs>("todo", description) }
    }
}

impl Tool for Todo {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            list(args).map_or_else(|error| error.to_string(), |items| codetether_event::todo_lines(&items))
        })
    }

    fn call<'a>(&'a self, args: Args, _: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let items = list(&args)?;
            let done = items.iter().filter(|item| item.state == TodoState::Done).count();
            let text = format!("noted: {done} of {} done", items.len());
            Ok(ToolOutput { todo: Some(items), ..ToolOutput::text(text) })
        })
    }
}

fn list(args: &Args) -> Result<Vec<TodoItem>, ToolError> {
    let TodoArgs { items } = args.parse()?;
    let wrong = |problem: String| Err(ToolError::ForModel(format!("{problem}; the list stays as it was")));
    if items.len() > ITEMS {
        return wrong(format!("there are {} things to do, and there can be {ITEMS}", items.len()));
    }
    for (number, ItemArgs { text, .. }) in items.iter().enumerate() {
        match text.trim().chars().count() {
            0 => return wrong(format!("number {} is empty", number + 1)),
            n if n > TEXT => {
                return wrong(format!("number {} has {n} characters, and there can be {TEXT}", number + 1));
            }
            _ => {}
        }
    }
    let item = |ItemArgs { text, state }: ItemArgs| TodoItem {
        text: text.trim().to_owned(),
        state: match state {
            StateArgs::Pending => TodoState::Pending,
            StateArgs::InProgress => TodoState::InProgress,
            StateArgs::Done => TodoState::Done,
        },
    };
    Ok(items.into_iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(items: serde_json::Value) -> String {
        list(&Args(json!({ "items": items }))).unwrap_err().to_string()
    }

    #[test]
    fn a_list_has_bounds_that_are_told() {
        let item = |text: &str| json!({ "text": text, "state": "done" });
        let good =
            list(&Args(json!({ "items": [item(" a "), { "text": "b", "state": "in_progress" }] }))).unwrap();
        assert_eq!(codetether_event::todo_lines(&good), "[x] a\n[>] b\n");
        let many: Vec<_> = (0..51).map(|_| item("x")).collect();
        assert_eq!(
            problem(json!(many)),
            "there are 51 things to do, and there can be 50; the list stays as it was"
        );
        assert_eq!(problem(json!([item("x"), item(" ")])), "number 2 is empty; the list stays as it was");
        assert!(problem(json!([item(&"x".repeat(301))])).starts_with("number 1 has 301 characters"));
    }
}
