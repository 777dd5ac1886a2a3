//! The verdict: rules first, then the mode.

use codetether_event::{Mode, Touches};

use crate::{Rule, RuleError};

/// The rules in force.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What may run.
    pub allow: Vec<Rule>,
    /// What may not; outranks `allow`.
    pub deny: Vec<Rule>,
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// The first text that is not a rule.
    pub fn parse<'a>(
        allow: impl IntoIterator<Item = &'a str>,
        deny: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, RuleError> {
        Ok(Self {
            allow: allow.into_iter().map(Rule::parse).collect::<Result<_, _>>()?,
            deny: deny.into_iter().map(Rule::parse).collect::<Result<_, _>>()?,
        })
    }
}

/// The verdict, and the rule or mode that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It may run.
    Allow(String),
    /// It takes a yes.
    Ask,
    /// It may not run.
    Deny(String),
}

/// Judges a call: what denies wins, then what allows, then the mode.
#[must_use]
pub fn judge(mode: Mode, rules: &Rules, tool: &str, touches: &Touches) -> Judgement {
    if let Some(rule) = rules.deny.iter().find(|rule| rule.matches_any(tool, touches)) {
        return Judgement::Deny(format!("rule `{rule}`"));
    }
    let by_mode = || format!("mode `{mode}`");
    if mode == Mode::Plan && touches.could_write() {
        return Judgement::Deny(by_mode());
    }
    if let Some(rule) = rules.allow.iter().find(|rule| rule.matches_all(tool, touches)) {
        return Judgement::Allow(format!("rule `{rule}`"));
    }
    match mode {
        Mode::Plan => Judgement::Allow(by_mode()),
        Mode::Ask if touches.could_write() => Judgement::Ask,
        Mode::AutoEdit
            if !touches.commands.is_empty() || touches.writes.iter().any(|path| has_power(path)) =>
        {
            Judgement::Ask
        }
        Mode::Ask | Mode::AutoEdit | Mode::Bypass => Judgement::Allow(by_mode()),
    }
}

/// Whether a file decides what runs later: git's own settings and hooks, and the project's settings for us.
fn has_power(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, ".git" | ".codetether"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(kind: &str) -> Touches {
        let one = vec!["x".to_owned()];
        match kind {
            "read" => Touches { reads: one, ..Touches::default() },
            "edit" => Touches { writes: one, ..Touches::default() },
            _ => Touches { commands: one, ..Touches::default() },
        }
    }

    fn verdicts(mode: Mode, rules: &Rules) -> String {
        ["read", "edit", "bash"]
            .map(|tool| match judge(mode, rules, tool, &touches(tool)) {
                Judgement::Allow(_) => "allow",
                Judgement::Ask => "ask",
                Judgement::Deny(_) => "deny",
            })
            .join(" ")
    }

    #[test]
    fn the_mode_decides_where_no_rule_does() {
        let table = [Mode::Plan, Mode::Ask, Mode::AutoEdit, Mode::Bypass]
            .map(|mode| format!("{mode}: {}", verdicts(mode, &Rules::default())));
        assert_eq!(
            table,
            [
                "plan: allow deny deny",
                "ask: allow ask ask",
                "auto-edit: allow allow ask",
                "bypass: allow allow allow",
            ]
        );
    }

    #[test]
    fn what_denies_outranks_what_allows_and_every_mode() {
        let rules = Rules::parse(["edit", "bash(x)"], ["edit(x)", "read(x)"]).unwrap();
        assert_eq!(verdicts(Mode::Bypass, &rules), "deny deny allow");
        assert_eq!(verdicts(Mode::Ask, &rules), "deny deny allow");
        assert_eq!(
            judge(Mode::Bypass, &rules, "edit", &touches("edit")),
            Judgement::Deny("rule `edit(x)`".into())
        );
    }

    #[test]
    fn what_decides_what_runs_later_is_asked_about() {
        let write = |path: &str| Touches { writes: vec![path.into()], ..Touches::default() };
        for path in [".git/config", "sub/.git/hooks/pre-commit", ".codetether/config.toml"] {
            assert_eq!(
                judge(Mode::AutoEdit, &Rules::default(), "write", &write(path)),
                Judgement::Ask,
                "{path}"
            );
        }
        for path in [".gitignore", "git/config", "src/x.git"] {
            let verdict = judge(Mode::AutoEdit, &Rules::default(), "write", &write(path));
            assert!(matches!(verdict, Judgement::Allow(_)), "{path}");
        }
    }

    #[test]
    fn no_rule_lets_plan_write() {
        let rules = Rules::parse(["edit", "bash"], []).unwrap();
        assert_eq!(verdicts(Mode::Plan, &rules), "allow deny deny");
    }

    #[test]
    fn a_call_that_reads_and_writes_counts_as_a_write() {
        let both = Touches { reads: vec!["a".into()], writes: vec!["a".into()], commands: Vec::new() };
        assert_eq!(judge(Mode::Ask, &Rules::default(), "edit", &both), Judgement::Ask);
    }
}
