//! Hooks as settings have them: tables in a list for each point. All that is wrong with one is said where it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use codetether_event::HookPoint;
use codetether_permission::Matcher;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::{Field, Shape, Table, Taken, keys};
use crate::problem::{list, near};
use crate::read::Reader;
use crate::settings::Why;
use crate::{Origin, Seconds};

/// Most hooks of one point in one file.
const MOST: usize = 32;

/// Longest time of a hook, and that of one that names none.
const LONGEST: Seconds = Seconds(600);
const USUAL: Seconds = Seconds(60);

keys! {
    /// A command that has a say at a point.
    pub struct Hook {
        /// The calls that it is for, at points that are about calls: names of tools and rules, with `|` between them, such
        /// as `edit|write` or `bash(git push *)`.
        #[key(default = None, unset = "all")]
        pub matcher: Option<String>,
        /// What `bash` runs, in the workspace and as confined as any command; it has to be set.
        #[key(default = None, unset = "none")]
        pub command: Option<String>,
        /// Longest time, up to `10m`; a hook that takes longer is ended, and the work goes on.
        #[key(default = Some(USUAL))]
        pub timeout: Option<Seconds>,
    }
}

/// The hooks of one source, by point and in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("propertyNames" = points()))]
pub struct Hooks(pub BTreeMap<HookPoint, Vec<Hook>>);

/// For editors: which names there are.
fn points() -> serde_json::Value {
    serde_json::json!({ "enum": HookPoint::ALL })
}

/// A hook and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedHook {
    /// When it runs.
    pub point: HookPoint,
    /// The calls that it is for; all when absent.
    pub matcher: Option<String>,
    /// What runs.
    pub command: String,
    /// How long it may take.
    pub timeout: Seconds,
    /// Where it is from.
    pub origin: Origin,
    /// Why it is not in force, if it is not.
    pub left_out: Option<Why>,
}

impl Hook {
    pub(crate) fn sourced(&self, point: HookPoint, origin: Origin, left_out: Option<Why>) -> SourcedHook {
        SourcedHook {
            point,
            matcher: self.matcher.clone(),
            command: self.command.clone().unwrap_or_default(),
            timeout: self.timeout.unwrap_or(USUAL),
            origin,
            left_out,
        }
    }
}

impl Field for Hooks {
    const SHAPE: Shape = Shape::Lists(Hook::KEYS);

    fn read(&mut self, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let Some(points) = reader.table(value) else { return };
        for (name, value) in points {
            let names = || HookPoint::ALL.iter().map(|point| point.as_str());
            let named = name.get_ref().as_ref();
            match HookPoint::ALL.into_iter().find(|point| point.as_str() == named) {
                Some(point) => {
                    let hooks = reader.inside(named, |reader| of_point(point, value, reader));
                    self.0.entry(point).or_default().extend(hooks);
                }
                None => {
                    let help = match near(named, names()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("hooks run at {}", list(names())),
                    };
                    reader.unknown_name(&name, help);
                }
            }
        }
    }

    fn lay_over(&mut self, top: Self) {
        for (point, hooks) in top.0 {
            self.0.entry(point).or_default().extend(hooks);
        }
    }

    fn narrow(&mut self, _theirs: Self) -> Taken {
        Taken::Wider
    }

    fn is_set(&self) -> bool {
        self.0.values().any(|hooks| !hooks.is_empty())
    }
}

fn of_point(point: HookPoint, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Vec<Hook> {
    let span = value.span();
    let DeValue::Array(items) = value.into_inner() else {
        let help = format!("write `[[hooks.{point}]]`, and its keys on lines of their own");
        reader.problem(Some(span), format!("`hooks.{point}` must be a list of tables"), Some(help));
        return Vec::new();
    };
    if items.len() > MOST {
        let message = format!("`hooks.{point}` has {} hooks: {MOST} are the most", items.len());
        reader.problem(Some(span), message, Some("let one of them run the others".into()));
    }
    let mut hooks = Vec::new();
    for item in items.into_iter().take(MOST) {
        let span = item.span();
        let hook = reader.inside(&hooks.len().to_string(), |reader| {
            let table = reader.table(item)?;
            let hook = hook(point, span.clone(), table, reader);
            reader.place(span);
            Some(hook)
        });
        hooks.extend(hook);
    }
    hooks
}

fn hook(point: HookPoint, span: Range<usize>, table: DeTable<'_>, reader: &mut Reader<'_>) -> Hook {
    let place = |key: &str| table.get(key).map(Spanned::span);
    let (matcher, command, timeout) = (place("matcher"), place("command"), place("timeout"));
    let mut hook = Hook::default();
    Table::read(&mut hook, table, reader);
    match (&hook.command, command) {
        (Some(text), place) if text.trim().is_empty() => {
            reader.problem(
                place,
                "the command of a hook is empty".into(),
                Some("write what is to run".into()),
            );
        }
        (None, None) => {
            let help = "write `command = \"…\"`: what `bash` is to run";
            reader.problem(Some(span), format!("a hook of `{point}` has no command"), Some(help.into()));
        }
        _ => {}
    }
    if let Some(text) = &hook.matcher {
        if !point.is_of_calls() {
            let help = "leave it out; the command is told what there is to choose by";
            let message = format!("a hook of `{point}` has no calls to match");
            reader.problem(matcher, message, Some(help.into()));
        } else if let Err(error) = Matcher::parse(text) {
            let help =
                "write names of tools and rules with `|` between them, such as `edit|bash(git push *)`";
            reader.problem(matcher, format!("`matcher`: {error}"), Some(help.into()));
        }
    }
    if hook.timeout.is_some_and(|time| time < Seconds(1) || time > LONGEST) {
        let message = "the time of a hook is from 1 second to 10 minutes".to_owned();
        reader.problem(timeout, message, Some("write it as `\"10s\"` or `\"2m\"`".into()));
    }
    hook
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::problem::Problems;
    use crate::read::{LayerName, Named, read};

    fn problems(text: &str) -> String {
        let mut problems = Problems::default();
        read(&Named::file(LayerName::User, Path::new("config.toml")), text, &mut problems);
        let line = |problem: &crate::Problem| {
            let (line, help) = (problem.line.unwrap_or(0), problem.help.as_deref().unwrap_or("-"));
            format!("{problem}\n  {line} `{}` help: {help}\n", problem.part().unwrap_or("-"))
        };
        problems.kept().iter().map(line).collect()
    }

    #[test]
    fn what_is_wrong_with_a_hook_is_said_where_it_stands() {
        let text = "[[hooks.PreToolUse]]\ncommand = \"a\"\nmatcher = \"bash(\"\n\n[[hooks.PreTolUse]]\ncommand = \"a\"\n\n\
                    [[hooks.Stop]]\nmatcher = \"bash\"\ncommand = \" \"\ntimeout = \"11m\"\n\n[[hooks.Stop]]\ncomand = \"a\"\n\n\
                    [hooks.SessionEnd]\ncommand = \"a\"\n";
        insta::assert_snapshot!(problems(text), @r#"
        unknown key `hooks.PreTolUse`
          5 `PreTolUse` help: did you mean `PreToolUse`?
        `matcher`: `bash(` is not a rule: write `tool` or `tool(pattern)`, such as `bash(cargo test *)` or `edit(src/**)`
          3 `"bash("` help: write names of tools and rules with `|` between them, such as `edit|bash(git push *)`
        `hooks.SessionEnd` must be a list of tables
          16 `[hooks.SessionEnd]` help: write `[[hooks.SessionEnd]]`, and its keys on lines of their own
        the command of a hook is empty
          10 `" "` help: write what is to run
        a hook of `Stop` has no calls to match
          9 `"bash"` help: leave it out; the command is told what there is to choose by
        the time of a hook is from 1 second to 10 minutes
          11 `"11m"` help: write it as `"10s"` or `"2m"`
        unknown key `hooks.Stop.1.comand`
          14 `comand` help: did you mean `command`?
        a hook of `Stop` has no command
          13 `[[hooks.Stop]]` help: write `command = "…"`: what `bash` is to run
        "#);
        let many = format!("hooks.Stop = [{}]", "{command = \"a\"},".repeat(MOST + 1));
        assert!(problems(&many).contains("33 hooks: 32 are the most"), "{}", problems(&many));
        assert_eq!(
            problems("[[hooks.PreToolUse]]\nmatcher = \"Bash|edit(*.rs)\"\ncommand = \"a\"\ntimeout = 5\n"),
            ""
        );
    }
}
