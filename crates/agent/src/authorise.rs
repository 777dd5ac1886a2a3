//! Judging a call: is there such a tool, do the arguments fit, where do its paths lead, what do the rules say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use codetether_event::{AskKind, ToolCall, ToolName, Touches, TurnSettings, Verdict};
use codetether_files::Root;
use codetether_permission::{Judgement, Rule, Rules, judge};
use codetether_schema::Validator;
use codetether_tool::{Args, Tool, ToolContext, ToolSource};

/// Bytes of a preview that are kept.
const PREVIEW: usize = 20_000;

/// Judges calls; compiles each tool's schema once.
pub(crate) struct Authoriser {
    tools: Arc<dyn ToolSource>,
    validators: Mutex<HashMap<ToolName, Arc<Validator>>>,
}

/// What holds while calls are judged.
pub(crate) struct Circumstances {
    pub(crate) settings: TurnSettings,
    pub(crate) grants: Vec<String>,
}

impl Authoriser {
    pub(crate) fn new(tools: Arc<dyn ToolSource>) -> Self {
        Self { tools, validators: Mutex::default() }
    }

    /// The verdict on a call.
    ///
    /// # Errors
    /// When the rules in force or a tool's schema are themselves wrong: a fault of ours.
    pub(crate) async fn verdict(
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
        let allow = settings.allow.iter().chain(&circumstances.grants).map(String::as_str);
        let rules =
            Rules::parse(allow, settings.deny.iter().map(String::as_str)).map_err(|e| e.to_string())?;
        Ok(match judge(settings.mode, &rules, call.name.as_str(), &touches) {
            Judgement::Allow(rule) => Verdict::Allow { writes: touches.could_write(), rule },
            Judgement::Deny(rule) => Verdict::Deny { rule },
            Judgement::Ask => {
                let mut detail = tool.preview(&args, cx).await;
                if detail.len() > PREVIEW {
                    detail.truncate(detail.floor_char_boundary(PREVIEW));
                    detail.push_str("\n[… cut …]");
                }
                Verdict::Ask { ask: ask(&call.name, &touches, detail) }
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

fn ask(tool: &ToolName, touches: &Touches, detail: String) -> AskKind {
    let (title, rule) = match touches.commands.first() {
        Some(command) => (format!("run `{}`", command.trim()), Rule::for_command(tool.as_str(), command)),
        None => (format!("{tool} {}", touches.writes.join(", ")), tool.to_string()),
    };
    AskKind::Permission { tool: tool.clone(), title, detail, rule }
}
