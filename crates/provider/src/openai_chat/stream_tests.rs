use codetether_event::{Message, Role, ToolCall, ToolName};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answer::{Answer, Whole};
use crate::usage::complete;

/// An answer of every kind of thing, with characters of several bytes, as OpenAI streams it.
fn recorded() -> String {
    let choice = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\r\n\r\n"
        )
    };
    let mut text = ": waking up\n\n".to_owned();
    for delta in [
        r#"{"role":"assistant","content":null,"refusal":null}"#,
        r#"{"reasoning_content":"hm "}"#,
        r#"{"reasoning_content":"ja"}"#,
        r#"{"content":"Grüße "}"#,
        r#"{"content":"\"𝄞\" 日本"}"#,
        r#"{"tool_calls":[{"index":0,"id":"a1","type":"function","function":{"name":"read","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"path\""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":":\"é\"}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"a2","type":"function","function":{"name":"list","arguments":"{}"}}]}"#,
    ] {
        text.push_str(&choice(delta, "null"));
    }
    text.push_str(&choice("{}", "\"tool_calls\""));
    text.push_str(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n",
    );
    text
}

fn call(id: &str, name: &str, arguments: &str) -> ContentPart {
    ContentPart::ToolCall(ToolCall {
        id: id.into(),
        name: ToolName::new(name),
        arguments: arguments.into(),
        wrapped: None,
    })
}

fn whole(parts: Vec<ContentPart>, stop: StopReason) -> Whole {
    Whole { message: Message { role: Role::Assistant, parts }, stop, usage: None }
}

fn recorded_answer() -> Whole {
    let usage = Some(Usage { input: 9, output: 7, ..Usage::default() });
    let parts = vec![
        ContentPart::reasoning("hm ja"),
        ContentPart::text("Grüße \"𝄞\" 日本"),
        call("a1", "read", r#"{"path":"é"}"#),
        call("a2", "list", "{}"),
    ];
    Whole { usage, ..whole(parts, StopReason::ToolUse) }
}

/// What comes of these reads, and the pieces that were handed out on the way, one flush a read.
fn read<'a>(
    tool_calls: ToolCalls,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<Whole, Fault>, Vec<Piece>) {
    let mut pieces = Vec::new();
    let mut out = |piece| pieces.push(piece);
    let mut answer = Answer::new(State::new(tool_calls, 4));
    for read in reads {
        if let Err(fault) = answer.feed(read, &mut out) {
            answer.flush(&mut out);
            return (Err(fault), pieces);
        }
        answer.flush(&mut out);
    }
    (answer.finish(&mut out).map_err(|(fault, _)| fault), pieces)
}

fn native(text: &str) -> Result<Whole, Fault> {
    read(ToolCalls::Native, [text.as_bytes()]).0
}

/// A stream of these deltas that ends in order.
fn stream(deltas: &[Value]) -> String {
    let mut text = String::new();
    for delta in deltas {
        text.push_str(&format!("data: {}\n\n", json!({"choices": [{"delta": delta}]})));
    }
    text + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
}

fn without_usage(answer: Whole) -> Whole {
    Whole { usage: None, ..answer }
}

#[test]
fn an_answer_holds_reasoning_text_and_calls_in_their_order() {
    let (answer, pieces) = read(ToolCalls::Native, [recorded().as_bytes()]);
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
    for at in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(at);
        let (answer, pieces) = read(ToolCalls::Native, [first, second]);
        assert_eq!(answer.unwrap(), recorded_answer(), "split at {at}");
        let said: String = pieces.iter().map(Piece::text).collect();
        assert_eq!(said, "hm jaGrüße \"𝄞\" 日本{\"path\":\"é\"}{}", "split at {at}");
    }
}

#[test]
fn a_stream_cut_at_any_byte_is_cut_or_whole_but_never_wrong() {
    let text = recorded();
    let finish = text.find("\"finish_reason\":\"tool_calls\"}]}").unwrap()
        + "\"finish_reason\":\"tool_calls\"}]}".len();
    for at in 0..=text.len() {
        let (answer, _) = read(ToolCalls::Native, [&text.as_bytes()[..at]]);
        match answer {
            Err(fault) => {
                assert_eq!(fault, Fault::Cut, "cut at {at}");
                assert!(at < finish, "cut at {at}, after the reason to finish");
            }
            Ok(answer) => {
                assert!(at >= finish, "whole at {at}");
                assert_eq!(answer.message, recorded_answer().message, "cut at {at}");
                assert_eq!(answer.stop, StopReason::ToolUse, "cut at {at}");
            }
        }
    }
}

#[test]
fn calls_are_put_together_however_they_are_numbered() {
    let two = [call("x", "a", "{\"n\":1}"), call("y", "b", "{}")];
    let piece = |index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str| {
        let mut call = json!({"function": {"arguments": arguments}});
        if let Some(index) = index {
            call["index"] = index.into();
        }
        call["id"] = id.into();
        if let Some(name) = name {
            call["function"]["name"] = name.into();
        }
        json!({"tool_calls": [call]})
    };
    let ways = [
        // The id and the name are repeated.
        [
            piece(Some(0), Some("x"), Some("a"), "{\"n\""),
            piece(Some(0), Some("x"), Some("a"), ":1}"),
            piece(Some(1), Some("y"), Some("b"), "{}"),
        ],
        // They come late.
        [
            piece(Some(0), None, None, "{\"n\""),
            piece(Some(0), Some("x"), Some("a"), ":1}"),
            piece(Some(1), Some("y"), Some("b"), "{}"),
        ],
        // Every call has number zero.
        [
            piece(Some(0), Some("x"), Some("a"), "{\"n\""),
            piece(Some(0), None, None, ":1}"),
            piece(Some(0), Some("y"), Some("b"), "{}"),
        ],
        // None has a number.
        [
            piece(None, Some("x"), Some("a"), "{\"n\""),
            piece(None, None, None, ":1}"),
            piece(None, Some("y"), Some("b"), "{}"),
        ],
    ];
    for way in ways {
        let answer = without_usage(native(&stream(&way)).unwrap());
        assert_eq!(answer, whole(two.to_vec(), StopReason::ToolUse), "{way:?}");
    }
}

#[test]
fn a_call_without_an_id_or_with_one_taken_gets_its_own() {
    let deltas = [
        json!({"tool_calls": [{"index": 0, "function": {"name": "a", "arguments": {"n": 1}}}]}),
        json!({"tool_calls": [{"index": 1, "id": "same", "function": {"name": "b"}}]}),
        json!({"tool_calls": [{"index": 2, "id": "same", "function": {"name": "c", "arguments": null}}]}),
    ];
    let answer = native(&stream(&deltas)).unwrap();
    let parts = [call("call_4", "a", "{\"n\":1}"), call("same", "b", ""), call("call_5", "c", "")];
    assert_eq!(answer.message.parts, parts);
}

#[test]
fn too_many_calls_are_refused() {
    let deltas: Vec<_> =
        (0..200).map(|index| json!({"tool_calls": [{"index": index, "function": {"name": "a"}}]})).collect();
    assert!(
        matches!(native(&stream(&deltas)), Err(Fault::Protocol(what)) if what.contains("more than 128 calls"))
    );
}

#[test]
fn too_many_parts_are_refused() {
    let deltas: Vec<_> = (0..5_000)
        .map(|n| if n % 2 == 0 { json!({"content": "x"}) } else { json!({"reasoning": "y"}) })
        .collect();
    assert!(
        matches!(native(&stream(&deltas)), Err(Fault::Protocol(what)) if what.contains("more than 4096 parts"))
    );
}

#[test]
fn a_reason_to_finish_becomes_a_reason_to_stop() {
    let stop = |reason: &str, delta: Value| {
        let choice = json!({"choices": [{"delta": delta, "finish_reason": reason}]});
        native(&format!("data: {choice}\n\n")).map(|answer| answer.stop)
    };
    let text = json!({"content": "x"});
    let call = json!({"tool_calls": [{"index": 0, "id": "1", "function": {"name": "a"}}]});
    assert_eq!(stop("stop", text.clone()), Ok(StopReason::EndTurn));
    assert_eq!(stop("stop", call.clone()), Ok(StopReason::ToolUse));
    assert_eq!(stop("length", call), Ok(StopReason::MaxOutput));
    assert_eq!(stop("length", text.clone()), Ok(StopReason::MaxOutput));
    assert_eq!(stop("content_filter", text.clone()), Ok(StopReason::Refused));
    assert_eq!(stop("stop", json!({"refusal": "no"})), Ok(StopReason::Refused));
    assert_eq!(stop("weather", text.clone()), Ok(StopReason::Other("weather".into())));
    assert!(matches!(stop("error", text), Err(Fault::Reported(_))));
}

#[test]
fn the_end_of_the_stream_may_stand_for_the_reason() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    assert_eq!(native(text), Err(Fault::Cut));
    assert_eq!(native(&format!("{text}data: [DONE]")).unwrap().stop, StopReason::EndTurn);
    assert_eq!(native(""), Err(Fault::Cut));
    assert!(matches!(native("data: [DONE]\n\n"), Err(Fault::Protocol(_))));
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    let object = json!({
        "choices": [{
            "message": {
                "content": "hi",
                "reasoning": "hm",
                "tool_calls": [
                    {"type": "function", "function": {"name": "a", "arguments": "{}"}},
                    {"type": "function", "function": {"name": "b", "arguments": "{}"}},
                ],
            },
            "finish_reason": "tool_calls",
        }],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    });
    let text = format!(" \n{object}");
    let parts = vec![
        ContentPart::reasoning("hm"),
        ContentPart::text("hi"),
        call("call_4", "a", "{}"),
        call("call_5", "b", "{}"),
    ];
    let usage = Some(Usage { input: 3, output: 2, ..Usage::default() });
    for size in [1, 7, text.len()] {
        let (answer, _) = read(ToolCalls::Native, text.as_bytes().chunks(size));
        assert_eq!(answer.unwrap(), Whole { usage, ..whole(parts.clone(), StopReason::ToolUse) });
    }
    assert_eq!(native(&text[..text.len() - 1]), Err(Fault::Cut));
    assert_eq!(
        native(r#"{"error":{"message":"no"}}"#),
        Err(Fault::Reported(r#"{"error":{"message":"no"}}"#.into()))
    );
}

#[test]
fn an_error_or_nonsense_in_the_stream_ends_it() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    assert_eq!(
        native(&format!("{text}{error}")),
        Err(Fault::Reported(r#"{"error":{"message":"overloaded"}}"#.into()))
    );
    for nonsense in [&b"data: {\"choices\":[\n\n"[..], b"data: hello\n\n"] {
        let (answer, _) = read(ToolCalls::Native, [nonsense]);
        assert!(matches!(answer, Err(Fault::Protocol(_))), "{nonsense:?}");
    }
}

#[test]
fn fields_of_other_servers_are_taken_as_what_they_mean() {
    let deltas = [
        json!({"reasoning": "hm", "reasoning_content": "hm"}),
        json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
    ];
    let parts = [ContentPart::reasoning("hm"), ContentPart::text("ab")];
    assert_eq!(native(&stream(&deltas)).unwrap().message.parts, parts);
}

#[test]
fn tokens_that_nobody_reports_are_estimated() {
    let answer = native(&stream(&[json!({"content": "12345678"})])).unwrap();
    assert_eq!(answer.usage, Some(Usage { output: 2, estimated: true, ..Usage::default() }));
    let estimated = complete(answer.usage, 30);
    assert_eq!(estimated, Usage { input: 30, output: 2, estimated: true, ..Usage::default() });
}

#[test]
fn an_answer_that_must_fit_is_the_call_or_the_end() {
    let schema = |text: &str| {
        let deltas: Vec<_> = text.chars().map(|c| json!({"content": c.to_string()})).collect();
        let (answer, pieces) = read(ToolCalls::Schema, [stream(&deltas).as_bytes()]);
        (without_usage(answer.unwrap()), pieces)
    };
    let text = r#"{"tool":"read","arguments":{"path": "é"}}"#;
    let (answer, pieces) = schema(text);
    assert_eq!(answer, whole(vec![call("call_4", "read", r#"{"path": "é"}"#)], StopReason::ToolUse));
    assert_eq!(pieces, [Piece::Arguments(text.into())]);

    let text = r#"{"tool":"done","arguments":{"message":"all good"}}"#;
    let (answer, pieces) = schema(text);
    assert_eq!(answer, whole(vec![ContentPart::text("all good")], StopReason::EndTurn));
    assert_eq!(pieces, [Piece::Arguments(text.into()), Piece::Text("all good".into())]);

    let (answer, pieces) = schema("just text");
    assert_eq!(answer, whole(vec![ContentPart::text("just text")], StopReason::EndTurn));
    assert_eq!(pieces.last(), Some(&Piece::Text("just text".into())));
}

#[test]
fn a_part_of_an_answer_is_its_text_alone() {
    let mut out = |_| ();
    let text = recorded();
    for (tool_calls, partial) in [(ToolCalls::Native, Some("Grüße \"𝄞\" 日本")), (ToolCalls::Schema, None)]
    {
        let mut answer = Answer::new(State::new(tool_calls, 0));
        assert_eq!(answer.partial(), None);
        answer
            .feed(text.split("\"finish_reason\":\"tool_calls\"").next().unwrap().as_bytes(), &mut out)
            .unwrap();
        assert_eq!(
            answer.partial().map(|message| message.parts),
            partial.map(|text| vec![ContentPart::text(text)])
        );
    }
}

#[test]
fn twenty_thousand_deltas_are_handed_on_once_a_read() {
    let event = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\
                 \"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}]}\n\n";
    let text = event.repeat(20_000) + "data: [DONE]\n\n";
    let (answer, pieces) = read(ToolCalls::Native, text.as_bytes().chunks(8 << 10));
    assert_eq!(answer.unwrap().message.text().len(), 100_000);
    assert!(pieces.len() <= text.len() / (8 << 10) + 1, "{} pieces", pieces.len());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_no_split_changes_what_comes_of_them(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "data: {\"choices\":[{\"delta\":{\"content\":\"é\"}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"reasoning\":\"r\"}}]}\r\n\r\n",
                "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"n\",\"arguments\":\"{\"}}]}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"i\",\"function\":{\"arguments\":\"}\"}}]}}]}\n\n",
                "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
                "data: {\"choices\":null,\"usage\":{\"prompt_tokens\":1}}\n\n",
                "data: {\"error\":\"no\"}\n\n",
                "data: [DONE]\n\n",
                ": x\n",
                "data: {\n",
                "data: [1",
                "{\"choices\":[]}",
                "\n",
            ]),
            0..8,
        ),
        size in 1_usize..40,
    ) {
        let text = lines.concat();
        let (whole, pieces) = read(ToolCalls::Native, [text.as_bytes()]);
        let (parts, smaller) = read(ToolCalls::Native, text.as_bytes().chunks(size));
        prop_assert_eq!(whole, parts);
        let said = |pieces: &[Piece]| pieces.iter().map(Piece::text).collect::<String>();
        prop_assert_eq!(said(&pieces), said(&smaller));
    }
}
