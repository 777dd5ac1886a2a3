//! Which calls something is for, such as a hook: names of tools and rules, with `|` between them.

use codetether_event::{Mode, Touches};

use crate::{Decision, Place, Rule, RuleError, Rules, Stance, What, judge};

/// Which calls something is for: `bash`, `edit|write`, `bash(git push *)|fetch`, or `*` for all.
///
/// A name alone is that of one tool, in upper or lower case. A rule is for what it would deny, were it in that list: what
/// cannot be told may be what it speaks of, and counts as that.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// All when empty.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Tool(String),
    Rule(Rules),
}

impl Matcher {
    /// Reads one.
    ///
    /// # Errors
    /// When a part of it is neither a name nor a rule.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if matches!(text.trim(), "" | "*") {
            return Ok(Self { parts: Vec::new() });
        }
        let part = |text: &str| {
            let text = text.trim();
            let (tool, pattern) = text.split_at(text.find('(').unwrap_or(text.len()));
            let tool = tool.to_ascii_lowercase();
            let rule = Rule::parse(&format!("{tool}{pattern}"))?;
            Ok(match pattern {
                "" => Part::Tool(tool),
                _ => Part::Rule(Rules { deny: vec![rule], ..Rules::default() }),
            })
        };
        Ok(Self { parts: pieces(text).into_iter().map(part).collect::<Result<_, _>>()? })
    }

    /// Whether it is for a call of this tool that touches this.
    #[must_use]
    pub fn matches(&self, tool: &str, touches: &Touches, place: &Place<'_>) -> bool {
        let stance = Stance { mode: Mode::Bypass, confined: false };
        self.parts.is_empty()
            || self.parts.iter().any(|part| match part {
                Part::Tool(name) => tool.eq_ignore_ascii_case(name),
                Part::Rule(rules) => {
                    let judged = judge(stance, rules, tool, touches, place);
                    let of_tool = || rules.deny.iter().any(|rule| rule.tool() == tool);
                    judged.decision == Decision::Deny
                        || (judged.parts.iter().any(|part| part.what == What::Unclear) && of_tool())
                }
            })
    }
}

/// What stands between bars that are in no parentheses.
fn pieces(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|letter: char| {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == '|' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn matches(matcher: &str, tool: &str, command: &str, write: &str) -> bool {
        let one = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        let touches = Touches { commands: one(command), writes: one(write), ..Touches::default() };
        let place = Place { root: Path::new("/w"), home: None, follow: &|path| path.to_owned() };
        Matcher::parse(matcher).unwrap().matches(tool, &touches, &place)
    }

    #[test]
    fn names_are_of_one_tool_each() {
        for all in ["", "*", " * "] {
            assert!(matches(all, "bash", "ls", "") && matches(all, "write", "", "a"));
        }
        assert!(matches("Bash|Edit", "bash", "ls", "") && matches("bash | edit", "edit", "", "a"));
        assert!(!matches("edit", "write", "", "a") && !matches("bash", "write", "", "a"));
        assert!(!matches("edit", "bash", "echo x > a", ""), "a command is no edit");
    }

    #[test]
    fn a_rule_is_for_what_it_would_deny() {
        assert!(matches("bash(git push *)", "bash", "git status && git push -f", ""));
        assert!(!matches("bash(git push *)", "bash", "git status", ""));
        assert!(matches("Bash(git push *)|write(*.lock)", "write", "", "Cargo.lock"));
        assert!(!matches("write(*.lock)", "write", "", "Cargo.toml"));
        assert!(matches("bash(rm *)", "bash", "$x /", ""), "it may be that command");
        assert!(!matches("write(*.lock)", "bash", "$x /", ""));
    }

    #[test]
    fn what_is_neither_a_name_nor_a_rule_is_an_error() {
        for wrong in ["bash|", "|", "bash(", "a b", "mcp__.*"] {
            assert!(Matcher::parse(wrong).is_err(), "{wrong}");
        }
    }
}
