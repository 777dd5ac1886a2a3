//! Running other programs: each is shown before it runs, and a bad end is an error that names it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// The toolchain's `cargo`, at the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::places::root());
    command
}

/// Cargo's build folder, wherever the environment or a configuration has put it.
pub(crate) fn target_folder() -> Result<PathBuf, Failure> {
    let metadata = text(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let wrong = |error| Failure::Wrong(format!("cannot read what `cargo metadata` says: {error}"));
    let metadata: serde_json::Value = serde_json::from_str(&metadata).map_err(wrong)?;
    let folder = metadata["target_directory"].as_str();
    folder.map(PathBuf::from).ok_or_else(|| Failure::Wrong("`cargo metadata` names no build folder".into()))
}

/// Shows the command, runs it to its end, and wants that to be a good one.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    eprintln!("$ {}", shown(command));
    let status = command.status().map_err(not_started(command))?;
    succeeded(command, status)
}

/// As [`run`], and gives back the last line of its standard error that holds `wanted`.
pub(crate) fn run_and_find(command: &mut Command, wanted: &str) -> Result<Option<String>, Failure> {
    eprintln!("$ {}", shown(command));
    let spawned = command.stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(not_started(command))?;
    let mut found = None;
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            eprint!("{text}");
            if text.contains(wanted) {
                found = Some(text.trim().to_owned());
            }
            line.clear();
        }
    }
    let status = child.wait().map_err(not_started(command))?;
    succeeded(command, status)?;
    Ok(found)
}

/// Runs it without showing it, and gives back its standard output.
pub(crate) fn text(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output().map_err(not_started(command))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it without showing it and without its output; whether it started and ended well.
pub(crate) fn quietly(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Runs it for at most `limit`, then kills it; `None` when it had to be killed.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>, Failure> {
    eprintln!("$ {}", shown(command));
    let mut child = command.spawn().map_err(not_started(command))?;
    let begun = Instant::now();
    loop {
        let ended = child.try_wait().map_err(not_started(command))?;
        if ended.is_some() {
            return Ok(ended);
        }
        if begun.elapsed() > limit {
            // It may have ended just now, which is as good.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let quoted = |word: &OsStr| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let program = command.get_program();
    let name = std::path::Path::new(program).file_name().unwrap_or(program);
    std::iter::once(name).chain(command.get_args()).map(quoted).collect::<Vec<_>>().join(" ")
}

/// Names the command in an error of starting it or waiting for it.
pub(crate) fn not_started(command: &Command) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let command = shown(command);
    |source| Failure::Start { command, source }
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: shown(command), status }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_can_be_pasted_into_a_shell() {
        let mut command = Command::new("/opt/bin/codetether");
        command.args(["run", "it's a job", "-c", "a=\"b\"", ""]);
        assert_eq!(shown(&command), r#"codetether run 'it'\''s a job' -c 'a="b"' ''"#);
    }

    #[test]
    fn a_bad_end_is_an_error_that_names_the_command() {
        let failure = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(failure.to_string(), "`sh -c 'exit 3'` ended with exit status: 3");
    }

    #[test]
    fn the_wanted_line_is_found_and_the_last_one_wins() {
        let script = "echo 'Summary 1' >&2; echo other >&2; echo 'Summary 2' >&2; echo Summary 3";
        let found = run_and_find(Command::new("sh").args(["-c", script]), "Summary").unwrap();
        assert_eq!(found.as_deref(), Some("Summary 2"));
    }

    #[test]
    fn what_takes_too_long_is_killed() {
        let ended = run_within(Command::new("sleep").arg("600"), Duration::ZERO).unwrap();
        assert!(ended.is_none());
        let ended = run_within(Command::new("sh").args(["-c", "exit 7"]), Duration::from_secs(60)).unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(7));
    }
}
