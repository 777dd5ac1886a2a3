//! `tool_search`: finds tools that the model was not shown at first, and gives their schemas. Runs nothing.

use codetether_event::Touches;
use codetether_tool::{
    Args, BoxFuture, CALL_TOOL, TOOL_SEARCH, Tool, ToolContext, ToolError, ToolOutput, ToolSpec,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{near, spec};

/// Most tools whose schemas are given at once.
const GIVEN: usize = 5;

/// Most names that are told besides.
const NAMED: usize = 100;

/// Longest query that is looked at, in bytes.
const QUERY: usize = 500;

#[derive(Deserialize, JsonSchema)]
struct ToolSearchArgs {
    /// What the tool should do, in a few words, or its name
    query: String,
}

/// The tool `tool_search`.
pub struct ToolSearch {
    spec: ToolSpec,
}

impl Default for ToolSearch {
    fn default() -> Self {
        let description =
            "Find more tools by what they do. Gives their schemas; call them through `call_tool`.";
        Self { spec: spec::<ToolSearchArgs>(TOOL_SEARCH, description) }
    }
}

impl Tool for ToolSearch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, _: &Args) -> Touches {
        Touches::default()
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<ToolSearchArgs>().map_or_else(|error| error.to_string(), |args| args.query)
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: ToolSearchArgs = args.parse()?;
            Ok(ToolOutput::text(found(&args.query, &cx.host.late(), cx.limits.output)))
        })
    }
}

/// What a search says.
fn found(query: &str, late: &[ToolSpec], most: usize) -> String {
    if late.is_empty() {
        return "there are no more tools than those that you were shown".to_owned();
    }
    let query = &query[..query.floor_char_boundary(QUERY)];
    let ranked = ranked(query, late);
    let mut text = String::new();
    let mut given = 0;
    for tool in ranked.iter().take(GIVEN) {
        let shown = json!({"name": tool.name, "description": tool.description, "arguments": tool.schema});
        let line = format!("{shown}\n");
        if given > 0 && text.len() + line.len() > most / 2 {
            break;
        }
        text.push_str(&line);
        given += 1;
    }
    let names: Vec<&str> = late
        .iter()
        .filter(|tool| !ranked.iter().take(given).any(|given| given.name == tool.name))
        .map(|tool| tool.name.as_str())
        .collect();
    let others = match names.len() {
        0 => String::new(),
        more => {
            let names = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if more > NAMED { format!(" and {} more", more - NAMED) } else { String::new() };
            format!("Others there are: {names}{more}\n")
        }
    };
    match given {
        0 => format!("no tool fits these words. {others}"),
        _ => format!("Call them through `{CALL_TOOL}`, with `name` and `arguments`:\n{text}{others}"),
    }
}

/// The tools that fit, the best first; those that fit alike in their own order.
fn ranked<'a>(query: &str, tools: &'a [ToolSpec]) -> Vec<&'a ToolSpec> {
    let wanted = words(query);
    let mut scored: Vec<(u32, &ToolSpec)> = tools
        .iter()
        .map(|tool| (score(query, &wanted, tool), tool))
        .filter(|(score, _)| *score > 0)
        .collect();
    if scored.is_empty() {
        let names = near::names(query.trim(), tools.iter().map(|tool| tool.name.as_str()));
        return names
            .iter()
            .filter_map(|name| tools.iter().find(|tool| tool.name.as_str() == *name))
            .collect();
    }
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, tool)| tool).collect()
}

fn score(query: &str, wanted: &[String], tool: &ToolSpec) -> u32 {
    if tool.name.as_str().eq_ignore_ascii_case(query.trim()) {
        return u32::MAX;
    }
    let (name, said) = (words(tool.name.as_str()), words(&tool.description));
    let of = |word: &String| match () {
        () if name.contains(word) => 10,
        () if name.iter().any(|own| alike(own, word)) => 6,
        () if said.contains(word) => 3,
        () if said.iter().any(|own| alike(own, word)) => 2,
        () => 0,
    };
    wanted.iter().map(of).sum()
}

/// Whether one begins with the other, and is not much longer: `edits` and `edit`, `fetching` and `fetch`.
fn alike(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    short.len() >= 3 && long.starts_with(short) && long.len() - short.len() <= 3
}

/// The words that say something, in lower case.
fn words(text: &str) -> Vec<String> {
    const EMPTY: [&str; 14] =
        ["a", "an", "and", "as", "at", "by", "for", "in", "its", "of", "or", "the", "to", "tool"];
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| !word.is_empty() && !EMPTY.contains(&word.as_str()))
        .collect();
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use codetether_event::ToolName;

    use super::*;

    fn tool(name: &str, description: &str) -> ToolSpec {
        ToolSpec {
            name: ToolName::new(name),
            description: description.into(),
            schema: json!({"type": "object"}),
        }
    }

    fn some() -> Vec<ToolSpec> {
        vec![
            tool("multi_edit", "Make several replacements at once."),
            tool("apply_patch", "Apply a patch to files."),
            tool("web_fetch", "Read a web page by its address."),
        ]
    }

    #[test]
    fn tools_are_found_by_name_and_by_what_they_do() {
        let tools = some();
        let first = |query: &str| ranked(query, &tools).first().map(|tool| tool.name.as_str().to_owned());
        assert_eq!(first("web_fetch").as_deref(), Some("web_fetch"));
        assert_eq!(first("fetching pages from the web").as_deref(), Some("web_fetch"));
        assert_eq!(first("edit many files").as_deref(), Some("multi_edit"));
        assert_eq!(first("patches").as_deref(), Some("apply_patch"));
        assert_eq!(first("aply_patch").as_deref(), Some("apply_patch"));
        assert_eq!(first("weather"), None);
        assert_eq!(first(""), None);
    }

    #[test]
    fn a_search_gives_schemas_and_names_the_rest() {
        let tools = some();
        insta::assert_snapshot!(found("patch", &tools, 10_000), @r#"
        Call them through `call_tool`, with `name` and `arguments`:
        {"name":"apply_patch","description":"Apply a patch to files.","arguments":{"type":"object"}}
        Others there are: multi_edit, web_fetch
        "#);
        assert_eq!(
            found("weather", &tools, 10_000),
            "no tool fits these words. Others there are: multi_edit, apply_patch, web_fetch\n"
        );
        assert!(found("x", &[], 10_000).starts_with("there are no more tools"));
        let many: Vec<_> = (0..500).map(|n| tool(&format!("patch_{n}"), &"patch ".repeat(500))).collect();
        let text = found("patch", &many, 10_000);
        assert!(text.len() < 12_000, "{}", text.len());
        assert!(text.contains(" more\n"), "{text}");
    }
}
