//! What the journals say was spent, for a ledger that was lost. A journal that cannot be read is told and passed over.

use std::collections::HashMap;

use codetether_event::{Event, ItemId, ModelId, Record, SampleEvent, SessionEvent, SessionId, TurnEvent};
use codetether_journal::{Catalogue, Filter, Layout};
use codetether_ledger::{Ledger, Spent};

use crate::commands::session::About;
use crate::exit::Failure;
use crate::printer;

/// Takes over what the ledger has not; gives the number of samples that were new.
pub(crate) fn take_over(ledger: &mut Ledger, layout: &Layout) -> Result<u64, Failure> {
    let mut fresh = 0_u64;
    for listed in Catalogue::<About>::new(layout.clone()).list(&Filter::default(), usize::MAX)? {
        match codetether_journal::read::<Event>(layout.journal(listed.id)) {
            Ok(read) => fresh = fresh.saturating_add(ledger.rebuild(spent(listed.id, &read.records))?),
            Err(error) => printer::err(&format!("warning: session {}: {error}\n", listed.id)),
        }
    }
    Ok(fresh)
}

/// The samples of a session, without those of the one that it was forked from, nor those that came from cassettes.
fn spent(session: SessionId, records: &[Record]) -> Vec<Spent> {
    let mut project = String::new();
    let mut own = None;
    let mut replayed = false;
    let mut top = session;
    let mut models: HashMap<ItemId, ModelId> = HashMap::new();
    let mut all = Vec::new();
    for record in records {
        match &record.event {
            Event::Session(SessionEvent::Opened { root, forked, parent, .. }) => {
                project.clone_from(root);
                top = parent.map_or(session, |parent| parent.root);
                own = forked.map(|fork| fork.at);
            }
            Event::Session(SessionEvent::Adopted { root, .. }) => project.clone_from(root),
            Event::Turn(TurnEvent::Started { settings, .. } | TurnEvent::Compacting { settings, .. }) => {
                replayed = settings.replayed
            }
            Event::Sample(SampleEvent::Started { item, model, .. }) => {
                models.insert(*item, model.clone());
            }
            Event::Sample(SampleEvent::Ended { item, usage, cost, prices, .. })
                if usage.total() > 0 && !replayed && own.is_none_or(|at| record.seq > at) =>
            {
                let Some(model) = models.remove(item) else { continue };
                all.push(Spent {
                    at: record.at,
                    session,
                    root: top,
                    item: *item,
                    project: project.clone(),
                    model,
                    usage: *usage,
                    cost: *cost,
                    price_version: prices.clone(),
                });
            }
            _ => {}
        }
    }
    all
}
