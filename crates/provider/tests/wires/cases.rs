//! A table of what servers send, well and badly, over every wire, and what must come of each: the whole answer or the
//! whole failure, the pieces that were handed out, the tokens. A case is data; one runner asks and compares.

mod answers;
mod bodies;
mod framing;
mod statuses;
mod streams;
mod troubles;

use std::time::Duration;

use codetether_event::{
    ContentPart, Message, Piece, ProviderFailure, ProviderFailureKind as Kind, StopReason, Usage,
};
use codetether_provider::{Endpoint, SampleError};
use codetether_testkit::{Reply, Server};

use crate::asking::{Wire, ask, assistant, endpoint, epoch, push};
use streams::wires;

/// A case.
struct Case {
    name: &'static str,
    /// What the server sends; if more than one thing, the same must come of each.
    sent: fn(&'static Wire) -> Vec<Reply>,
    wanted: fn(&'static Wire) -> Wanted,
}

/// What must come of it.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    came: Came,
    usage: Usage,
    /// The pieces, joined.
    said: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Came {
    Answer { message: Message, stop: StopReason },
    Failure(ProviderFailure),
}

/// The usage that streams report.
const COUNTED: Usage =
    Usage { input: 100, output: 10, cache_read: 0, cache_write: 0, reasoning: 0, estimated: false };

/// Tokens of the answer, where nobody reported any. Those of the prompt are left out, for each wire wraps it differently.
fn guessed(output: u64) -> Usage {
    Usage { output, estimated: true, ..Usage::default() }
}

/// An answer of these parts, all of which was handed out.
fn answer(parts: impl IntoIterator<Item = ContentPart>, stop: StopReason) -> Wanted {
    let message = assistant(parts);
    let said = message.parts.iter().map(|part| match part {
        ContentPart::Text { text } | ContentPart::Reasoning { text, .. } => text.as_str(),
        ContentPart::ToolCall(call) => call.arguments.as_str(),
        _ => "",
    });
    let said = said.collect();
    Wanted { came: Came::Answer { message, stop }, usage: COUNTED, said }
}

/// This text is the answer.
fn says(text: &str) -> Wanted {
    answer([ContentPart::text(text)], StopReason::EndTurn)
}

/// A failure before anything came; `ANSWER` in the message stands for what the wire calls its answers.
fn fails(kind: Kind, message: impl Into<String>) -> Wanted {
    let failure = ProviderFailure { kind, status: None, message: message.into(), retry_after_ms: None };
    Wanted { came: Came::Failure(failure), usage: Usage::default(), said: String::new() }
}

impl Wanted {
    fn spent(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    /// What was handed out, where it is not just what the answer says.
    fn said(self, said: &str) -> Self {
        Self { said: said.to_owned(), ..self }
    }

    fn status(mut self, status: u16) -> Self {
        if let Came::Failure(failure) = &mut self.came {
            failure.status = Some(status);
        }
        self
    }

    fn wait(mut self, millis: u64) -> Self {
        if let Came::Failure(failure) = &mut self.came {
            failure.retry_after_ms = Some(millis);
        }
        self
    }

    fn for_wire(mut self, wire: &Wire) -> Self {
        if let Came::Failure(failure) = &mut self.came {
            failure.message = failure.message.replace("ANSWER", wire.answer);
        }
        self
    }
}

/// Asks each server of the table, and compares everything.
async fn run(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        for wire in wires() {
            let replies = (case.sent)(wire);
            assert!(!replies.is_empty(), "{}", case.name);
            let (asked, wanted) = (replies.len(), (case.wanted)(wire).for_wire(wire));
            let server = Server::start(replies);
            // So long that only a bug waits for it, so short that such a bug is seen.
            let endpoint =
                Endpoint { idle_timeout: Some(Duration::from_secs(20)), key: None, ..endpoint(&server) };
            let provider = (wire.provider)(&endpoint);
            for n in 0..asked {
                let mut dialogue = provider.dialogue(&epoch());
                push(&mut *dialogue, &Message::user("go"));
                let (outcome, pieces) = ask(&mut *dialogue).await;
                let host = server.base_url().replace("http://", "").replace("/v1", "");
                let came = seen(outcome, &pieces, &host);
                if came != wanted {
                    wrong.push(format!(
                        "{} over {} ({n}):\n  wanted {wanted:?}\n  came   {came:?}",
                        case.name, wire.name
                    ));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases went wrong\n{}", wrong.len(), wrong.join("\n"));
}

fn seen(outcome: Result<codetether_provider::Sampled, SampleError>, pieces: &[Piece], host: &str) -> Wanted {
    let said = pieces.iter().map(Piece::text).collect();
    let (came, usage) = match outcome {
        Ok(sampled) => {
            assert_eq!(sampled.structured, None);
            (Came::Answer { message: sampled.message, stop: sampled.stop }, sampled.usage)
        }
        Err(SampleError::Failed { mut failure, usage }) => {
            failure.message = failure.message.replace(host, "HOST");
            (Came::Failure(failure), usage)
        }
        Err(SampleError::Interrupted { .. }) => panic!("nobody interrupted it"),
    };
    let usage = match usage.estimated && usage.input != COUNTED.input {
        true => Usage { input: 0, ..usage },
        false => usage,
    };
    Wanted { came, usage, said }
}

#[tokio::test]
async fn answers_come_whole_however_they_are_framed() {
    run(framing::CASES).await;
}

#[tokio::test]
async fn answers_come_whole_whatever_is_in_them() {
    run(answers::CASES).await;
}

#[tokio::test]
async fn bodies_that_are_no_stream_are_answers_or_failures_of_their_class() {
    run(bodies::CASES).await;
}

#[tokio::test]
async fn statuses_are_failures_of_their_class_with_the_servers_wait() {
    run(statuses::CASES).await;
}

#[tokio::test]
async fn trouble_in_a_stream_is_a_failure_of_its_class_and_what_came_is_kept_count_of() {
    run(troubles::CASES).await;
}

#[test]
fn the_table_is_long_and_each_case_has_a_name_of_its_own() {
    let tables = [framing::CASES, answers::CASES, bodies::CASES, statuses::CASES, troubles::CASES];
    let mut names: Vec<_> = tables.iter().flat_map(|cases| cases.iter().map(|case| case.name)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name is there twice");
    assert!(all >= 100, "{all} cases");
}
