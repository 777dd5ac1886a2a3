//! `multi_edit`: several edits in one or several files, all of them or none. The edits of one file apply in order, each to
//! what the ones before it left; how one is done is [`replace`](crate::replace)'s affair.

use codetether_event::Touches;
use codetether_files::Permissions;
use codetether_tool::{Args, BoxFuture, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::{self, Change, TOTAL_MAX};
use crate::known::{self, CHANGED, Standing};
use crate::off_thread::to_the_end;
use crate::place::{refused, relative};
use crate::replace::{EditArgs, edit, text_of};
use crate::text::size;
use crate::{diff, spec};

/// Most edits of one call.
const EDITS: usize = 500;

#[derive(Deserialize, JsonSchema)]
struct MultiEditArgs {
    edits: Vec<EditArgs>,
}

/// The tool `multi_edit`.
pub struct MultiEdit {
    spec: ToolSpec,
}

impl Default for MultiEdit {
    fn default() -> Self {
        let description = "Several edits in one or more files, in order, all or none.";
        Self { spec: spec::<MultiEditArgs>("multi_edit", description) }
    }
}

impl Tool for MultiEdit {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, args: &Args) -> Touches {
        let Ok(MultiEditArgs { edits }) = args.parse() else { return Touches::default() };
        let mut paths: Vec<String> = Vec::new();
        for edit in edits {
            if !paths.contains(&edit.path) {
                paths.push(edit.path);
            }
        }
        Touches { reads: paths.clone(), writes: paths, ..Touches::default() }
    }

    fn preview<'a>(&'a self, args: &'a Args, cx: &'a ToolContext) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let (args, cx) = (args.clone(), cx.clone());
            let shown = to_the_end(move || {
                Ok(diff::all(&files(&cx, &args.parse()?)?.into_iter().map(File::change).collect::<Vec<_>>()))
            });
            shown.await.unwrap_or_else(|error| error.to_string())
        })
    }

    fn call<'a>(&'a self, args: Args, cx: &'a ToolContext) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let cx = cx.clone();
            to_the_end(move || {
                let files = files(&cx, &args.parse()?)?;
                let told: Vec<String> = files.iter().map(File::told).collect();
                let changes: Vec<Change> = files.into_iter().map(File::change).collect();
                if cx.cancel.is_cancelled() {
                    return Err(ToolError::Interrupted);
                }
                change::make(&cx.root, &changes)?;
                let known = change::known(&changes);
                let wrote = changes.into_iter().map(|change| change.path).collect();
                Ok(ToolOutput { text: told.join("\n"), wrote, known, ..ToolOutput::default() })
            })
            .await
        })
    }
}

/// A file, and what its edits make of it.
struct File {
    /// Relative to the root.
    path: String,
    mode: u32,
    before: String,
    after: String,
    standing: Standing,
    places: usize,
    /// Line of the last edit.
    line: usize,
}

impl File {
    fn open(cx: &ToolContext, path: String, edit: &EditArgs) -> Result<Self, ToolError> {
        let before = text_of(cx, edit)?;
        let metadata = cx.root.metadata(&path).map_err(|error| refused(&cx.root, &path, error))?;
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
        let standing = known::standing(cx, &path, before.as_bytes());
        Ok(Self { path, mode, after: before.clone(), before, standing, places: 0, line: 0 })
    }

    fn told(&self) -> String {
        let Self { path, places, line, .. } = self;
        let mut told = match places {
            1 => format!("edited `{path}` at line {line}"),
            places => format!("edited `{path}` in {places} places"),
        };
        if self.standing == Standing::Changed {
            told += &format!("; elsewhere it {CHANGED}");
        }
        told
    }

    fn change(self) -> Change {
        Change {
            path: self.path,
            before: Some((self.before.into_bytes(), self.mode)),
            after: Some((self.after.into_bytes(), Permissions::Kept)),
            moved_from: None,
            standing: self.standing,
        }
    }
}

/// The files with all edits done to them, in the order in which they are named first.
fn files(cx: &ToolContext, args: &MultiEditArgs) -> Result<Vec<File>, ToolError> {
    let count = args.edits.len();
    if count == 0 || count > EDITS {
        return Err(ToolError::ForModel(format!("{count} edits: one call takes 1 to {EDITS}")));
    }
    let mut files: Vec<File> = Vec::new();
    for (n, args) in args.edits.iter().enumerate() {
        if cx.cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        let failed = |after: &str, error: String| {
            let which =
                if count == 1 { String::new() } else { format!("edit {} of {count}{after}: ", n + 1) };
            let none = if count == 1 { "" } else { "\nno edit was made" };
            ToolError::ForModel(format!("{which}{}{none}", error.trim_end()))
        };
        let for_model = |after: &str, error: ToolError| match error {
            ToolError::ForModel(text) => failed(after, text),
            other => other,
        };
        let path = relative(&cx.root, &args.path).map_err(|error| for_model("", error))?;
        let at = match files.iter().position(|file| file.path == path) {
            Some(at) => at,
            None => {
                files.push(File::open(cx, path, args).map_err(|error| for_model("", error))?);
                files.len() - 1
            }
        };
        let held: usize = files.iter().map(|file| file.before.len() + file.after.len()).sum();
        let Some(file) = files.get_mut(at) else { continue };
        let after = if file.places > 0 { " (after the edits before it)" } else { "" };
        if held > TOTAL_MAX {
            let most = size(TOTAL_MAX as u64);
            return Err(failed(
                after,
                format!("all files together are larger than {most}: edit fewer at once"),
            ));
        }
        let edited = edit(&file.after, args).map_err(|error| failed(after, error))?;
        (file.after, file.line) = (edited.text, edited.line);
        file.places += edited.places;
    }
    Ok(files)
}
