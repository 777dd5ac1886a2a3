//! One rule: `tool` or `tool(pattern)`.

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::command_pattern::CommandPattern;
use crate::place::{Place, Spot};
use crate::shell::Word;

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its form is wrong.
    #[error(
        "`{0}` is not a rule: write `tool` or `tool(pattern)`, such as `bash(cargo test *)` or `edit(src/**)`"
    )]
    Form(String),
    /// Its pattern is wrong.
    #[error("`{rule}` is not a rule: {problem}")]
    Pattern {
        /// The rule.
        rule: String,
        /// What is wrong with its pattern.
        problem: String,
    },
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    text: String,
    tool: String,
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// For tools that run commands.
    Command(CommandPattern),
    /// For tools that reach hosts.
    Host(String),
    /// For tools that touch files.
    Path(PathPattern),
}

/// A gitignore pattern.
#[derive(Debug, Clone)]
pub(crate) struct PathPattern {
    anchor: Anchor,
    line: String,
    /// Compiled when it is first needed: most rules of most calls are for something else.
    matcher: OnceLock<Gitignore>,
}

/// What a path pattern is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// The workspace: `src/**`, `*.rs`, `/Cargo.toml`.
    Root,
    /// The home folder: `~/notes/**`.
    Home,
    /// The file system: `//etc/**`.
    System,
}

/// Longest pattern.
const LONGEST: usize = 1_000;

/// The tool whose rules are commands.
pub(crate) const SHELL: &str = "bash";
/// Names under which rules speak of all tools that read files, write files, or reach hosts.
pub(crate) const READ: &str = "read";
pub(crate) const EDIT: &str = "edit";
pub(crate) const FETCH: &str = "fetch";
const HOST_TOOLS: &[&str] = &[FETCH, "web_fetch"];

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// When it is not of the form `tool` or `tool(pattern)`, or its pattern is wrong.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        let wrong = || RuleError::Form(text.chars().take(100).collect());
        let (tool, pattern) = match text.split_once('(') {
            Some((tool, rest)) => (tool, Some(rest.strip_suffix(')').ok_or_else(wrong)?)),
            None => (text, None),
        };
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if tool.is_empty()
            || !tool.chars().all(named)
            || pattern.is_some_and(|pattern| pattern.trim().is_empty())
        {
            return Err(wrong());
        }
        let pattern = pattern
            .map(|pattern| compile(tool, pattern.trim()))
            .transpose()
            .map_err(|problem| RuleError::Pattern { rule: text.chars().take(100).collect(), problem })?;
        let whole = matches!(&pattern, Some(Pattern::Command(pattern)) if pattern.is_anything());
        Ok(Self { text: text.to_owned(), tool: tool.to_owned(), pattern: pattern.filter(|_| !whole) })
    }

    /// The name before the pattern.
    pub(crate) fn tool(&self) -> &str {
        &self.tool
    }

    /// The pattern; a rule without one is for every call of its tool.
    pub(crate) fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    /// The pattern for commands, if the rule is one for the shell.
    pub(crate) fn command(&self) -> Option<&CommandPattern> {
        match &self.pattern {
            Some(Pattern::Command(pattern)) if self.tool == SHELL => Some(pattern),
            _ => None,
        }
    }

    /// Whether the rule is for every call of the tool.
    pub(crate) fn is_whole(&self, tool: &str) -> bool {
        self.tool == tool && self.pattern.is_none()
    }

    /// Whether it matches a path that the tool touches; `class` is [`READ`] or [`EDIT`].
    pub(crate) fn matches_path(&self, tool: &str, class: &str, spot: &Spot, place: &Place<'_>) -> bool {
        if self.tool != tool && self.tool != class {
            return false;
        }
        match &self.pattern {
            None => true,
            Some(Pattern::Path(pattern)) => pattern.matches(spot, place),
            Some(Pattern::Command(_) | Pattern::Host(_)) => false,
        }
    }

    /// Whether a word of the shell that only running tells may be a path that it matches; `class` is [`READ`] or [`EDIT`].
    pub(crate) fn may_be_word(&self, class: &str, word: &Word) -> bool {
        self.tool == class
            && match &self.pattern {
                Some(Pattern::Path(pattern)) => pattern.may_be(word),
                None => true,
                Some(Pattern::Command(_) | Pattern::Host(_)) => false,
            }
    }

    /// Whether it matches a host that the tool reaches.
    pub(crate) fn matches_host(&self, tool: &str, host: &str) -> bool {
        if self.tool != tool && self.tool != FETCH {
            return false;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.pattern {
            None => true,
            Some(Pattern::Host(pattern)) => match pattern.strip_prefix("*.") {
                Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
                None => host == *pattern,
            },
            Some(Pattern::Command(_) | Pattern::Path(_)) => false,
        }
    }

    /// Whether the rule names this part of a path, so that it is meant for it.
    pub(crate) fn names(&self, part: &str) -> bool {
        matches!(self.pattern, Some(Pattern::Path(_)))
            && self.text.split(['(', ')', '/']).any(|piece| piece == part)
    }
}

fn compile(tool: &str, pattern: &str) -> Result<Pattern, String> {
    if pattern.len() > LONGEST {
        return Err(format!("its pattern is longer than {LONGEST} bytes"));
    }
    if tool == SHELL {
        return CommandPattern::parse(pattern).map(Pattern::Command);
    }
    if HOST_TOOLS.contains(&tool) {
        return host(pattern).map(Pattern::Host);
    }
    path(pattern).map(Pattern::Path)
}

fn host(pattern: &str) -> Result<String, String> {
    let host = pattern.trim_end_matches('.').to_ascii_lowercase();
    let labels = host.strip_prefix("*.").unwrap_or(&host);
    let label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    if labels.split('.').all(label) || labels.parse::<std::net::IpAddr>().is_ok() {
        Ok(host)
    } else {
        Err("its pattern is not a host: write `docs.rs` or `*.example.com`".into())
    }
}

fn path(pattern: &str) -> Result<PathPattern, String> {
    if pattern.split('/').any(|part| part == "..") {
        return Err("its pattern leads upwards with `..`".into());
    }
    if pattern.starts_with('!') || pattern.starts_with('#') {
        return Err("its pattern is no single gitignore pattern; write another rule in another list".into());
    }
    let (anchor, line) = if let Some(rest) = pattern.strip_prefix("~/") {
        (Anchor::Home, format!("/{rest}"))
    } else if let Some(rest) = pattern.strip_prefix("//") {
        (Anchor::System, format!("/{rest}"))
    } else {
        (Anchor::Root, pattern.strip_prefix("./").map_or(pattern.to_owned(), |rest| format!("/{rest}")))
    };
    if line.trim().trim_matches('/').is_empty() {
        return Err("its pattern matches nothing".into());
    }
    GitignoreBuilder::new("").add_line(None, &line).map_err(|error| error.to_string())?;
    Ok(PathPattern { anchor, line, matcher: OnceLock::new() })
}

impl PathPattern {
    fn matcher(&self) -> &Gitignore {
        self.matcher.get_or_init(|| {
            let mut builder = GitignoreBuilder::new("");
            // It was added without an error once.
            let _ = builder.add_line(None, &self.line);
            builder.build().unwrap_or_else(|_| Gitignore::empty())
        })
    }

    /// Whether a word may name what the pattern is for, as far as their names tell.
    fn may_be(&self, word: &Word) -> bool {
        if !word.values.is_empty() {
            return word.values.iter().any(|value| self.may_be(value));
        }
        if word.number || word.expanded {
            return !word.number;
        }
        let name = self.line.trim_end_matches(['*', '/']).rsplit('/').next().unwrap_or_default();
        if !name.contains(['*', '?', '[', '{']) {
            // Does a part of the word, as a pattern of the shell, match the name?
            return word.raw.split('/').any(|part| {
                let mut builder = GitignoreBuilder::new("");
                builder.add_line(None, part).is_err()
                    || builder.build().is_ok_and(|part| part.matched(Path::new(name), false).is_ignore())
            });
        }
        let end = |text: &str| text.rsplit(['*', '?', ']', '}']).next().unwrap_or_default().to_owned();
        let (ours, theirs) = (end(name), end(&word.raw));
        ours.ends_with(&theirs) || theirs.ends_with(&ours)
    }

    fn matches(&self, spot: &Spot, place: &Place<'_>) -> bool {
        let absolute = match spot {
            Spot::Inside(path) => place.root.join(path),
            Spot::Outside(path) => path.clone(),
            Spot::Anywhere => return false,
        };
        let relative = match (self.anchor, spot) {
            (Anchor::Root, Spot::Inside(path)) => Path::new(path),
            (Anchor::Root, _) => return false,
            (Anchor::Home, _) => match place.home.and_then(|home| absolute.strip_prefix(home).ok()) {
                Some(path) => path,
                None => return false,
            },
            (Anchor::System, _) => absolute.strip_prefix("/").unwrap_or(&absolute),
        };
        // Whether it is a folder is not known: a pattern for folders counts for either.
        [false, true]
            .iter()
            .any(|&folder| self.matcher().matched_path_or_any_parents(relative, folder).is_ignore())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rule_is_refused() {
        for wrong in [
            "",
            "bash(",
            "bash( )",
            "bash()",
            "bash(x) y",
            "ba sh",
            "(x)",
            "edit({a)",
            "edit(../x)",
            "edit(!x)",
            "edit(/)",
            "bash(a | b)",
            "bash(a; b)",
            "bash(a > b)",
            "bash(a 'b)",
            "fetch(a b)",
            "fetch(*)",
            "fetch(a.*.b)",
        ] {
            assert!(Rule::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Rule::parse(&format!("edit({})", "?".repeat(100_000))).is_err(), "too long");
        let message = Rule::parse("edit({a)").unwrap_err().to_string();
        assert!(message.starts_with("`edit({a)` is not a rule: "), "{message}");
    }

    #[test]
    fn a_rule_is_shown_as_it_was_written() {
        for text in
            ["bash", "bash(git diff *)", "edit(src/**)", "fetch(*.example.com)", "read(~/notes/)", "x-y_z"]
        {
            assert_eq!(Rule::parse(&format!(" {text} ")).unwrap().to_string(), text);
        }
    }
}
