//! `apply_patch`: a patch of one or several files, all of it or nothing. What a patch is and where its hunks go is
//! [`patch`](crate::patch)'s affair.

use codetether_event::Touches;
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::off_thread::to_the_end;
use crate::patch::{self, Plan};
use crate::{change, diff, spec};

#[derive(Deserialize, JsonSchema)]
struct ApplyPatchArgs {
    patch: String,
}

/// The tool `apply_patch`.
pub struct ApplyPatch {
    spec: ToolSpec,
}

impl Default for ApplyPatch {
    fn default() -> Self {
        let description = "Apply a patch, all or nothing: `*** Begin Patch` … `*** End Patch` with \
                           `*** Add|Update|Delete File: PATH`, or a unified diff.";
        Self { spec: spec::<ApplyPatchArgs>("apply_patch", description) }
    }
}

impl Tool for ApplyPatch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// A patch that cannot be read touches nothing: a call with it is refused.
    fn touches(&self, args: &Args) -> Touches {
        let args = args.parse::<ApplyPatchArgs>().ok();
        let patch = args.as_ref().and_then(|args| patch::parse(&args.patch).ok());
        patch.map(|patch| patch.touches()).unwrap_or_default()
    }

    fn preview<'a>(&'a self, args: &'a Args, cx: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let (args, cx) = (args.clone(), cx.clone());
            let shown = to_the_end(move || Ok(diff::all(&plan(&cx, &args)?.changes)));
            shown.await.unwrap_or_else(|error| error.to_string())
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let cx = cx.clone();
            to_the_end(move || {
                let Plan { changes, told } = plan(&cx, &args).map_err(|error| match error {
                    ToolError::ForModel(text) => ToolError::ForModel(format!("{text}\nnothing was changed")),
                    other => other,
                })?;
                if cx.cancel.is_cancelled() {
                    return Err(ToolError::Interrupted);
                }
                change::make(&cx.root, &changes)?;
                let known = change::known(&changes);
                let wrote = changes.into_iter().map(|change| change.path).collect();
                Ok(ToolOutput { text: told, wrote, known, ..ToolOutput::default() })
            })
            .await
        })
    }
}

fn plan(cx: &ToolContext, args: &Args) -> Result<Plan, ToolError> {
    let args: ApplyPatchArgs = args.parse()?;
    let patch = patch::parse(&args.patch).map_err(ToolError::ForModel)?;
    patch::plan(cx, &patch)
}
