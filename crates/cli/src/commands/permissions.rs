//! `codetether permissions …`: what would happen to a call and why, which rules hold, and changing them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use codetether_config::{Layer, Settings, SettingsFile, SourcedRule};
use codetether_event::{Confinement, Mode, Touches};
use codetether_permission::{By, Judgement, List, Part, Place, Rule, Rules, Stance, What, judge};
use serde_json::{Value, json};

use crate::args;
use crate::commands::config::change::failed;
use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{place, printer, sandbox, settings};

#[derive(Debug, Subcommand)]
pub(crate) enum PermissionsCommand {
    /// Say what would happen to a command, and which rule decides on each of its parts and why. Runs nothing.
    Explain(ExplainArgs),
    /// List the rules that hold here, with where each is from.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// As if working in this folder.
        #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
    /// Add a rule; without an option, to your own settings for this folder.
    Add {
        /// The list.
        list: ListName,
        /// The rule, such as `bash(cargo test *)`, `edit(src/**)` or `fetch(docs.rs)`.
        rule: String,
        #[command(flatten)]
        which: Which,
    },
    /// Remove a rule; without an option, from your own settings for this folder.
    Remove {
        /// The list.
        list: ListName,
        /// The rule, as it is written there.
        rule: String,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The command; for `--tool`, the path or the host.
    #[arg(allow_hyphen_values = true)]
    command: String,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// As if in this mode.
    #[arg(long, value_parser = args::mode)]
    mode: Option<Mode>,
    /// With this rule that allows.
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
    /// With this rule that asks.
    #[arg(long, value_name = "RULE")]
    ask: Vec<String>,
    /// With this rule that denies.
    #[arg(long, value_name = "RULE")]
    deny: Vec<String>,
    /// A call of this tool instead of a shell command, such as `read`, `edit` or `fetch`.
    #[arg(long, value_name = "NAME", default_value = SHELL)]
    tool: String,
    /// As if working in this folder.
    #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Which file a rule is in.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Your own settings, for every folder.
    #[arg(long, conflicts_with = "project")]
    user: bool,
    /// The project's own file; what allows there counts once the folder is trusted.
    #[arg(long)]
    project: bool,
    /// As if working in this folder.
    #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ListName {
    Allow,
    Ask,
    Deny,
}

impl ListName {
    fn key(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

const SHELL: &str = "bash";
/// Tools whose calls read, and tools whose calls reach hosts; any other writes.
const READERS: &[&str] = &["read", "list", "glob", "grep"];
const FETCHERS: &[&str] = &["fetch", "web_fetch"];

pub(crate) fn run(command: PermissionsCommand) -> Result<Exit, Failure> {
    match command {
        PermissionsCommand::Explain(args) => explain(&args),
        PermissionsCommand::List { json, dir } => list(dir.as_deref(), json),
        PermissionsCommand::Add { list, rule, which } => add(list, &rule, &which),
        PermissionsCommand::Remove { list, rule, which } => remove(list, &rule, &which),
    }
}

/// The rule file of a folder's own user: where "always" writes.
pub(crate) fn rule_file(root: &Path) -> Option<codetether_agent::RuleFile> {
    let path = place::config_file()?;
    let folder = root.to_str()?.to_owned();
    let shown = format!("{} (for this folder)", path.display());
    let file = SettingsFile::user(path);
    let add = move |rules: &[String]| {
        rules.iter().try_for_each(|rule| {
            file.push(&["folders", &folder, "allow"], rule).map(drop).map_err(|error| error.to_string())
        })
    };
    Some(codetether_agent::RuleFile { path: shown, add: std::sync::Arc::new(add) })
}

fn folder(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    crate::run::folder(dir)
}

fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    if args.command.trim().is_empty() {
        let help = "give a command, such as `codetether permissions explain 'git push'`";
        return Err(Failure::with_help(Exit::Usage, "there is nothing to explain", help));
    }
    let root = folder(args.dir.as_deref())?;
    let flags = Layer {
        mode: args.mode,
        allow: args.allow.clone(),
        ask: args.ask.clone(),
        deny: args.deny.clone(),
        ..Layer::default()
    };
    let project = Project::at(&root);
    let settings = settings::load(&project, Vec::new(), flags)?;
    let rules = settings.rules.iter().map(|rule| (rule.list, rule.rule.as_str()));
    let rules = Rules::parse(rules).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let one = vec![args.command.clone()];
    let tool = args.tool.as_str();
    let touches = match tool {
        SHELL => Touches { commands: one, ..Touches::default() },
        _ if READERS.contains(&tool) => Touches { reads: one, ..Touches::default() },
        _ if FETCHERS.contains(&tool) => Touches { hosts: one, ..Touches::default() },
        _ => Touches { writes: one, ..Touches::default() },
    };
    let home = std::env::home_dir();
    let place = Place { root: &root, home: home.as_deref(), follow: &codetether_agent::followed };
    let confinement = sandbox::confinement(&settings)?;
    let mode = settings.mode(confinement);
    let confined = confinement == Confinement::Namespaces;
    let judged = judge(Stance { mode, confined }, &rules, tool, &touches, &place);
    let explained = Explained { args, settings: &settings, mode, judged: &judged };
    printer::out(&if args.json { format!("{}\n", explained.json()) } else { explained.text() })?;
    if !args.json {
        printer::err(&project.left_out(&settings));
    }
    Ok(Exit::Done)
}

struct Explained<'a> {
    args: &'a ExplainArgs,
    settings: &'a Settings,
    mode: Mode,
    judged: &'a Judgement,
}

impl Explained<'_> {
    /// Where the rule that decided on a part is from.
    fn origin(&self, part: &Part) -> Option<String> {
        let By::Rule(list, text) = &part.by else { return None };
        let is = |rule: &&SourcedRule| rule.list == *list && rule.rule.trim() == text;
        self.settings.rules.iter().find(is).map(|rule| rule.origin.to_string())
    }

    fn json(&self) -> Value {
        let parts = |kinds: &[What]| -> Vec<Value> {
            self.judged
                .parts
                .iter()
                .filter(|part| kinds.contains(&part.what))
                .map(|part| self.part(part))
                .collect()
        };
        json!({
            "verdict": self.judged.decision.as_str(),
            "mode": self.mode.as_str(),
            "tool": self.args.tool,
            "why": self.judged.why(),
            "commands": parts(&[What::Command]),
            "files": parts(&[What::Read, What::Write]),
            "others": parts(&[What::Assignment, What::Fetch, What::Unclear, What::Call]),
            "rules": self.judged.proposals(),
        })
    }

    fn part(&self, part: &Part) -> Value {
        let (list, rule) = match &part.by {
            By::Rule(list, rule) => (Some(list.as_str()), Some(rule)),
            By::Mode(_) | By::Caution | By::Sandbox | By::Nothing => (None, None),
        };
        json!({
            "kind": kind(part.what),
            "text": part.text,
            "verdict": part.decision.as_str(),
            "list": list,
            "rule": rule,
            "from": self.origin(part),
            "why": part.why,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.judged.decision.as_str());
        for part in &self.judged.parts {
            let shown = printer::plain(&part.text).replace('\n', "\n        ");
            text.push_str(&format!("  {:<5} {} {shown}\n", part.decision.as_str(), kind(part.what)));
            let by = match (&part.by, self.origin(part)) {
                (By::Rule(list, rule), origin) => {
                    let origin = origin.map(|origin| format!(", from {origin}")).unwrap_or_default();
                    format!("`{}` {}{origin}: {}", list.as_str(), printer::plain(rule), part.why)
                }
                (By::Mode(_) | By::Caution | By::Sandbox | By::Nothing, _) => part.why.clone(),
            };
            text.push_str(&format!("        {}\n", printer::plain(&by)));
        }
        let proposals = self.judged.proposals();
        if !proposals.is_empty() {
            text.push_str("to allow it\n");
            for rule in proposals {
                let quoted = rule.replace('\'', r"'\''");
                text.push_str(&format!("  codetether permissions add allow '{}'\n", printer::plain(&quoted)));
            }
        }
        text
    }
}

fn kind(what: What) -> &'static str {
    match what {
        What::Command => "command",
        What::Assignment => "assignment",
        What::Read => "read",
        What::Write => "write",
        What::Fetch => "host",
        What::Unclear => "unclear",
        What::Call => "call",
    }
}

fn list(dir: Option<&Path>, as_json: bool) -> Result<Exit, Failure> {
    let project = Project::at(&folder(dir)?);
    let settings = settings::load(&project, Vec::new(), Layer::default())?;
    let mut text = String::new();
    for wanted in [List::Deny, List::Ask, List::Allow] {
        for rule in settings.rules.iter().filter(|rule| rule.list == wanted) {
            let origin = rule.origin.to_string();
            if as_json {
                let line = json!({ "list": wanted.as_str(), "rule": rule.rule, "from": origin });
                text.push_str(&format!("{line}\n"));
            } else {
                let (rule, origin) = (printer::plain(&rule.rule), printer::plain(&origin));
                text.push_str(&format!("{:<5} {rule}    ({origin})\n", wanted.as_str()));
            }
        }
    }
    if text.is_empty() && !as_json {
        let mode = settings.mode(sandbox::confinement(&settings)?);
        text.push_str(&format!("no rules; mode `{mode}` decides\n"));
    }
    printer::out(&text)?;
    printer::err(&project.left_out(&settings));
    Ok(Exit::Done)
}

/// The file that is meant, and the keys of the list in it.
fn target(list: ListName, which: &Which) -> Result<(SettingsFile, Vec<String>), Failure> {
    let root = folder(which.dir.as_deref())?;
    if which.project {
        return Ok((SettingsFile::project(&root), vec![list.key().to_owned()]));
    }
    let path = place::config_file().ok_or_else(|| {
        let help = "set `HOME` to your home folder";
        Failure::with_help(Exit::Failed, "there is no place for your settings", help)
    })?;
    let keys = if which.user {
        vec![list.key().to_owned()]
    } else {
        let root = root.to_str().ok_or_else(|| {
            Failure::with_help(
                Exit::Usage,
                "the name of this folder is no text, so that settings cannot speak of it",
                "add the rule with `--user`, for every folder",
            )
        })?;
        vec!["folders".into(), root.into(), list.key().into()]
    };
    Ok((SettingsFile::user(path), keys))
}

fn add(list: ListName, rule: &str, which: &Which) -> Result<Exit, Failure> {
    let rule = rule.trim();
    Rule::parse(rule).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let (file, keys) = target(list, which)?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let added = file.push(&keys, rule).map_err(failed)?;
    let path = printer::plain(&file.path().display().to_string());
    let said = if added { "added" } else { "already there" };
    printer::err(&format!("{said}: `{}` in `{}` of {path}\n", printer::plain(rule), list.key()));
    if which.project && matches!(list, ListName::Allow) {
        printer::err(
            "note: what a project's file allows counts once the folder is trusted: `codetether trust add`\n",
        );
    }
    Ok(Exit::Done)
}

fn remove(list: ListName, rule: &str, which: &Which) -> Result<Exit, Failure> {
    let (file, keys) = target(list, which)?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let path = printer::plain(&file.path().display().to_string());
    if file.remove(&keys, rule.trim()).map_err(failed)? {
        printer::err(&format!(
            "removed: `{}` from `{}` of {path}\n",
            printer::plain(rule.trim()),
            list.key()
        ));
        return Ok(Exit::Done);
    }
    Err(Failure::with_help(
        Exit::Usage,
        format!(
            "there is no rule `{}` in `{}` of {path} for this folder",
            printer::plain(rule.trim()),
            list.key()
        ),
        "`codetether permissions list` shows the rules and where they are; `--user` and `--project` name another file",
    ))
}
