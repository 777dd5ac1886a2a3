//! A dialogue over any wire, and one attempt at its next answer: sends, reads, waits no longer than it may, and lets
//! go at once when it is cancelled. Never tries again; knows nothing of what is sent or said.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use codetether_event::{
    ContentPart, Message, Money, Piece, ProviderFailure, ProviderFailureKind, Role, Usage, Way,
};
use codetether_files::BlobStore;
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::answer::{Answer, Fault, Reader, WEB_PAGE};
use crate::endpoint::Line;
use crate::errors::{self, Blame};
use crate::form::Plan;
use crate::sight::PDF;
use crate::size::{Counted, DOCUMENT_MAX, Size};
use crate::transport::{self, Response};
use crate::{BoxFuture, Cancel, Dialogue, SampleError, SampleSpec, Sampled, facts, usage};

/// Pieces are handed out at most this often: what comes faster is joined.
const PIECE_INTERVAL: Duration = Duration::from_millis(2);
/// How long the end of the last answer's body is waited for, so that its connection can be used again.
const END_WAIT: Duration = Duration::from_millis(50);
/// Most reads of what a server sends after it said that it was done.
const END_READS: usize = 16;
/// Most of an error's body that is read, and the longest that it may take.
const ERROR_MAX: usize = 64 << 10;
const ERROR_WAIT: Duration = Duration::from_secs(5);

/// The body of a wire's requests, which only grows.
pub(crate) trait Script: Send {
    /// Reads the wire's answers.
    type Reader: Reader;

    /// Appends a message; nothing of it when there is an error.
    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error>;

    /// The whole body, with what holds for this sample alone; or what of it the wire or the model does not take.
    fn request(&self, spec: &SampleSpec) -> Result<Vec<u8>, String>;

    /// The whole body, for an answer that goes on from what the model has said; nothing where it takes no such thing.
    fn resume(&self, _spec: &SampleSpec, _said: &str) -> Option<Vec<u8>> {
        None
    }

    /// How large the prompt is.
    fn size(&self) -> Size;

    /// Reads the next answer.
    fn reader(&self) -> Self::Reader;
}

/// A dialogue.
#[derive(Debug)]
pub(crate) struct Conversation<S> {
    line: Arc<Line>,
    plan: Plan,
    script: S,
    /// The last answer's response, when only the end of its body is still to come. Dropped before that, it would take
    /// its connection with it; waited for, it would hold the answer back.
    last: Option<Response>,
    /// What the server said of the last request that it counted.
    counted: Option<Counted>,
    /// Documents that it has not counted yet.
    documents: u64,
    /// What the server's own people find the last request by.
    request_id: Option<String>,
    /// The text of the last answer, where it broke off with nothing but text in it.
    cut: Option<String>,
    /// What the server said that the last answer costs.
    told_cost: Option<Money>,
    /// Whether the last request may have reached the server.
    sent: bool,
}

impl<S> Conversation<S> {
    pub(crate) fn new(line: Arc<Line>, plan: Plan, script: S) -> Self {
        Self {
            line,
            plan,
            script,
            last: None,
            counted: None,
            documents: 0,
            request_id: None,
            cut: None,
            told_cost: None,
            sent: false,
        }
    }
}

impl<S: Script> Dialogue for Conversation<S> {
    fn push(&mut self, message: &Message, blobs: &BlobStore) -> Result<(), codetether_files::Error> {
        self.cut = None;
        let is_document =
            |part: &&ContentPart| matches!(part, ContentPart::Image { media_type, .. } if media_type == PDF);
        let documents = message.parts.iter().filter(is_document).count() as u64;
        self.documents = self.documents.saturating_add(documents);
        self.script.push(message, blobs)
    }

    fn most_input(&self) -> u64 {
        let said = self.cut.as_ref().map_or(0, String::len) as u64;
        let documents = self.documents.saturating_mul(DOCUMENT_MAX);
        self.script.size().most_tokens(self.counted).saturating_add(documents).saturating_add(said)
    }

    fn way(&self) -> Option<Way> {
        self.plan.way()
    }

    fn told_cost(&self) -> Option<Money> {
        self.told_cost
    }

    fn sample<'a>(
        &'a mut self,
        spec: &'a SampleSpec,
        out: &'a mut (dyn FnMut(Piece) + Send),
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Sampled, SampleError>> {
        Box::pin(self.attempt(spec, out, cancel))
    }
}

/// How reading ended without an error that settles it.
#[derive(Default)]
struct Read {
    /// The response, if its end is still to come.
    last: Option<Response>,
    /// Why the body broke off, if it did.
    broken: Option<ProviderFailure>,
}

impl<S: Script> Conversation<S> {
    async fn attempt(
        &mut self,
        spec: &SampleSpec,
        out: &mut (dyn FnMut(Piece) + Send),
        cancel: &Cancel,
    ) -> Result<Sampled, SampleError> {
        (self.told_cost, self.sent) = (None, false);
        if cancel.is_cancelled() {
            return Err(SampleError::Interrupted { partial: None, usage: Usage::default() });
        }
        let (said, body) = self.resumed(spec).unzip();
        if let Some(said) = &said {
            // Each sample's pieces are its whole answer.
            out(Piece::Text(said.clone()));
        }
        let mut begun = false;
        let mut out = |piece| {
            begun = true;
            out(piece);
        };
        let mut answer = Answer::new(self.script.reader());
        let size = self.script.size();
        let prompt = size.tokens(self.counted);
        // Nothing is left of the request, its connection among it, once this is over without a response.
        let read = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            () = sleep(self.line.total_timeout) => Some(Err(self.line.blame.endless(self.line.total_timeout))),
            read = self.ask(spec, body, &mut answer, &mut out) => Some(read),
        };
        let id = self.request_id.take();
        if matches!(read, Some(Ok(_))) {
            answer.end(&mut out);
        }
        self.told_cost = answer.cost();
        let sent = self.sent;
        self.cut = answer.text_alone(said.as_deref().unwrap_or_default());
        let mut failed = |failure, spent: Option<Usage>, begun: bool| {
            let failure = self.line.blame.identified(failure, id.as_deref());
            let mut failure = if begun { self.line.blame.begun(failure) } else { failure };
            if said.is_some() && failure.kind == ProviderFailureKind::BadRequest {
                // It may be that the server does not take what the model has said, which is not sent again.
                failure.kind = ProviderFailureKind::Protocol;
                self.cut = None;
            }
            // Where nothing came, nothing is known to have been spent; but one who was asked and is not waited for any
            // longer may bill it all the same.
            let unheard = failure.kind == ProviderFailureKind::Timeout && failure.status.is_none();
            let estimated = sent && unheard;
            let nothing = Usage { estimated, ..Usage::default() };
            let usage = spent.map_or(nothing, |spent| usage::complete(Some(spent), prompt));
            Err(SampleError::Failed { failure, usage })
        };
        let Read { last, broken } = match read {
            Some(Ok(read)) => read,
            Some(Err(failure)) => {
                answer.flush(&mut out);
                return failed(failure, answer.usage(), begun);
            }
            None => {
                answer.flush(&mut out);
                let usage = usage::complete(answer.usage(), prompt);
                let nothing = Message { role: Role::Assistant, parts: Vec::new() };
                let partial = joined(said, answer.partial().unwrap_or(nothing));
                let partial = Some(partial).filter(|partial| !partial.parts.is_empty());
                return Err(SampleError::Interrupted { partial, usage });
            }
        };
        match answer.finish(&mut out) {
            Ok(mut whole) => {
                self.last = last;
                self.cut = None;
                whole.message = joined(said, whole.message);
                let usage = usage::complete(whole.usage, prompt);
                if !usage.estimated {
                    self.counted = Some(Counted::new(size, usage.input));
                    self.documents = 0;
                }
                let structured = self.plan.read(&mut whole.message, &mut whole.stop);
                Ok(Sampled { message: whole.message, structured, stop: whole.stop, usage })
            }
            Err((Fault::Cut, spent)) => failed(broken.unwrap_or_else(|| self.line.blame.cut()), spent, begun),
            Err((fault, spent)) => failed(failure(&self.line.blame, fault), spent, begun),
        }
    }

    /// What the last answer said before it broke off, and the request for the rest of it.
    fn resumed(&mut self, spec: &SampleSpec) -> Option<(String, Vec<u8>)> {
        let said = self.cut.take().filter(|_| self.plan.way().is_none())?;
        let body = self.script.resume(spec, &said)?;
        Some((said, body))
    }

    async fn ask(
        &mut self,
        spec: &SampleSpec,
        resumed: Option<Vec<u8>>,
        answer: &mut Answer<impl Reader>,
        out: &mut (dyn FnMut(Piece) + Send),
    ) -> Result<Read, ProviderFailure> {
        if let Some(last) = self.last.take() {
            read_end(last, &self.line.blame).await;
        }
        let line = &*self.line;
        let target = line.target.as_ref().map_err(Clone::clone)?;
        if let Some(problem) = self.plan.problem() {
            return Err(line.blame.refused(problem));
        }
        let body = match resumed {
            Some(body) => body,
            None => self.script.request(spec).map_err(|problem| line.blame.refused(&problem))?,
        };
        let url = line.url(target, self.plan.epoch.model.model());
        let reasons = facts(&self.plan.epoch.model).and_then(|facts| facts.reasoning);
        let idle = line.idle_timeout(spec.effort.is_some() || reasons == Some(true));
        self.request_id = None;
        self.sent = true;
        let request = transport::post(line, url, target.headers.clone(), body);
        let response = match timeout(idle, request).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => {
                self.sent = false;
                return Err(failure);
            }
            Err(_) => return Err(line.blame.silent(idle)),
        };
        line.answered();
        self.request_id = errors::request_id(response.headers()).map(str::to_owned);
        let media_type = response.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        if !response.status().is_success() {
            let (status, headers) = (response.status(), response.headers().clone());
            let body = read_start(response, &line.blame).await;
            let failure = line.blame.status(status, &headers, &body, self.plan.epoch.model.model());
            let strict = self.plan.has_strict_tools();
            Err(if strict { line.blame.of_strict_tools(failure) } else { failure })
        } else if media_type.starts_with(b"text/html") {
            Err(line.blame.protocol(WEB_PAGE))
        } else {
            read_answer((line, idle), response, answer, out).await
        }
    }
}

/// A message that goes on from a text.
fn joined(said: Option<String>, mut message: Message) -> Message {
    let Some(said) = said else { return message };
    match message.parts.first_mut() {
        Some(ContentPart::Text { text }) => text.insert_str(0, &said),
        _ => message.parts.insert(0, ContentPart::Text { text: said }),
    }
    message
}

async fn read_answer(
    (line, idle): (&Line, Duration),
    mut response: Response,
    answer: &mut Answer<impl Reader>,
    out: &mut (dyn FnMut(Piece) + Send),
) -> Result<Read, ProviderFailure> {
    let mut last_read = Instant::now();
    let mut next_piece = last_read;
    // Both are set anew only when they fire or a piece went out, for there are many more reads than either.
    let mut silence = pin!(sleep(idle));
    let mut pause = pin!(sleep_until(next_piece));
    while !answer.is_done() {
        let flush = tokio::select! {
            biased;
            read = response.chunk(&line.blame) => match read {
                Ok(Some(bytes)) => {
                    last_read = Instant::now();
                    answer.feed(&bytes, out).map_err(|fault| failure(&line.blame, fault))?;
                    last_read >= next_piece
                }
                Ok(None) => return Ok(Read::default()),
                Err(failure) => return Ok(Read { broken: Some(failure), ..Read::default() }),
            },
            () = &mut pause, if answer.has_unsent() => true,
            () = &mut silence => {
                let due = last_read + idle;
                if due <= Instant::now() {
                    // Which counts only if the answer is not whole by now.
                    return Ok(Read { broken: Some(line.blame.silent(idle)), ..Read::default() });
                }
                silence.as_mut().reset(due);
                false
            }
        };
        if flush && answer.has_unsent() {
            answer.flush(out);
            next_piece = Instant::now() + PIECE_INTERVAL;
            pause.as_mut().reset(next_piece);
        }
    }
    let ended = (0..END_READS).find_map(|_| match response.chunk(&line.blame).now_or_never() {
        Some(Ok(Some(_))) => None,
        Some(_) => Some(true),
        None => Some(false),
    });
    let last = if ended == Some(false) { Some(response) } else { None };
    Ok(Read { last, broken: None })
}

/// Reads the end of a body whose answer is known, which by now should be there.
async fn read_end(mut response: Response, blame: &Blame) {
    // Whatever comes of it, the next request finds a connection or makes one.
    let _ = timeout(END_WAIT, async { while let Ok(Some(_)) = response.chunk(blame).await {} }).await;
}

/// Reads as much of an error's body as a message can use.
pub(crate) async fn read_start(response: impl Into<Response>, blame: &Blame) -> Vec<u8> {
    let mut response = response.into();
    let mut start = Vec::new();
    // What came by then is what there is.
    let _ = timeout(ERROR_WAIT, async {
        while let Ok(Some(bytes)) = response.chunk(blame).await {
            start.extend_from_slice(&bytes);
            if start.len() > ERROR_MAX {
                break;
            }
        }
    })
    .await;
    start
}

fn failure(blame: &Blame, fault: Fault) -> ProviderFailure {
    match fault {
        Fault::Reported(error) => blame.reported(&error),
        Fault::Protocol(what) => blame.protocol(what),
        Fault::Cut => blame.cut(),
    }
}
