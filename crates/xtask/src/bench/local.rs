//! `cargo xtask bench local`: what the embedded model does, on jobs that are judged by running or matching their outcome.
//! Each job is done by the release binary, in a folder and a home of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::demo::embedded::{self, Home};
use crate::failure::At as _;
use crate::{Failure, places, process};

const CASES: &str = include_str!("local.json");

/// Longest time of a job.
const LIMIT: Duration = Duration::from_secs(600);

/// Longest time of what judges it.
const CHECK: Duration = Duration::from_secs(20);

/// The tools that a call is to be picked from.
const TOOLS: &str = "read,write,edit,multi_edit,bash,grep,glob,list,todo,web_fetch";

#[derive(Debug, Deserialize)]
struct Case {
    kind: String,
    name: String,
    prompt: String,
    files: BTreeMap<String, String>,
    /// What runs in the folder afterwards; it must end with exit code 0.
    #[serde(default)]
    check: Option<Vec<String>>,
    /// What that must print.
    #[serde(default)]
    expect: Option<String>,
    #[serde(default)]
    schema: Option<Value>,
    /// One of these must be in the answer, in any case.
    #[serde(default)]
    words: Vec<String>,
    /// The tool of the first call, and what must be in its arguments.
    #[serde(default)]
    tool: Option<String>,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
}

/// The aims, by kind: how many of how many.
const AIMS: [(&str, f64); 8] = [
    ("create", 1.0),
    ("bug", 0.9),
    ("project", 0.5),
    ("function", 0.5),
    ("commit", 1.0),
    ("title", 1.0),
    ("lookup", 5.0 / 6.0),
    ("tool", 0.86),
];

/// Does all jobs, or those of the kinds named, and prints what came of them beside the aims.
pub(super) fn run(kinds: &[String]) -> Result<(), Failure> {
    let binary = embedded::build()?;
    let folder = places::cache()?.join("bench-local");
    if folder.exists() {
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    let home = Home::new(&binary, &folder.join("home"))?;
    home.pull(embedded::MODEL)?;
    let cases: Vec<Case> =
        serde_json::from_str(CASES).map_err(|error| Failure::Wrong(format!("the cases: {error}")))?;
    let wanted = |case: &&Case| kinds.is_empty() || kinds.contains(&case.kind);
    let mut done: BTreeMap<&str, (u32, u32, Duration)> = BTreeMap::new();
    let (mut calls, mut invalid) = (0, 0);
    for (number, case) in cases.iter().filter(wanted).enumerate() {
        let place = folder.join(format!("{number:02}-{}", case.kind));
        let begun = Instant::now();
        let (right, seen) = case.try_it(&home, &place)?;
        let took = begun.elapsed();
        calls += seen.calls;
        invalid += seen.invalid;
        let entry = done.entry(&case.kind).or_default();
        entry.0 += u32::from(right);
        entry.1 += 1;
        entry.2 += took;
        println!(
            "{} {:<8} {:<44} {:>6.1} s",
            if right { "ok  " } else { "MISS" },
            case.kind,
            case.name,
            took.as_secs_f64()
        );
    }
    println!("\n{:<10} {:>9}  {:>13}  {:>7}  {:>6}", "job", "right", "95 % interval", "aim", "mean");
    for (kind, aim) in AIMS {
        let Some((right, all, took)) = done.get(kind) else { continue };
        let (low, high) = interval(*right, *all);
        let met = f64::from(*right) / f64::from(*all) >= aim - 1e-9;
        println!(
            "{kind:<10} {:>9}  {:>5.0} %–{:>3.0} %  {:>5.0} %  {:>4.0} s  {}",
            format!("{right} of {all}"),
            low * 100.0,
            high * 100.0,
            aim * 100.0,
            took.as_secs_f64() / f64::from(*all),
            if met { "" } else { "missed" },
        );
    }
    println!("calls that could not be made: {invalid} of {calls}");
    Ok(())
}

/// What a session's log says of calls.
#[derive(Debug, Default)]
struct Seen {
    calls: u32,
    invalid: u32,
    first: Option<(String, String)>,
}

impl Case {
    fn try_it(&self, home: &Home, place: &Path) -> Result<(bool, Seen), Failure> {
        fs::create_dir_all(place).at("create", place)?;
        for (name, text) in &self.files {
            let path = place.join(name);
            if let Some(above) = path.parent() {
                fs::create_dir_all(above).at("create", above)?;
            }
            fs::write(&path, text).at("write", &path)?;
        }
        let mut command = home.command();
        command.current_dir(place).args(["run", "--local", "--quiet", "--format", "jsonl", &self.prompt]);
        if let Some(schema) = &self.schema {
            command.args(["--output-schema-inline", &schema.to_string()]);
        }
        if self.tool.is_some() {
            command.args(["--tools", TOOLS, "--mode", "plan", "--max-steps", "1"]);
        }
        let said = place.with_extension("jsonl");
        let out = fs::File::create(&said).at("create", &said)?;
        let log = place.with_extension("err");
        let err = fs::File::create(&log).at("create", &log)?;
        process::run_within(command.stdin(Stdio::null()).stdout(out).stderr(err), LIMIT)?;
        let text = fs::read_to_string(&said).at("read", &said)?;
        let (seen, answer) = read(&text);
        let by_words = || {
            let answer = answer.to_lowercase();
            self.words.iter().any(|word| answer.contains(&word.to_lowercase()))
        };
        let right = match (&self.check, &self.tool) {
            (Some(check), _) => self.passes(check, place)?,
            (None, Some(tool)) => seen.first.as_ref().is_some_and(|(name, arguments)| {
                let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
                let holds = |(key, part): (&String, &String)| {
                    arguments.get(key).and_then(Value::as_str).is_some_and(|value| value.contains(part))
                };
                name == tool && self.arguments.iter().all(holds)
            }),
            (None, None) => by_words(),
        };
        Ok((right, seen))
    }

    fn passes(&self, check: &[String], place: &Path) -> Result<bool, Failure> {
        let Some((program, arguments)) = check.split_first() else { return Ok(false) };
        let out: PathBuf = place.with_extension("out");
        let file = fs::File::create(&out).at("create", &out)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(place).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        let ended = process::run_within(&mut command, CHECK)?;
        let printed = fs::read_to_string(&out).at("read", &out)?;
        Ok(ended.is_some_and(|status| status.success())
            && self.expect.as_ref().is_none_or(|expect| *expect == printed))
    }
}

/// The calls of a run, and its last answer.
fn read(lines: &str) -> (Seen, String) {
    let (mut seen, mut answer) = (Seen::default(), String::new());
    for line in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let event = &line["event"];
        match event["type"].as_str() {
            Some("sample.ended") => {
                let parts = event["message"]["parts"].as_array().cloned().unwrap_or_default();
                for part in &parts {
                    if part["type"] == "tool_call" {
                        seen.calls += 1;
                        let name = part["name"].as_str().unwrap_or_default().to_owned();
                        let arguments = part["arguments"].as_str().unwrap_or_default().to_owned();
                        seen.first.get_or_insert((name, arguments));
                    }
                }
                let text: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
                if !text.is_empty() {
                    answer = text.join("\n");
                }
            }
            Some("call.authorized") => {
                let verdict = event["verdict"]["kind"].as_str().unwrap_or_default();
                seen.invalid += u32::from(matches!(verdict, "invalid_arguments" | "unknown_tool"));
            }
            _ => {}
        }
    }
    (seen, answer)
}

/// Wilson's interval of a share, at 95 %.
fn interval(right: u32, all: u32) -> (f64, f64) {
    let (n, z) = (f64::from(all), 1.96_f64);
    let share = f64::from(right) / n;
    let middle = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let by = 1.0 + z * z / n;
    (((middle - half) / by).max(0.0), ((middle + half) / by).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_cases_of_each_kind() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        assert!(cases.len() >= 40, "{}", cases.len());
        for (kind, _) in AIMS {
            assert!(cases.iter().any(|case| case.kind == kind), "{kind}");
        }
        assert!(cases.iter().all(|case| AIMS.iter().any(|(kind, _)| *kind == case.kind)));
        let judged = |case: &Case| case.check.is_some() || case.tool.is_some() || !case.words.is_empty();
        assert!(cases.iter().all(judged), "each is judged by something");
    }

    #[test]
    fn an_interval_is_about_the_share() {
        let (low, high) = interval(9, 10);
        assert!((0.55..0.65).contains(&low) && (0.95..1.0).contains(&high), "{low} {high}");
        assert_eq!(interval(6, 6).1, 1.0);
    }

    #[test]
    fn calls_and_the_answer_are_read_off_the_records() {
        let lines = concat!(
            r#"{"event":{"type":"sample.ended","message":{"parts":[{"type":"tool_call","name":"read","arguments":"{}"}]}}}"#,
            "\n",
            r#"{"event":{"type":"call.authorized","verdict":{"kind":"unknown_tool"}}}"#,
            "\n",
            r#"{"event":{"type":"sample.ended","message":{"parts":[{"type":"text","text":"done"}]}}}"#
        );
        let (seen, answer) = read(lines);
        assert_eq!(
            (seen.calls, seen.invalid, seen.first.unwrap().0, answer),
            (1, 1, "read".into(), "done".into())
        );
    }
}
