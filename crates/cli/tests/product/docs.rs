//! What the documentation says can be done: pages are in the book and lead somewhere, and each command that is shown is one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::Bench;

/// Writes down what it was called with, and does nothing.
const SHIM: &str = "#!/bin/sh\nprintf '%s\\0' \"$@\" >> \"$LOG\"\nprintf '\\n' >> \"$LOG\"\n";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| top().join(name)));
    pages.sort();
    pages
}

fn read(path: &Path) -> String {
    codetether_files::read_to_string(path).unwrap()
}

/// What a page's links lead to, without those that leave the project.
fn links(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    links.filter(|link| !link.contains("://")).collect()
}

#[test]
fn every_page_is_in_the_book_and_leads_somewhere() {
    let docs = top().join("docs");
    let summary = read(&docs.join("SUMMARY.md"));
    let listed: BTreeSet<&str> = links(&summary).into_iter().collect();
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            let file = link.split('#').next().unwrap();
            assert!(page.parent().unwrap().join(file).exists(), "{}: there is no `{link}`", page.display());
        }
        let name = page.file_name().unwrap().to_str().unwrap();
        if page.starts_with(&docs) && name != "SUMMARY.md" {
            assert!(listed.contains(name), "`{name}` is not in docs/SUMMARY.md");
        }
    }
    assert!(read(&docs.join("book.toml")).contains("src = \".\""));
}

/// The shell's text of a block of code: all of it, or what follows the prompt where output is shown as well.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => open = Some((kind.trim(), String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(kind, _)| ["sh", "console"].contains(kind)))
            }
            (Some(("console", block)), None) => {
                block.extend(line.strip_prefix("$ ").into_iter().flat_map(|line| [line, "\n"]));
            }
            (Some((_, block)), None) => block.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks.into_iter().map(|(_, block)| block).collect()
}

#[test]
fn every_command_that_is_shown_is_one() {
    let bench = Bench::new([]);
    let shims = bench.home.path().join("shims");
    codetether_files::create_dir_all(&shims).unwrap();
    let shim = shims.join("codetether");
    codetether_files::write_atomic(&shim, SHIM.as_bytes(), &<_>::default()).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    #[allow(clippy::disallowed_methods, reason = "a test sets up files as a person would")]
    std::fs::set_permissions(&shim, executable).unwrap();
    let log = bench.home.path().join("log");
    let mut shown = 0;
    for page in pages() {
        for block in blocks(&read(&page)) {
            codetether_files::write_atomic(&log, b"", &<_>::default()).unwrap();
            // Nothing else can run: there is only the shim, and what the shell does itself.
            let mut shell = Command::new("/bin/sh");
            shell
                .args(["-c", &block])
                .env_clear()
                .env("PATH", &shims)
                .env("LOG", &log)
                .env("HOME", bench.home.path());
            shell.current_dir(bench.path("")).stdin(std::process::Stdio::null()).output().unwrap();
            let calls = read(&log);
            for call in calls.split_terminator("\0\n") {
                let mut args: Vec<&str> = call.split('\0').take_while(|arg| *arg != "--").collect();
                args.push("--help");
                let run = bench.bare(&args);
                assert_eq!(
                    run.code,
                    0,
                    "{}: `codetether {}`\n{}",
                    page.display(),
                    args.join(" "),
                    run.stderr
                );
                shown += 1;
            }
        }
    }
    assert!(shown > 15, "{shown}");
}
