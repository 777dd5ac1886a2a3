//! Streams that break off: what came is shown once, what comes in its place is said to be another answer, over every
//! wire; and sessions of many steps, none of which spoils what a provider's cache holds.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

/// The wires, and a model for each.
const WIRES: [(&str, &str); 4] = [
    ("openai-chat", "near/m"),
    ("openai-responses", "near/gpt-5"),
    ("anthropic", "near/claude-opus-5"),
    ("gemini", "near/gemini-3-pro-preview"),
];

fn run(bench: &Bench, (wire, model): (&str, &str), args: &[&str]) -> Run {
    let address = format!("providers.near.base_url=\"{}\"", bench.server.base_url());
    let wire = format!("providers.near.wire=\"{wire}\"");
    let settings = ["-m", model, "-c", &address, "-c", &wire, "-c", "retry.base_ms=1"];
    bench.bare(&[&["run", "go"], args, &settings].concat())
}

/// Words enough that a part of them fits before the cut on every wire.
fn words(word: &str) -> String {
    (0..60).map(|n| format!("{word}{n} ")).collect::<String>().trim_end().to_owned()
}

#[test]
fn an_answer_that_breaks_off_and_comes_again_is_shown_once() {
    for wire in WIRES {
        let text = words("word");
        let whole = Reply::text(&text);
        let bench = Bench::new([whole.clone().cut_after(3_000), whole.clone().cut_after(2_000), whole]);
        let done = run(&bench, wire, &[]);
        assert_eq!((done.code, done.stdout), (0, format!("{text}\n")), "{} {}", wire.0, done.stderr);
        let said = "the answer broke off; asking for it again\n";
        assert_eq!(done.stderr.matches(said).count(), 2, "{}", done.stderr);
        assert_eq!(bench.server.requests().len(), 3);
    }
}

#[test]
fn an_older_model_of_anthropics_is_asked_for_the_rest_alone() {
    let events = [
        json!({ "type": "message_start", "message": {} }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "I fixed" } }),
    ];
    let broken: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let bench = Bench::new([Reply::raw_sse(broken), Reply::text(" the greeting."), Reply::text("Gladly.")]);
    let older = ("anthropic", "near/claude-sonnet-4-5");
    let done = run(&bench, older, &[]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "I fixed the greeting.\n"), "{}", done.stderr);
    let last =
        |number: usize| bench.server.json(number)["messages"].as_array().unwrap().last().unwrap().clone();
    let said = |text: &str| json!({ "role": "assistant", "content": [{ "type": "text", "text": text }] });
    assert_eq!(last(1), said("I fixed"));
    assert_eq!(run(&bench, older, &["--last"]).stdout, "Gladly.\n");
    let messages = bench.server.json(2)["messages"].as_array().unwrap().clone();
    assert_eq!(messages[messages.len() - 2], said("I fixed the greeting."));
}

#[test]
fn another_answer_in_place_of_one_that_broke_off_is_said_to_be_one() {
    for wire in WIRES {
        let (first, second) = (words("word"), words("other"));
        let bench = Bench::new([Reply::text(&first).cut_after(3_000), Reply::text(&second)]);
        let done = run(&bench, wire, &[]);
        assert_eq!(done.code, 0, "{}", done.shown());
        let (shown, rest) =
            done.stdout.split_once("\n[the answer broke off here and is begun anew]\n").unwrap();
        assert!(shown.len() > 10 && first.starts_with(shown), "{}: {shown}", wire.0);
        assert_eq!(rest, format!("{second}\n"), "{}", wire.0);
        let requests = bench.server.requests();
        assert_eq!(requests[0].body, requests[1].body, "{}", wire.0);
        let kinds: Vec<Value> = bench
            .event_values()
            .iter()
            .filter(|event| event["type"] == "sample.ended")
            .map(|event| {
                event["outcome"].get("failure").map_or(Value::Null, |failure| failure["kind"].clone())
            })
            .collect();
        assert_eq!(kinds, [json!("cut"), Value::Null]);
    }
}

#[test]
fn an_answer_that_breaks_off_again_and_again_ends_with_its_cure() {
    let broken = Reply::text(words("word")).cut_after(3_000);
    let bench = Bench::new([broken.clone(), broken]);
    let done = run(&bench, WIRES[0], &["-c", "retry.max_tries=2"]);
    assert_eq!(done.code, 5, "{}", done.shown());
    assert!(
        done.stdout.ends_with('\n') && words("word").starts_with(done.stdout.trim_end()),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("ends long answers"), "{}", done.stderr);
}

/// A request's bytes up to where the next one goes on, without the marks for the cache, which move.
fn prompt(wire: &str, body: &[u8]) -> String {
    const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;
    let text = String::from_utf8(body.to_vec()).unwrap();
    let end = match wire {
        "openai-chat" => "}]",
        "openai-responses" => "],\"reasoning\":",
        "anthropic" => "]}],\"max_tokens\"",
        _ => "]}],\"generationConfig\"",
    };
    text.replace(MARK, "").rsplit_once(end).unwrap_or_else(|| panic!("{wire}: {text}")).0.to_owned()
}

#[test]
fn a_session_of_fifty_steps_has_no_avoidable_miss_of_the_cache_on_any_wire() {
    for wire in WIRES {
        let step = |n: usize| match n % 10 {
            3 => vec![Reply::status(529).header("retry-after-ms", "1"), look(n)],
            7 => vec![look(n).cut_after(200), look(n)],
            _ => vec![look(n)],
        };
        let bench = Bench::new((0..50).flat_map(step).chain([Reply::text("done")]));
        let done = run(&bench, wire, &["--yes", "--max-steps", "60"]);
        assert_eq!(done.code, 0, "{} {}", wire.0, done.shown());
        let requests = bench.server.requests();
        assert_eq!(requests.len(), 61, "{}", wire.0);
        let prompts: Vec<String> = requests.iter().map(|request| prompt(wire.0, &request.body)).collect();
        for pair in prompts.windows(2) {
            assert!(
                pair[1].starts_with(&pair[0]),
                "{}: the prefix changed:\n{}\n{}",
                wire.0,
                pair[0],
                pair[1]
            );
        }
        let grown = prompts.windows(2).filter(|pair| pair[1].len() > pair[0].len()).count();
        assert_eq!(grown, 50, "{}: what failed is asked for with the same bytes", wire.0);
        // More than four are refused, and fewer leave the end of the dialogue out of the cache.
        for request in requests.iter().filter(|_| wire.0 == "anthropic") {
            let marks = request.json().to_string().matches("cache_control").count();
            assert!((3..=4).contains(&marks), "{marks} marks");
        }
    }
}

/// Calls that a session of many steps makes: no two alike, some side by side, with thoughts and text between.
fn look(n: usize) -> Reply {
    let call = json!({ "command": format!("echo {n}") });
    let read = json!({ "path": "main.py", "offset": n });
    match n % 5 {
        0 => Reply::reasoning(format!("Thought {n}.")).and_call("bash", call).and_call("read", read),
        1 => Reply::text(format!("Step {n}, ü.")).and_call("bash", call),
        2 => Reply::sealed("c2VhbGVk").and_call("bash", call),
        _ => Reply::call("bash", call),
    }
}
