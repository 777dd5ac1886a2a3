//! What changed in a project's own files since something was decided about them. Bounded in time: what takes too long
//! to compare is said to have changed, without the lines.

use std::time::{Duration, Instant};

use similar::TextDiff;

use crate::trust::store::KeptFile;
use crate::trust::{Kind, ProjectFiles, TrustStore};

/// Longest text, in bytes, whose lines are compared.
const LONGEST: usize = 256 << 10;

/// Most time that the comparison may take; after that it is coarser.
const PATIENCE: Duration = Duration::from_millis(500);

/// A file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Where it is, relative to the project's root; what is not UTF-8 in it is replaced.
    pub path: String,
    /// What happened, in a few words.
    pub what: String,
    /// A unified diff, where there is one to show.
    pub diff: Option<String>,
}

/// What changed since the decision that is kept about these files' folder.
#[must_use]
pub fn changes(store: &TrustStore, files: &ProjectFiles) -> Vec<FileChange> {
    let now: Vec<KeptFile> = files.files().iter().map(KeptFile::of).collect();
    between(&store.files(files.root()), &now)
}

/// The paths of both are sorted.
fn between(before: &[KeptFile], now: &[KeptFile]) -> Vec<FileChange> {
    let mut paths: Vec<&String> = before.iter().chain(now).map(|file| &file.path).collect();
    paths.sort();
    paths.dedup();
    let deadline = Instant::now() + PATIENCE;
    let of = |files: &[KeptFile], path: &String| files.iter().find(|file| file.path == *path).cloned();
    let change = |path: &String| {
        let (before, now) = (of(before, path), of(now, path));
        if before == now {
            return None;
        }
        let what = match (&before, &now) {
            (None, Some(now)) => format!("new {}", now.kind.as_str()),
            (_, None) => "removed".into(),
            (Some(before), Some(now)) if before.kind != now.kind => {
                format!("was a {}, is a {}", before.kind.as_str(), now.kind.as_str())
            }
            (Some(_), Some(_)) => "changed".into(),
        };
        Some(FileChange {
            path: path.clone(),
            what,
            diff: diff(path, before.as_ref(), now.as_ref(), deadline),
        })
    };
    paths.into_iter().filter_map(change).collect()
}

fn diff(path: &str, before: Option<&KeptFile>, now: Option<&KeptFile>, deadline: Instant) -> Option<String> {
    let text = |file: Option<&KeptFile>| match file {
        None => Some(String::new()),
        Some(KeptFile { kind: Kind::Link, text, .. }) => text.as_ref().map(|target| format!("{target}\n")),
        Some(KeptFile { text, .. }) => text.clone(),
    };
    let (before, now) = (text(before)?, text(now)?);
    if before == now || before.len().max(now.len()) > LONGEST {
        return None;
    }
    let diff = TextDiff::configure().deadline(deadline).diff_lines(&before, &now);
    Some(diff.unified_diff().context_radius(3).header(&format!("a/{path}"), &format!("b/{path}")).to_string())
}
