//! `write`: a whole file, at once or not at all. Never leaves half of one, keeps the mode of what was there, and replaces
//! nothing that the model has not seen.

use codetether_event::Touches;
use codetether_files::RootError;
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::known::{self, CHANGED, Standing};
use crate::place::{refused, relative};
use crate::replace::FILE_MAX;
use crate::text::{count, size};
use crate::{diff, spec};

/// Largest file of which it is shown how it differs from what replaces it.
const COMPARED: usize = 4 << 20;

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
        let description = "Create a file, or replace all of one that you have read; makes missing folders.";
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
            let shown = || -> Result<String, ToolError> {
                let args: WriteArgs = args.parse()?;
                Ok(match before(cx, &args)? {
                    None => diff::unified(&args.path, None, &args.content),
                    Some(old) if old.len() > COMPARED => replaces(&args, old.len() as u64),
                    Some(old) => match String::from_utf8(old) {
                        Ok(old) => diff::unified(&args.path, Some(&old), &args.content),
                        Err(old) => replaces(&args, old.as_bytes().len() as u64),
                    },
                })
            };
            shown().unwrap_or_else(|error| error.to_string())
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let args: WriteArgs = args.parse()?;
            let WriteArgs { path, content } = &args;
            let name = relative(&cx.root, path)?;
            let known = vec![known::learnt(name.clone(), content.as_bytes())];
            let did = match before(cx, &args)? {
                Some(old) if old == content.as_bytes() => {
                    let text = format!("`{path}` is unchanged: that is what it held already");
                    return Ok(ToolOutput { text, known, ..ToolOutput::default() });
                }
                // A last line break that is left out is a slip, and no change that anyone asked for.
                Some(old) if old.strip_suffix(b"\n") == Some(content.as_bytes()) && !content.is_empty() => {
                    let text = format!(
                        "`{path}` is unchanged: that is what it held already, but for its last line break (`bash` can take \
                         that away)"
                    );
                    let known = vec![known::learnt(name.clone(), &old)];
                    return Ok(ToolOutput { text, known, ..ToolOutput::default() });
                }
                None => "created",
                Some(_) => "overwrote",
            };
            cx.root.write(path, content.as_bytes()).map_err(|error| refused(&cx.root, path, error))?;
            let lines = count(content.lines().count() as u64, "line");
            let bytes = size(content.len() as u64);
            let text = format!("{did} `{path}`: {lines}, {bytes}");
            Ok(ToolOutput { text, wrote: vec![name], known, ..ToolOutput::default() })
        })
    }
}

/// What the file holds that is to be replaced; nothing where there is none. An error when the model has not seen it.
fn before(cx: &ToolContext, args: &WriteArgs) -> Result<Option<Vec<u8>>, ToolError> {
    let path = &args.path;
    let name = relative(&cx.root, path)?;
    let old = match cx.root.read(path, FILE_MAX as u64) {
        Ok(old) => old,
        Err(RootError::NotFound { .. }) => return Ok(None),
        Err(RootError::TooLarge { .. }) => {
            let most = size(FILE_MAX as u64);
            return Err(ToolError::ForModel(format!(
                "`{path}` is there and larger than {most}: remove it first (`bash` can) if all of it is to be replaced"
            )));
        }
        Err(error) => return Err(refused(&cx.root, path, error)),
    };
    match known::standing(cx, &name, &old) {
        _ if old.is_empty() || old == args.content.as_bytes() => Ok(Some(old)),
        Standing::Same => Ok(Some(old)),
        Standing::Unknown => Err(ToolError::ForModel(format!(
            "`{path}` is there and you have not read it: `read` it first; to change a part of it use `edit`"
        ))),
        Standing::Changed => {
            Err(ToolError::ForModel(format!("`{path}` {CHANGED}: `read` it again before you replace it")))
        }
    }
}

/// What replaces something that cannot be shown as a diff.
fn replaces(args: &WriteArgs, old: u64) -> String {
    let new = size(args.content.len() as u64);
    format!("replaces all {} of `{}` by {new} of text", size(old), args.path)
}
