//! Tools that the server is told to hold the model to: how each wire says so, and what becomes of the arguments.

use codetether_event::{
    ContentPart, Message, ModelId, Piece, ProviderFailureKind as Kind, ToolName, ToolResult,
};
use codetether_provider::{Endpoint, Epoch, SampleError, Sampled, ToolDeclaration};
use codetether_testkit::{Reply, Server};
use serde_json::{Value, json};

use crate::asking::{
    ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, WIRES, Wire, ask, endpoint, epoch, push,
};

/// Can be held to by every server.
fn read() -> Value {
    json!({
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "lines": {
                "type": "object",
                "properties": {"first": {"type": "integer"}, "last": {"type": "integer"}},
                "required": ["first"],
                "additionalProperties": false,
            },
        },
        "required": ["path"],
        "additionalProperties": false,
    })
}

/// Can be held to by no server: what it refers to is not in it, so it would be left out.
fn tag() -> Value {
    json!({"type": "object", "properties": {"as": {"$ref": "tags.json"}}, "required": ["as"]})
}

fn tool(name: &str, schema: Value) -> ToolDeclaration {
    ToolDeclaration { name: ToolName::new(name), description: "Does it.".into(), schema, strict: false }
}

fn strict(server: &Server) -> Endpoint {
    Endpoint { strict_tools: Some(true), ..endpoint(server) }
}

fn of(wire: &Wire, tools: Vec<ToolDeclaration>) -> Epoch {
    let model = if wire.name == ANTHROPIC.name { "anthropic/claude-sonnet-5" } else { "acme/m-1" };
    Epoch { model: ModelId::new(model), tools, ..epoch() }
}

/// A request's tools: the schema and what is said of strictness, by name; and the mode of all of them.
fn declared(wire: &Wire, body: &Value) -> (Vec<(String, Value, Value)>, Value) {
    let (tools, function, schema) = match wire.name {
        "openai-chat" => (&body["tools"], "/function", "parameters"),
        "openai-responses" => (&body["tools"], "", "parameters"),
        "anthropic" => (&body["tools"], "", "input_schema"),
        _ => (&body["tools"][0]["functionDeclarations"], "", "parametersJsonSchema"),
    };
    let tools = tools.as_array().unwrap().iter().map(|tool| {
        let tool = tool.pointer(function).unwrap();
        (tool["name"].as_str().unwrap().to_owned(), tool[schema].clone(), tool["strict"].clone())
    });
    (tools.collect(), body["toolConfig"]["functionCallingConfig"]["mode"].clone())
}

async fn sample(wire: &Wire, endpoint: &Endpoint, tools: Vec<ToolDeclaration>) -> (Sampled, Vec<Piece>) {
    let mut dialogue = (wire.provider)(endpoint).dialogue(&of(wire, tools));
    push(&mut *dialogue, &Message::user("go"));
    let (answer, pieces) = ask(&mut *dialogue).await;
    (answer.unwrap(), pieces)
}

#[tokio::test]
async fn a_tool_is_held_to_its_schema_where_that_loses_nothing() {
    let null = || json!(null);
    for (wire, required, said, unsaid) in [
        (&OPENAI_CHAT, json!(["path", "lines"]), json!(true), null()),
        (&OPENAI_RESPONSES, json!(["path", "lines"]), json!(true), json!(false)),
        (&ANTHROPIC, json!(["path"]), json!(true), null()),
    ] {
        let server = Server::start([Reply::text("hi")]);
        sample(wire, &strict(&server), vec![tool("read", read()), tool("tag", tag())]).await;
        let (tools, _) = declared(wire, &server.json(0));
        let [(read, schema, strict), tag_as_it_is] = tools.as_slice() else { panic!("{tools:?}") };
        assert_eq!((read.as_str(), strict, &schema["required"]), ("read", &said, &required), "{}", wire.name);
        assert_eq!(*tag_as_it_is, ("tag".to_owned(), tag(), unsaid), "{}", wire.name);
    }
}

#[tokio::test]
async fn openrouter_is_told_as_openai_is() {
    let server = Server::start([Reply::text("hi")]);
    let openrouter = Endpoint { name: "openrouter".into(), ..strict(&server) };
    sample(&OPENAI_CHAT, &openrouter, vec![tool("read", read())]).await;
    let (tools, _) = declared(&OPENAI_CHAT, &server.json(0));
    assert_eq!((&tools[0].1["required"], &tools[0].2), (&json!(["path", "lines"]), &json!(true)));
}

#[tokio::test]
async fn gemini_holds_the_model_to_all_tools_or_to_none() {
    for (tools, mode) in [
        (vec![tool("read", read())], json!("VALIDATED")),
        (vec![tool("read", read()), tool("tag", tag())], json!(null)),
    ] {
        let server = Server::start([Reply::text("hi")]);
        let last = tools.last().unwrap().schema.clone();
        sample(&GEMINI, &strict(&server), tools).await;
        let (tools, said) = declared(&GEMINI, &server.json(0));
        assert_eq!(said, mode);
        let (_, schema, strict) = tools.last().unwrap();
        assert_eq!((schema["required"].clone(), strict), (last["required"].clone(), &json!(null)));
    }
}

#[tokio::test]
async fn nothing_is_said_of_it_where_the_settings_do_not_want_it() {
    for wire in &WIRES {
        for strict_tools in [None, Some(false)] {
            let server = Server::start([Reply::text("hi")]);
            sample(wire, &Endpoint { strict_tools, ..endpoint(&server) }, vec![tool("read", read())]).await;
            let unsaid = if wire.name == OPENAI_RESPONSES.name { json!(false) } else { json!(null) };
            let wanted = (vec![("read".to_owned(), read(), unsaid)], json!(null));
            assert_eq!(declared(wire, &server.json(0)), wanted, "{}", wire.name);
        }
    }
}

#[tokio::test]
async fn an_older_claude_is_not_asked_for_what_it_does_not_do() {
    let server = Server::start([Reply::text("hi")]);
    let epoch = Epoch {
        model: ModelId::new("anthropic/claude-opus-4-1"),
        ..of(&ANTHROPIC, vec![tool("read", read())])
    };
    let mut dialogue = (ANTHROPIC.provider)(&strict(&server)).dialogue(&epoch);
    push(&mut *dialogue, &Message::user("go"));
    ask(&mut *dialogue).await.0.unwrap();
    assert_eq!(declared(&ANTHROPIC, &server.json(0)).0, [("read".to_owned(), read(), json!(null))]);
}

#[tokio::test]
async fn nulls_that_stand_for_what_is_left_out_are_gone_from_the_answer_and_from_what_follows() {
    for wire in &WIRES {
        let written = json!({"path": "a", "lines": {"first": 1, "last": null}});
        let server = Server::start([Reply::call("read", &written), Reply::text("done")]);
        let mut dialogue = (wire.provider)(&strict(&server)).dialogue(&of(wire, vec![tool("read", read())]));
        push(&mut *dialogue, &Message::user("go"));
        let (answer, pieces) = ask(&mut *dialogue).await;
        let answer = answer.unwrap().message;
        let call = answer.calls().next().unwrap().clone();
        // The schemas of the others let the model leave things out, so there `null` stands for nothing.
        let raised = match wire.name {
            "openai-chat" | "openai-responses" => r#"{"path":"a","lines":{"first":1}}"#.to_owned(),
            _ => written.to_string(),
        };
        assert_eq!(call.arguments, raised, "{}", wire.name);
        let streamed: String = pieces.iter().map(Piece::text).collect();
        assert_eq!(streamed, written.to_string(), "pieces are as they came over {}", wire.name);
        push(&mut *dialogue, &answer);
        let result = ToolResult { call: call.id, text: "x".into(), error: false };
        push(
            &mut *dialogue,
            &Message { role: codetether_event::Role::User, parts: vec![ContentPart::ToolResult(result)] },
        );
        ask(&mut *dialogue).await.0.unwrap();
        let requests = server.requests();
        let [first, second] = [0, 1].map(|n| wire.prompt(&requests[n].body));
        assert!(second.starts_with(&first), "the prefix changed over {}", wire.name);
        assert_eq!(declared(wire, &server.json(0)), declared(wire, &server.json(1)), "{}", wire.name);
    }
}

#[tokio::test]
async fn a_refusal_that_may_be_about_strict_tools_says_the_way_out() {
    let asked = async |endpoint: &dyn Fn(&Server) -> Endpoint, words: &str| {
        let body =
            json!({"error": {"message": words, "type": "invalid_request_error"}, "request_id": "req_1"});
        let server = Server::start([Reply::status(400).body(body.to_string())]);
        let epoch = of(&ANTHROPIC, vec![tool("read", read())]);
        let mut dialogue = (ANTHROPIC.provider)(&endpoint(&server)).dialogue(&epoch);
        push(&mut *dialogue, &Message::user("go"));
        match ask(&mut *dialogue).await.0 {
            Err(SampleError::Failed { failure, .. }) => {
                assert_eq!(failure.kind, Kind::BadRequest);
                failure.message
            }
            other => panic!("{other:?}"),
        }
    };
    let words = "The compiled grammar is too large.";
    assert_eq!(
        asked(&strict, words).await,
        "`acme` answered 400: The compiled grammar is too large. (`strict_tools = false` in `[providers.acme]` asks \
         for less) [request req_1]"
    );
    assert_eq!(asked(&strict, "no").await, "`acme` answered 400: no [request req_1]");
    assert!(!asked(&endpoint, words).await.contains("strict_tools"), "they are not");
}
