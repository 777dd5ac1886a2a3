//! What a session cost so far, from its journal.

use codetether_event::{Event, Money, SampleEvent, Usage};

use crate::chat::Session;
use crate::chat::commands::After;
use crate::exit::Failure;
use crate::printer;

pub(super) fn told(session: Session) -> Result<After, Failure> {
    let records = codetether_journal::read::<Event>(session.layout.journal(session.id))?.records;
    let (mut usage, mut samples, mut cost) = (Usage::default(), 0_u32, Some(Money(0)));
    for record in &records {
        if let Event::Sample(SampleEvent::Ended { usage: used, cost: priced, .. }) = &record.event {
            usage += *used;
            samples += 1;
            cost = cost.zip(*priced).map(|(sum, priced)| sum + priced);
        }
    }
    let about = if usage.estimated { "about " } else { "" };
    let cost = cost.map_or_else(|| "price unknown".to_owned(), |cost| format!("{about}{cost}"));
    printer::err(&format!(
        "{} · {about}{} tokens in ({} cached), {} out · {cost}\n",
        printer::count(samples, "request"),
        usage.input,
        usage.cache_read,
        usage.output
    ));
    Ok(After::GoOn)
}
