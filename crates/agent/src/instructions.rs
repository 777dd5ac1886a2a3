//! What people tell agents in files: `AGENTS.md`, or `CLAUDE.md` in a folder that has none. The user's own; those from the
//! top of the repository down to the working folder; and those of folders that the work enters, when it does. They are
//! told to the model and grant nothing.

use std::collections::BTreeSet;
use std::path::Path;

use codetether_event::{ContextEvent, Event, ItemId, Message, frame};
use codetether_files::{Root, RootError, above};

use crate::gate::Gate;

/// The names, the first that is there counts.
const NAMES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// Most bytes of one file that are told.
const ONE: usize = 32 * 1024;

/// Most bytes of all that are told when a session begins, and with one result.
const ALL: usize = 64 * 1024;

/// Largest file that is read at all, in bytes.
const FILE: u64 = 1 << 20;

/// Most folders that one call can enter.
const FOLDERS: usize = 64;

/// One file's instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instructions {
    /// As the model can name it.
    from: String,
    text: String,
}

impl Instructions {
    fn shown(&self) -> String {
        // What a file says cannot end its frame, nor a folder's name.
        let (from, text) = (frame::quoted(&self.from), frame::inside("instructions", &self.text));
        format!("\n<instructions from=\"{from}\">\n{text}\n</instructions>")
    }
}

/// What holds from the start, outermost first: the nearest are kept where all are too long together. Begins with a line
/// break, if it is not empty.
pub(crate) fn standing(root: &Root, own: Option<&Path>) -> String {
    let mut notes = String::new();
    let mut nearest_first = Vec::new();
    let mut note = |error: &RootError| {
        notes.push_str(&format!("\n<note>{error}, so its instructions are unknown</note>"));
    };
    let mut take = |found: Result<Option<Instructions>, RootError>| match found {
        Ok(found) => nearest_first.extend(found),
        Err(error) => note(&error),
    };
    take(of_folder(root, "", ""));
    for (steps, folder) in above(root.path()).into_iter().enumerate() {
        let up = "../".repeat(steps + 1);
        if let Ok(folder) = Root::open(&folder) {
            take(of_folder(&folder, "", &up));
        }
    }
    if let Some((folder, name)) = own.and_then(|own| own.parent().zip(own.file_name()?.to_str()))
        && let Ok(folder) = Root::open(folder)
    {
        take(read(&folder, name, &format!("the user's own {name}")));
    }
    let mut left = ALL;
    let mut told = Vec::new();
    for instructions in nearest_first {
        match left.checked_sub(instructions.text.len()) {
            Some(rest) => {
                left = rest;
                told.push(instructions.shown());
            }
            None => told.push(format!(
                "\n<note>`{}` is left out: all instructions together are longer than 64 KiB</note>",
                instructions.from
            )),
        }
    }
    told.into_iter().rev().collect::<String>() + &notes
}

/// What holds in folders on the way to these paths, relative to the root, but for the root itself: what has not been told
/// yet, as it is told, with the names of the files: at most so many, and 64 KiB.
pub(crate) fn on_the_way<'a>(
    root: &Root,
    paths: impl IntoIterator<Item = &'a str>,
    told: &BTreeSet<&str>,
    most: usize,
) -> Vec<(String, String)> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
        folders.extend(ends.chain([path]).filter(|folder| !folder.is_empty() && *folder != "."));
    }
    let (mut found, mut bytes) = (Vec::new(), 0);
    for folder in folders.into_iter().take(FOLDERS) {
        if found.len() == most || bytes >= ALL {
            break;
        }
        if NAMES.iter().any(|name| told.contains(format!("{folder}/{name}").as_str())) {
            continue;
        }
        // Most of these are files, or have none; what cannot be read is no reason for the call to fail.
        if let Ok(Some(instructions)) = of_folder(root, folder, "") {
            bytes += instructions.text.len();
            found.push((instructions.from.clone(), instructions.shown()));
        }
    }
    found
}

/// The fact that tells these files of entered folders again, as they are now: whole, at most so many bytes of all, and the
/// names of those for which there is no room. None where nothing is left of them.
pub(crate) fn anew(item: ItemId, files: &[String], room: u64, gate: &Gate) -> Option<Event> {
    let (mut told, mut passed_over, mut left) = (String::new(), Vec::new(), room);
    let mut instructions = Vec::new();
    for file in files {
        let Ok(Some(found)) = read(&gate.root, file, file) else { continue };
        match left.checked_sub(found.text.len() as u64) {
            Some(rest) => {
                left = rest;
                told.push_str(&found.shown());
                instructions.push(file.clone());
            }
            None => passed_over.push(file.as_str()),
        }
    }
    if told.is_empty() && passed_over.is_empty() {
        return None;
    }
    let mut text = format!("Folders that you worked in have these instructions:{told}");
    if told.is_empty() {
        text.clear();
    }
    if !passed_over.is_empty() {
        text.push_str(&format!(
            "\nThere are instructions in {} too, for which there is no room here: read them before you go on there",
            passed_over.join(", ")
        ));
    }
    let message = Message::user(gate.redactor.redact(text.trim()).into_owned());
    Some(Event::Context(ContextEvent::Shown { item, message, known: Vec::new(), instructions }))
}

/// The instructions of a folder of the root. `up` is written before the name.
fn of_folder(root: &Root, folder: &str, up: &str) -> Result<Option<Instructions>, RootError> {
    for name in NAMES {
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if let Some(found) = read(root, &path, &format!("{up}{path}"))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read(root: &Root, path: &str, from: &str) -> Result<Option<Instructions>, RootError> {
    let bytes = match root.read(path, FILE) {
        Ok(bytes) => bytes,
        Err(RootError::NotFound { .. } | RootError::NotADirectory { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > ONE {
        text.truncate(text.floor_char_boundary(ONE));
        text.push_str("\n[cut: the file is longer than 32 KiB]");
    }
    Ok(Some(Instructions { from: from.to_owned(), text }))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    /// A repository `top` with the folder `top/a/b`, and files in it.
    fn place(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("top/.git")).unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::create_dir_all(dir.path().join("top/a/b")).unwrap();
        let root = Root::open(dir.path().join("top/a/b")).unwrap();
        (dir, root)
    }

    #[test]
    fn they_are_told_from_the_outermost_to_the_nearest() {
        let (dir, root) = place(&[
            ("AGENTS.md", "above the repository"),
            ("top/AGENTS.md", "the top\n"),
            ("top/CLAUDE.md", "no: there is another"),
            ("top/a/CLAUDE.md", "between"),
            ("top/a/b/AGENTS.md", "here"),
            ("top/a/b/c/AGENTS.md", "below"),
            ("own/AGENTS.md", "mine"),
        ]);
        let own = dir.path().join("own/AGENTS.md");
        insta::assert_snapshot!(standing(&root, Some(&own)), @r#"

        <instructions from="the user's own AGENTS.md">
        mine
        </instructions>
        <instructions from="../../AGENTS.md">
        the top
        </instructions>
        <instructions from="../CLAUDE.md">
        between
        </instructions>
        <instructions from="AGENTS.md">
        here
        </instructions>
        "#);
    }

    #[test]
    fn without_a_repository_nothing_above_counts() {
        let (dir, root) = place(&[("top/AGENTS.md", "above"), ("top/a/b/AGENTS.md", "here")]);
        std::fs::remove_dir(dir.path().join("top/.git")).unwrap();
        assert_eq!(standing(&root, None), "\n<instructions from=\"AGENTS.md\">\nhere\n</instructions>");
    }

    #[test]
    fn what_is_too_long_is_cut_or_left_out_and_that_is_said() {
        let long = "x".repeat(ONE + 1);
        let (_dir, root) =
            place(&[("top/AGENTS.md", "the top"), ("top/a/AGENTS.md", &long), ("top/a/b/AGENTS.md", &long)]);
        let told = standing(&root, None);
        assert_eq!(told.matches("[cut: the file is longer than 32 KiB]").count(), 1, "the nearest, cut");
        assert!(told.contains("<note>`../AGENTS.md` is left out"), "{}", &told[..200]);
        assert!(told.contains("the top"), "what fits is told");
    }

    #[test]
    fn what_leads_out_of_its_folder_is_not_read() {
        let (dir, root) = place(&[("secret", "hidden")]);
        std::os::unix::fs::symlink("../../../secret", dir.path().join("top/a/b/AGENTS.md")).unwrap();
        std::os::unix::fs::symlink("../secret", dir.path().join("top/AGENTS.md")).unwrap();
        let told = standing(&root, None);
        assert!(
            !told.contains("hidden") && told.matches("so its instructions are unknown").count() == 2,
            "{told}"
        );
    }

    #[test]
    fn a_folder_that_is_entered_has_its_say_once() {
        let (_dir, root) = place(&[
            ("top/a/b/AGENTS.md", "here"),
            ("top/a/b/x/AGENTS.md", "in x"),
            ("top/a/b/x/y/CLAUDE.md", "in y"),
            ("top/a/b/x/y/f.rs", ""),
        ]);
        let names = |paths: &[&str], told: &[&str]| -> Vec<String> {
            let told = told.iter().copied().collect();
            on_the_way(&root, paths.iter().copied(), &told, 32).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&["x/y/f.rs", "x/y/g.rs"], &[]), ["x/AGENTS.md", "x/y/CLAUDE.md"]);
        assert_eq!(names(&["x/y/f.rs"], &["x/AGENTS.md"]), ["x/y/CLAUDE.md"]);
        assert_eq!(names(&[".", "", "other/f.rs", "f.rs"], &[]), [""; 0]);
        assert_eq!(names(&["x"], &[]), ["x/AGENTS.md"], "a folder that is listed is entered");
    }
}
