//! Answers that must have a form: what each wire says of it, by each way, and what is made of the answers.

use codetether_event::{
    ContentPart, Message, ModelId, Reading, ResponseFormat, Rung, StopReason, Structured, Way,
};
use codetether_provider::{Epoch, SampleError, Sampled};
use codetether_testkit::{Reply, Server};
use serde_json::{Value, json};

use crate::asking::{ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, Wire, ask, endpoint, epoch, push};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"n": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["n"],
        "additionalProperties": false,
    })
}

fn form(schema: Value, strict: bool) -> ResponseFormat {
    ResponseFormat::Schema { name: "count".into(), schema: Box::new(schema), strict }
}

fn asked(model: &str, tools: bool, format: ResponseFormat, way: Way) -> Epoch {
    let epoch = epoch();
    let tools = if tools { epoch.tools } else { Vec::new() };
    Epoch { model: ModelId::new(model), tools, format, way, ..epoch }
}

/// What came of a prompt on this prefix, and the body of the request.
async fn sample(wire: &Wire, reply: Reply, epoch: &Epoch) -> (Result<Sampled, String>, Value) {
    let server = Server::start([reply]);
    let mut dialogue = (wire.provider)(&endpoint(&server)).dialogue(epoch);
    push(&mut *dialogue, &Message::user("count"));
    let (answer, _) = ask(&mut *dialogue).await;
    let answer = answer.map_err(|error| match error {
        SampleError::Failed { failure, .. } => failure.message,
        SampleError::Interrupted { .. } => "interrupted".into(),
    });
    let body = server.requests().first().map(|request| serde_json::from_slice(&request.body).unwrap());
    (answer, body.unwrap_or_default())
}

/// What of a request has to do with forms, by its keys; a schema only by its properties.
fn said(body: &Value) -> Value {
    let keys = ["response_format", "text", "output_config", "tool_choice", "toolConfig", "generationConfig"];
    let mut said: serde_json::Map<String, Value> =
        keys.iter().filter_map(|key| Some(((*key).to_owned(), body.get(key)?.clone()))).collect();
    let system = [&body["messages"][0]["content"], &body["instructions"], &body["system"][0]["text"]]
        .into_iter()
        .chain([&body["systemInstruction"]["parts"][0]["text"]])
        .find_map(Value::as_str)
        .unwrap_or_default();
    let system = system.strip_prefix("Be brief.").unwrap_or(system).trim();
    said.insert("told".into(), json!(system.split_inclusive([',', ':']).next()));
    Value::Object(said)
}

#[tokio::test]
async fn a_wire_that_holds_answers_to_a_schema_is_given_it() {
    for (wire, model, key, wanted) in [
        (
            &OPENAI_CHAT,
            "acme/m-1",
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "count", "schema": "S", "strict": true}}),
        ),
        (
            &OPENAI_RESPONSES,
            "acme/m-1",
            "text",
            json!({"format": {"type": "json_schema", "name": "count", "schema": "S", "strict": true}}),
        ),
        (
            &ANTHROPIC,
            "anthropic/claude-sonnet-5",
            "output_config",
            json!({"format": {"type": "json_schema", "schema": "S"}}),
        ),
        (
            &GEMINI,
            "google/gemini-2.0-flash",
            "generationConfig",
            json!({"responseMimeType": "application/json", "responseJsonSchema": "S"}),
        ),
    ] {
        let epoch = asked(model, false, form(schema(), true), Way::Native);
        let (answer, mut body) = sample(wire, Reply::text(r#"{"n": 3}"#), &epoch).await;
        for at in [
            "/response_format/json_schema/schema",
            "/text/format/schema",
            "/output_config/format/schema",
            "/generationConfig/responseJsonSchema",
        ] {
            if let Some(schema) = body.pointer_mut(at) {
                assert!(schema["properties"]["n"].is_object(), "{schema}");
                *schema = json!("S");
            }
        }
        assert_eq!(said(&body), json!({key: wanted, "told": null}), "{}", wire.name);
        let reading = Reading::Fits { rung: Rung::Strict, value: Box::new(json!({"n": 3})) };
        assert_eq!(
            answer.unwrap().structured,
            Some(Structured { way: Way::Native, reading: Some(reading) }),
            "{}",
            wire.name
        );
    }
}

#[tokio::test]
async fn beside_tools_where_a_schema_would_shut_them_out_the_answer_is_a_call() {
    for (wire, model, key, wanted) in [
        (&OPENAI_CHAT, "acme/m-1", "tool_choice", json!("required")),
        (&ANTHROPIC, "anthropic/claude-3-5-haiku", "tool_choice", json!({"type": "any"})),
        (&GEMINI, "google/gemini-2.0-flash", "toolConfig", json!({"functionCallingConfig": {"mode": "ANY"}})),
    ] {
        let epoch = asked(model, true, form(schema(), false), Way::Native);
        let reply = || Reply::text("So: ").and_call("final_answer", json!({"n": "3"}));
        let (answer, body) = sample(wire, reply(), &epoch).await;
        let told = "When the work is done,";
        assert_eq!(said(&body), json!({key: wanted, "told": told}), "{}", wire.name);
        let answer = answer.unwrap();
        let reading = Reading::Fits { rung: Rung::Coerced, value: Box::new(json!({"n": 3})) };
        let structured = Structured { way: Way::Tool, reading: Some(reading) };
        let parts = vec![ContentPart::text("So: "), ContentPart::text(r#"{"n":"3"}"#)];
        assert_eq!(
            (answer.message.parts, answer.structured, answer.stop),
            (parts, Some(structured), StopReason::EndTurn),
            "{}",
            wire.name
        );
        // Beside another call it came too early.
        let (answer, _) = sample(wire, reply().and_call("read", json!({"path": "a"})), &epoch).await;
        let answer = answer.unwrap();
        let names: Vec<_> = answer.message.calls().map(|call| call.name.as_str()).collect();
        assert_eq!((names, answer.stop), (vec!["read"], StopReason::ToolUse), "{}", wire.name);
        assert_eq!(answer.structured, Some(Structured { way: Way::Tool, reading: None }), "{}", wire.name);
    }
}

#[tokio::test]
async fn a_lower_way_asks_for_json_or_only_says_what_is_wanted() {
    let json_mode = "The answer is one JSON value that fits this JSON Schema,";
    for (wire, way, wanted) in [
        (&OPENAI_CHAT, Way::Json, json!({"response_format": {"type": "json_object"}})),
        (&OPENAI_RESPONSES, Way::Json, json!({"text": {"format": {"type": "json_object"}}})),
        (&GEMINI, Way::Json, json!({"generationConfig": {"responseMimeType": "application/json"}})),
        (&ANTHROPIC, Way::Json, json!({})),
        (&OPENAI_CHAT, Way::Prompt, json!({})),
        (&OPENAI_RESPONSES, Way::Prompt, json!({})),
        (&GEMINI, Way::Prompt, json!({})),
    ] {
        let epoch = asked("acme/m-1", false, form(schema(), false), way);
        let (answer, body) = sample(wire, Reply::text("```json\n{\"n\": 3}\n```"), &epoch).await;
        let mut wanted = wanted;
        wanted["told"] = json!(json_mode);
        let said = said(&body);
        assert_eq!(said, wanted, "{} {way:?}", wire.name);
        let chosen = if wire.name == ANTHROPIC.name { Way::Prompt } else { way };
        let reading = Reading::Fits { rung: Rung::Repaired, value: Box::new(json!({"n": 3})) };
        assert_eq!(
            answer.unwrap().structured,
            Some(Structured { way: chosen, reading: Some(reading) }),
            "{} {way:?}",
            wire.name
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_said_to_and_kept_as_it_was() {
    let epoch = asked("acme/m-1", false, form(schema(), false), Way::Native);
    for (text, problem) in [
        (r#"{"note": "x"}"#, "it does not fit the schema: `n` is missing"),
        ("I cannot.", "it is not JSON: there is no JSON value in it"),
        (r#"{"n": 3, "note": "and the"#, "it ends in the middle"),
    ] {
        let (answer, _) = sample(&OPENAI_CHAT, Reply::text(text), &epoch).await;
        let answer = answer.unwrap();
        let reading = Reading::Misfits { problem: problem.into() };
        assert_eq!(answer.structured, Some(Structured { way: Way::Native, reading: Some(reading) }));
        assert_eq!(answer.message.text(), text);
    }
}

#[tokio::test]
async fn any_json_is_asked_for_without_a_schema() {
    let epoch = asked("acme/m-1", false, ResponseFormat::Json, Way::Native);
    let (answer, body) = sample(&OPENAI_CHAT, Reply::text("[1]"), &epoch).await;
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let reading = Reading::Fits { rung: Rung::Strict, value: Box::new(json!([1])) };
    assert_eq!(answer.unwrap().structured, Some(Structured { way: Way::Json, reading: Some(reading) }));
}

#[tokio::test]
async fn an_answer_that_is_no_object_is_one_for_the_provider() {
    let list = json!({"type": "array", "items": {"type": "integer"}});
    for tools in [false, true] {
        let epoch = asked("acme/m-1", tools, form(list.clone(), false), Way::Native);
        let reply = if tools {
            Reply::call("final_answer", json!({"value": [1, 2]}))
        } else {
            Reply::text(r#"{"value": [1, 2]}"#)
        };
        let (answer, _) = sample(
            &OPENAI_RESPONSES,
            reply,
            &Epoch { way: if tools { Way::Tool } else { Way::Native }, ..epoch },
        )
        .await;
        let Some(Structured { reading: Some(Reading::Fits { value, .. }), .. }) = answer.unwrap().structured
        else {
            panic!("it fits");
        };
        assert_eq!(*value, json!([1, 2]));
    }
}

#[tokio::test]
async fn strictly_nothing_is_asked_that_the_provider_would_not_enforce() {
    let epoch = asked("anthropic/claude-3-5-haiku", false, form(schema(), true), Way::Native);
    let (answer, body) = sample(&ANTHROPIC, Reply::text("{}"), &epoch).await;
    let problem = answer.unwrap_err();
    assert!(problem.contains("the provider would not enforce all of this schema"), "{problem}");
    assert_eq!(body, Value::Null, "nothing was sent");
}
