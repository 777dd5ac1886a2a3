//! `recall`: shows the result of an earlier call of this session again, after it was left out to save room. Runs nothing.

use codetether_event::{ItemId, Touches};
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::spec;
use crate::text::{first_bytes, first_chars};

/// Bytes for what is said besides the result.
const FOOTER: usize = 200;
/// Characters of one line that are shown at once.
const LINE_CHARS: usize = 4_000;

#[derive(Deserialize, JsonSchema)]
struct RecallArgs {
    /// As it was given where the result was left out, such as `12.0`
    id: String,
    /// First line to show, 1 by default
    from: Option<usize>,
    /// Characters of it to skip
    skip: Option<usize>,
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
            let RecallArgs { id, from, skip } = args.parse()?;
            let unknown =
                || ToolError::ForModel(format!("there is no result of a call `{id}` in this session"));
            let item: ItemId = id.trim().parse().map_err(|_| unknown())?;
            let text = cx.host.recall(item).await?.ok_or_else(unknown)?;
            let from = From { line: from.unwrap_or(1).max(1), skip: skip.unwrap_or(0) };
            Ok(ToolOutput::text(shown(&text, from, cx.limits.output)))
        })
    }
}

/// Where what is shown begins.
#[derive(Clone, Copy)]
struct From {
    /// From 1.
    line: usize,
    /// Characters of it that are passed over.
    skip: usize,
}

/// The lines from there on, as far as they fit; of a long one only a part.
fn shown(text: &str, from: From, most: usize) -> String {
    let lines = text.lines().count();
    if from.line > lines.max(1) {
        return format!("[it has {lines} lines]\n");
    }
    let room = most.saturating_sub(FOOTER);
    let mut told = String::new();
    for (number, line) in (1..).zip(text.lines()).skip(from.line - 1) {
        let skip = if number == from.line { from.skip } else { 0 };
        let rest = line.char_indices().nth(skip).map_or("", |(at, _)| &line[at..]);
        let part = first_bytes(first_chars(rest, LINE_CHARS), room);
        let mut piece = part.to_owned();
        if part.len() < rest.len() {
            let chars = part.chars().count();
            piece.push_str(&format!(
                " [… {} bytes more; go on with `from` {number} and `skip` {}]",
                rest.len() - part.len(),
                skip + chars
            ));
        }
        piece.push('\n');
        if !told.is_empty() && told.len() + piece.len() > room {
            let last = number - 1;
            told.push_str(&format!(
                "[lines {} to {last} of {lines}; go on with `from` {number}]\n",
                from.line
            ));
            return told;
        }
        told.push_str(&piece);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_is_shown_in_parts() {
        let text: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let shown = |text: &str, line, most| shown(text, From { line, skip: 0 }, most);
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

    #[test]
    fn a_long_line_is_shown_in_parts_and_does_not_keep_out_the_others() {
        let text = format!("{}\nsecond\n", "é".repeat(LINE_CHARS + 10));
        let first = shown(&text, From { line: 1, skip: 0 }, 30_000);
        assert!(
            first.ends_with("é [… 20 bytes more; go on with `from` 1 and `skip` 4000]\nsecond\n"),
            "{first}"
        );
        assert_eq!(
            shown(&text, From { line: 1, skip: LINE_CHARS }, 30_000),
            format!("{}\nsecond\n", "é".repeat(10))
        );
        assert_eq!(shown(&text, From { line: 1, skip: 1_000_000 }, 30_000), "\nsecond\n");
    }
}
