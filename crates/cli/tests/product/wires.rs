//! The same jobs over every wire: how a server is spoken to changes nothing of what is done.

use codetether_testkit::Reply;
use codetether_testkit::planted::KEY;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;

/// `codetether run` with the scripted server as Anthropic's.
fn run(bench: &Bench, args: &[&str]) -> Run {
    let mut command = bench.binary(&["run", "-m", "anthropic/claude-opus-5"]);
    command.args(args).env("ANTHROPIC_BASE_URL", bench.server.base_url()).env("ANTHROPIC_API_KEY", KEY);
    command.output().unwrap().into()
}

/// A request's bytes up to the end of its messages, without the marks for the cache.
fn prompt(body: &[u8]) -> String {
    let text = String::from_utf8(body.to_vec()).unwrap().replace(MARK, "");
    text.rsplit_once("]}],\"max_tokens\"").unwrap().0.to_owned()
}

fn assert_prefix_stable(bench: &Bench) {
    let requests = bench.server.requests();
    assert!(requests.len() > 1);
    for pair in requests.windows(2) {
        let [before, after] = [&pair[0], &pair[1]].map(|request| prompt(&request.body));
        assert!(after.starts_with(&before), "the prefix changed:\n{before}\n{after}");
    }
    for request in &requests {
        let marks = String::from_utf8(request.body.clone()).unwrap().matches(MARK).count();
        assert!((3..=4).contains(&marks), "{marks} marks");
    }
}

/// The blocks of a request's messages, a line each, without the words of the environment.
fn blocks(request: &Value) -> String {
    let mut lines = Vec::new();
    for message in request["messages"].as_array().unwrap() {
        for block in message["content"].as_array().unwrap() {
            let mut block = block.clone();
            block.as_object_mut().unwrap().remove("cache_control");
            if block["text"].as_str().is_some_and(|text| text.starts_with("<environment>")) {
                block["text"] = json!("[environment]");
            }
            lines.push(format!("{}: {block}", message["role"].as_str().unwrap()));
        }
    }
    lines.join("\n")
}

#[test]
fn the_main_job_is_done_over_anthropics_wire_with_its_thoughts_given_back() {
    let bench = Bench::new([
        Reply::reasoning("First I look.").and_call("read", json!({ "path": "greet.py" })),
        Reply::status(529)
            .header("retry-after", "0")
            .body(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        Reply::sealed("c2VhbGVk")
            .and_text("Now the change.")
            .and_call("edit", json!({ "path": "greet.py", "old": "Helo", "new": "Hello" }))
            .and_call("list", json!({})),
        Reply::text("I fixed the greeting."),
    ]);
    bench.file("greet.py", "print('Helo, world')\n");
    let done = run(&bench, &["fix the typo in greet.py", "--mode", "auto-edit"]);
    insta::assert_snapshot!(done.shown(), @r"
    exit: 0
    --- stdout
    Now the change.
    I fixed the greeting.
    --- stderr
    note: this is the first run here. Commands run in a sandbox: they change this folder alone, and reach no network. `codetether undo` takes back what they change; `--mode ask` asks before each.
    the request failed: `anthropic` answered 529: Overloaded
    ");
    assert_eq!(bench.read("greet.py"), "print('Hello, world')\n");

    let requests = bench.server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.path == "/v1/messages"));
    assert!(requests.iter().all(|request| request.header("x-api-key") == Some(KEY)));
    assert_eq!(requests[1].body, requests[2].body, "what was refused is asked for again");
    assert_prefix_stable(&bench);
    insta::assert_snapshot!(blocks(&bench.server.json(3)), @r#"
    user: {"type":"text","text":"[environment]"}
    user: {"type":"text","text":"fix the typo in greet.py"}
    assistant: {"type":"thinking","thinking":"First I look.","signature":"sig_0_0"}
    assistant: {"type":"tool_use","id":"call_0_0","name":"read","input":{"path":"greet.py"}}
    user: {"type":"tool_result","tool_use_id":"call_0_0","content":"     1\tprint('Helo, world')\n"}
    assistant: {"type":"redacted_thinking","data":"c2VhbGVk"}
    assistant: {"type":"text","text":"Now the change."}
    assistant: {"type":"tool_use","id":"call_2_0","name":"edit","input":{"path":"greet.py","old":"Helo","new":"Hello"}}
    assistant: {"type":"tool_use","id":"call_2_1","name":"list","input":{}}
    user: {"type":"tool_result","tool_use_id":"call_2_0","content":"edited `greet.py` at line 1"}
    user: {"type":"tool_result","tool_use_id":"call_2_1","content":".git/\nREADME.md\ngreet.py\nmain.py\n"}
    "#);
}

#[test]
fn a_session_goes_on_over_anthropics_wire_with_the_same_bytes() {
    let bench = Bench::new([
        Reply::reasoning("hm").and_call("bash", json!({ "command": "echo 1" })),
        Reply::reasoning("so").and_text("one"),
        Reply::text("two"),
    ]);
    let first = run(&bench, &["first", "--yes", "--effort", "high"]);
    assert_eq!(first.code, 0, "{}", first.shown());
    let second = run(&bench, &["second", "--last"]);
    assert_eq!((second.code, second.stdout.as_str()), (0, "two\n"), "{}", second.stderr);
    assert_prefix_stable(&bench);
    let first = bench.server.json(0);
    assert_eq!(first["output_config"], json!({ "effort": "high" }));
    let last = bench.server.json(2);
    let signatures: Vec<&Value> = last["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|message| message["content"].as_array().unwrap())
        .filter_map(|block| block.get("signature"))
        .collect();
    assert_eq!(signatures, [&json!("sig_0_0"), &json!("sig_1_0")]);
}

#[test]
fn an_endpoint_of_the_settings_speaks_the_wire_that_its_row_names() {
    for (wire, path) in [
        ("anthropic", "/v1/messages"),
        ("openai-chat", "/v1/chat/completions"),
        ("openai-responses", "/v1/responses"),
    ] {
        let bench = Bench::new([Reply::text("hi")]);
        let address = format!("providers.near.base_url=\"{}\"", bench.server.base_url());
        let wire = format!("providers.near.wire=\"{wire}\"");
        let done = bench.bare(&["run", "go", "-m", "near/m", "-c", &address, "-c", &wire]);
        assert_eq!((done.code, done.stdout.as_str()), (0, "hi\n"), "{}", done.stderr);
        assert_eq!(bench.server.requests()[0].path, path);
    }
}

#[test]
fn the_main_job_is_done_and_goes_on_over_the_wire_of_responses_with_its_thoughts_given_back() {
    let bench = Bench::new([
        Reply::reasoning("First I look.").and_call("read", json!({ "path": "greet.py" })),
        Reply::status(529).header("retry-after", "0").body(r#"{"error":{"message":"Overloaded"}}"#),
        Reply::sealed("c2VhbGVk")
            .and_text("Now the change.")
            .and_call("edit", json!({ "path": "greet.py", "old": "Helo", "new": "Hello" }))
            .and_call("list", json!({})),
        Reply::text("I fixed the greeting."),
        Reply::text("two"),
    ]);
    bench.file("greet.py", "print('Helo, world')\n");
    let address = format!("providers.near.base_url=\"{}\"", bench.server.base_url());
    let ask = |args: &[&str]| {
        let settings = ["-m", "near/gpt-5", "-c", &address, "-c", "providers.near.wire=\"openai-responses\""];
        bench.bare(&[&["run"], args, &settings].concat())
    };
    let done = ask(&["fix the typo in greet.py", "--mode", "auto-edit"]);
    let said = "Now the change.\nI fixed the greeting.\n";
    assert_eq!((done.code, done.stdout.as_str()), (0, said), "{}", done.stderr);
    assert_eq!(bench.read("greet.py"), "print('Hello, world')\n");
    let second = ask(&["second", "--last"]);
    assert_eq!((second.code, second.stdout.as_str()), (0, "two\n"), "{}", second.stderr);

    let requests = bench.server.requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(requests[1].body, requests[2].body, "what was refused is asked for again");
    let input = |body: &[u8]| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.rsplit_once("],\"reasoning\":").unwrap().0.to_owned()
    };
    for pair in requests.windows(2) {
        let [before, after] = [&pair[0], &pair[1]].map(|request| input(&request.body));
        assert!(after.starts_with(&before), "the prefix changed:\n{before}\n{after}");
    }
    let last = bench.server.json(3);
    let items = last["input"].as_array().unwrap().iter().skip_while(|item| item["type"] == "message");
    let items: Vec<String> = items.map(Value::to_string).collect();
    insta::assert_snapshot!(items.join("\n"), @r#"
    {"id":"rs_0_0","type":"reasoning","summary":[{"type":"summary_text","text":"First I look."}],"encrypted_content":"enc_0_0"}
    {"type":"function_call","call_id":"call_0_0","name":"read","arguments":"{\"path\":\"greet.py\"}"}
    {"type":"function_call_output","call_id":"call_0_0","output":"     1\tprint('Helo, world')\n"}
    {"id":"rs_2_0","type":"reasoning","summary":[],"encrypted_content":"c2VhbGVk"}
    {"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Now the change.","annotations":[]}]}
    {"type":"function_call","call_id":"call_2_0","name":"edit","arguments":"{\"path\":\"greet.py\",\"old\":\"Helo\",\"new\":\"Hello\"}"}
    {"type":"function_call","call_id":"call_2_1","name":"list","arguments":"{}"}
    {"type":"function_call_output","call_id":"call_2_0","output":"edited `greet.py` at line 1"}
    {"type":"function_call_output","call_id":"call_2_1","output":".git/\nREADME.md\ngreet.py\nmain.py\n"}
    "#);
}

#[test]
fn a_wire_that_there_is_not_is_pointed_at() {
    let bench = Bench::new([]);
    let done = bench.bare(&["run", "go", "-m", "near/m", "-c", "providers.near.wire=\"antropic\""]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.stderr, @r#"
    codetether::settings

      × cannot read the settings: `providers.near.wire` cannot be `antropic`
       ╭─[-c:1:23]
     1 │ providers.near.wire = "antropic"
       ·                       ─────┬────
       ·                            ╰── here
       ╰────
      help: did you mean `anthropic`?
    "#);
}

#[test]
fn an_error_in_the_middle_of_anthropics_stream_is_tried_again() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let bench = Bench::new([Reply::raw_sse(error), Reply::text("at last")]);
    let done = run(&bench, &["go"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "at last\n"), "{}", done.stderr);
    assert_eq!(bench.server.requests().len(), 2);
}

#[test]
fn a_refusal_ends_with_the_servers_words() {
    let events = [
        json!({ "type": "message_start", "message": { "usage": { "input_tokens": 5, "output_tokens": 1 } } }),
        json!({ "type": "message_delta", "delta": {
            "stop_reason": "refusal",
            "stop_details": { "type": "refusal", "category": "bio", "explanation": "This is not for me." },
        }, "usage": { "output_tokens": 2 } }),
        json!({ "type": "message_stop" }),
    ];
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let bench = Bench::new([Reply::raw_sse(stream)]);
    let done = run(&bench, &["go"]);
    assert_eq!(done.code, 5, "{}", done.shown());
    assert!(done.stdout.contains("This is not for me."), "{}", done.shown());
}

#[test]
fn the_main_job_is_done_over_geminis_wire_with_its_signatures_given_back() {
    let bench = Bench::new([
        Reply::reasoning("First I look.")
            .and_sealed("c2lnMQ==")
            .and_call("read", json!({ "path": "greet.py" })),
        Reply::status(503)
            .header("retry-after", "0")
            .body(r#"{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}"#),
        Reply::text("Now the change.")
            .and_sealed("c2lnMg==")
            .and_call("edit", json!({ "path": "greet.py", "old": "Helo", "new": "Hello" }))
            .and_call("list", json!({})),
        Reply::text("I fixed the greeting.").and_sealed("c2lnMw=="),
        Reply::text("Gladly."),
    ]);
    bench.file("greet.py", "print('Helo, world')\n");
    let run = |args: &[&str]| -> Run {
        let mut command = bench.binary(&["run", "-m", "google/gemini-3-pro-preview"]);
        command.args(args).env("GEMINI_BASE_URL", bench.server.base_url()).env("GOOGLE_API_KEY", KEY);
        command.output().unwrap().into()
    };
    let done = run(&["fix the typo in greet.py", "--mode", "auto-edit"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "Now the change.\nI fixed the greeting.\n"),
        "{}",
        done.stderr
    );
    assert_eq!(bench.read("greet.py"), "print('Hello, world')\n");
    let done = run(&["thanks", "--last"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "Gladly.\n"), "{}", done.stderr);

    let requests = bench.server.requests();
    let path = "/v1/models/gemini-3-pro-preview:streamGenerateContent?alt=sse";
    assert!(requests.iter().all(|request| request.path == path));
    assert!(requests.iter().all(|request| request.header("x-goog-api-key") == Some(KEY)));
    let prompts: Vec<String> = requests
        .iter()
        .map(|request| String::from_utf8(request.body.clone()).unwrap())
        .map(|body| body.rsplit_once("]}],\"generationConfig\"").unwrap().0.to_owned())
        .collect();
    for pair in prompts.windows(2) {
        assert!(pair[1].starts_with(&pair[0]), "the prefix changed:\n{}\n{}", pair[0], pair[1]);
    }
    let contents = bench.server.json(4)["contents"].take();
    let parts = contents.as_array().unwrap().iter().flat_map(|content| content["parts"].as_array().unwrap());
    let signed: Vec<Value> = parts.filter(|part| part.get("thoughtSignature").is_some()).cloned().collect();
    let edit = json!({ "path": "greet.py", "old": "Helo", "new": "Hello" });
    assert_eq!(
        signed,
        [
            json!({
                "functionCall": { "id": "call_0_0", "name": "read", "args": { "path": "greet.py" } },
                "thoughtSignature": "c2lnMQ==",
            }),
            json!({
                "functionCall": { "id": "call_2_0", "name": "edit", "args": edit },
                "thoughtSignature": "c2lnMg==",
            }),
            json!({ "text": "", "thoughtSignature": "c2lnMw==" }),
        ]
    );
}
