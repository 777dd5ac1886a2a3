//! `glob`: files by the pattern of their paths. Never opens one.

use std::collections::BTreeSet;
use std::sync::Arc;

use codetether_event::Touches;
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::off_thread::off_thread;
use crate::place::join;
use crate::spec;
use crate::text::{count, one_line};
use crate::walk::{Go, folder, left_out, pattern, walk};

/// Most paths that are shown.
const SHOWN: usize = 200;

#[derive(Deserialize, JsonSchema)]
struct GlobArgs {
    /// Such as `*.rs` or `src/**/*.{ts,tsx}`
    pattern: String,
    /// Folder to search, the workspace by default
    path: Option<String>,
}

impl GlobArgs {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(".")
    }
}

/// The tool `glob`.
pub struct Glob {
    spec: ToolSpec,
}

impl Default for Glob {
    fn default() -> Self {
        Self { spec: spec::<GlobArgs>("glob", "Find files by path. Ignored files are left out.") }
    }
}

impl Tool for Glob {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let reads = args.parse::<GlobArgs>().map(|args| vec![args.path().to_owned()]).unwrap_or_default();
        Touches { reads, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, _: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            args.parse::<GlobArgs>()
                .map_or_else(|error| error.to_string(), |args| format!("{} in {}", args.pattern, args.path()))
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: GlobArgs = args.parse()?;
            let base = folder(&cx.root, args.path())?;
            let matcher = pattern(&cx.root, &args.pattern)?;
            let (root, hidden, room) = (Arc::clone(&cx.root), cx.hidden.clone(), cx.limits.output);
            let text = off_thread(&cx.cancel, move |cancel| {
                // The first of all in the order of their paths, whatever the order of the walk.
                let mut paths = BTreeSet::new();
                let mut found = 0;
                let walked = walk(&root, &base, &hidden, cancel, |path, _| {
                    if matcher.is_match(path) {
                        found += 1;
                        paths.insert(join(&base, &one_line(path)));
                        if paths.len() > SHOWN {
                            paths.pop_last();
                        }
                    }
                    Go::On
                })?;
                let mut text = String::new();
                for path in &paths {
                    if text.len() + path.len() + 200 > room.max(400) {
                        break;
                    }
                    text += path;
                    text.push('\n');
                }
                let left = found - text.lines().count() as u64;
                if found == 0 {
                    text = format!("no file matches `{}`\n", args.pattern);
                } else if left > 0 {
                    text += &format!("[... {} more; narrow the pattern]\n", count(left, "file"));
                }
                Ok(text + &left_out(walked))
            });
            Ok(ToolOutput::text(text.await?))
        })
    }
}
