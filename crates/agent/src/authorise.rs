//! Judging a call: is there such a tool, do the arguments fit, where do its paths lead, what do the rules say.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use codetether_event::{AskKind, Brought, Event, NoteEvent, Rung, ToolCall, ToolName, Touches, Verdict};
use codetether_files::Root;
use codetether_permission::Decision;
use codetether_secret::Redactor;
use codetether_tool::{Args, CALL_TOOL, TOOL_SEARCH, Tool, ToolContext, ToolSource};
use futures_util::FutureExt;

use crate::circumstances::Circumstances;
use crate::hooks::{self, Hooks, Remembered};
use crate::late;
use crate::parts::{Parts, RuleFile};
use crate::readings::Readings;

/// Bytes of a preview that are kept.
const PREVIEW: usize = 20_000;

/// A judgement, and how far the arguments had to be helped for it.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) helped: Option<Rung>,
    /// What hooks said besides.
    pub(crate) facts: Vec<Event>,
}

/// How it stands with a call that is judged.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    /// Whether nothing before it can change any more what it would do.
    pub(crate) settled: bool,
    /// Whether someone has allowed it.
    pub(crate) granted: bool,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, helped: None, facts: Vec::new() }
    }
}

/// Judges calls.
pub(crate) struct Authoriser {
    tools: Arc<dyn ToolSource>,
    redactor: Arc<Redactor>,
    /// Where "always" writes.
    rule_file: Option<RuleFile>,
    readings: Arc<Readings>,
    remembered: Remembered,
}

impl Authoriser {
    pub(crate) fn new(parts: &Parts, readings: Arc<Readings>) -> Self {
        Self {
            tools: parts.tools.clone(),
            redactor: parts.redactor.clone(),
            rule_file: parts.rule_file.clone(),
            readings,
            remembered: Remembered::default(),
        }
    }

    /// The verdict on a call. A tool that breaks down over its arguments makes them invalid.
    ///
    /// # Errors
    /// When a tool's schema is itself wrong: a fault of ours.
    pub(crate) async fn verdict(
        &self,
        (call, standing): (&ToolCall, Standing),
        circumstances: &Circumstances,
        hooks: &Hooks,
        cx: &ToolContext,
    ) -> Result<Judged, String> {
        let judging = self.judged((call, standing), circumstances, hooks, cx);
        let judged = AssertUnwindSafe(judging).catch_unwind().await;
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
                let reasons = (judged.why(), judged.proposals());
                Verdict::Ask { ask: self.ask(&call.name, &touches, cut(detail), reasons) }
            }
        }
    }

    async fn judged(
        &self,
        (call, standing): (&ToolCall, Standing),
        circumstances: &Circumstances,
        hooks: &Hooks,
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
        let mut verdict = match judged.decision {
            // To ask is all that it does, so there is no second question whether it may.
            Decision::Allow | Decision::Ask if let Some(question) = asked => {
                Verdict::Ask { ask: AskKind::Question(question) }
            }
            Decision::Allow => Verdict::Allow { writes: touches.could_write(), rule: judged.by() },
            Decision::Deny => Verdict::Deny { rule: judged.by() },
            Decision::Ask => {
                let detail = self.detail(&*tool, &args, cx).await;
                Verdict::Ask {
                    ask: self.ask(&call.name, &touches, detail, (judged.why(), judged.proposals())),
                }
            }
        };
        let mut facts = Vec::new();
        let interrupted = |hooks::Interrupted| "interrupted".to_owned();
        let about = hooks::Call { item: cx.call, call, args: &args.0, touches: &touches, circumstances };
        if !matches!(verdict, Verdict::Deny { .. }) {
            let mut said = hooks.before(&about, &self.remembered, &cx.cancel).await.map_err(interrupted)?;
            facts.extend(said.notes().into_iter().chain(said.stop()));
            verdict = match (said.blocked, said.asks, verdict) {
                (Some(rule), ..) => Verdict::Deny { rule },
                (None, Some(why), Verdict::Allow { .. }) => {
                    let detail = self.detail(&*tool, &args, cx).await;
                    Verdict::Ask { ask: self.ask(&call.name, &touches, detail, (why, Vec::new())) }
                }
                (None, _, verdict) => verdict,
            };
        }
        // What the model asks, a person answers.
        if let Verdict::Ask { ask } = &verdict
            && !matches!(ask, AskKind::Question(_))
            && standing.settled
            && !standing.granted
        {
            let mut said = hooks.asked(&about, ask.why(), &cx.cancel).await.map_err(interrupted)?;
            facts.extend(said.notes().into_iter().chain(said.stop()));
            verdict = match (said.blocked, said.allows) {
                (Some(rule), _) => Verdict::Deny { rule },
                // A hook runs where the agent's own commands do: it lets nothing out of there.
                (None, Some(rule)) if touches.outside => {
                    let text = format!("{rule}; but what is to run outside the sandbox takes a person's yes");
                    facts.push(Event::Note(NoteEvent::Warned { text }));
                    verdict
                }
                (None, Some(rule)) => Verdict::Allow { writes: touches.could_write(), rule },
                (None, None) => verdict,
            };
        }
        Ok(Judged { verdict, helped: Some(rung).filter(|rung| *rung != Rung::Strict), facts })
    }

    /// What a person is shown of a call.
    async fn detail(&self, tool: &dyn Tool, args: &Args, cx: &ToolContext) -> String {
        cut(self.redactor.redact(&tool.preview(args, cx).await).into_owned())
    }

    /// What to ask about a call.
    fn ask(
        &self,
        tool: &ToolName,
        touches: &Touches,
        detail: String,
        (why, rules): (String, Vec<String>),
    ) -> AskKind {
        let file = self.rule_file.as_ref().map(|file| file.path.clone()).filter(|_| !rules.is_empty());
        AskKind::Permission { tool: tool.clone(), title: title(tool, touches), detail, why, rules, file }
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
pub(crate) fn inside(root: &Root, touches: &Touches) -> Result<Touches, String> {
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

/// One line: what a call would do.
fn title(tool: &ToolName, touches: &Touches) -> String {
    match touches.commands.first() {
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
    }
}
