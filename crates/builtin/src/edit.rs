//! `edit`: replaces text in a file, as [`replace`](crate::replace) does it. What is replaced must be there, so a file that
//! changed elsewhere since the model saw it may be edited; the model is told.

use codetether_event::Touches;
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};

use crate::known::{self, CHANGED, Standing};
use crate::place::{refused, relative};
use crate::replace::{EditArgs, edit, text_of};
use crate::{diff, spec};

/// The tool `edit`.
pub struct Edit {
    spec: ToolSpec,
}

impl Default for Edit {
    fn default() -> Self {
        let description = "Replace text in a file. `old` must occur exactly once, unless replace_all.";
        Self { spec: spec::<EditArgs>("edit", description) }
    }
}

impl Tool for Edit {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let paths = args.parse::<EditArgs>().map(|args| vec![args.path]).unwrap_or_default();
        Touches { reads: paths.clone(), writes: paths, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, cx: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let shown = || -> Result<String, ToolError> {
                let args: EditArgs = args.parse()?;
                let old = text_of(cx, &args)?;
                let edited = edit(&old, &args).map_err(ToolError::ForModel)?;
                Ok(diff::unified(&args.path, Some(&old), &edited.text))
            };
            shown().unwrap_or_else(|error| error.to_string())
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: EditArgs = args.parse()?;
            let path = &args.path;
            let old = text_of(cx, &args)?;
            let edited = edit(&old, &args).map_err(ToolError::ForModel)?;
            let name = relative(&cx.root, path)?;
            let standing = known::standing(cx, &name, old.as_bytes());
            cx.root.write(path, edited.text.as_bytes()).map_err(|error| refused(&cx.root, path, error))?;
            let mut text = match edited.places {
                1 => format!("edited `{path}` at line {}", edited.line),
                places => format!("edited `{path}` in {places} places, the first at line {}", edited.line),
            };
            if edited.indented {
                text += "; the file indents it otherwise, and so is `new` now";
            }
            let mut known = Vec::new();
            match standing {
                Standing::Same => known.push(known::learnt(name.clone(), edited.text.as_bytes())),
                Standing::Changed => text += &format!("; elsewhere it {CHANGED}"),
                Standing::Unknown => {}
            }
            Ok(ToolOutput { text, wrote: vec![name], known, ..ToolOutput::default() })
        })
    }
}
