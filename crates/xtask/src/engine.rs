//! What the engine for local models must do, shown with a real one and the smallest model: the release binary, in a home of
//! its own, with no network once the weights are there. What the model says is of no matter, but for its form.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::demo::embedded::{self, Home};
use crate::failure::At as _;
use crate::{Failure, places, process};

/// Longest time of one run.
const LIMIT: Duration = Duration::from_secs(300);

const SCHEMA: &str = r#"{"type":"object","properties":{"title":{"type":"string","maxLength":40},"size":{"enum":["small","large"]},
"tags":{"type":"array","items":{"type":"string","maxLength":8},"maxItems":3}},"required":["title","size","tags"],"additionalProperties":false}"#;

/// Shows all of it, and ends every engine that it started.
pub(crate) fn run() -> Result<(), Failure> {
    let binary = embedded::build()?;
    let folder = places::cache()?.join("engine-test");
    if folder.exists() {
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    let home = Home::new(&binary, &folder.join("home"))?;
    home.pull(embedded::TINY)?;
    let project = folder.join("project");
    fs::create_dir_all(&project).at("create", &project)?;
    let shown = show(&home, &project);
    for pid in engines(&home) {
        // It may have ended by itself.
        process::quietly(Command::new("kill").arg(pid.to_string()));
    }
    shown
}

fn show(home: &Home, project: &Path) -> Result<(), Failure> {
    answers_are_held(home, project)?;
    calls_are_held(home, project)?;
    two_share_one_engine(home, project)?;
    a_killed_engine_costs_no_session(home, project)?;
    println!(
        "engine: answers and calls are held, two runs share one engine, and a killed one costs no session"
    );
    Ok(())
}

fn command(home: &Home, project: &Path, arguments: &[&str]) -> Command {
    let (mut command, _) = home.command_offline();
    let model = format!("local/{}", embedded::TINY);
    command.current_dir(project).args(["run", "--model", &model, "--quiet"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(child: Child, what: &str) -> Result<Output, Failure> {
    let output = child.wait_with_output().map_err(|error| Failure::Wrong(format!("{what}: {error}")))?;
    // 4: the answer is as long as it may be, which is for the model to say.
    if matches!(output.status.code(), Some(0 | 4)) {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Wrong(format!("{what}: codetether ended with {}: {said}", output.status)))
}

fn spawned(command: &mut Command) -> Result<Child, Failure> {
    eprintln!("$ {}", process::shown(command));
    command.spawn().map_err(process::not_started(command))
}

/// An answer that must fit a schema fits it, also where the model is cut off.
fn answers_are_held(home: &Home, project: &Path) -> Result<(), Failure> {
    for most in ["40", "200"] {
        let asked = ["--output-schema-inline", SCHEMA, "--max-output", most, "Describe a cat."];
        let output = ended(spawned(&mut command(home, project, &asked))?, "an answer with a schema")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let value: Value = serde_json::from_str(text.trim()).map_err(|error| {
            Failure::Wrong(format!("an answer with a schema is no JSON ({error}): {text}"))
        })?;
        let fits = value["title"].is_string()
            && matches!(value["size"].as_str(), Some("small" | "large"))
            && value["tags"].as_array().is_some_and(|tags| tags.len() <= 3);
        if !fits {
            return Err(Failure::Wrong(format!("an answer does not fit its schema: {text}")));
        }
    }
    Ok(())
}

/// Calls, if any, are of a tool that is there, with arguments that fit.
fn calls_are_held(home: &Home, project: &Path) -> Result<(), Failure> {
    let asked =
        ["--format", "jsonl", "--max-steps", "3", "--max-output", "120", "create a.txt with the text hello"];
    let child = spawned(&mut command(home, project, &asked))?;
    // Three steps may not be enough for it, which is not what is looked at here.
    let output = child.wait_with_output().map_err(|error| Failure::Wrong(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let events = || text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let verdicts: Vec<String> = events()
        .filter(|line| line["event"]["type"] == "call.authorized")
        .map(|line| line["event"]["verdict"]["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    let answered = events().any(|line| line["event"]["type"] == "sample.ended");
    if !answered {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Wrong(format!("the model was not asked: {said}")));
    }
    match verdicts.iter().find(|kind| matches!(kind.as_str(), "invalid_arguments" | "unknown_tool")) {
        None => Ok(()),
        Some(kind) => Err(Failure::Wrong(format!("a call that cannot be made was made: {kind}"))),
    }
}

fn two_share_one_engine(home: &Home, project: &Path) -> Result<(), Failure> {
    let asked = |word: &str| format!("Say {word}.");
    let (one, other) = (asked("one"), asked("two"));
    let begin =
        |prompt: &str| spawned(&mut command(home, project, &["--max-output", "30", "--tools", "", prompt]));
    let both = [begin(&one)?, begin(&other)?];
    for child in both {
        ended(child, "one of two at once")?;
    }
    match engines(home).as_slice() {
        [_] => Ok(()),
        all => Err(Failure::Wrong(format!("{} engines run where one was expected", all.len()))),
    }
}

/// The engine is killed in the middle of an answer: the request is made again, of another engine.
fn a_killed_engine_costs_no_session(home: &Home, project: &Path) -> Result<(), Failure> {
    let before = engines(home);
    let asked = ["--max-output", "400", "--tools", "", "Tell a long story about a cat that goes to sea."];
    let child = spawned(&mut command(home, project, &asked))?;
    thread::sleep(Duration::from_millis(1_500));
    for pid in &before {
        process::quietly(Command::new("kill").args(["-9", &pid.to_string()]));
    }
    let begun = Instant::now();
    let output = ended(child, "a run whose engine was killed")?;
    if begun.elapsed() > LIMIT || output.stdout.trim_ascii().is_empty() {
        return Err(Failure::Wrong("a run whose engine was killed said nothing".into()));
    }
    let after = engines(home);
    if after.is_empty() || after.iter().any(|pid| before.contains(pid)) {
        return Err(Failure::Wrong(format!("no other engine was begun: {before:?}, then {after:?}")));
    }
    Ok(())
}

/// The engines that serve this home.
fn engines(home: &Home) -> Vec<u32> {
    let kept = home.data().display().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.iter().any(|word| word == "local-engine") && words.iter().any(|word| word.starts_with(&kept))
    })
    .collect()
}
