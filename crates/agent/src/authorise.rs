//! Judging a call: is there such a tool, do the arguments fit, where do its paths lead, what do the rules say.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{AskKind, Mode, ToolCall, ToolName, Touches, TurnSettings, Verdict};
use codetether_files::Root;
use codetether_permission::{Judgement, Rule, Rules, judge};
use codetether_schema::Validator;
use codetether_secret::Redactor;
use codetether_tool::{Args, Tool, ToolContext, ToolSource};
use futures_util::FutureExt;

/// Bytes of a preview that are kept.
const PREVIEW: usize = 20_000;

/// Judges calls; compiles each tool's schema once.
pub(crate) struct Authoriser {
    tools: Arc<dyn ToolSource>,
    redactor: Arc<Redactor>,
    validators: Mutex<HashMap<ToolName, Arc<Validator>>>,
}

/// What holds while calls are judged.
pub(crate) struct Circumstances {
    settings: TurnSettings,
    rules: Rules,
}

impl Circumstances {
    /// # Errors
    /// When a rule is none: a fault of ours, since they were checked where they came from.
    pub(crate) fn new(settings: TurnSettings, grants: &[String]) -> Result<Self, String> {
        let allow = settings.allow.iter().chain(grants).map(String::as_str);
        let rules =
            Rules::parse(allow, settings.deny.iter().map(String::as_str)).map_err(|e| e.to_string())?;
        Ok(Self { settings, rules })
    }
}

impl Authoriser {
    pub(crate) fn new(tools: Arc<dyn ToolSource>, redactor: Arc<Redactor>) -> Self {
        Self { tools, redactor, validators: Mutex::default() }
    }

    /// The verdict on a call. A tool that breaks down over its arguments makes them invalid.
    ///
    /// # Errors
    /// When a tool's schema is itself wrong: a fault of ours.
    pub(crate) async fn verdict(
        &self,
        call: &ToolCall,
        circumstances: &Circumstances,
        cx: &ToolContext,
    ) -> Result<Verdict, String> {
        let judged = AssertUnwindSafe(self.judged(call, circumstances, cx)).catch_unwind().await;
        judged.unwrap_or_else(|_| {
            Ok(Verdict::InvalidArguments { problems: "the tool broke down over them".into() })
        })
    }

    async fn judged(
        &self,
        call: &ToolCall,
        circumstances: &Circumstances,
        cx: &ToolContext,
    ) -> Result<Verdict, String> {
        let settings = &circumstances.settings;
        let offered = |name: &ToolName| settings.tools.as_ref().is_none_or(|tools| tools.contains(name));
        let Some(tool) = Some(&call.name).filter(|name| offered(name)).and_then(|name| self.tools.tool(name))
        else {
            let names = self.tools.manifest().into_iter().map(|spec| spec.name).filter(offered).collect();
            return Ok(Verdict::UnknownTool { offered: names });
        };
        let args = match self.arguments(call, &*tool)? {
            Ok(args) => args,
            Err(problems) => return Ok(Verdict::InvalidArguments { problems }),
        };
        let touches = match inside(&cx.root, &tool.touches(&args)) {
            Ok(touches) => touches,
            Err(problems) => return Ok(Verdict::InvalidArguments { problems }),
        };
        let rules = &circumstances.rules;
        Ok(match strictest(settings.mode, rules, call.name.as_str(), &touches, &cx.root) {
            Judgement::Allow(rule) => Verdict::Allow { writes: touches.could_write(), rule },
            Judgement::Deny(rule) => Verdict::Deny { rule },
            Judgement::Ask => {
                let mut detail = self.redactor.redact(&tool.preview(&args, cx).await).into_owned();
                if detail.len() > PREVIEW {
                    detail.truncate(detail.floor_char_boundary(PREVIEW));
                    detail.push_str("\n[… cut …]");
                }
                match ask(&call.name, &touches, detail) {
                    Some(ask) => Verdict::Ask { ask },
                    None => Verdict::InvalidArguments { problems: "the command is empty".into() },
                }
            }
        })
    }

    /// The arguments, if they fit the tool's schema; else what does not.
    fn arguments(&self, call: &ToolCall, tool: &dyn Tool) -> Result<Result<Args, String>, String> {
        let value = match codetether_schema::parse_arguments(&call.arguments) {
            Ok(value) => value,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = match validators.get(&call.name) {
            Some(validator) => validator.clone(),
            None => {
                let compiled = Validator::new(&tool.spec().schema).map_err(|e| e.to_string())?;
                validators.entry(call.name.clone()).or_insert(Arc::new(compiled)).clone()
            }
        };
        drop(validators);
        Ok(match validator.validate(&value) {
            Ok(()) => Ok(Args(value)),
            Err(violations) => Err(violations.to_string()),
        })
    }
}

/// What is touched, with paths relative to the root; an error for the model when one leads out of it.
fn inside(root: &Root, touches: &Touches) -> Result<Touches, String> {
    let resolve = |paths: &[String]| -> Result<Vec<String>, String> {
        paths
            .iter()
            .map(|path| root.relative(path).map(|path| path.to_string()).map_err(|e| e.to_string()))
            .collect()
    };
    Ok(Touches {
        reads: resolve(&touches.reads)?,
        writes: resolve(&touches.writes)?,
        commands: touches.commands.clone(),
    })
}

/// Judges a call by the paths as they are written and by where they lead: what denies counts on either, what allows
/// must hold on both.
fn strictest(mode: Mode, rules: &Rules, tool: &str, touches: &Touches, root: &Root) -> Judgement {
    let written = judge(mode, rules, tool, touches);
    let lead = |paths: &[String]| paths.iter().map(|path| resolved(root, path)).collect();
    let led = Touches {
        reads: lead(&touches.reads),
        writes: lead(&touches.writes),
        commands: touches.commands.clone(),
    };
    if led == *touches {
        return written;
    }
    match (written, judge(mode, rules, tool, &led)) {
        (Judgement::Deny(rule), _) | (_, Judgement::Deny(rule)) => Judgement::Deny(rule),
        (Judgement::Ask, _) | (_, Judgement::Ask) => Judgement::Ask,
        (Judgement::Allow(rule), Judgement::Allow(_)) => Judgement::Allow(rule),
    }
}

/// Links that are followed one after the other.
const LINKS: u32 = 40;

/// Where a path within the root leads, with every link followed, also one that leads to nothing yet; the path itself
/// when that is outside, which the tool will find out at opening it.
fn resolved(root: &Root, path: &str) -> String {
    let led = followed(root.path().join(path), LINKS);
    let inside = led.as_deref().and_then(|led| led.strip_prefix(root.path()).ok());
    match inside.and_then(|inside| inside.to_str()) {
        Some("") => ".".to_owned(),
        // Joining nothing leaves a slash behind.
        Some(inside) => inside.trim_end_matches('/').to_owned(),
        None => path.to_owned(),
    }
}

fn followed(whole: PathBuf, links: u32) -> Option<PathBuf> {
    let there = whole.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok())?;
    let rest = whole.strip_prefix(there).ok()?;
    match there.canonicalize() {
        Ok(real) => Some(real.join(rest)),
        Err(_) => {
            // A link that leads to nothing: its target is what would be made.
            let target = there.read_link().ok()?;
            let parent = there.parent()?.canonicalize().ok()?;
            followed(parent.join(target).join(rest), links.checked_sub(1)?)
        }
    }
}

/// What to ask; nothing when no rule could stand for the call.
fn ask(tool: &ToolName, touches: &Touches, detail: String) -> Option<AskKind> {
    let (title, rule) = match touches.commands.first() {
        Some(command) => (format!("run `{}`", command.trim()), Rule::for_command(tool.as_str(), command)),
        None => (format!("{tool} {}", touches.writes.join(", ")), tool.to_string()),
    };
    Rule::parse(&rule).ok()?;
    Some(AskKind::Permission { tool: tool.clone(), title, detail, rule })
}
