//! `cargo xtask demo`: a real model on this machine, a real repository, a real job, and an honest report.
//!
//! The demo fails only when the program failed: when codetether ended in a way it should not, or left a log that does
//! not hold together. When the model got the job wrong, the report says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::At as _;
use crate::{Failure, places, process, tools};

pub(crate) mod embedded;
pub(crate) mod log;
mod project;
pub(crate) mod server;

use embedded::Home;
use log::Log;

/// The demo as a user runs it.
pub(crate) const FULL: Demo = Demo { model: embedded::MODEL, limits: &["--max-time", "15m"] };

/// The demo as CI runs it.
pub(crate) const SMOKE: Demo = Demo {
    model: embedded::TINY,
    limits: &["--max-output", "300", "--max-time", "5m", "-c", "check.tries=2"],
};

/// This many earlier runs are kept for a look.
const RUNS_KEPT: usize = 5;

/// The check runs what a model wrote: it may never end.
const CHECK_LIMIT: Duration = Duration::from_secs(30);

/// What a run of the demo differs in.
#[derive(Debug)]
pub(crate) struct Demo {
    model: &'static str,
    /// Flags of `codetether run`.
    limits: &'static [&'static str],
}

/// Runs the demo and prints its report.
pub(crate) fn run(demo: &Demo) -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        return Err(Failure::Wrong("the demo runs on Linux (x86-64 or arm64) only".into()));
    }
    tools::GIT.ensure()?;
    tools::PYTHON.ensure()?;
    let codetether = embedded::build()?;
    let folder = new_folder()?;
    let home = Home::new(&codetether, &folder)?;
    home.pull(demo.model)?;
    let project = project::create(&folder.join("project"))?;

    println!("\nmodel    {}, inside the program, on this machine's CPU", demo.model);
    println!("project  {}", project.display());
    println!("job      {}\n", project::JOB);
    // That it fails is no news; how it fails after the job is.
    let before = check(&project, Stdio::null())?;

    let (output, offline) = let_it_work(demo, &home, &project)?;

    let answer = String::from_utf8_lossy(&output.stdout);
    println!("{}", answer.trim_end());
    println!("\nthe change:");
    let change = project::change(&project)?;
    println!("{}", if change.is_empty() { "(none)" } else { change.trim_end() });
    println!();
    let after = check(&project, Stdio::inherit())?;
    attempt_to_look_outside(&home, &folder, &project)?;

    let code = output.status.code();
    let log = log::find_and_read(&home.data());
    println!("\nmodel    {}", demo.model);
    println!(
        "network  {}",
        if offline {
            "cut: it ran in a network of its own"
        } else {
            "not cut: this system lets no user do that"
        }
    );
    println!("run      codetether ended with {}", output.status);
    if let Ok(log) = &log {
        println!("steps    {}", log.steps());
        println!("tokens   {}", log.tokens());
        if let Some(pace) = log.pace() {
            println!("pace     {pace}");
        }
        println!("session  {}", log.session);
        println!("         {}", log.path.display());
        println!(
            "         XDG_DATA_HOME={} {} session show {}",
            home.data().display(),
            codetether.display(),
            log.session
        );
    }
    println!("check    exit code {} before, {} after", shown(before), shown(after));
    println!("result   {}", verdict(after == Some(0), code));
    offer_a_key();

    let log = log?;
    log.must_be_whole()?;
    reads_back(&home, &log)?;
    match code {
        // 8: no try passed the check, which is the model's doing.
        Some(0 | 4 | 8) => Ok(()),
        _ => Err(Failure::Wrong(format!("codetether ended with {}, which it should not", output.status))),
    }
}

/// The same with a model of a vendor's, where there is a key for it.
fn offer_a_key() {
    for (key, model) in
        [("ANTHROPIC_API_KEY", "anthropic"), ("OPENAI_API_KEY", "openai"), ("GEMINI_API_KEY", "google")]
    {
        if std::env::var_os(key).is_some() {
            println!(
                "\n`{key}` is set: the same with a large model is `codetether run \"{}\"` in the project, after",
                project::JOB
            );
            println!("`git checkout .`; `codetether models list --provider {model}` says which there are.");
            return;
        }
    }
}

fn verdict(solved: bool, code: Option<i32>) -> &'static str {
    match (solved, code) {
        (true, _) => "the job is done: the check passes",
        (false, Some(8)) => {
            "not done: no try passed the check (the program worked, the model did not get there)"
        }
        (false, Some(4)) => {
            "not done: a limit was reached first (the program worked, the model did not get there)"
        }
        (false, Some(0)) => "not done: the check fails (the program worked, the model got it wrong)",
        (false, _) => "not done: codetether failed",
    }
}

fn shown(code: Option<i32>) -> String {
    code.map_or_else(|| "none (stopped)".into(), |code| code.to_string())
}

/// A fresh folder in the cache for this run: project, session data, the server's log. Old ones are removed.
fn new_folder() -> Result<PathBuf, Failure> {
    let all = places::cache()?.join("demo");
    fs::create_dir_all(&all).at("create", &all)?;
    let mut earlier: Vec<_> =
        fs::read_dir(&all).at("read", &all)?.flatten().map(|entry| entry.path()).collect();
    earlier.sort();
    let surplus = earlier.len().saturating_sub(RUNS_KEPT - 1);
    for old in earlier.iter().take(surplus) {
        fs::remove_dir_all(old).at("remove", old)?;
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let folder = all.join(format!("run-{seconds}-{}", std::process::id()));
    fs::create_dir(&folder).at("create", &folder)?;
    Ok(folder)
}

/// The check of the project, run by the demo itself. `None` when it did not end in time.
fn check(project: &Path, messages: Stdio) -> Result<Option<i32>, Failure> {
    let mut command = Command::new("python3");
    command.args(project::CHECK).current_dir(project).stdin(Stdio::null()).stderr(messages);
    Ok(process::run_within(&mut command, CHECK_LIMIT)?.and_then(|status| status.code()))
}

/// Says besides whether the network was cut.
fn let_it_work(demo: &Demo, home: &Home, project: &Path) -> Result<(Output, bool), Failure> {
    let (mut command, offline) = home.command_offline();
    command.current_dir(project).args(["run", project::JOB, "--model", &format!("local/{}", demo.model)]);
    command.args(demo.limits);
    eprintln!("$ {}", process::shown(&command));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let output =
        child.and_then(std::process::Child::wait_with_output).map_err(process::not_started(&command))?;
    Ok((output, offline))
}

/// A command in the sandbox that the agent's commands run in asks for a file beside the project, and must not get it.
fn attempt_to_look_outside(home: &Home, folder: &Path, project: &Path) -> Result<(), Failure> {
    const PRIVATE: &str = "what only you should read";
    let file = folder.join("private.txt");
    fs::write(&file, PRIVATE).at("write", &file)?;
    let mut command = home.command();
    command.current_dir(project).args(["sandbox", "run", "--", "cat", "../private.txt"]);
    let output = command.stdin(Stdio::null()).output().map_err(process::not_started(&command))?;
    println!("\nthe sandbox, asked for a file beside the project:");
    println!("$ codetether sandbox run -- cat ../private.txt");
    print!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    println!("(exit code {})", shown(output.status.code()));
    if String::from_utf8_lossy(&output.stdout).contains(PRIVATE) {
        return Err(Failure::Wrong("the sandbox let a command read a file outside of the project".into()));
    }
    Ok(())
}

/// What the log holds can be had through the program too.
fn reads_back(home: &Home, log: &Log) -> Result<(), Failure> {
    for subcommand in ["show", "export"] {
        let mut command = home.command();
        let text = process::text(command.args(["session", subcommand, &log.session]))?;
        if text.trim().is_empty() {
            return Err(Failure::Wrong(format!("`{}` says nothing", process::shown(&command))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_check_decides_whether_the_job_is_done() {
        assert!(verdict(true, Some(4)).starts_with("the job is done"));
        assert!(verdict(false, Some(0)).contains("the model got it wrong"));
        assert!(verdict(false, Some(5)).contains("codetether failed"));
        assert!(verdict(false, Some(8)).contains("no try passed"));
    }
}
