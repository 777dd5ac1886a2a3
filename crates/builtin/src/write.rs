//! `write`: a whole file, at once or not at all. Never leaves half of one, and keeps the mode of what was there.

use codetether_event::Touches;
use codetether_files::RootError;
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::place::{refused, relative};
use crate::text::{count, size};
use crate::{diff, spec};

/// Largest file that is compared with what replaces it.
const COMPARED: u64 = 4 << 20;

#[derive(Deserialize, JsonSchema)]
struct WriteArgs {
    /// Relative to the workspace
    path: String,
    /// The whole new content
    content: String,
}

/// The tool `write`.
pub struct Write {
    spec: ToolSpec,
}

impl Default for Write {
    fn default() -> Self {
        let description = "Create a file or replace all of it; makes missing folders.";
        Self { spec: spec::<WriteArgs>("write", description) }
    }
}

impl Tool for Write {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let writes = args.parse::<WriteArgs>().map(|args| vec![args.path]).unwrap_or_default();
        Touches { writes, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, cx: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let args = match args.parse::<WriteArgs>() {
                Ok(args) => args,
                Err(error) => return error.to_string(),
            };
            match before(cx, &args.path) {
                Ok(Before::Nothing) => diff::unified(&args.path, None, &args.content),
                Ok(Before::Bytes(old)) => match String::from_utf8(old) {
                    Ok(old) => diff::unified(&args.path, Some(&old), &args.content),
                    Err(old) => replaces(&args, old.as_bytes().len() as u64),
                },
                Ok(Before::Large(bytes)) => replaces(&args, bytes),
                Err(error) => error.to_string(),
            }
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let WriteArgs { path, content } = args.parse()?;
            let did = match before(cx, &path)? {
                Before::Bytes(old) if old == content.as_bytes() => {
                    return Ok(ToolOutput::text(format!(
                        "`{path}` is unchanged: that is what it held already"
                    )));
                }
                Before::Nothing => "created",
                Before::Bytes(_) | Before::Large(_) => "overwrote",
            };
            cx.root.write(&path, content.as_bytes()).map_err(|error| refused(&cx.root, &path, error))?;
            let lines = count(content.lines().count() as u64, "line");
            let bytes = size(content.len() as u64);
            Ok(ToolOutput {
                text: format!("{did} `{path}`: {lines}, {bytes}"),
                wrote: vec![relative(&cx.root, &path)?],
                ..ToolOutput::default()
            })
        })
    }
}

/// What a file held.
enum Before {
    Nothing,
    Bytes(Vec<u8>),
    /// Too much to compare; its size.
    Large(u64),
}

fn before(cx: &ToolContext, path: &str) -> Result<Before, ToolError> {
    match cx.root.read(path, COMPARED) {
        Ok(bytes) => Ok(Before::Bytes(bytes)),
        Err(RootError::NotFound { .. }) => Ok(Before::Nothing),
        Err(RootError::TooLarge { .. }) => {
            Ok(Before::Large(cx.root.metadata(path).map_or(0, |file| file.len())))
        }
        Err(error) => Err(refused(&cx.root, path, error)),
    }
}

/// What replaces something that cannot be shown as a diff.
fn replaces(args: &WriteArgs, old: u64) -> String {
    let new = size(args.content.len() as u64);
    format!("replaces all {} of `{}` by {new} of text", size(old), args.path)
}
