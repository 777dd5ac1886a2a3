use codetether_event::{Message as Said, Role, ToolCall, ToolName};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answer::{Answer, Whole};

fn model() -> ModelId {
    ModelId::new("anthropic/m")
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn stream(events: &[Value]) -> String {
    events.iter().map(event).collect()
}

fn start(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, kind: &str, field: &str, text: &str) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}})
}

fn text_delta(index: u64, text: &str) -> Value {
    delta(index, "text_delta", "text", text)
}

fn json_delta(index: u64, text: &str) -> Value {
    delta(index, "input_json_delta", "partial_json", text)
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn tool_use(index: u64, id: &str, name: &str) -> Value {
    start(index, json!({"type": "tool_use", "id": id, "name": name, "input": {}}))
}

fn begun() -> Value {
    json!({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}})
}

fn ended(reason: &str) -> [Value; 2] {
    let end =
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}});
    [end, json!({"type": "message_stop"})]
}

/// An answer of every kind of thing, with characters of several bytes, as Anthropic streams it.
fn recorded() -> String {
    let mut events = vec![
        begun(),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        delta(0, "thinking_delta", "thinking", "hm "),
        delta(0, "thinking_delta", "thinking", "ja"),
        delta(0, "signature_delta", "signature", "EqQBCg=="),
        stop(0),
        start(1, json!({"type": "redacted_thinking", "data": "xyz=="})),
        stop(1),
        start(2, json!({"type": "text", "text": ""})),
        text_delta(2, "Grüße "),
        text_delta(2, "\"𝄞\" 日本"),
        stop(2),
        tool_use(3, "a1", "read"),
        json_delta(3, ""),
        json_delta(3, "{\"path\""),
        json_delta(3, ":\"é\"}"),
        stop(3),
        tool_use(4, "a2", "list"),
        json_delta(4, ""),
        stop(4),
    ];
    events.extend(ended("tool_use"));
    format!(
        ": waking up\r\n\r\n{}",
        stream(&events).replace("data: {\"type\":\"ping\"}\n\n", "data: {\"type\":\"ping\"}\r\n\r\n")
    )
}

fn call(id: &str, name: &str, arguments: &str) -> ContentPart {
    ContentPart::ToolCall(ToolCall {
        id: id.into(),
        name: ToolName::new(name),
        arguments: arguments.into(),
        wrapped: None,
    })
}

fn thought(text: &str, signature: Option<&str>, sealed: Option<&str>) -> ContentPart {
    ContentPart::Reasoning {
        text: text.into(),
        signature: signature.map(str::to_owned),
        sealed: sealed.map(str::to_owned),
        model: Some(model()),
    }
}

fn whole(parts: Vec<ContentPart>, stop: StopReason) -> Whole {
    let usage = Some(Usage { input: 9, output: 7, ..Usage::default() });
    Whole { message: Said { role: Role::Assistant, parts }, stop, usage }
}

fn recorded_answer() -> Whole {
    let parts = vec![
        thought("hm ja", Some("EqQBCg=="), None),
        thought("", None, Some("xyz==")),
        ContentPart::text("Grüße \"𝄞\" 日本"),
        call("a1", "read", r#"{"path":"é"}"#),
        call("a2", "list", "{}"),
    ];
    whole(parts, StopReason::ToolUse)
}

/// What comes of these reads, and the pieces that were handed out on the way, one flush a read.
fn read<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> (Result<Whole, Fault>, Vec<Piece>) {
    let mut pieces = Vec::new();
    let mut out = |piece| pieces.push(piece);
    let mut answer = Answer::new(State::new(model(), 4));
    for read in reads {
        if let Err(fault) = answer.feed(read, &mut out) {
            answer.flush(&mut out);
            return (Err(fault), pieces);
        }
        answer.flush(&mut out);
    }
    (answer.finish(&mut out).map_err(|(fault, _)| fault), pieces)
}

fn answer(text: &str) -> Result<Whole, Fault> {
    read([text.as_bytes()]).0
}

/// What comes of these events, between the usual beginning and this end.
fn said(events: &[Value], reason: &str) -> Result<Whole, Fault> {
    answer(&stream(&[&[begun()], events, &ended(reason)].concat()))
}

#[test]
fn an_answer_holds_thoughts_text_and_calls_in_their_order() {
    let (answer, pieces) = read([recorded().as_bytes()]);
    assert_eq!(answer.unwrap(), recorded_answer());
    let expected = [
        Piece::Reasoning("hm ja".into()),
        Piece::Text("Grüße \"𝄞\" 日本".into()),
        Piece::Arguments(r#"{"path":"é"}"#.into()),
        Piece::Arguments("{}".into()),
    ];
    assert_eq!(pieces, expected);
}

#[test]
fn a_stream_split_at_any_byte_is_the_same_answer() {
    let text = recorded();
    for text in [text.clone(), text.replace("\r\n", "\n").replace('\n', "\r\n"), text.replace('\n', "\r")] {
        for at in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            let (answer, pieces) = read([first, second]);
            assert_eq!(answer.unwrap(), recorded_answer(), "split at {at}");
            let said: String = pieces.iter().map(Piece::text).collect();
            assert_eq!(said, "hm jaGrüße \"𝄞\" 日本{\"path\":\"é\"}{}", "split at {at}");
        }
    }
}

#[test]
fn a_stream_cut_at_any_byte_is_cut_or_whole_but_never_wrong() {
    let text = recorded();
    let reason =
        text.find("\"usage\":{\"output_tokens\":7}}").unwrap() + "\"usage\":{\"output_tokens\":7}}".len();
    for at in 0..=text.len() {
        match read([&text.as_bytes()[..at]]).0 {
            Err(fault) => {
                assert_eq!(fault, Fault::Cut, "cut at {at}");
                assert!(at < reason, "cut at {at}, after the reason to stop");
            }
            Ok(answer) => {
                assert!(at >= reason, "whole at {at}");
                assert_eq!(answer, recorded_answer(), "cut at {at}");
            }
        }
    }
}

#[test]
fn a_reason_to_stop_keeps_its_meaning() {
    let text = [start(0, json!({"type": "text", "text": "x"}))];
    let calls = [tool_use(0, "a", "read"), json_delta(0, "{}")];
    for (events, reason, wanted) in [
        (&text[..], "end_turn", StopReason::EndTurn),
        (&text, "stop_sequence", StopReason::EndTurn),
        (&text, "tool_use", StopReason::EndTurn),
        (&text, "max_tokens", StopReason::MaxOutput),
        (&text, "model_context_window_exceeded", StopReason::MaxOutput),
        (&text, "refusal", StopReason::Refused),
        (&text, "pause_turn", StopReason::Other("pause_turn".into())),
        (&text, "weather", StopReason::Other("weather".into())),
        (&calls, "tool_use", StopReason::ToolUse),
        (&calls, "end_turn", StopReason::ToolUse),
        (&calls, "max_tokens", StopReason::MaxOutput),
        (&calls, "refusal", StopReason::Refused),
    ] {
        assert_eq!(said(events, reason).map(|answer| answer.stop), Ok(wanted), "{reason}");
    }
}

#[test]
fn the_end_of_the_stream_may_stand_for_the_reason() {
    let text = stream(&[begun(), start(0, json!({"type": "text", "text": "x"}))]);
    assert_eq!(answer(&text), Err(Fault::Cut));
    for end in ["data: {\"type\":\"message_stop\"}", "data: [DONE]"] {
        assert_eq!(answer(&format!("{text}{end}")).unwrap().stop, StopReason::EndTurn);
    }
    assert_eq!(answer(""), Err(Fault::Cut));
    assert!(matches!(answer("data: {\"type\":\"message_stop\"}\n\n"), Err(Fault::Protocol(_))));
}

#[test]
fn a_refusal_says_why_in_the_servers_words() {
    let events = [
        begun(),
        start(0, json!({"type": "text", "text": "Well"})),
        json!({"type": "message_delta", "delta": {
            "stop_reason": "refusal",
            "stop_details": {"type": "refusal", "category": "cyber", "explanation": "Not that."},
        }, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ];
    let (answer, pieces) = read([stream(&events).as_bytes()]);
    let parts = vec![ContentPart::text("Well"), ContentPart::text("Not that.")];
    assert_eq!(answer.unwrap(), whole(parts, StopReason::Refused));
    assert_eq!(pieces, [Piece::Text("Well".into()), Piece::Text("Not that.".into())]);
}

#[test]
fn arguments_are_those_that_came_however_they_came() {
    let at_once = start(0, json!({"type": "tool_use", "id": "a", "name": "read", "input": {"path": "x"}}));
    let none = start(0, json!({"type": "tool_use", "id": "a", "name": "read"}));
    for (events, arguments) in [
        (vec![at_once.clone()], r#"{"path":"x"}"#),
        (vec![at_once, json_delta(0, r#"{"path":"y"}"#)], r#"{"path":"y"}"#),
        (vec![tool_use(0, "a", "read")], "{}"),
        (vec![tool_use(0, "a", "read"), json_delta(0, ""), stop(0)], "{}"),
        (vec![none], ""),
        // The limit was reached inside them.
        (vec![tool_use(0, "a", "read"), json_delta(0, "{\"path\":\"a")], "{\"path\":\"a"),
    ] {
        let answer = said(&events, "tool_use").unwrap();
        assert_eq!(answer, whole(vec![call("a", "read", arguments)], StopReason::ToolUse), "{events:?}");
    }
}

#[test]
fn a_length_cut_inside_a_call_or_a_thought_leaves_nothing_that_looks_whole() {
    let events = [tool_use(0, "a", "read"), json_delta(0, "{\"path\":\"a"), stop(0)];
    let wanted = whole(vec![call("a", "read", "{\"path\":\"a")], StopReason::MaxOutput);
    assert_eq!(said(&events, "max_tokens").unwrap(), wanted);
    let events = [tool_use(0, "a", "read"), stop(0)];
    let wanted = whole(vec![call("a", "read", "")], StopReason::MaxOutput);
    assert_eq!(said(&events, "max_tokens").unwrap(), wanted);

    let thinking = start(0, json!({"type": "thinking", "thinking": "", "signature": ""}));
    let events = [thinking, delta(0, "thinking_delta", "thinking", "hm"), stop(0)];
    let wanted = whole(vec![ContentPart::reasoning("hm")], StopReason::MaxOutput);
    assert_eq!(said(&events, "max_tokens").unwrap(), wanted, "without its signature it is nobody's");
    let wanted = whole(vec![thought("hm", None, None)], StopReason::EndTurn);
    assert_eq!(said(&events, "end_turn").unwrap(), wanted, "of a server that signs nothing");
}

#[test]
fn two_calls_with_one_id_or_none_get_their_own() {
    let events = [
        tool_use(0, "same", "a"),
        json_delta(0, "{\"n\":1}"),
        tool_use(1, "same", "b"),
        start(2, json!({"type": "tool_use", "name": "c", "input": {}})),
    ];
    let parts = vec![call("same", "a", "{\"n\":1}"), call("call_4", "b", "{}"), call("call_5", "c", "{}")];
    assert_eq!(said(&events, "tool_use").unwrap(), whole(parts, StopReason::ToolUse));
}

#[test]
fn pieces_of_several_blocks_may_be_mixed() {
    let events = [
        tool_use(0, "x", "a"),
        tool_use(1, "y", "b"),
        json_delta(0, "{\"n\""),
        json_delta(1, "{}"),
        json_delta(0, ":1}"),
    ];
    let parts = vec![call("x", "a", "{\"n\":1}"), call("y", "b", "{}")];
    assert_eq!(said(&events, "tool_use").unwrap(), whole(parts, StopReason::ToolUse));
}

#[test]
fn what_is_unknown_is_passed_over() {
    let events = [
        json!({"type": "weather", "index": "north", "delta": 3, "message": [], "content_block": "x"}),
        start(0, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        json_delta(0, "{\"query\":1}"),
        start(1, json!({"type": "text", "text": "", "citations": null})),
        delta(1, "citations_delta", "citation", "x"),
        text_delta(1, "hi"),
        start(2, json!({"type": "text", "text": ""})),
    ];
    assert_eq!(said(&events, "end_turn").unwrap(), whole(vec![ContentPart::text("hi")], StopReason::EndTurn));
}

#[test]
fn a_server_that_begins_no_block_is_understood() {
    let events = [
        delta(0, "thinking_delta", "thinking", "hm"),
        delta(0, "signature_delta", "signature", "s"),
        text_delta(1, "a"),
        text_delta(1, "b"),
    ];
    let parts = vec![thought("hm", Some("s"), None), ContentPart::text("ab")];
    assert_eq!(said(&events, "end_turn").unwrap(), whole(parts, StopReason::EndTurn));
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    let object = json!({
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "a", "name": "read", "input": {"path": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 9, "output_tokens": 7},
    });
    let text = format!(" \n{object}");
    let parts = vec![
        thought("hm", Some("s"), None),
        thought("", None, Some("x")),
        ContentPart::text("hi"),
        call("a", "read", r#"{"path":1}"#),
    ];
    for size in [1, 7, text.len()] {
        let (answer, pieces) = read(text.as_bytes().chunks(size));
        assert_eq!(answer.unwrap(), whole(parts.clone(), StopReason::ToolUse));
        assert_eq!(pieces.iter().map(Piece::text).collect::<String>(), "hmhi{\"path\":1}");
    }
    assert_eq!(answer(&text[..text.len() - 1]), Err(Fault::Cut));
    let error = r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#;
    assert_eq!(answer(error), Err(Fault::Reported(error.into())));
    assert!(
        matches!(answer("{}"), Err(Fault::Protocol(what)) if what == "there is no content in what it sent")
    );
}

#[test]
fn an_error_or_nonsense_in_the_stream_ends_it() {
    let text = stream(&[begun(), start(0, json!({"type": "text", "text": "x"}))]);
    for error in [
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
        r#"{"error":"just words"}"#,
    ] {
        let answer = answer(&format!("{text}event: error\ndata: {error}\n\n"));
        assert_eq!(answer, Err(Fault::Reported(error.into())));
    }
    for nonsense in [
        &b"data: {\"type\":\n\n"[..],
        b"data: hello\n\n",
        b"data: {}\n\n",
        b"data: {\"choices\":[]}\n\n",
        b"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":7}}\n\n",
    ] {
        let (answer, _) = read([nonsense]);
        assert!(matches!(answer, Err(Fault::Protocol(_))), "{nonsense:?}");
    }
}

#[test]
fn too_much_of_anything_is_refused() {
    let calls: Vec<_> = (0..200).map(|n| tool_use(n, "", "a")).collect();
    assert!(matches!(said(&calls, "tool_use"), Err(Fault::Protocol(what)) if what.contains("128 calls")));
    let texts: Vec<_> = (0..5_000).map(|n| start(n, json!({"type": "text", "text": "x"}))).collect();
    assert!(matches!(said(&texts, "end_turn"), Err(Fault::Protocol(what)) if what.contains("4096 parts")));
    let unknown: Vec<_> = (0..5_000).map(|n| start(n, json!({"type": "weather"}))).collect();
    assert!(matches!(said(&unknown, "end_turn"), Err(Fault::Protocol(what)) if what.contains("4096 blocks")));
}

#[test]
fn tokens_are_estimated_only_where_the_server_has_not_told_them_yet() {
    let mut out = |_| ();
    let mut answer = Answer::new(State::new(model(), 0));
    assert_eq!(answer.usage(), None);
    let text = start(0, json!({"type": "text", "text": "12345678"}));
    answer.feed(stream(&[begun(), text]).as_bytes(), &mut out).unwrap();
    assert_eq!(answer.usage(), Some(Usage { input: 9, output: 2, estimated: true, ..Usage::default() }));
    assert_eq!(crate::usage::complete(answer.usage(), 30).input, 9);
    answer.feed(stream(&ended("end_turn")).as_bytes(), &mut out).unwrap();
    assert_eq!(answer.usage(), Some(Usage { input: 9, output: 7, ..Usage::default() }));
}

#[test]
fn a_part_of_an_answer_is_its_text_alone() {
    let mut answer = Answer::new(State::new(model(), 0));
    assert_eq!(answer.partial(), None);
    let text = recorded();
    let text = text.split("\"stop_reason\"").next().unwrap();
    answer.feed(text.as_bytes(), &mut |_| ()).unwrap();
    assert_eq!(answer.partial().unwrap().parts, [ContentPart::text("Grüße \"𝄞\" 日本")]);
}

#[test]
fn twenty_thousand_deltas_are_handed_on_once_a_read() {
    let deltas = event(&text_delta(0, "word ")).repeat(20_000);
    let text = [event(&begun()), deltas, stream(&ended("end_turn"))].concat();
    let (answer, pieces) = read(text.as_bytes().chunks(8 << 10));
    assert_eq!(answer.unwrap().message.text().len(), 100_000);
    assert!(pieces.len() <= text.len() / (8 << 10) + 1, "{} pieces", pieces.len());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_no_split_changes_what_comes_of_them(
        lines in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    event(&begun()),
                    event(&start(0, json!({"type": "text", "text": "é"}))),
                    event(&text_delta(0, "é")),
                    event(&start(1, json!({"type": "thinking", "thinking": ""}))),
                    event(&delta(1, "thinking_delta", "thinking", "r")).replace('\n', "\r\n"),
                    event(&delta(1, "signature_delta", "signature", "s")),
                    event(&tool_use(2, "i", "n")),
                    event(&json_delta(2, "{")),
                    event(&json_delta(0, "}")),
                    stream(&ended("tool_use")),
                    stream(&ended("max_tokens")),
                    event(&json!({"type": "error", "error": {}})),
                ]),
                prop::sample::select(vec!["data: [DONE]\n\n", ": x\n", "data: {\n", "data: [1", "{\"content\":[]}", "\n"])
                    .prop_map(str::to_owned),
            ],
            0..10,
        ),
        size in 1_usize..40,
    ) {
        let text = lines.concat();
        let (whole, pieces) = read([text.as_bytes()]);
        let (parts, smaller) = read(text.as_bytes().chunks(size));
        prop_assert_eq!(whole, parts);
        let said = |pieces: &[Piece]| pieces.iter().map(Piece::text).collect::<String>();
        prop_assert_eq!(said(&pieces), said(&smaller));
    }
}
