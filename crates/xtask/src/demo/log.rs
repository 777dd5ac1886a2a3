//! An independent look at the log that a run left: every line's checksum and place, and every start with its end.
//!
//! It uses none of the program's own code, so that it does not share the program's mistakes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Failure;
use crate::failure::At as _;

/// A log whose lines are sound.
#[derive(Debug)]
pub(crate) struct Log {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The session's id.
    pub(crate) session: String,
    events: Vec<Value>,
}

#[derive(Deserialize)]
struct Line<'a> {
    crc: &'a str,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// Reads the log of the one session below a data directory.
pub(crate) fn find_and_read(data_home: &Path) -> Result<Log, Failure> {
    let sessions = data_home.join("codetether/sessions");
    let entries = fs::read_dir(&sessions).at("read", &sessions)?;
    let logs: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path().join("journal.jsonl"))
        .filter(|log| log.exists())
        .collect();
    match logs.as_slice() {
        [log] => read(log),
        _ => Err(Failure::Wrong(format!(
            "`{}` holds {} sessions where one was expected",
            sessions.display(),
            logs.len()
        ))),
    }
}

fn read(path: &Path) -> Result<Log, Failure> {
    let text = fs::read_to_string(path).at("read", path)?;
    let unsound = |what: String| Failure::Wrong(format!("the log `{}` is unsound: {what}", path.display()));
    let events = events(&text).map_err(unsound)?;
    let session = events.first().and_then(|event| event["session"].as_str());
    let session =
        session.ok_or_else(|| unsound("its first record does not name the session".into()))?.to_owned();
    Ok(Log { path: path.to_owned(), session, events })
}

/// The events of all lines, after a check of each line's checksum and number.
fn events(text: &str) -> Result<Vec<Value>, String> {
    if !text.ends_with('\n') {
        return Err("its last line is not whole".into());
    }
    let mut events = Vec::new();
    let mut last = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
        let crc = format!("{:08x}", crc32fast::hash(line.record.get().as_bytes()));
        if crc != line.crc {
            return Err(format!("line {number}: checksum {} is written, {crc} is right", line.crc));
        }
        let record: Value =
            serde_json::from_str(line.record.get()).map_err(|error| format!("line {number}: {error}"))?;
        let seq = record["seq"].as_u64().ok_or_else(|| format!("line {number}: no number"))?;
        if last.is_some_and(|last: u64| last.checked_add(1) != Some(seq)) {
            return Err(format!("line {number}: number {seq} does not follow the one before"));
        }
        last = Some(seq);
        events.push(record["event"].clone());
    }
    Ok(events)
}

impl Log {
    /// Everything that was started has ended, the turn among it.
    pub(crate) fn must_be_whole(&self) -> Result<(), Failure> {
        match open_ends(&self.events) {
            Some(open) => {
                Err(Failure::Wrong(format!("the log `{}` is unsound: {open}", self.path.display())))
            }
            None => Ok(()),
        }
    }

    /// What was done, one word a step: `read, write, done`.
    pub(crate) fn steps(&self) -> String {
        let answers: Vec<_> = self.of("sample.ended").collect();
        let mut steps = Vec::new();
        for answer in &answers {
            let parts = answer["message"]["parts"].as_array().cloned().unwrap_or_default();
            let calls: Vec<_> = parts.iter().filter_map(called).collect();
            steps.push(if calls.is_empty() { "answer".to_owned() } else { calls.join(" + ") });
        }
        format!("{} ({})", answers.len(), steps.join(", "))
    }

    /// Tokens of all samples.
    pub(crate) fn tokens(&self) -> String {
        let sum = |name: &str| -> u64 {
            self.of("sample.ended").filter_map(|event| event["usage"][name].as_u64()).sum()
        };
        let estimated = self.of("sample.ended").any(|event| event["usage"]["estimated"] == true);
        let how = if estimated { ", in part estimated" } else { "" };
        let (input, cached, output) = (sum("input"), sum("cache_read"), sum("output"));
        format!("{input} in ({cached} of them from the server's cache), {output} out{how}")
    }

    /// How fast it answered: a call is told when it is whole, so that its first token is its last.
    pub(crate) fn pace(&self) -> Option<String> {
        let (mut first, mut tokens, mut millis) = (None, 0_u64, 0_u64);
        for event in self.of("sample.ended") {
            let waited = event["timing"]["first_ms"].as_u64()?;
            first.get_or_insert(waited);
            tokens += event["usage"]["output"].as_u64()?;
            millis += event["timing"]["total_ms"].as_u64()?;
        }
        let rate = tokens as f64 * 1_000.0 / millis.max(1) as f64;
        Some(format!(
            "first piece after {:.1} s; {rate:.1} tokens a second over all, reading among it",
            first? as f64 / 1_000.0
        ))
    }

    /// The events of this kind, in order.
    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["type"] == kind)
    }
}

/// Name of the tool that a part of an answer calls.
fn called(part: &Value) -> Option<String> {
    let is_call = part["type"] == "tool_call";
    is_call.then(|| part["name"].as_str().unwrap_or("?").to_owned())
}

/// The first thing that was started and never ended.
fn open_ends(events: &[Value]) -> Option<String> {
    let mut open = BTreeSet::new();
    let mut turns = (0, 0);
    for event in events {
        let key = |group: &str| format!("{group} {}", event["item"]);
        match event["type"].as_str().unwrap_or_default() {
            "sample.started" => drop(open.insert(key("sample"))),
            "sample.ended" => drop(open.remove(&key("sample"))),
            "call.started" => drop(open.insert(key("call"))),
            "call.ended" => drop(open.remove(&key("call"))),
            "turn.started" => turns.0 += 1,
            "turn.ended" => turns.1 += 1,
            _ => {}
        }
    }
    if let Some(first) = open.first() {
        return Some(format!("{first} was started and never ended"));
    }
    (turns.0 == 0 || turns.0 != turns.1)
        .then(|| format!("{} turns were started and {} ended", turns.0, turns.1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(seq: u64, event: &Value) -> String {
        let record = json!({ "seq": seq, "event": event }).to_string();
        format!("{{\"crc\":\"{:08x}\",\"record\":{record}}}\n", crc32fast::hash(record.as_bytes()))
    }

    fn turn() -> Vec<Value> {
        vec![
            json!({ "type": "session.opened", "session": "s" }),
            json!({ "type": "turn.started" }),
            json!({ "type": "sample.started", "item": "3" }),
            json!({ "type": "sample.ended", "item": "3" }),
            json!({ "type": "turn.ended" }),
        ]
    }

    fn log() -> String {
        turn().iter().enumerate().map(|(index, event)| line(index as u64, event)).collect()
    }

    #[test]
    fn a_sound_log_is_read() {
        let events = events(&log()).unwrap();
        assert_eq!(events, turn());
        assert_eq!(open_ends(&events), None);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let failure = events(&log().replacen("\"s\"", "\"t\"", 1)).unwrap_err();
        assert!(failure.starts_with("line 1: checksum"), "{failure}");
    }

    #[test]
    fn a_missing_line_and_a_torn_end_are_found() {
        let whole = log();
        let gap: String =
            whole.lines().enumerate().filter(|(n, _)| *n != 2).map(|(_, l)| format!("{l}\n")).collect();
        assert!(events(&gap).unwrap_err().contains("does not follow"));
        assert!(events(whole.trim_end()).unwrap_err().contains("not whole"));
    }

    #[test]
    fn what_was_started_and_never_ended_is_found() {
        for (removed, wanted) in [(3, "sample \"3\" was started"), (4, "1 turns were started and 0 ended")] {
            let mut events = turn();
            events.remove(removed);
            let open = open_ends(&events).unwrap();
            assert!(open.starts_with(wanted), "{open}");
        }
    }
}
