//! Standard output: the model's text as it comes, one JSON object at the end, or every record.

use std::io::IsTerminal;
use std::time::Duration;

use codetether_agent::Frame;
use codetether_event::{Delta, Event, ItemId, Outcome, Piece, SampleEvent, SessionId};
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
}

/// How much of an open answer was shown.
struct Shown {
    item: ItemId,
    text: String,
    /// Bytes of the item's stream that were given so far.
    end: u64,
    /// Whether pieces are missing, so that the rest is shown from the record.
    gap: bool,
}

impl View {
    pub(crate) fn new(format: Format, formed: bool) -> Self {
        Self {
            format,
            formed,
            open: None,
            mid_line: false,
            terminal: std::io::stdout().is_terminal(),
            answered: false,
        }
    }

    /// Adds what of the frame belongs on standard output.
    pub(crate) fn see(&mut self, frame: &Frame, out: &mut String) -> Result<(), Failure> {
        match (self.format, frame) {
            (Format::Text, _) if self.formed => {}
            (Format::Text, Frame::Delta(delta)) => self.delta(delta, out),
            (Format::Text, Frame::Record(record)) => {
                if let Event::Sample(SampleEvent::Ended { message, .. }) = &record.event {
                    let text = message.as_ref().map(codetether_event::Message::text).unwrap_or_default();
                    self.answered = true;
                    self.answer_ended(&text, out);
                }
            }
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
            self.print(text, out);
        }
    }

    fn answer_ended(&mut self, text: &str, out: &mut String) {
        let shown = self.open.take().map(|shown| shown.text).unwrap_or_default();
        if let Some(rest) = text.strip_prefix(shown.as_str()) {
            self.print(rest, out);
        }
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
            "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        out.push_str(&format!("{summary}\n"));
    }
}
