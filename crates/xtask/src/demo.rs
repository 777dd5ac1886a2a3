//! `cargo xtask demo`: a real model on this machine, a real repository, a real job, and an honest report.
//!
//! The demo fails only when the program failed: when codetether ended in a way it should not, or left a log that does
//! not hold together. When the model got the job wrong, the report says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::failure::At as _;
use crate::{Failure, places, process, tools};

pub(crate) mod log;
pub(crate) mod model;
mod project;
pub(crate) mod server;

use log::Log;
use model::Model;

/// The demo as a user runs it.
pub(crate) const FULL: Demo = Demo {
    model: &model::QWEN_CODER,
    context: 8192,
    limits: ["--max-steps", "8", "--max-output", "1024", "--max-time", "15m"],
};

/// The demo as CI runs it.
pub(crate) const SMOKE: Demo = Demo {
    model: &model::SMOLLM,
    context: 8192,
    limits: ["--max-steps", "3", "--max-output", "200", "--max-time", "5m"],
};

/// This many earlier runs are kept for a look.
const RUNS_KEPT: usize = 5;

/// The check runs what a model wrote: it may never end.
const CHECK_LIMIT: Duration = Duration::from_secs(30);

/// What a run of the demo differs in.
#[derive(Debug)]
pub(crate) struct Demo {
    model: &'static Model,
    /// Tokens that the server keeps room for.
    context: u32,
    /// Flags of `codetether run`.
    limits: [&'static str; 6],
}

/// Runs the demo and prints its report.
pub(crate) fn run(demo: &Demo) -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        return Err(Failure::Wrong("the demo runs on Linux (x86-64 or arm64) only".into()));
    }
    tools::C_COMPILER.ensure()?;
    tools::GIT.ensure()?;
    let python = tools::python_with(server::PACKAGE, server::VERSION)?;
    let weights = demo.model.get(&python)?;
    let codetether = build()?;

    let folder = new_folder()?;
    let project = project::create(&folder.join("project"))?;
    let server =
        server::Server::of_model(&python, &weights, demo.context, None, &folder.join("model-server.log"))?;

    println!("\nmodel    {}", demo.model.title);
    println!("         {}", demo.model.note);
    println!("project  {}", project.display());
    println!("job      {}\n", project::JOB);
    // That it fails is no news; how it fails after the job is.
    let before = check(&python, &project, Stdio::null())?;

    let begun = Instant::now();
    let output = let_it_work(demo, &codetether, &server, &folder, &project)?;
    let took = begun.elapsed();
    drop(server);

    let answer = String::from_utf8_lossy(&output.stdout);
    println!("{}", answer.trim_end());
    println!("\nthe change:");
    let change = project::change(&project)?;
    println!("{}", if change.is_empty() { "(none)" } else { change.trim_end() });
    println!();
    let after = check(&python, &project, Stdio::inherit())?;
    attempt_to_look_outside(&codetether, &folder, &project)?;

    let code = output.status.code();
    let log = log::find_and_read(&folder.join("data"));
    println!("\nmodel    {}", demo.model.title);
    println!("run      codetether ended with {} after {:.1} s", output.status, took.as_secs_f64());
    if let Ok(log) = &log {
        println!("steps    {}", log.steps());
        println!("tokens   {}", log.tokens());
        println!("session  {}", log.session);
        println!("         {}", log.path.display());
        println!(
            "         XDG_DATA_HOME={} {} session show {}",
            folder.join("data").display(),
            codetether.display(),
            log.session
        );
    }
    println!("check    exit code {} before, {} after", shown(before), shown(after));
    println!("result   {}", verdict(after == Some(0), code));

    let log = log?;
    log.must_be_whole()?;
    reads_back(&codetether, &folder, &log)?;
    match code {
        Some(0 | 4) => Ok(()),
        _ => Err(Failure::Wrong(format!("codetether ended with {}, which it should not", output.status))),
    }
}

fn verdict(solved: bool, code: Option<i32>) -> &'static str {
    match (solved, code) {
        (true, _) => "the job is done: the check passes",
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

/// Builds the program as it is shipped, and gives its path.
fn build() -> Result<PathBuf, Failure> {
    process::run(process::cargo().args(["build", "--release", "--package", "codetether"]))?;
    Ok(process::target_folder()?.join("release/codetether"))
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
fn check(python: &Path, project: &Path, messages: Stdio) -> Result<Option<i32>, Failure> {
    let mut command = Command::new(python);
    command.args(project::CHECK).current_dir(project).stdin(Stdio::null()).stderr(messages);
    Ok(process::run_within(&mut command, CHECK_LIMIT)?.and_then(|status| status.code()))
}

fn let_it_work(
    demo: &Demo,
    codetether: &Path,
    server: &server::Server,
    folder: &Path,
    project: &Path,
) -> Result<Output, Failure> {
    let mut command = alone(codetether, folder);
    command.current_dir(project).args(["run", project::JOB, "--yes", "--tools", "read,write"]);
    command.arg("--model").arg(format!("demo/{}", demo.model.name)).args(demo.limits);
    command.arg("-c").arg(format!("providers.demo.base_url=\"{}/v1\"", server.address));
    command.arg("-c").arg("providers.demo.tool_calls=\"schema\"");
    eprintln!("$ {}", process::shown(&command));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    child.and_then(std::process::Child::wait_with_output).map_err(process::not_started(&command))
}

/// A command in the sandbox that the agent's commands run in asks for a file beside the project, and must not get it.
fn attempt_to_look_outside(codetether: &Path, folder: &Path, project: &Path) -> Result<(), Failure> {
    const PRIVATE: &str = "what only you should read";
    let file = folder.join("private.txt");
    fs::write(&file, PRIVATE).at("write", &file)?;
    let mut command = alone(codetether, folder);
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
fn reads_back(codetether: &Path, folder: &Path, log: &Log) -> Result<(), Failure> {
    for subcommand in ["show", "export"] {
        let mut command = alone(codetether, folder);
        let text = process::text(command.args(["session", subcommand, &log.session]))?;
        if text.trim().is_empty() {
            return Err(Failure::Wrong(format!("`{}` says nothing", process::shown(&command))));
        }
    }
    Ok(())
}

/// The program with neither the user's settings and sessions nor keys of theirs.
fn alone(codetether: &Path, folder: &Path) -> Command {
    let mut command = Command::new(codetether);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CODETETHER_") || text.starts_with("OPENAI_") {
            command.env_remove(&name);
        }
    }
    command.env("XDG_DATA_HOME", folder.join("data"));
    command.env("XDG_CONFIG_HOME", folder.join("config"));
    command.env("XDG_STATE_HOME", folder.join("state"));
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_check_decides_whether_the_job_is_done() {
        assert!(verdict(true, Some(4)).starts_with("the job is done"));
        assert!(verdict(false, Some(0)).contains("the model got it wrong"));
        assert!(verdict(false, Some(5)).contains("codetether failed"));
    }

    #[test]
    fn the_program_gets_neither_settings_nor_sessions_of_the_user() {
        let command = alone(Path::new("codetether"), Path::new("/run"));
        let set: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?))).collect();
        let wanted = [
            ("XDG_CACHE_HOME", "/run/cache"),
            ("XDG_CONFIG_HOME", "/run/config"),
            ("XDG_DATA_HOME", "/run/data"),
            ("XDG_STATE_HOME", "/run/state"),
        ];
        assert_eq!(set, wanted);
    }
}
