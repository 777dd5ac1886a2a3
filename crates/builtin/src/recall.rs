//! `recall`: shows the result of an earlier call of this session again, after it was left out to save room. Runs nothing.

use codetether_event::{ItemId, Touches};
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;

/// Bytes for what is said besides the result.
const FOOTER: usize = 200;

#[derive(Deserialize, JsonSchema)]
struct RecallArgs {
    /// As it was given where the result was left out, such as `12.0`
    id: String,
    /// First line to show, 1 by default
    from: Option<usize>,
}

/// The tool `recall`.
pub struct Recall {
    spec: ToolSpec,
}

impl Default for Recall {
    fn default() -> Self {
        let description = "Show the result of an earlier call again that was left out to save room.";
        Self { spec: spec::<RecallArgs>("recall", description) }
    }
}

impl Tool for Recall {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(
            async move { args.parse::<RecallArgs>().map_or_else(|error| error.to_string(), |args| args.id) },
        )
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let RecallArgs { id, from } = args.parse()?;
            let unknown =
                || ToolError::ForModel(format!("there is no result of a call `{id}` in this session"));
            let item: ItemId = id.trim().parse().map_err(|_| unknown())?;
            let text = cx.host.recall(item).await?.ok_or_else(unknown)?;
            Ok(ToolOutput::text(shown(&text, from.unwrap_or(1).max(1), cx.limits.output)))
        })
    }
}

/// The lines from there on, as far as they fit.
fn shown(text: &str, from: usize, most: usize) -> String {
    let lines = text.lines().count();
    let start: usize = text.split_inclusive('\n').take(from - 1).map(str::len).sum();
    if from > lines.max(1) {
        return format!("[it has {lines} lines]\n");
    }
    let rest = &text[start..];
    let room = most.saturating_sub(FOOTER);
    if rest.len() <= room {
        return rest.to_owned();
    }
    let fits = rest.floor_char_boundary(room);
    let Some(end) = rest[..fits].rfind('\n').map(|at| at + 1) else {
        let long = rest.lines().next().map_or(0, str::len);
        let cut = &rest[..fits];
        return format!(
            "{cut}\n[line {from} of {lines} has {long} bytes: only its first {fits} can be shown]\n"
        );
    };
    let next = from + rest[..end].lines().count();
    format!(
        "{}\n[lines {from} to {} of {lines}; go on with `from` {next}]\n",
        rest[..end].trim_end(),
        next - 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_is_shown_in_parts() {
        let text: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(shown(&text, 1, 10_000), text);
        let first = shown(&text, 1, FOOTER + 50);
        assert!(
            first.starts_with("line 1\n") && first.ends_with("[lines 1 to 7 of 100; go on with `from` 8]\n"),
            "{first}"
        );
        assert!(shown(&text, 8, FOOTER + 50).starts_with("line 8\n"));
        assert_eq!(shown(&text, 101, 10_000), "[it has 100 lines]\n");
        assert_eq!(shown("", 1, 10_000), "");
        // A line that is longer than all the room is cut at a character.
        assert!(shown(&"é".repeat(500), 1, FOOTER + 51).starts_with(&"é".repeat(25)));
    }
}
