//! Judging a call: is there such a tool, do the arguments fit, where do its paths lead, what do the rules say.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use codetether_event::{AskKind, Brought, Rung, ToolCall, ToolName, Touches, Verdict};
use codetether_files::Root;
use codetether_permission::{Decision, Judgement};
use codetether_secret::Redactor;
use codetether_tool::{CALL_TOOL, TOOL_SEARCH, ToolContext, ToolSource};
use futures_util::FutureExt;

use crate::circumstances::Circumstances;
use crate::late;
use crate::live::{Parts, RuleFile};
use crate::readings::Readings;

/// Bytes of a preview that are kept.
const PREVIEW: usize = 20_000;

/// A judgement, and how far the arguments had to be helped for it.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) helped: Option<Rung>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, helped: None }
    }
}

/// Judges calls.
pub(crate) struct Authoriser {
    tools: Arc<dyn ToolSource>,
    redactor: Arc<Redactor>,
    /// Where "always" writes.
    rule_file: Option<RuleFile>,
    readings: Arc<Readings>,
}

impl Authoriser {
    pub(crate) fn new(parts: &Parts, readings: Arc<Readings>) -> Self {
        Self {
            tools: parts.tools.clone(),
            redactor: parts.redactor.clone(),
            rule_file: parts.rule_file.clone(),
            readings,
        }
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
    ) -> Result<Judged, String> {
        let judged = AssertUnwindSafe(self.judged(call, circumstances, cx)).catch_unwind().await;
        judged.unwrap_or_else(|_| {
            Ok(Verdict::InvalidArguments { problems: "the tool broke down over them".into() }.into())
        })
    }

    /// The verdict on bringing in what a child changed: that on an edit of each of these files.
    pub(crate) fn of_brought(
        &self,
        call: &ToolCall,
        brought: &Brought,
        circumstances: &Circumstances,
        root: &Root,
    ) -> Verdict {
        let touches = Touches { writes: brought.paths.clone(), ..Touches::default() };
        let touches = match inside(root, &touches) {
            Ok(touches) => touches,
            Err(problems) => return Verdict::Deny { rule: problems },
        };
        let judged = circumstances.judge("edit", &touches);
        match judged.decision {
            Decision::Allow => Verdict::Allow { writes: true, rule: judged.by() },
            Decision::Deny => Verdict::Deny { rule: judged.by() },
            Decision::Ask => {
                let mut detail = format!("what the child of session {} changed:\n", brought.session);
                detail.extend(brought.paths.iter().map(|path| format!("{path}\n")));
                let file = self.rule_file.as_ref().map(|file| file.path.clone());
                Verdict::Ask { ask: ask(&call.name, &touches, cut(detail), &judged, file) }
            }
        }
    }

    async fn judged(
        &self,
        call: &ToolCall,
        circumstances: &Circumstances,
        cx: &ToolContext,
    ) -> Result<Judged, String> {
        let settings = &circumstances.settings;
        let offered = |name: &ToolName| settings.tools.as_ref().is_none_or(|tools| tools.contains(name));
        // The means to late tools give nothing that is not offered.
        let means = |name: &ToolName| [TOOL_SEARCH, CALL_TOOL].contains(&name.as_str());
        let named = Some(&call.name).filter(|name| offered(name) || means(name));
        let Some(tool) = named.and_then(|name| self.tools.tool(name)) else {
            let names = self.tools.manifest().into_iter().map(|spec| spec.name).filter(offered).collect();
            let names = if call.wrapped.is_some() { late::near(&call.name, names) } else { names };
            return Ok(Verdict::UnknownTool { offered: names }.into());
        };
        let (args, rung) = match self.readings.read(call, &*tool)? {
            Ok(read) => read,
            Err(problems) => return Ok(Verdict::InvalidArguments { problems }.into()),
        };
        let inside = inside(&cx.root, &tool.touches(&args)).and_then(|mut touches| {
            circumstances.know(&mut touches)?;
            Ok(touches)
        });
        let touches = match inside {
            Ok(touches) => touches,
            Err(problems) => return Ok(Verdict::InvalidArguments { problems }.into()),
        };
        if touches.commands.iter().any(|command| command.trim().is_empty()) {
            return Ok(Verdict::InvalidArguments { problems: "the command is empty".into() }.into());
        }
        let asked = match tool.asks(&args) {
            Ok(asked) => asked,
            Err(problems) => return Ok(Verdict::InvalidArguments { problems }.into()),
        };
        let judged = circumstances.judge(call.name.as_str(), &touches);
        let verdict = match judged.decision {
            // To ask is all that it does, so there is no second question whether it may.
            Decision::Allow | Decision::Ask if let Some(question) = asked => {
                Verdict::Ask { ask: AskKind::Question(question) }
            }
            Decision::Allow => Verdict::Allow { writes: touches.could_write(), rule: judged.by() },
            Decision::Deny => Verdict::Deny { rule: judged.by() },
            Decision::Ask => {
                let detail = cut(self.redactor.redact(&tool.preview(&args, cx).await).into_owned());
                let file = self.rule_file.as_ref().map(|file| file.path.clone());
                Verdict::Ask { ask: ask(&call.name, &touches, detail, &judged, file) }
            }
        };
        Ok(Judged { verdict, helped: Some(rung).filter(|rung| *rung != Rung::Strict) })
    }
}

/// As much of a preview as is kept.
fn cut(mut detail: String) -> String {
    if detail.len() > PREVIEW {
        detail.truncate(detail.floor_char_boundary(PREVIEW));
        detail.push_str("\n[… cut …]");
    }
    detail
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
        hosts: touches.hosts.clone(),
        outside: touches.outside,
        background: touches.background,
        typed: touches.typed.clone(),
    })
}

/// What to ask about a call.
fn ask(
    tool: &ToolName,
    touches: &Touches,
    detail: String,
    judged: &Judgement,
    file: Option<String>,
) -> AskKind {
    let title = match touches.commands.first() {
        Some(command) if touches.outside && touches.background => {
            format!("run `{}` outside the sandbox, in the background", command.trim())
        }
        Some(command) if touches.outside => format!("run `{}` outside the sandbox", command.trim()),
        Some(command) if touches.background => format!("run `{}` in the background", command.trim()),
        Some(command) => format!("run `{}`", command.trim()),
        None if touches.typed.is_some() => {
            let typed = touches.typed.clone().unwrap_or_default();
            format!("write to process {} (`{}`)", typed.process, typed.command.trim())
        }
        None => {
            let mut touched = touches.writes.clone();
            touched.extend(touches.hosts.iter().cloned());
            if touched.is_empty() {
                touched.clone_from(&touches.reads);
            }
            format!("{tool} {}", touched.join(", "))
        }
    };
    let rules = judged.proposals();
    let file = file.filter(|_| !rules.is_empty());
    AskKind::Permission { tool: tool.clone(), title, detail, why: judged.why(), rules, file }
}
