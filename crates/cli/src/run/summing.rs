//! What a summary cost, for the line that says what gave way to it.

use codetether_event::{ContextEvent, ContextSource, Event, Money, SampleEvent, Usage};

use crate::printer;

/// The requests for a summary, failed ones among them.
#[derive(Debug, Default)]
pub(crate) struct Summing(Option<Spent>);

#[derive(Debug, Default)]
struct Spent {
    usage: Usage,
    cost: Money,
    /// Requests without a known price.
    unpriced: u32,
}

impl Summing {
    /// Counts what belongs to a summary; says what gave way, and what that cost, once it has.
    pub(crate) fn see(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Context(ContextEvent::Added { source: ContextSource::Summary, .. }) => {
                self.0 = Some(Spent::default());
            }
            Event::Sample(SampleEvent::Ended { usage, cost, .. }) => {
                if let Some(spent) = &mut self.0 {
                    spent.usage += *usage;
                    match cost {
                        Some(cost) => spent.cost = spent.cost + *cost,
                        None => spent.unpriced += 1,
                    }
                }
            }
            Event::Context(ContextEvent::Compacted { messages, tokens, .. }) => {
                let cost = self.0.take().map_or_else(|| "without a summary".to_owned(), |spent| spent.told());
                let messages = printer::count(*messages, "older message");
                return Some(format!("{messages} gave way, at about {tokens} tokens; {cost}"));
            }
            Event::Turn(codetether_event::TurnEvent::Ended { .. }) => self.0 = None,
            _ => {}
        }
        None
    }
}

impl Spent {
    fn told(&self) -> String {
        let about = if self.usage.estimated { "about " } else { "" };
        let cost = if self.unpriced > 0 { "price unknown".to_owned() } else { self.cost.to_string() };
        format!("their summary took {about}{} tokens in, {} out, {cost}", self.usage.input, self.usage.output)
    }
}
