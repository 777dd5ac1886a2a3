//! Texts of requests without what depends on where and when they are asked, so that two runs can be compared. Pure.

use std::path::Path;

/// What stands for the folder that a session works in.
const FOLDER: &str = "{folder}";

/// The text with names in place of the folder, wherever it is written, and of the platform and the date in the message
/// about the place.
#[must_use]
pub fn placeless(text: &str, root: &Path) -> String {
    let dated = match text.strip_prefix("<environment>\n").and_then(|rest| rest.split_once("</environment>"))
    {
        None => text.to_owned(),
        Some((told, rest)) => {
            let lines = told.lines().map(|line| match line.split_once(": ") {
                Some((name @ ("platform" | "date"), _)) => format!("{name}: {{{name}}}\n"),
                _ => format!("{line}\n"),
            });
            format!("<environment>\n{}</environment>{rest}", lines.collect::<String>())
        }
    };
    match root.to_str() {
        // A root of everything is part of every path.
        Some(root) if root.len() > 1 => without(&dated, root),
        _ => dated,
    }
}

/// Replaces a path, not where it is part of another name.
fn without(text: &str, root: &str) -> String {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, _) in text.match_indices(root) {
        let end = start.saturating_add(root.len());
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(end..).and_then(|after| after.chars().next());
        if !before.is_some_and(|c| part(c) || c == '.') && !after.is_some_and(part) {
            out.push_str(text.get(at..start).unwrap_or_default());
            out.push_str(FOLDER);
            at = end;
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use codetether_files::{Root, WriteOptions, write_atomic};

    use super::*;
    use crate::prepare::environment;

    #[test]
    fn the_message_about_the_place_is_the_same_everywhere_and_always() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let told = |dir: &tempfile::TempDir| {
            let root = dir.path().canonicalize().unwrap();
            let (file, options) = (root.join("AGENTS.md"), WriteOptions::default());
            write_atomic(file, b"Be brief.\ndate: no\n", &options).unwrap();
            placeless(&environment(&Root::open(&root).unwrap(), None), &root)
        };
        let expected = "<environment>\nproject folder: {folder}\nplatform: {platform}\ndate: {date}\n</environment>\n\
                        <instructions from=\"AGENTS.md\">\nBe brief.\ndate: no\n</instructions>";
        assert_eq!([told(&one), told(&other)], [expected, expected]);
    }

    #[test]
    fn the_folder_has_a_name_wherever_it_is_whole() {
        let root = Path::new("/srv/a");
        let text = "/srv/a and \"/srv/a/b\", /srv/a.txt, not /srv/ab, /srv/a-b or x/srv/a; date: 2026-01-01";
        let bare =
            "{folder} and \"{folder}/b\", {folder}.txt, not /srv/ab, /srv/a-b or x/srv/a; date: 2026-01-01";
        assert_eq!(placeless(text, root), bare);
        assert_eq!(placeless("/srv/a", Path::new("/")), "/srv/a");
    }
}
