//! What to tell the model when a path leads nowhere: outside, missing, a folder instead of a file.

use codetether_files::{Root, RootError};
use codetether_tool::ToolError;

use crate::near;
use crate::text::one_line;

/// Most names of a folder that are compared with a missing one.
const NAMES: usize = 5_000;

/// What the model is told about a path that could not be used.
pub(crate) fn refused(root: &Root, path: &str, error: RootError) -> ToolError {
    ToolError::ForModel(match error {
        RootError::NotFound { .. } => missing(root, path),
        // A file stands where a folder would have to be.
        RootError::NotADirectory { .. } if root.metadata(path).is_err() => missing(root, path),
        RootError::IsDirectory { .. } => format!("`{path}` is a folder; `list` shows what is in it"),
        other => other.to_string(),
    })
}

/// The path within the root, as the model should write it; `.` for the root itself.
pub(crate) fn relative(root: &Root, path: &str) -> Result<String, ToolError> {
    let relative = root.relative(path).map_err(|error| refused(root, path, error))?;
    Ok(relative.as_str().to_owned())
}

/// Says that there is no such path, and what comes near it in the deepest folder on the way that does exist.
fn missing(root: &Root, path: &str) -> String {
    let none = format!("there is no `{path}`");
    let Ok(relative) = relative(root, path) else { return none };
    let mut folder = String::new();
    let mut rest = relative.as_str();
    loop {
        let (name, behind) = rest.split_once('/').unwrap_or((rest, ""));
        let next = join(&folder, name);
        if root.metadata(&next).is_ok_and(|metadata| metadata.is_dir()) {
            if behind.is_empty() {
                return none;
            }
            (folder, rest) = (next, behind);
            continue;
        }
        let here = if folder.is_empty() { "." } else { &folder };
        let Ok(entries) = root.list(here) else { return none };
        let there: Vec<String> =
            entries.take(NAMES).flatten().map(|entry| one_line(entry.name.as_ref())).collect();
        let near = near::names(name, there.iter().map(String::as_str));
        let suggest = |name: &str| {
            let near = join(&folder, name);
            let whole = join(&near, behind);
            if !behind.is_empty() && root.metadata(&whole).is_ok() {
                format!("`{whole}`")
            } else {
                format!("`{near}`")
            }
        };
        let near: Vec<String> = near.into_iter().map(suggest).collect();
        return match near.as_slice() {
            [] if folder.is_empty() => format!("{none}; `list` shows what there is"),
            [] => format!("{none}; `list` shows what is in `{folder}`"),
            near => format!("{none}; did you mean {}?", near.join(" or ")),
        };
    }
}

/// A path below a folder; the root's own name is empty or `.`.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}
