//! `run --input-format jsonl --format jsonl`: a program holds the conversation; and the examples of `docs/scripting.md`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use codetether_testkit::{Reply, planted};
use serde_json::{Value, json};

use crate::bench::Bench;

/// A conversation, line by line.
pub(crate) struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talk {
    pub(crate) fn start(bench: &Bench, args: &[&str]) -> Self {
        let mut command =
            bench.run_command(&[&["--input-format", "jsonl", "--format", "jsonl"], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    pub(crate) fn say(&mut self, line: &Value) {
        self.say_raw(&line.to_string());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn say_raw(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        (self.output.read_line(&mut line).unwrap() > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// The next record of this type; and what came before it.
    pub(crate) fn until(&mut self, kind: &str) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let line = self.hear().unwrap_or_else(|| panic!("there is no `{kind}` among {before:#?}"));
            if line["event"]["type"] == kind {
                return (line, before);
            }
            before.push(line);
        }
    }

    fn refused(&mut self) -> Value {
        loop {
            let mut line = self.hear().unwrap();
            if line.get("refused").is_some() {
                return line["refused"].take();
            }
        }
    }

    /// Closes the input; exit code, the rest of the output, standard error.
    pub(crate) fn end(mut self) -> (i32, Vec<Value>, String) {
        drop(self.input.take());
        let mut rest = Vec::new();
        while let Some(line) = self.hear() {
            rest.push(line);
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        planted::assert_none(stderr.as_bytes(), "standard error");
        (self.child.wait().unwrap().code().unwrap_or(-1), rest, stderr)
    }
}

pub(crate) fn prompt(text: &str) -> Value {
    json!({ "type": "prompt", "text": text })
}

#[test]
fn a_conversation_goes_on_over_many_turns_in_one_process() {
    let bench = Bench::new([Reply::text("first answer"), Reply::text("second answer")]);
    let mut talk = Talk::start(&bench, &[]);
    let id = "018f0000-0000-7000-8000-000000000001";
    talk.say(&json!({ "id": id, "type": "prompt", "text": "one" }));
    let (ended, before) = talk.until("turn.ended");
    assert_eq!(ended["event"]["outcome"]["kind"], "completed");
    let kinds: Vec<&str> = before.iter().filter_map(|line| line["event"]["type"].as_str()).collect();
    assert_eq!(kinds[..3], ["session.opened", "session.attached", "turn.started"]);
    let started = before.iter().find(|line| line["event"]["type"] == "turn.started").unwrap();
    assert_eq!(started["cause"], json!({ "op": id }));
    let pieces = before.iter().filter(|line| line["kind"] == "text");
    assert_eq!(pieces.map(|piece| piece["text"].as_str().unwrap()).collect::<String>(), "first answer");
    // The same operation again brings nothing about.
    talk.say(&json!({ "id": id, "type": "prompt", "text": "one" }));
    talk.say(&json!({ "type": "rename", "title": "A talk" }));
    talk.until("session.renamed");
    talk.say(&prompt("two"));
    talk.until("turn.ended");
    let (code, rest, stderr) = talk.end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(rest.last().unwrap()["event"]["type"], "session.detached");
    assert_eq!(bench.server.requests().len(), 2);
    assert!(bench.bare(&["session", "list"]).stdout.contains("A talk"));
}

#[test]
fn an_ask_is_answered_and_a_turn_steered_and_interrupted() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "touch made" })),
        Reply::text("done"),
        Reply::stall(),
    ]);
    let mut talk = Talk::start(&bench, &["--mode", "ask"]);
    talk.say(&prompt("go"));
    let (asked, _) = talk.until("ask.opened");
    assert_eq!(asked["event"]["ask"]["title"], "run `touch made`");
    talk.say(&json!({ "type": "steer", "text": "and be quick" }));
    talk.until("turn.steered");
    talk.say(&json!({ "type": "answer", "ask": asked["seq"], "answer": { "type": "allow" } }));
    talk.until("turn.ended");
    assert!(bench.path("made").exists());
    talk.say(&prompt("and now"));
    talk.until("sample.started");
    bench.server.wait_for(3);
    talk.say(&json!({ "type": "interrupt" }));
    let (ended, _) = talk.until("turn.ended");
    assert_eq!(ended["event"]["outcome"]["kind"], "interrupted");
    assert_eq!(talk.end().0, 130);
    assert!(String::from_utf8_lossy(&bench.server.requests()[1].body).contains("and be quick"));
}

#[test]
fn changes_are_taken_back_and_the_conversation_with_them() {
    let bench = Bench::new([
        Reply::call("write", json!({ "path": "new.txt", "content": "x" })),
        Reply::text("written"),
        Reply::text("again"),
    ]);
    let mut talk = Talk::start(&bench, &[]);
    talk.say(&prompt("write it"));
    let (_, before) = talk.until("turn.ended");
    let call = before.iter().find(|line| line["event"]["type"] == "call.started").unwrap();
    let call = call["event"]["item"].clone();
    let started = before.iter().find(|line| line["event"]["type"] == "turn.started").unwrap()["seq"].clone();
    talk.say(&json!({ "type": "restore", "what": { "kind": "undo", "calls": [call] }, "conflicts": "keep" }));
    talk.until("files.restored");
    assert!(!bench.path("new.txt").exists());
    talk.say(&json!({ "type": "rewind", "to": started }));
    talk.until("context.rewound");
    talk.say(&prompt("begin again"));
    talk.until("turn.ended");
    assert_eq!(talk.end().0, 0);
    assert!(!String::from_utf8_lossy(&bench.server.requests()[2].body).contains("write it"));
}

#[test]
fn a_conversation_is_summed_up_between_turns() {
    let long = "what was found out, at length. ".repeat(3_000);
    let bench = Bench::new([
        Reply::text(&long).no_usage(),
        Reply::text("second").no_usage(),
        Reply::text("third").no_usage(),
        Reply::text("They found it out.").no_usage(),
        Reply::text("the last").no_usage(),
    ]);
    let mut talk = Talk::start(&bench, &[]);
    talk.say(&json!({ "type": "compact" }));
    assert!(talk.refused()["reason"].as_str().unwrap().starts_with("there is nothing to compact"));
    talk.say(&json!({ "type": "window", "model": "openai/scripted", "tokens": 1 }));
    assert!(talk.refused()["reason"].as_str().unwrap().starts_with("there is no operation `window`"));
    for text in ["look", "again", "and now"] {
        talk.say(&prompt(text));
        talk.until("turn.ended");
    }
    talk.say(&json!({ "type": "compact" }));
    talk.until("turn.compacting");
    talk.until("context.compacted");
    talk.until("turn.ended");
    talk.say(&prompt("go on"));
    talk.until("turn.ended");
    // The last turn may be one for a summary: its end is waited for.
    let (code, _, stderr) = talk.end();
    assert_eq!(code, 0, "{stderr}");
    let last = bench.server.json(4).to_string();
    assert!(last.contains("They found it out.") && !last.contains("at length. what"), "{last}");
}

#[test]
fn a_line_that_cannot_be_taken_in_is_refused_and_the_rest_goes_on() {
    let bench = Bench::new([Reply::stall(), Reply::text("well")]);
    let mut talk = Talk::start(&bench, &[]);
    let id = "018f0000-0000-7000-8000-000000000002";
    talk.say_raw("not json");
    talk.say_raw("");
    talk.say(&json!({ "id": id, "type": "dance" }));
    talk.say(&json!({ "id": 7, "type": "interrupt" }));
    talk.say(&json!({ "id": id, "type": "interrupt" }));
    talk.say(&json!({ "type": "prompt", "text": " " }));
    talk.say(&json!({ "type": "prompt", "text": "x", "model": "y" }));
    talk.say(&json!({ "type": "answer", "ask": 3, "answer": { "type": "allow" } }));
    let wanted = [
        (1, Value::Null, "the line is no JSON object"),
        (3, json!(id), "there is no operation `dance`: `type` is one of `prompt`"),
        (4, json!(7), "`id` must be a UUID"),
        (5, json!(id), "no turn is under way"),
        (6, Value::Null, "`text` must be a text, and not empty"),
        (7, Value::Null, "`model` does not go with `text`"),
        (8, Value::Null, "that question is not open"),
    ];
    for (line, id, reason) in wanted {
        let refused = talk.refused();
        assert_eq!((&refused["line"], &refused["id"]), (&json!(line), &id), "{refused}");
        assert!(refused["reason"].as_str().unwrap().starts_with(reason), "{refused}");
    }
    talk.say(&prompt("go"));
    talk.until("sample.started");
    // What is interrupted before it is sent is never asked, and leaves its answer to the next.
    bench.server.wait_for(1);
    talk.say(&prompt("too soon"));
    assert_eq!(talk.refused()["reason"], "a turn is under way already: steer it, or interrupt it first");
    talk.say(&json!({ "type": "interrupt" }));
    talk.until("turn.ended");
    talk.say(&prompt("once more"));
    // The end of the input lets the turn end.
    let (code, rest, stderr) = talk.end();
    assert_eq!(code, 0, "{stderr}");
    let ended = rest.iter().find(|line| line["event"]["type"] == "turn.ended").unwrap();
    assert_eq!(ended["event"]["outcome"]["kind"], "completed");
}

#[test]
fn a_prompt_with_settings_of_its_own_keeps_the_sandbox() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two")]);
    let mut talk = Talk::start(&bench, &[]);
    talk.say(&prompt("go"));
    let (_, before) = talk.until("turn.ended");
    let started = before.iter().find(|line| line["event"]["type"] == "turn.started").unwrap();
    let mut settings = started["event"]["settings"].clone();
    settings["model"] = json!("openai/other");
    let input = json!([{ "type": "text", "text": "with another" }]);
    talk.say(&json!({ "type": "prompt", "input": input, "settings": settings }));
    talk.until("turn.ended");
    settings["confinement"] = json!("none");
    talk.say(&json!({ "type": "prompt", "input": input, "settings": settings }));
    assert!(talk.refused()["reason"].as_str().unwrap().contains("confinement"));
    settings["confinement"] = started["event"]["settings"]["confinement"].clone();
    settings["model"] = json!("nowhere/x");
    talk.say(&json!({ "type": "prompt", "input": input, "settings": settings }));
    assert!(talk.refused()["reason"].as_str().unwrap().contains("nowhere"));
    assert_eq!(talk.end().0, 0);
    let body: Value = serde_json::from_slice(&bench.server.requests()[1].body).unwrap();
    assert_eq!(body["model"], "other");
}

#[test]
fn nobody_answers_behind_the_end_of_the_input() {
    let bench =
        Bench::new([Reply::call("bash", json!({ "command": "touch made" })), Reply::text("I may not")]);
    let input = format!("{}\n", prompt("go"));
    let run =
        bench.run_with_input(&["--input-format", "jsonl", "--format", "jsonl", "--mode", "ask"], &input);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!bench.path("made").exists());
    assert!(bench.events().ends_with("turn.ended\n"), "{}", bench.events());
}

#[test]
fn the_exit_code_is_that_of_the_last_turn() {
    let bench = Bench::new([Reply::status(401).body("no")]);
    let args = ["--input-format", "jsonl", "--format", "jsonl"];
    let run = bench.run_with_input(&args, &format!("{}\n", prompt("go")));
    assert_eq!(run.code, 5, "{}", run.shown());
    assert!(run.stderr.contains("the provider of `openai/scripted` failed"), "{}", run.stderr);
    assert_eq!(bench.run_with_input(&args, "").code, 0, "nothing was asked for");
    let other = bench.run_with_input(&["--input-format", "jsonl"], "");
    assert!(other.code == 2 && other.stderr.contains("takes `--format jsonl`"), "{}", other.stderr);
    let other = bench.run_with_input(&[&["go"], &args[..]].concat(), "");
    assert!(other.code == 2 && other.stderr.contains("prompts come by standard input"), "{}", other.stderr);
}

#[test]
fn a_reader_that_does_not_read_stops_nothing_and_loses_no_record() {
    let bench =
        Bench::new([Reply::deltas(30_000, "some words that come in many pieces "), Reply::text("end")]);
    let mut talk = Talk::start(&bench, &[]);
    talk.say(&prompt("go"));
    let journal = || bench.home.data().join("codetether/sessions");
    let turns = || {
        let sessions = std::fs::read_dir(journal()).into_iter().flatten().flatten();
        let texts = sessions.filter_map(|dir| std::fs::read_to_string(dir.path().join("journal.jsonl")).ok());
        texts.map(|text| text.matches("\"turn.ended\"").count()).sum::<usize>()
    };
    while turns() < 1 {
        std::thread::yield_now();
    }
    // Nothing was read so far, and what is said is heard all the same.
    talk.say(&prompt("and on"));
    while turns() < 2 {
        std::thread::yield_now();
    }
    let (code, lines, stderr) = talk.end();
    assert_eq!(code, 0, "{stderr}");
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert!(lines.len() < 30_000, "pieces were lost, or all were kept in memory: {}", lines.len());
}

#[test]
fn a_signal_ends_the_turn_and_the_conversation() {
    let bench = Bench::new([Reply::stall()]);
    let mut talk = Talk::start(&bench, &[]);
    talk.say(&prompt("go"));
    talk.until("sample.started");
    let pid = rustix::process::Pid::from_child(&talk.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let (ended, _) = talk.until("turn.ended");
    assert_eq!(ended["event"]["outcome"]["kind"], "interrupted");
    while talk.hear().is_some() {}
    assert_eq!(talk.child.wait().unwrap().code(), Some(130));
}

/// The block of this language in the page.
fn example(language: &str) -> String {
    let page = include_str!("../../../../docs/scripting.md");
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

#[test]
fn the_examples_of_the_page_run_as_they_stand() {
    for (language, program) in [("python", "python3"), ("bash", "bash")] {
        let bench = Bench::new([
            Reply::call("bash", json!({ "command": "touch made" })),
            Reply::text("There are three."),
            Reply::text("The first is a."),
        ]);
        bench.file("example", &example(language));
        let mut command = bench.home.command(program.as_ref());
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_codetether"));
        let path = std::env::join_paths(
            std::iter::once(binary.parent().unwrap().to_owned())
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        command.arg("example").current_dir(bench.path("")).env("PATH", path.unwrap());
        command.env("OPENAI_BASE_URL", bench.server.base_url()).env("OPENAI_API_KEY", planted::KEY);
        bench.user_settings("model = \"openai/scripted\"\nmode = \"ask\"\n");
        let run: crate::bench::Run = command.output().unwrap().into();
        assert_eq!(run.code, 0, "{language}: {}", run.shown());
        assert!(run.stdout.contains("There are three."), "{language}: {}", run.shown());
        assert!(run.stdout.contains("The first is a."), "{language}: {}", run.shown());
        assert!(!bench.path("made").exists(), "{language}: what is asked is refused");
    }
}
