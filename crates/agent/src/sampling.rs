//! One sample: the dialogue is made ready, its money set aside, the model asked, and what came of it put into facts. One
//! attempt; whether there is another is not decided here.

use std::sync::Arc;
use std::time::Instant;

use codetether_event::{
    Event, InterruptReason, ItemId, Message, NoteEvent, ProviderFailure, ProviderFailureKind, SampleEvent,
    SampleOutcome, Seq, StopReason, Structured, Timing, TurnEvent, Usage, Way,
};
use codetether_files::BlobStore;
use codetether_provider::{Cancel, Dialogue, SampleError, SampleSpec, Sampled};
use codetether_session::EpochInfo;
use tokio::task::JoinHandle;

use crate::hub::Hub;
use crate::live::{End, millis, now};
use crate::parts::FindProvider;
use crate::prepare;
use crate::purse::{Bill, Grant, Purse, Request, Told};
use crate::wrapped;

/// A dialogue and how much of the context it has.
pub(crate) struct Held {
    epoch: Seq,
    pushed: usize,
    dialogue: Box<dyn Dialogue>,
}

impl Held {
    /// How many of the context's messages it has, if it is of this epoch.
    pub(crate) fn pushed(&self, epoch: Seq) -> Option<usize> {
        (self.epoch == epoch).then_some(self.pushed)
    }
}

/// What a sample is made of.
pub(crate) struct Sampling {
    pub(crate) item: ItemId,
    pub(crate) spec: SampleSpec,
    pub(crate) asking: Asking,
    pub(crate) purse: Purse,
    pub(crate) hub: Arc<Hub>,
    pub(crate) cancel: Cancel,
    /// Whether the turn has had no answer yet.
    pub(crate) first_step: bool,
}

/// What a dialogue needs to be ready.
pub(crate) struct Asking {
    /// The dialogue of an earlier sample, if it is of the epoch in force.
    pub(crate) held: Option<Held>,
    pub(crate) epoch: Option<EpochInfo>,
    /// The messages that it has not seen.
    pub(crate) fresh: Vec<Arc<Message>>,
    pub(crate) providers: Arc<FindProvider>,
    pub(crate) blobs: BlobStore,
    pub(crate) request: Request,
}

/// Why nothing was asked.
enum Unasked {
    Failed(String),
    Unaffordable(Held, String),
}

impl Sampling {
    pub(crate) async fn run(self) -> End {
        let Self { item, spec, asking, purse, hub, cancel, first_step } = self;
        let started = Instant::now();
        let timing = |first_ms| Timing { first_ms, total_ms: millis(started.elapsed()) };
        // A key may have to be asked for, images read, and the ledger waited for.
        let mut ready = tokio::task::spawn_blocking({
            let purse = purse.clone();
            move || asking.ready(&purse)
        });
        let ready = tokio::select! {
            biased;
            ready = &mut ready => ready,
            () = cancel.cancelled() => {
                tokio::spawn(give_back(ready, purse));
                let outcome = Err(SampleError::Interrupted { partial: None, usage: Usage::default() });
                let unasked = ended(item, outcome, None, Bill::free(), timing(None));
                return End::of(item, vec![Event::Sample(unasked)]);
            }
        };
        let (mut held, mut grant) =
            match ready.unwrap_or_else(|error| Err(Unasked::Failed(error.to_string()))) {
                Ok(ready) => ready,
                Err(Unasked::Failed(message)) => {
                    let kind = ProviderFailureKind::BadRequest;
                    let failure = ProviderFailure { kind, status: None, message, retry_after_ms: None };
                    let outcome = Err(SampleError::Failed { failure, usage: Usage::default() });
                    let unasked = ended(item, outcome, None, Bill::free(), timing(None));
                    return End::of(item, vec![Event::Sample(unasked)]);
                }
                Err(Unasked::Unaffordable(held, problem)) => {
                    let outcome = Err(SampleError::Interrupted { partial: None, usage: Usage::default() });
                    let unasked = ended(item, outcome, held.dialogue.way(), Bill::free(), timing(None));
                    let stop = TurnEvent::Interrupted { reason: InterruptReason::CostLimit(problem) };
                    let facts = vec![Event::Sample(unasked), Event::Turn(stop)];
                    return End { held: Some(held), ..End::of(item, facts) };
                }
            };
        let spec = SampleSpec { max_output: grant.max_output, ..spec };
        let warning = grant.warning.take();
        let mut first = None;
        let mut out = |piece| {
            first.get_or_insert_with(|| millis(started.elapsed()));
            hub.piece(item, piece);
        };
        let outcome = held.dialogue.sample(&spec, &mut out, &cancel).await;
        let outcome = something(outcome, first_step).map(|mut sampled| {
            wrapped::unwrap(&mut sampled.message);
            sampled
        });
        let timing = timing(first);
        let told = Told { usage: spent(&outcome), cost: held.dialogue.told_cost() };
        let cut = if is_cut(&outcome) { grant.lowered() } else { None };
        let settled = tokio::task::spawn_blocking(move || purse.settle(grant, now(), told));
        let mut bill = settled.await.unwrap_or_else(|_| Bill { usage: told.usage, ..Bill::default() });
        let warnings = warning.into_iter().chain(bill.warning.take());
        let mut facts: Vec<Event> = warnings.map(|text| Event::Note(NoteEvent::Warned { text })).collect();
        facts.push(Event::Sample(ended(item, outcome, held.dialogue.way(), bill, timing)));
        if let Some(problem) = cut {
            let reason = InterruptReason::CostLimit(problem);
            facts.push(Event::Turn(TurnEvent::Interrupted { reason }));
        }
        End { held: Some(held), ..End::of(item, facts) }
    }
}

impl Asking {
    /// The dialogue of the epoch in force, with all of the context in it, and leave to send what comes next. Blocks.
    fn ready(self, purse: &Purse) -> Result<(Held, Grant), Unasked> {
        let Some(info) = self.epoch else { return Err(Unasked::Failed("the session has no epoch".into())) };
        let mut held = match self.held {
            Some(held) => held,
            None => {
                let provider = (self.providers)(&info.model).map_err(Unasked::Failed)?;
                let epoch = prepare::epoch(&info, &self.blobs).map_err(Unasked::Failed)?;
                Held { epoch: info.seq, pushed: 0, dialogue: provider.dialogue(&epoch) }
            }
        };
        for message in &self.fresh {
            let pushed = held.dialogue.push(message, &self.blobs);
            pushed.map_err(|error| Unasked::Failed(error.to_string()))?;
            held.pushed += 1;
        }
        let request = Request { most_input: held.dialogue.most_input(), ..self.request };
        match purse.reserve(request) {
            Ok(grant) => Ok((held, grant)),
            Err(problem) => Err(Unasked::Unaffordable(held, problem)),
        }
    }
}

/// Frees what was set aside for a request that nobody waits for any more.
async fn give_back(ready: JoinHandle<Result<(Held, Grant), Unasked>>, purse: Purse) {
    if let Ok(Ok((_, grant))) = ready.await {
        // Nobody is left to tell what goes wrong with it.
        let _ = tokio::task::spawn_blocking(move || purse.settle(grant, now(), Told::default())).await;
    }
}

/// An answer that says and calls nothing is none, unless the model has worked already and may just be done.
fn something(outcome: Result<Sampled, SampleError>, first_step: bool) -> Result<Sampled, SampleError> {
    match outcome {
        Ok(Sampled { message, stop: StopReason::EndTurn, usage, .. })
            if first_step && message.text().trim().is_empty() && message.calls().next().is_none() =>
        {
            let failure = ProviderFailure {
                kind: ProviderFailureKind::Protocol,
                status: None,
                message: "the answer is empty".into(),
                retry_after_ms: None,
            };
            Err(SampleError::Failed { failure, usage })
        }
        outcome => outcome,
    }
}

/// Whether an answer ended at its limit of tokens, with nothing in it that the turn could go on with.
fn is_cut(outcome: &Result<Sampled, SampleError>) -> bool {
    match outcome {
        Ok(Sampled { message, stop, .. }) => {
            *stop == StopReason::MaxOutput && message.calls().next().is_none()
        }
        Err(_) => false,
    }
}

/// The tokens that a sample took.
fn spent(outcome: &Result<Sampled, SampleError>) -> Usage {
    match outcome {
        Ok(Sampled { usage, .. })
        | Err(SampleError::Failed { usage, .. } | SampleError::Interrupted { usage, .. }) => *usage,
    }
}

fn ended(
    item: ItemId,
    outcome: Result<Sampled, SampleError>,
    way: Option<Way>,
    Bill { usage, cost, prices, .. }: Bill,
    timing: Timing,
) -> SampleEvent {
    let asked = way.map(|way| Structured { way, reading: None });
    let (outcome, message, structured, jitter) = match outcome {
        Ok(Sampled { message, structured, stop, .. }) => {
            (SampleOutcome::Answered { stop }, Some(message), structured, None)
        }
        Err(SampleError::Failed { failure, .. }) => {
            (SampleOutcome::Failed { failure }, None, asked, Some(jitter()))
        }
        Err(SampleError::Interrupted { partial, .. }) => (SampleOutcome::Interrupted, partial, asked, None),
    };
    SampleEvent::Ended { item, outcome, message, structured, usage, cost, prices, timing, jitter }
}

/// A number from 0 to 1000 by chance.
fn jitter() -> u16 {
    let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
    u16::try_from((high ^ low) % 1001).unwrap_or(0)
}
