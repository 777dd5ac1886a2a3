//! One rule: `tool` or `tool(pattern)`.

use std::fmt;

use codetether_event::Touches;
use globset::{GlobBuilder, GlobMatcher};

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its form is wrong.
    #[error(
        "`{0}` is not a rule: write `tool` or `tool(pattern)`, such as `bash(cargo test)` or `edit(src/**)`"
    )]
    Form(String),
    /// Its glob is wrong.
    #[error("`{rule}` is not a rule: {problem}")]
    Glob {
        /// The rule.
        rule: String,
        /// What is wrong with its glob.
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
enum Pattern {
    /// For tools that run commands.
    Exact(String),
    /// For tools that touch files.
    Glob(GlobMatcher),
}

/// Longest glob.
const LONGEST: usize = 1_000;
/// The tools whose rules are commands.
const COMMAND_TOOLS: &[&str] = &["bash"];

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// When it is not of the form `tool` or `tool(pattern)`, or its glob is wrong.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        let wrong = || RuleError::Form(text.to_owned());
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
        let pattern = match pattern {
            None => None,
            Some(command) if COMMAND_TOOLS.contains(&tool) => Some(Pattern::Exact(command.trim().to_owned())),
            Some(glob) => {
                Some(Pattern::Glob(compile(glob).map_err(|problem| RuleError::Glob {
                    rule: text.chars().take(100).collect(),
                    problem,
                })?))
            }
        };
        Ok(Self { text: text.to_owned(), tool: tool.to_owned(), pattern })
    }

    /// The rule that matches this command and no other.
    #[must_use]
    pub fn for_command(tool: &str, command: &str) -> String {
        format!("{tool}({})", command.trim())
    }

    /// Whether the rule matches all that the call touches.
    #[must_use]
    pub fn matches_all(&self, tool: &str, touches: &Touches) -> bool {
        self.on(tool, |pattern| pattern.all(touches))
    }

    /// Whether the rule matches anything that the call touches.
    #[must_use]
    pub fn matches_any(&self, tool: &str, touches: &Touches) -> bool {
        self.on(tool, |pattern| pattern.any(touches))
    }

    fn on(&self, tool: &str, matches: impl FnOnce(&Pattern) -> bool) -> bool {
        self.tool == tool && self.pattern.as_ref().is_none_or(matches)
    }
}

fn compile(glob: &str) -> Result<GlobMatcher, String> {
    if glob.len() > LONGEST {
        return Err(format!("its pattern is longer than {LONGEST} bytes"));
    }
    let glob =
        GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| error.kind().to_string())?;
    Ok(glob.compile_matcher())
}

impl Pattern {
    fn all(&self, touches: &Touches) -> bool {
        let Touches { reads, writes, commands } = touches;
        let mut parts = commands
            .iter()
            .map(|command| self.command(command))
            .chain(reads.iter().chain(writes).map(|path| self.path(path)))
            .peekable();
        parts.peek().is_some() && parts.all(|matched| matched)
    }

    fn any(&self, touches: &Touches) -> bool {
        let Touches { reads, writes, commands } = touches;
        commands.iter().any(|command| self.command(command))
            || reads.iter().chain(writes).any(|path| self.path(path))
    }

    fn command(&self, command: &str) -> bool {
        matches!(self, Self::Exact(exact) if command.trim() == exact)
    }

    fn path(&self, path: &str) -> bool {
        matches!(self, Self::Glob(glob) if glob.is_match(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Touches {
        Touches { commands: vec![text.into()], ..Touches::default() }
    }

    fn writes(paths: &[&str]) -> Touches {
        Touches { writes: paths.iter().map(|&path| path.into()).collect(), ..Touches::default() }
    }

    #[test]
    fn a_command_rule_matches_that_command_and_no_other() {
        let rule = Rule::parse("bash(cargo test)").unwrap();
        assert!(rule.matches_all("bash", &command("cargo test")));
        assert!(rule.matches_all("bash", &command("  cargo test\n")));
        for other in ["cargo test; rm -rf ~", "cargo test\nrm x", "cargo  test", "cargo", "cargo test $(x)"] {
            assert!(!rule.matches_all("bash", &command(other)), "{other}");
        }
        assert!(!Rule::parse("bash(*)").unwrap().matches_all("bash", &command("rm")), "no globs in commands");
        assert!(Rule::parse("bash(echo (a) [b)").unwrap().matches_all("bash", &command("echo (a) [b")));
    }

    #[test]
    fn a_path_rule_is_a_glob_on_every_path() {
        let rule = Rule::parse("edit(src/**)").unwrap();
        assert!(rule.matches_all("edit", &writes(&["src/a/b.rs"])));
        assert!(!rule.matches_all("edit", &writes(&["src/a.rs", "Cargo.toml"])));
        assert!(rule.matches_any("edit", &writes(&["src/a.rs", "Cargo.toml"])));
        assert!(!Rule::parse("edit(*.rs)").unwrap().matches_all("edit", &writes(&["src/a.rs"])));
        assert!(!rule.matches_all("write", &writes(&["src/a.rs"])));
        assert!(!rule.matches_all("edit", &Touches::default()), "nothing touched is nothing matched");
    }

    #[test]
    fn a_bare_name_matches_every_call() {
        assert!(Rule::parse("bash").unwrap().matches_all("bash", &command("anything")));
        assert!(Rule::parse("web_fetch").unwrap().matches_all("web_fetch", &Touches::default()));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        assert!(Rule::parse(&format!("edit({})", "?".repeat(100_000))).is_err(), "too long");
        assert!(Rule::parse(&format!("bash({})", "?".repeat(100_000))).is_ok(), "no pattern, so no bound");
        for wrong in ["", "bash(", "bash( )", "bash()", "bash(x) y", "ba sh", "(x)", "edit([)"] {
            assert!(Rule::parse(wrong).is_err(), "{wrong}");
        }
        let message = Rule::parse("edit([)").unwrap_err().to_string();
        assert!(message.starts_with("`edit([)` is not a rule: "), "{message}");
    }
}
