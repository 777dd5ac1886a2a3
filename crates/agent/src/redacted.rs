//! Facts without known secrets: what a user types, a model says or a server answers may hold one, and what is written
//! stays. Tool output is redacted where it comes in; this is the last place before the journal, for everything else.

use std::borrow::Cow;

use codetether_event::{
    Answer, AskEvent, CheckStatus, ChildEvent, ContentPart, ContextEvent, EgressEvent, Event, Message,
    Outcome, ProcessEvent, Reading, SampleEvent, SampleOutcome, Structured, TurnEvent,
};
use codetether_secret::Redactor;
use serde_json::Value;

/// Takes known secrets out of a fact.
pub(crate) fn redact(redactor: &Redactor, event: &mut Event) {
    match event {
        Event::Turn(TurnEvent::Started { input, .. } | TurnEvent::Steered { input, .. }) => {
            input.parts.iter_mut().for_each(|part| part_of(redactor, part));
        }
        Event::Context(ContextEvent::Todo { items, .. }) => {
            items.iter_mut().for_each(|item| {
                text(redactor, &mut item.text);
            });
        }
        Event::Ask(AskEvent::Answered { answer: Answer::Chosen { text: Some(said), .. }, .. }) => {
            text(redactor, said);
        }
        Event::Ask(AskEvent::Answered { answer: Answer::Deny { reason: Some(said) }, .. }) => {
            text(redactor, said);
        }
        Event::Context(
            ContextEvent::Added { message: said, .. } | ContextEvent::Shown { message: said, .. },
        ) => message(redactor, said),
        Event::Turn(TurnEvent::Hooked { blocked, context, .. }) => {
            blocked.iter_mut().chain(context).for_each(|said| {
                text(redactor, said);
            });
        }
        Event::Turn(TurnEvent::Checked { command, status, output, .. }) => {
            if let CheckStatus::NotRun { why } = status {
                text(redactor, why);
            }
            text(redactor, command);
            text(redactor, output);
        }
        Event::Sample(SampleEvent::Ended { outcome, message: said, structured, .. }) => {
            if let SampleOutcome::Failed { failure } = outcome {
                text(redactor, &mut failure.message);
            }
            said.iter_mut().for_each(|said| message(redactor, said));
            structured.iter_mut().for_each(|structured| form(redactor, structured));
        }
        // A command may try to carry one out in a host's name.
        Event::Egress(EgressEvent::Denied { target, why, rule, .. }) => {
            target.iter_mut().chain([why]).chain(rule).for_each(|said| {
                text(redactor, said);
            });
        }
        Event::Process(
            ProcessEvent::Started { command: said, .. } | ProcessEvent::Lost { why: said, .. },
        ) => {
            text(redactor, said);
        }
        Event::Process(ProcessEvent::Exited { notes, .. }) => {
            notes.iter_mut().for_each(|note| {
                text(redactor, note);
            });
        }
        // A child's own journal was redacted; what stands here was made of it, and of the prompt that it got.
        Event::Child(ChildEvent::Spawned { task, .. }) => {
            text(redactor, task);
        }
        Event::Child(ChildEvent::Brought { brought, .. }) => {
            text(redactor, &mut brought.text);
        }
        Event::Child(ChildEvent::Ended { outcome, said, .. }) => {
            said.iter_mut().for_each(|said| {
                text(redactor, said);
            });
            if let Outcome::Failed { error } = outcome {
                text(redactor, error);
            }
        }
        _ => {}
    }
}

fn message(redactor: &Redactor, message: &mut Message) {
    message.parts.iter_mut().for_each(|part| part_of(redactor, part));
}

fn part_of(redactor: &Redactor, part: &mut ContentPart) {
    match part {
        ContentPart::Text { text: said } => {
            text(redactor, said);
        }
        ContentPart::ToolCall(call) => {
            text(redactor, &mut call.arguments);
            call.wrapped.iter_mut().for_each(|wrapped| {
                text(redactor, wrapped);
            });
        }
        ContentPart::ToolResult(result) => {
            text(redactor, &mut result.text);
        }
        ContentPart::Reasoning { text: thought, signature, sealed, .. } => {
            let sealed_too =
                sealed.as_ref().is_some_and(|sealed| matches!(redactor.redact(sealed), Cow::Owned(_)));
            if text(redactor, thought) || sealed_too {
                // Thoughts that were changed are not those that were signed.
                *signature = None;
                *sealed = None;
            }
        }
        ContentPart::Image { .. } => {}
    }
}

fn form(redactor: &Redactor, structured: &mut Structured) {
    match &mut structured.reading {
        Some(Reading::Fits { value, .. }) => self::value(redactor, value),
        Some(Reading::Misfits { problem }) => {
            text(redactor, problem);
        }
        None => {}
    }
}

/// Redacts all texts of a value, names among them.
pub(crate) fn value(redactor: &Redactor, value: &mut Value) {
    match value {
        Value::String(said) => {
            text(redactor, said);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| self::value(redactor, item)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| self::value(redactor, field));
            if fields.keys().any(|name| matches!(redactor.redact(name), Cow::Owned(_))) {
                let all = std::mem::take(fields);
                fields.extend(
                    all.into_iter().map(|(name, field)| (redactor.redact(&name).into_owned(), field)),
                );
            }
        }
        // A number may be all that a secret is.
        Value::Number(number) => {
            if let Cow::Owned(bare) = redactor.redact(&number.to_string()) {
                *value = Value::String(bare);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Redacts a text; says whether that changed it.
fn text(redactor: &Redactor, text: &mut String) -> bool {
    let Cow::Owned(bare) = redactor.redact(text) else { return false };
    *text = bare;
    true
}

#[cfg(test)]
mod tests {
    use codetether_event::{ItemId, Role, Rung, Seq, StopReason, Timing, ToolCall, ToolName, Usage, Way};
    use codetether_secret::Secret;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_found_in_a_value_whatever_json_makes_of_it() {
        let redactor = Redactor::default();
        redactor.learn([Secret::from("pass\"word\\with\nlines".to_owned())]);
        let mut told = json!({ "a": ["x pass\"word\\with\nlines y"], "pass\"word\\with\nlines": { "n": 1 } });
        value(&redactor, &mut told);
        let text = told.to_string();
        assert!(!text.contains("word") && text.contains("\"n\":1"), "{text}");
    }

    const KEY: &str = "sk-123456789";

    #[test]
    fn nothing_of_an_answer_keeps_a_secret_and_the_rest_stays() {
        let redactor = Redactor::new([Secret::from(KEY.to_owned())]);
        let thought = |text: &str| ContentPart::Reasoning {
            text: text.into(),
            signature: Some("s".into()),
            sealed: None,
            model: None,
        };
        let call = |arguments: String| {
            ContentPart::ToolCall(ToolCall {
                id: "c".into(),
                name: ToolName::new("write"),
                arguments,
                wrapped: None,
            })
        };
        let mut event = Event::Sample(SampleEvent::Ended {
            item: ItemId::at(Seq(1)),
            outcome: SampleOutcome::Answered { stop: StopReason::EndTurn },
            message: Some(Message {
                role: Role::Assistant,
                parts: vec![
                    thought("plain"),
                    thought(KEY),
                    ContentPart::text(format!("it is {KEY}")),
                    call(json!({ "text": KEY }).to_string()),
                ],
            }),
            structured: Some(Structured {
                way: Way::Native,
                reading: Some(Reading::Fits { rung: Rung::Strict, value: Box::new(json!({ "key": [KEY] })) }),
            }),
            usage: Usage::default(),
            cost: None,
            prices: None,
            timing: Timing::default(),
            jitter: None,
        });
        redact(&redactor, &mut event);
        let Event::Sample(SampleEvent::Ended {
            message: Some(message), structured: Some(structured), ..
        }) = event
        else {
            panic!("it is another event")
        };
        let unsigned =
            ContentPart::Reasoning { text: "[redacted]".into(), signature: None, sealed: None, model: None };
        let parts = vec![
            thought("plain"),
            unsigned,
            ContentPart::text("it is [redacted]"),
            call(r#"{"text":"[redacted]"}"#.into()),
        ];
        assert_eq!(message.parts, parts);
        let value = Box::new(json!({ "key": ["[redacted]"] }));
        assert_eq!(structured.reading, Some(Reading::Fits { rung: Rung::Strict, value }));
    }
}
