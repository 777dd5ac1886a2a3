//! Standard output: the model's text as it comes, one JSON object at the end, or every record.

use std::io::IsTerminal;
use std::time::Duration;

use codetether_agent::Frame;
use codetether_event::{
    ContextEvent, ContextSource, Delta, Event, ItemId, Outcome, Piece, SampleEvent, SampleOutcome, SessionId,
    TurnEvent,
};
use serde_json::json;

use crate::args::Format;
use crate::exit::{Exit, Failure};
use crate::printer;
use crate::run::figures::Figures;

pub(crate) struct View {
    format: Format,
    /// Whether only the last answer is shown, because it must have a form.
    formed: bool,
    open: Option<Shown>,
    /// Whether the last text ended without a new line.
    mid_line: bool,
    terminal: bool,
    /// Whether an answer ended while this was watching.
    answered: bool,
    /// Whether the model sums up for itself.
    summing: bool,
    /// The text of an answer that broke off, as long as the next one may say the same.
    broken: Option<String>,
}

/// What stands between an answer that broke off and another one in its place.
const ANEW: &str = "[the answer broke off here and is begun anew]\n";

/// How much of an open answer was shown.
struct Shown {
    item: ItemId,
    text: String,
    /// Bytes of the item's stream that were given so far.
    end: u64,
    /// Whether pieces are missing, so that the rest is shown from the record.
    gap: bool,
}

fn asks_for_summary(event: &Event) -> bool {
    matches!(event, Event::Context(ContextEvent::Added { source: ContextSource::Summary, .. }))
}

impl View {
    pub(crate) fn new(format: Format, formed: bool, summing: bool) -> Self {
        Self {
            format,
            formed,
            open: None,
            mid_line: false,
            terminal: std::io::stdout().is_terminal(),
            answered: false,
            summing,
            broken: None,
        }
    }

    /// Whether an answer broke off after some of it was shown.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether the last text ended without a new line.
    pub(crate) fn is_mid_line(&self) -> bool {
        self.mid_line
    }

    /// Adds what of the frame belongs on standard output.
    pub(crate) fn see(&mut self, frame: &Frame, out: &mut String) -> Result<(), Failure> {
        match (self.format, frame) {
            (Format::Text, _) if self.formed => {}
            (Format::Text, Frame::Record(record)) if asks_for_summary(&record.event) => self.summing = true,
            (Format::Text, Frame::Record(record)) if self.summing => {
                self.summing = !matches!(
                    record.event,
                    Event::Context(ContextEvent::Compacted { .. }) | Event::Turn(TurnEvent::Ended { .. })
                );
            }
            (Format::Text, Frame::Delta(_)) if self.summing => {}
            (Format::Text, Frame::Delta(delta)) => self.delta(delta, out),
            (Format::Text, Frame::Record(record)) => match &record.event {
                Event::Sample(SampleEvent::Started { retry_of: None, .. }) => self.give_up(out),
                Event::Sample(SampleEvent::Ended { outcome: SampleOutcome::Failed { .. }, .. }) => {
                    self.answered = true;
                    self.answer_broke(out);
                }
                Event::Sample(SampleEvent::Ended { outcome, message, .. }) => {
                    let text = message.as_ref().map(codetether_event::Message::text).unwrap_or_default();
                    self.answered = true;
                    // One that was stopped before it said more than what was shown already.
                    let answered = matches!(outcome, SampleOutcome::Answered { .. });
                    if !answered && self.broken.as_ref().is_some_and(|broken| broken.starts_with(&text)) {
                        self.open = None;
                        self.give_up(out);
                    } else {
                        self.answer_ended(&text, out);
                    }
                }
                _ => {}
            },
            (Format::Jsonl, Frame::Record(record)) => {
                let line =
                    serde_json::to_string(record).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
                out.push_str(&line);
                out.push('\n');
            }
            (Format::Json, _)
            | (Format::Text | Format::Jsonl, Frame::CaughtUp(_))
            | (Format::Jsonl, Frame::Delta(_)) => {}
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Delta, out: &mut String) {
        if matches!(delta.piece, Piece::Output(_)) {
            return;
        }
        if self.terminal && matches!(delta.piece, Piece::Arguments(_)) {
            // Standard error shows how far the call has come, on a line of its own.
            self.end_line(out);
        }
        let fresh = Shown { item: delta.item, text: String::new(), end: 0, gap: false };
        let shown = match &mut self.open {
            Some(shown) if shown.item == delta.item => shown,
            open => open.insert(fresh),
        };
        shown.gap |= delta.offset != shown.end;
        shown.end = delta.offset + delta.piece.text().len() as u64;
        if let Piece::Text(text) = &delta.piece
            && !shown.gap
        {
            shown.text.push_str(text);
            match self.broken.take() {
                None => self.print(text, out),
                // What was shown already is not shown again.
                Some(broken) if broken.starts_with(&shown.text) => self.broken = Some(broken),
                Some(broken) => {
                    let text = shown.text.clone();
                    self.replace(&broken, &text, out);
                }
            }
        }
    }

    /// Shows an answer in place of one that broke off: the rest of it where it begins with the same text.
    fn replace(&mut self, broken: &str, text: &str, out: &mut String) {
        if let Some(rest) = text.strip_prefix(broken) {
            return self.print(rest, out);
        }
        self.end_line(out);
        self.print(ANEW, out);
        self.print(text, out);
    }

    fn answer_ended(&mut self, text: &str, out: &mut String) {
        let shown = self.open.take().map(|shown| shown.text).unwrap_or_default();
        match self.broken.take() {
            // All of it was held back so far.
            Some(broken) => self.replace(&broken, text, out),
            None => {
                if let Some(rest) = text.strip_prefix(shown.as_str()) {
                    self.print(rest, out);
                }
            }
        }
        self.end_line(out);
    }

    /// An answer broke off. It may be asked for again, so its line stays open, but where the reason is shown beside it.
    fn answer_broke(&mut self, out: &mut String) {
        let shown = self.open.take().map(|shown| shown.text).filter(|text| !text.is_empty());
        self.broken = self.broken.take().or(shown);
        if self.terminal {
            self.end_line(out);
        }
    }

    /// What broke off will not be asked for again.
    fn give_up(&mut self, out: &mut String) {
        if self.broken.take().is_some() {
            self.end_line(out);
        }
    }

    fn end_line(&mut self, out: &mut String) {
        if self.mid_line {
            self.print("\n", out);
        }
    }

    fn print(&mut self, text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        self.mid_line = !text.ends_with('\n');
        if self.terminal { out.push_str(&printer::plain(text)) } else { out.push_str(text) }
    }

    /// The last word.
    pub(crate) fn end(
        mut self,
        session: SessionId,
        outcome: &Outcome,
        exit: Exit,
        figures: &Figures,
        took: Duration,
        out: &mut String,
    ) {
        self.give_up(out);
        if self.format == Format::Text && self.formed {
            if let Some(value) = &figures.value {
                self.print(&format!("{value}\n"), out);
            }
            return;
        }
        // A turn that goes on may have been answered before.
        if self.format == Format::Text && !self.answered && !figures.last_message.is_empty() {
            self.answer_ended(&figures.last_message, out);
        }
        if self.format != Format::Json {
            return;
        }
        let refused: Vec<_> =
            figures.refused.iter().map(|(tool, rule)| json!({ "tool": tool, "rule": rule })).collect();
        let summary = json!({
            "session": session,
            "outcome": outcome,
            "exit": exit as u8,
            "text": figures.last_message,
            "value": figures.value,
            "steps": figures.steps,
            "usage": figures.usage,
            "cost_microdollars": figures.cost.map(|cost| cost.0),
            "prices": figures.priced_by,
            "calls": figures.calls,
            "refused": refused,
            "wrote": figures.wrote,
            "check": figures.check.as_ref().map(|(command, status)| json!({
                "command": command,
                "status": status,
                "exit": status.code(),
                "passed": status.passed(),
            })),
            "tries": figures.tries.map(|tries| tries.number),
            "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        out.push_str(&format!("{summary}\n"));
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::{
        Attempt, Cause, Message, ModelId, ProviderFailure, ProviderFailureKind, Record, Role, Seq,
        StopReason, Timing, UnixMillis, Usage,
    };

    use super::*;

    /// What was printed by samples that said this in these pieces, and then broke off, but for the last.
    fn printed(samples: &[&[&str]], terminal: bool) -> String {
        let mut view = View { terminal, ..View::new(Format::Text, false, false) };
        let mut out = String::new();
        for (n, pieces) in samples.iter().enumerate() {
            let item = ItemId::at(Seq(10 + n as u64));
            let retry_of = (n > 0).then(|| ItemId::at(Seq(9 + n as u64)));
            see(&mut view, SampleEvent::Started { item, retry_of, model: ModelId::new("a/b") }, &mut out);
            let mut offset = 0;
            for piece in *pieces {
                let delta = Delta { item, offset, piece: Piece::Text((*piece).to_owned()) };
                offset += piece.len() as u64;
                view.see(&Frame::Delta(delta), &mut out).unwrap();
            }
            let last = n + 1 == samples.len();
            let failure = ProviderFailure {
                kind: ProviderFailureKind::Cut,
                status: None,
                message: "x".into(),
                retry_after_ms: None,
            };
            let parts = vec![codetether_event::ContentPart::text(pieces.concat())];
            let ended = SampleEvent::Ended {
                item,
                outcome: match last {
                    true => SampleOutcome::Answered { stop: StopReason::EndTurn },
                    false => SampleOutcome::Failed { failure },
                },
                message: last.then_some(Message { role: Role::Assistant, parts }),
                structured: None,
                usage: Usage::default(),
                cost: None,
                prices: None,
                timing: Timing::default(),
                jitter: None,
            };
            see(&mut view, ended, &mut out);
        }
        out
    }

    fn see(view: &mut View, event: SampleEvent, out: &mut String) {
        let record = Record {
            seq: Seq(1),
            attempt: Attempt(1),
            at: UnixMillis(0),
            turn: None,
            cause: Cause::Timer,
            event: Event::Sample(event),
        };
        view.see(&Frame::Record(std::sync::Arc::new(record)), out).unwrap();
    }

    #[test]
    fn an_answer_that_broke_off_and_comes_again_is_shown_once() {
        for (samples, wanted) in [
            (&[&["one ", "tw"][..], &["o", "ne two", " three"]][..], "one two three\n"),
            (&[&["one "], &[], &["one two"]], "one two\n"),
            (&[&["one two"], &["one"], &["one t", "wo"]], "one two\n"),
            (&[&[], &["one"]], "one\n"),
        ] {
            assert_eq!(printed(samples, false), wanted, "{samples:?}");
        }
        assert_eq!(printed(&[&["one t"], &["one two"]], true), "one t\nwo\n", "the failure is said between");
    }

    #[test]
    fn at_a_terminal_a_text_before_a_call_ends_its_line_once() {
        for (terminal, wanted) in [(true, "I write.\n"), (false, "I write.")] {
            let mut view = View { terminal, ..View::new(Format::Text, false, false) };
            let (item, mut out) = (ItemId::at(Seq(1)), String::new());
            let pieces =
                [Piece::Text("I write.".into()), Piece::Arguments("{".into()), Piece::Arguments("}".into())];
            let mut offset = 0;
            for piece in pieces {
                let length = piece.text().len() as u64;
                view.see(&Frame::Delta(Delta { item, offset, piece }), &mut out).unwrap();
                offset += length;
            }
            assert_eq!(out, wanted);
            view.answer_ended("I write.", &mut out);
            assert_eq!(out, "I write.\n");
        }
    }

    #[test]
    fn another_answer_is_said_to_be_one() {
        for (samples, wanted) in [
            (&[&["one ", "tw"][..], &["one o", "f them"]][..], "one tw\n[anew]one of them\n"),
            (&[&["one two"], &["one"]], "one two\n[anew]one\n"),
            (&[&["one"], &["two"], &["two of"]], "one\n[anew]two of\n"),
            (&[&["one"], &["two"], &["three"]], "one\n[anew]two\n[anew]three\n"),
        ] {
            assert_eq!(printed(samples, false), wanted.replace("[anew]", ANEW), "{samples:?}");
        }
    }
}
