//! What stopped a confined command: reads its output for what the kernel says when it denies something, looks for the
//! path beside that, and asks the plan whether it really denies that path. What the plan does not deny is not mentioned.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

use super::explain::Words;
use super::policy::{Limits, Policy};
use super::{Answer, Host, Plan, Tier};
use crate::Status;

/// Lines that are looked at, and paths that are asked about, at most.
const LINES: usize = 64;
const PATHS: usize = 64;
/// Most that is told.
const TOLD: usize = 3;
/// Longest line that is looked at, and longest path, in bytes.
const LINE: usize = 4096;
const PATH: usize = 1024;
/// How far above a line that names nothing a path may be.
const ABOVE: usize = 4;

/// A confined command that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ran<'a> {
    /// How.
    pub status: Status,
    /// What it said, or the start and the end of that.
    pub output: &'a str,
    /// Where it ran.
    pub dir: &'a Path,
    /// Whether it stayed there, as far as can be told: only then relative paths mean something.
    pub stays: bool,
}

/// Something that it was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What, for records, such as `read /home/ada/.netrc` or `memory`.
    pub what: String,
    /// The same with the reason and what the user can do about it, for whoever ran it.
    pub note: String,
}

/// What the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    ReadOnly,
    Denied,
    NotPermitted,
    Missing,
    Busy,
}

const PHRASES: &[(&str, Said)] = &[
    ("read-only file system", Said::ReadOnly),
    ("permission denied", Said::Denied),
    ("operation not permitted", Said::NotPermitted),
    ("no such file or directory", Said::Missing),
    ("device or resource busy", Said::Busy),
];

/// What says that memory, or processes, ran out.
const MEMORY: &[&str] =
    &["cannot allocate memory", "out of memory", "memoryerror", "memory allocation of", "bad_alloc"];
const PROCESSES: &[&str] = &[
    "fork: retry",
    "cannot fork",
    "fork: resource temporarily unavailable",
    "can't start new thread",
    "failed to spawn thread",
    "failed to create thread",
];

/// What a command in a sandbox of this policy was denied, as far as its output tells and the plan confirms. Looks at the
/// machine again where there is something to be asked. Settings are what the notes name.
#[must_use]
pub fn denials(policy: &Policy, ran: &Ran<'_>) -> Vec<Denial> {
    let mut all = Vec::new();
    let host = Host::here();
    let candidates = candidates(ran, &host.home);
    if !candidates.is_empty()
        && let Ok(plan) = Plan::to_explain(policy, &host)
    {
        let mut seen = BTreeSet::new();
        let denied = candidates.iter().filter_map(|(said, path)| denied(&plan, *said, path));
        all.extend(denied.filter(|denial| seen.insert(denial.what.clone())).take(TOLD));
    }
    all.extend(bound(&policy.limits, ran));
    all
}

fn denied(plan: &Plan, said: Said, path: &Path) -> Option<Denial> {
    let is_there = path.symlink_metadata().is_ok();
    let real = real(path);
    let answer = plan.explain_path(&real, Words::Settings);
    let by_landlock = || {
        let existing = real.ancestors().find(|above| above.exists());
        plan.tier() == Some(Tier::Landlock)
            && existing.is_some_and(|path| access(path, Access::WRITE_OK).is_ok())
    };
    let (what, is) = match (said, answer.may) {
        (Said::Missing | Said::Denied | Said::NotPermitted, "nothing") if is_there => ("read", ""),
        (Said::ReadOnly, "nothing") => ("write", ""),
        (Said::ReadOnly, "read") => ("write", " is read-only"),
        (Said::Denied, "read") if by_landlock() => ("write", " is read-only"),
        (Said::Busy, _) if plan.holds(&real) => ("move", " stays where it is"),
        _ => return None,
    };
    let shown = path.display();
    let Answer { why, cure, .. } = answer;
    let why = why.replace(&format!("`{}`: ", real.display()), "");
    let cure = cure.filter(|_| said != Said::Busy).map(|cure| format!("; {cure}")).unwrap_or_default();
    Some(Denial { what: format!("{what} {shown}"), note: format!("sandbox: `{shown}`{is}: {why}{cure}") })
}

/// The path with the links on the way to it followed, as they lead outside.
fn real(path: &Path) -> PathBuf {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    path.canonicalize()
        .or_else(|_| above.canonicalize().map(|above| above.join(name)))
        .unwrap_or_else(|_| path.to_owned())
}

/// What the kernel said of which paths, in order.
fn candidates(ran: &Ran<'_>, home: &Path) -> Vec<(Said, PathBuf)> {
    let lines: Vec<&str> = ran.output.lines().collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let told = lines.iter().enumerate().filter(|(_, line)| line.len() <= LINE);
    let told = told.filter_map(|(number, line)| Some((number, *line, phrase(line)?)));
    for (number, line, (said, at)) in told.take(LINES) {
        let mut names = names(line, at);
        if names.is_empty() {
            let above = lines.iter().take(number).rev().take(ABOVE).filter(|line| line.len() <= LINE);
            names = above.flat_map(|line| names_with_slash(line)).collect();
        }
        for name in names {
            let path = match name.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None if name.starts_with('/') => PathBuf::from(name),
                None if ran.stays && !name.starts_with('-') => ran.dir.join(name),
                None => continue,
            };
            let path = plain(&path);
            if path.as_os_str().len() <= PATH && found.len() < PATHS && seen.insert((said, path.clone())) {
                found.push((said, path));
            }
        }
    }
    found
}

/// What a line says, and where it does.
fn phrase(line: &str) -> Option<(Said, usize)> {
    let lower = line.to_ascii_lowercase();
    PHRASES.iter().find_map(|(phrase, said)| Some((*said, lower.find(phrase)?)))
}

/// What could be the name of a file on a line: what is quoted, and what stands before the phrase.
fn names(line: &str, at: usize) -> Vec<&str> {
    let mut names = quoted(line);
    let before = line.get(..at).unwrap_or_default().trim_end().trim_end_matches(':');
    let last = before.rsplit(": ").next().unwrap_or(before).trim();
    if names.is_empty() && !last.is_empty() && !last.contains("[Errno") && !last.ends_with("EACCES") {
        names.push(last);
        names.extend(last.split_whitespace().next_back().filter(|word| *word != last));
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The same of a line that says nothing itself.
fn names_with_slash(line: &str) -> Vec<&str> {
    let words =
        line.split_whitespace().map(|word| word.trim_matches(['`', '\'', '"', ',', ';', ':', '(', ')']));
    words.filter(|word| word.contains('/')).collect()
}

fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, close) in [('\'', '\''), ('"', '"'), ('`', '`'), ('‘', '’'), ('“', '”')] {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inner, after)) = after.split_once(close) else { break };
            found.push(inner);
            rest = after;
        }
    }
    found
}

/// Without `.` and `..`, as a shell would follow them where no link is on the way.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for step in path.components() {
        match step {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            step => plain.push(step),
        }
    }
    plain
}

/// Which bound ended it, where that is known.
fn bound(limits: &Limits, ran: &Ran<'_>) -> Option<Denial> {
    let denial = |what: &str, note: String| Some(Denial { what: what.into(), note });
    if ran.status == Status::Code(0) {
        return None;
    }
    let too_large = [Status::Signal(libc::SIGXFSZ), Status::Code(128 + libc::SIGXFSZ)].contains(&ran.status);
    if let Some(bytes) = limits.file.filter(|_| too_large) {
        let size = size(bytes);
        return denial(
            "file size",
            format!("sandbox: no file may become larger than {size} (`sandbox.file_size`)"),
        );
    }
    let lower = ran.output.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    if let Some(bytes) = limits.memory.filter(|_| says(MEMORY)) {
        let size = size(bytes);
        return denial(
            "memory",
            format!("sandbox: no process may have more than {size} of memory (`sandbox.memory`)"),
        );
    }
    if says(PROCESSES) {
        let most = limits.processes;
        let note =
            format!("sandbox: there may be {most} processes and threads at a time (`sandbox.processes`)");
        return denial("processes", note);
    }
    None
}

/// A size for people.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes >> shift > 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;
    use crate::launch::policy::Mode;

    fn found(output: &str) -> Vec<String> {
        let ran = Ran { status: Status::Code(1), output, dir: Path::new("/ws"), stays: true };
        let all = candidates(&ran, Path::new("/home/ada"));
        all.into_iter().map(|(said, path)| format!("{said:?} {}", path.display())).collect()
    }

    #[test]
    fn paths_are_found_as_programs_write_them() {
        for (line, wanted) in [
            ("cat: /home/ada/.netrc: No such file or directory", "Missing /home/ada/.netrc"),
            ("ls: cannot access '/home/ada/x y': No such file or directory", "Missing /home/ada/x y"),
            ("bash: line 1: ../outside: Read-only file system", "ReadOnly /outside"),
            ("/bin/sh: 1: cannot create /etc/x: Read-only file system", "ReadOnly /etc/x"),
            (
                "error: could not lock config file .git/config: Read-only file system",
                "ReadOnly /ws/.git/config",
            ),
            ("FileNotFoundError: [Errno 2] No such file or directory: '/home/ada/x'", "Missing /home/ada/x"),
            ("Error: EACCES: permission denied, open '/ws/.netrc'", "Denied /ws/.netrc"),
            ("open /ws/.npmrc: permission denied", "Denied /ws/.npmrc"),
            ("mv: cannot move 'nested' to 'n': Device or resource busy", "Busy /ws/nested"),
            ("cat: ~/x: No such file or directory", "Missing /home/ada/x"),
        ] {
            assert!(found(line).contains(&wanted.to_owned()), "{line}: {:?}", found(line));
        }
        let cargo = "error: failed to open: /home/ada/.cargo/x.lock\n\nCaused by:\n  Read-only file system (os error 30)";
        assert!(found(cargo).contains(&"ReadOnly /home/ada/.cargo/x.lock".to_owned()), "{:?}", found(cargo));
        assert!(found("all is well").is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_is_looked_at() {
        let many: String =
            (0..10_000).map(|number| format!("cat: /x/{number}: No such file or directory\n")).collect();
        assert_eq!(found(&many).len(), PATHS);
        assert!(found(&format!("cat: /{}: Permission denied", "x".repeat(100_000))).is_empty());
    }

    #[test]
    fn only_what_the_plan_denies_is_told() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/var/tmp").unwrap());
        let root = root.path().canonicalize().unwrap();
        let other = other.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join(".git/hooks")).unwrap();
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::write(root.join(".netrc"), "x").unwrap();
        std::fs::write(root.join("mine"), "x").unwrap();
        std::fs::write(other.join("there"), "x").unwrap();
        let policy = Policy::new(Mode::WorkspaceWrite, &root).unwrap();
        let told = |output: &str| {
            let ran = Ran { status: Status::Code(1), output, dir: &root, stays: true };
            let notes = denials(&policy, &ran).into_iter().map(|denial| denial.note);
            notes.map(|note| note.replace(&root.display().to_string(), "ROOT")).collect::<Vec<_>>()
        };
        assert_eq!(
            told("touch: cannot touch '.git/hooks/x': Read-only file system"),
            [
                "sandbox: `ROOT/.git/hooks/x` is read-only: `ROOT/.git/hooks`: git outside would run what is in it; the user can \
              change it, outside"
            ]
        );
        assert_eq!(
            told("cat: .netrc: Permission denied"),
            [
                "sandbox: `ROOT/.netrc`: keys and passwords are kept there; the user can show it with `sandbox.readable`"
            ]
        );
        assert_eq!(
            told("mv: cannot move '.git' to 'g': Device or resource busy"),
            [
                "sandbox: `ROOT/.git` stays where it is: a repository: it cannot be swapped for another; what is in it can be changed"
            ]
        );
        let there = other.join("there");
        let note = &told(&format!("cat: {}: No such file or directory", there.display()))[0];
        assert!(
            note.contains("private, empty at the start") && note.contains("`sandbox.readable`"),
            "{note}"
        );
        for nothing in [
            "cat: /no/such/file: No such file or directory".to_owned(),
            "cat: mine: Permission denied".to_owned(),
            "cat: sub/absent: No such file or directory".to_owned(),
            "cat: /etc/passwd: Permission denied".to_owned(),
            format!("cat: {}: No such file or directory", other.join("absent").display()),
        ] {
            assert_eq!(told(&nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn a_place_that_is_shown_by_name_is_shown() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::write(root.join(".netrc"), "x").unwrap();
        let mut policy = Policy::new(Mode::WorkspaceWrite, &root).unwrap();
        let may = |policy: &Policy| {
            let plan = Plan::to_explain(policy, &Host::here()).unwrap();
            plan.explain_path(&root.join(".netrc"), Words::Settings).may
        };
        assert_eq!(may(&policy), "nothing");
        policy.grant_read(&root.join(".netrc"), "x").unwrap();
        assert_eq!(may(&policy), "read", "that is what the note says");
    }

    #[test]
    fn bounds_are_named_where_they_ended_it() {
        let limits = Limits { memory: Some(4 << 30), processes: 600, millis: None, file: Some(3 << 20) };
        let told = |status, output| {
            bound(&limits, &Ran { status, output, dir: Path::new("/"), stays: true })
                .map(|denial| denial.note)
        };
        assert_eq!(
            told(Status::Code(153), ""),
            Some("sandbox: no file may become larger than 3 MiB (`sandbox.file_size`)".into())
        );
        assert_eq!(
            told(Status::Code(1), "Traceback\nMemoryError\n"),
            Some("sandbox: no process may have more than 4 GiB of memory (`sandbox.memory`)".into())
        );
        assert!(told(Status::Code(1), "sh: 1: Cannot fork").is_some());
        assert_eq!(told(Status::Code(0), "out of memory"), None);
        assert_eq!(told(Status::Code(1), "failed"), None);
    }
}
