//! The process that has the model: it listens on a socket that only its user can reach, hands requests to the engine's
//! thread, and ends some minutes after its last connection. One for each model: a second one finds the lock held and
//! leaves. The socket is there before the model is, so that clients hear that it is being loaded.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use codetether_event::ProviderFailureKind;
use codetether_files::{Lock, LockError, remove_file};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc as channel, oneshot, watch};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Hold, Vocabulary};
use crate::frames::{Ask, REPLY_MAX, REQUEST_MAX, Reply, receive, send};
use crate::kept::Kept;
use crate::pick::Choice;
use crate::request::Request;
use crate::scheduler::{Done, Event, Fault, Job, Scheduler};
use crate::template::Template;

/// How long after its last connection the process ends.
pub const IDLE: Duration = Duration::from_secs(300);
/// The same, where there is no model to be kept.
const IDLE_WITHOUT: Duration = Duration::from_secs(2);
/// How long a connection may take to say what it wants.
const ASK_WAIT: Duration = Duration::from_secs(10);
/// How often one that waits hears that it does.
const WAITING: Duration = Duration::from_secs(2);
/// Most connections at once.
const CONNECTIONS_MAX: usize = 128;
/// Events of an answer that wait for its reader.
const EVENTS_MAX: usize = 256;
/// Most tokens of an answer whose request has no limit.
const ANSWER_MAX: u32 = 4_096;
/// How long the engine's thread rests where all readers are slow.
const REST: Duration = Duration::from_millis(5);

/// Why there is no model to ask, in words that say what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The lock's or socket's file cannot be used.
    #[error("cannot serve the local model: {0}")]
    File(#[from] codetether_files::Error),
    /// Something of the system failed.
    #[error("cannot serve the local model at `{}`: {error}", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Makes what holds an answer to the form that a request wants; none where it wants none.
pub type Former = dyn FnMut(&Request) -> Result<Option<Box<dyn Hold>>, String> + Send;

/// What the engine's thread works with.
pub struct Loaded<E> {
    /// The model.
    pub engine: E,
    /// Kept states.
    pub kept: Option<Kept>,
    /// Forms.
    pub former: Box<Former>,
}

/// What a connection reaches the engine's thread by.
#[derive(Clone)]
struct Way {
    works: mpsc::SyncSender<Work>,
    /// Tokens of the context, once it is there. Closed where there is no model.
    window: watch::Receiver<Option<u64>>,
}

struct Work {
    request: Request,
    cancel: CancellationToken,
    begun: oneshot::Sender<Result<Begun, Reply>>,
    out: channel::Sender<Event>,
}

/// The scheduler has a request.
struct Begun {
    vocabulary: Arc<Vocabulary>,
    /// Its answer is held to a form.
    held: bool,
}

/// Serves until nobody has asked for `idle`; at once where another serves this socket already.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve<E: Engine + 'static>(
    socket: &Path,
    idle: Duration,
    load: impl FnOnce() -> Result<Loaded<E>, Refused> + Send + 'static,
) -> Result<(), ServeError> {
    let at = |error: io::Error| ServeError::Io { socket: socket.to_owned(), error };
    let _lock = match Lock::acquire(socket.with_extension("lock"), "the engine of a local model") {
        Ok(lock) => lock,
        Err(LockError::Held { .. }) => return Ok(()),
        Err(LockError::File(error)) => return Err(error.into()),
    };
    // Under the lock, a socket that is there is a dead process's.
    match remove_file(socket) {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(at)?;
    let listener = {
        let _inside = runtime.enter();
        UnixListener::bind(socket).map_err(at)?
    };
    rustix::fs::chmod(socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .map_err(|error| at(error.into()))?;
    let (works, queue) = mpsc::sync_channel(CONNECTIONS_MAX);
    let (told, refused) = channel::channel(1);
    let (known, window) = watch::channel(None);
    let engine = thread::Builder::new()
        .name("engine".into())
        .spawn(move || match load() {
            Ok(loaded) => {
                let _ = known.send(Some(loaded.engine.facts().window as u64));
                work(loaded, &queue);
            }
            Err(Refused(why)) => {
                drop(known);
                let _ = told.try_send(());
                refuse(&why, &queue);
            }
        })
        .map_err(at)?;
    let local = tokio::task::LocalSet::new();
    let ended = local.block_on(&runtime, listen(&listener, Way { works, window }, idle, refused, &engine));
    let _ = remove_file(socket);
    ended.map_err(at)
}

async fn listen(
    listener: &UnixListener,
    way: Way,
    mut idle: Duration,
    mut refused: channel::Receiver<()>,
    engine: &thread::JoinHandle<()>,
) -> io::Result<()> {
    let open = Rc::new(());
    let mut last = Instant::now();
    let mut tick = interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let Ok((stream, _)) = connection else { continue };
                last = Instant::now();
                let is_own = stream.peer_cred()
                    .is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw());
                if is_own && Rc::strong_count(&open) <= CONNECTIONS_MAX {
                    let (open, way) = (Rc::clone(&open), way.clone());
                    tokio::task::spawn_local(async move {
                        let _ = answer(stream, way).await;
                        drop(open);
                    });
                }
            }
            Some(()) = refused.recv() => idle = idle.min(IDLE_WITHOUT),
            _ = tick.tick() => {
                if Rc::strong_count(&open) > 1 {
                    last = Instant::now();
                }
                if last.elapsed() >= idle || engine.is_finished() {
                    return Ok(());
                }
            }
        }
    }
}

/// One connection: its request, and what comes of it.
async fn answer(stream: UnixStream, way: Way) -> io::Result<()> {
    let (mut from, mut to) = stream.into_split();
    let request = timeout(ASK_WAIT, receive::<Ask<'_>>(&mut from, REQUEST_MAX)).await;
    let request = match request.map_err(io::Error::from)? {
        Ok(Some(Ask::Answer { request })) => request.into_owned(),
        Ok(Some(Ask::Window)) => {
            return tokio::select! {
                () = closed(&from) => Ok(()),
                sent = tell_window(way.window, &mut to) => sent,
            };
        }
        Ok(None) => return Ok(()),
        Err(error) => {
            let failure = ProviderFailureKind::BadRequest;
            let message = format!("the engine cannot read the request: {error}");
            return send(&mut to, &Reply::Failed { failure, message }, REPLY_MAX).await;
        }
    };
    let (out, mut events) = channel::channel(EVENTS_MAX);
    let (begun, mut wait) = oneshot::channel();
    let cancel = CancellationToken::new();
    let _gone = cancel.clone().drop_guard();
    if way.works.try_send(Work { request, cancel, begun, out }).is_err() {
        let busy = failed(ProviderFailureKind::Overloaded, "the engine has too many requests waiting");
        return send(&mut to, &busy, REPLY_MAX).await;
    }
    tokio::select! {
        () = closed(&from) => Ok(()),
        sent = pass_on(&mut wait, &mut events, &mut to) => sent,
    }
}

/// Until the other end closes. Nothing more is expected from it.
async fn closed(from: &OwnedReadHalf) {
    // Readiness may be that of what was read already.
    while from.readable().await.is_ok() {
        match from.try_read(&mut [0; 1]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

async fn tell_window(mut window: watch::Receiver<Option<u64>>, to: &mut OwnedWriteHalf) -> io::Result<()> {
    loop {
        let known = timeout(WAITING, window.wait_for(Option::is_some)).await;
        let reply = match known.map(|known| known.map(|tokens| *tokens)) {
            Err(_) => Reply::Waiting,
            Ok(Ok(Some(tokens))) => Reply::Window { tokens },
            Ok(Ok(None) | Err(_)) => gone(),
        };
        send(to, &reply, REPLY_MAX).await?;
        if reply != Reply::Waiting {
            return Ok(());
        }
    }
}

async fn pass_on(
    wait: &mut oneshot::Receiver<Result<Begun, Reply>>,
    events: &mut channel::Receiver<Event>,
    to: &mut OwnedWriteHalf,
) -> io::Result<()> {
    let begun = loop {
        match timeout(WAITING, &mut *wait).await {
            Err(_) => send(to, &Reply::Waiting, REPLY_MAX).await?,
            Ok(Ok(Ok(begun))) => break begun,
            Ok(Ok(Err(failed))) => return send(to, &failed, REPLY_MAX).await,
            Ok(Err(_)) => return send(to, &gone(), REPLY_MAX).await,
        }
    };
    let mut characters = Characters::default();
    loop {
        let reply = match timeout(WAITING, events.recv()).await {
            Err(_) => Reply::Waiting,
            Ok(None) => gone(),
            Ok(Some(Event::Token(token))) => {
                let bytes = usize::try_from(token).ok().and_then(|token| begun.vocabulary.bytes.get(token));
                let text = characters.take(bytes.map_or(&[], Vec::as_slice));
                if text.is_empty() {
                    continue;
                }
                Reply::Text { text }
            }
            Ok(Some(event)) => {
                let rest = characters.rest();
                if !rest.is_empty() {
                    send(to, &Reply::Text { text: rest }, REPLY_MAX).await?;
                }
                reply(event, begun.held)
            }
        };
        let last = matches!(reply, Reply::Done { .. } | Reply::Failed { .. });
        send(to, &reply, REPLY_MAX).await?;
        if last {
            return Ok(());
        }
    }
}

/// Makes whole characters of tokens' bytes; what can be none becomes U+FFFD.
#[derive(Default)]
struct Characters(Vec<u8>);

impl Characters {
    fn take(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.0) {
            Ok(_) => self.0.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.0.len(),
        };
        let rest = self.0.split_off(whole);
        let text = String::from_utf8_lossy(&self.0).into_owned();
        self.0 = rest;
        text
    }

    fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

/// The engine's thread: until nobody can ask any more.
fn work<E: Engine>(mut loaded: Loaded<E>, queue: &mpsc::Receiver<Work>) {
    let template = Template::new(loaded.engine.facts().template.as_deref());
    let mut scheduler = Scheduler::new(loaded.engine, loaded.kept.take());
    loop {
        let next = match scheduler.is_idle() {
            true => queue.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            false if scheduler.step() => queue.recv_timeout(Duration::ZERO),
            false => queue.recv_timeout(REST),
        };
        match next {
            Ok(work) => begin(&mut scheduler, &template, &mut loaded.former, work),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn begin<E: Engine>(scheduler: &mut Scheduler<E>, template: &Template, former: &mut Former, work: Work) {
    let Work { request, cancel, begun, out } = work;
    let made =
        request.prompt(scheduler.engine(), template).and_then(|prompt| Ok((prompt, former(&request)?)));
    let (prompt, hold) = match made {
        Ok(made) => made,
        Err(why) => return drop(begun.send(Err(failed(ProviderFailureKind::BadRequest, why)))),
    };
    let vocabulary = Arc::clone(scheduler.engine().vocabulary());
    if begun.send(Ok(Begun { vocabulary, held: hold.is_some() })).is_err() {
        return;
    }
    let temperature = request.temperature.map_or(0.0, |hundredths| f32::from(hundredths) / 100.0);
    scheduler.submit(Job {
        prompt: prompt.tokens,
        prefix: prompt.prefix,
        most: request.max_output.unwrap_or(ANSWER_MAX) as usize,
        choice: Choice { temperature, seed: request.seed, ..Choice::default() },
        hold,
        cancel,
        out,
    });
}

/// There is no model: everyone who asks hears why.
fn refuse(why: &str, queue: &mpsc::Receiver<Work>) {
    while let Ok(work) = queue.recv() {
        let _ = work.begun.send(Err(failed(ProviderFailureKind::BadRequest, why)));
    }
}

fn gone() -> Reply {
    failed(
        ProviderFailureKind::Server,
        "the engine's thread has ended; it is begun anew when it is asked again",
    )
}

fn failed(failure: ProviderFailureKind, message: impl Into<String>) -> Reply {
    Reply::Failed { failure, message: message.into() }
}

fn reply(event: Event, held: bool) -> Reply {
    match event {
        Event::Reading { read, of } => Reply::Reading { read, of },
        Event::Token(_) => Reply::Waiting,
        Event::Done(Done { cut, input, reused, output, mean_log }) => Reply::Done {
            cut,
            input: input as u64,
            reused: reused as u64,
            output: output as u64,
            mean_log,
            held,
        },
        Event::Failed(fault) => {
            let kind = match &fault {
                Fault::TooLong { .. } => ProviderFailureKind::ContextTooLong,
                Fault::Busy => ProviderFailureKind::Overloaded,
                Fault::Form(_) => ProviderFailureKind::BadRequest,
                Fault::Engine(_) => ProviderFailureKind::Server,
            };
            failed(kind, fault.to_string())
        }
    }
}
