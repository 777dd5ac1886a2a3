//! `docs/agents.md` says what is so: its files are put where it says, and its commands run.

use codetether_testkit::{Reply, Server};
use serde_json::json;

use crate::bench::Bench;

const PAGE: &str = include_str!("../../../../docs/agents.md");

/// The blocks of a language, each with the line of text before it.
fn blocks(language: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let (mut before, mut open) = (String::new(), None::<(bool, String)>);
    for line in PAGE.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info == language, String::new())),
            (Some(_), Some(_)) => {
                let (wanted, text) = open.take().unwrap();
                if wanted {
                    blocks.push((before.clone(), text));
                }
            }
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) if !line.is_empty() => before = line.to_owned(),
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn the_examples_of_the_page_work_as_they_stand() {
    let mut bench = Bench::new([]);
    bench.server = Server::model(|request| {
        let body = request.json();
        let asked = body.to_string();
        let told = body["messages"].as_array().unwrap().iter().any(|message| message["role"] == "tool");
        match (asked.contains("You load") || asked.contains("changelog for the new flag"), told) {
            (true, false) => Reply::call("skill", json!({ "name": "changelog" })),
            (true, true) => Reply::text("added"),
            (false, _) if asked.contains("review the last commit") => {
                Reply::text(r#"{"verdict": "good", "problems": []}"#)
            }
            (false, _) => Reply::text("explained"),
        }
    });
    for (before, text) in blocks("markdown") {
        let path = before.split('`').nth(1).unwrap();
        let path = match path.strip_prefix("~/") {
            Some(path) => bench.home.path().join(path),
            None => bench.path(path),
        };
        codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
        codetether_files::write_atomic(path, text.as_bytes(), &<_>::default()).unwrap();
    }
    bench.user_settings("model = \"openai/scripted\"\n[limits]\nallow_unknown_price = true\n");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_codetether")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut outputs = Vec::new();
    for (_, script) in blocks("sh") {
        for line in script.lines() {
            let mut shell = bench.home.command("sh".as_ref());
            shell.args(["-ec", line]).current_dir(bench.path(".")).env("PATH", &path);
            shell.env("OPENAI_BASE_URL", bench.server.base_url());
            shell.env("OPENAI_API_KEY", codetether_testkit::planted::KEY);
            let run = crate::bench::Run::from(shell.output().unwrap());
            assert_eq!(run.code, 0, "{line}\n{}", run.shown());
            outputs.push(run.stdout.lines().last().unwrap_or_default().to_owned());
        }
    }
    assert_eq!(outputs.len(), 4, "{outputs:?}");
    assert_eq!(outputs[0], r#"{"verdict":"good","problems":[]}"#);
    assert_eq!(outputs[2..], ["added", "explained"]);
    let sent: Vec<String> =
        bench.server.requests().iter().map(|request| request.json().to_string()).collect();
    assert!(sent[0].contains("Review the change that you are told of.") && !sent[0].contains("\"write\""));
    assert!(sent[2].contains("Say what can be done now") && sent[2].contains("- examples.md"), "{}", sent[2]);
    assert!(sent[3].contains("You are the agent `explore`.") && sent[3].contains("What does it print?"));
    assert!(sent[3].contains("print(\\\\\\\"hello") || sent[3].contains("print(\\\"hello"), "{}", sent[3]);
}
