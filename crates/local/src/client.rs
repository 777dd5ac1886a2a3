//! The provider of local models: starts the process that has the model where none is there, and asks it. An engine that
//! breaks down is a failed attempt that may be made again, with an engine begun anew.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codetether_event::{
    ContentPart, Message, Piece, ProviderFailure, ProviderFailureKind, Reading as Read_, ResponseFormat,
    StopReason, Structured, Usage, Way,
};
use codetether_files::{BlobStore, create_dir_private, open_append, remove_file};
use codetether_provider::{
    BoxFuture, Cancel, Dialogue, Epoch, Listed, Provider, SampleError, SampleSpec, Sampled,
};
use codetether_schema::{self as schema, Validator};
use serde_json::json;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::frames::{Ask, REPLY_MAX, REQUEST_MAX, Reply, receive, send};
use crate::reading::Reading;
use crate::request::{Request, Tool};

/// How long a process may take until it listens.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long nothing may come of one that has said it would tell every two seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Time between two looks for the socket.
const LOOK: Duration = Duration::from_millis(10);
/// The same, for what nobody waits for.
const LOOK_BESIDE: Duration = Duration::from_millis(100);
/// What is shown of the last words of a process that broke down.
const WORDS_MAX: u64 = 2_048;
/// Most bytes of a socket's path (`sun_path` has 108, with the end).
const PATH_MAX: usize = 100;

/// Where an engine's process is found, and what it is begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The program; `local-engine` is its command.
    pub program: PathBuf,
    /// The folder of sockets, which only the user can enter.
    pub run: PathBuf,
    /// The folder of kept states.
    pub kept: PathBuf,
    /// The model's file.
    pub model: PathBuf,
}

impl Place {
    /// The socket: another build or another file has another one.
    ///
    /// # Errors
    /// When the program or the model's file is not there, or the path too long.
    pub fn socket(&self) -> Result<PathBuf, String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        for file in [&self.program, &self.model] {
            let about =
                fs::metadata(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
            for part in [about.dev(), about.ino(), about.size(), about.mtime().cast_unsigned()] {
                hasher.update(&part.to_le_bytes());
            }
        }
        let name: String = hasher.finalize().to_hex().chars().take(16).collect();
        let socket = self.run.join(format!("engine-{name}.sock"));
        match socket.as_os_str().len() <= PATH_MAX {
            true => Ok(socket),
            false => Err(format!(
                "`{}` is too long a path for a socket: set `XDG_RUNTIME_DIR` to a shorter one",
                socket.display()
            )),
        }
    }
}

/// One model on this machine.
#[derive(Debug)]
pub struct Local {
    engine: Arc<Process>,
}

#[derive(Debug)]
struct Process {
    place: Place,
    child: Mutex<Option<Child>>,
}

impl Local {
    /// The model of this file. Starts nothing yet.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { engine: Arc::new(Process { place, child: Mutex::default() }) }
    }
}

impl Provider for Local {
    fn dialogue(&self, epoch: &Epoch) -> Box<dyn Dialogue> {
        Box::new(Talk::new(self.engine.clone(), epoch))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Listed>, ProviderFailure>> {
        let id = self.engine.place.model.file_stem().map(|name| name.to_string_lossy().into_owned());
        Box::pin(async move { Ok(vec![Listed { id: id.unwrap_or_default(), ..Listed::default() }]) })
    }
}

/// How long the context of the engine at this place is, once one is there and has loaded its model. Starts none, and waits
/// a minute at most for one; nothing where it does not say.
pub async fn window(place: &Place) -> Option<u64> {
    let begun = Instant::now();
    let mut stream = loop {
        // The socket's name can change, where the model's file is replaced.
        if let Ok(stream) = UnixStream::connect(place.socket().ok()?).await {
            break checked(stream).ok()?;
        }
        if begun.elapsed() > SILENCE {
            return None;
        }
        sleep(LOOK_BESIDE).await;
    };
    send(&mut stream, &Ask::Window, REQUEST_MAX).await.ok()?;
    loop {
        match timeout(SILENCE, receive::<Reply>(&mut stream, REPLY_MAX)).await {
            Ok(Ok(Some(Reply::Waiting))) => {}
            Ok(Ok(Some(Reply::Window { tokens }))) => return Some(tokens),
            _ => return None,
        }
    }
}

impl Process {
    /// A connection, to a process that is begun where there is none.
    async fn connect(&self) -> Result<UnixStream, ProviderFailure> {
        let refused = |message: String| failure(ProviderFailureKind::BadRequest, message);
        let socket = self.place.socket().map_err(refused)?;
        if let Ok(stream) = UnixStream::connect(&socket).await {
            return checked(stream);
        }
        self.start(&socket).map_err(refused)?;
        let begun = Instant::now();
        loop {
            if let Ok(stream) = UnixStream::connect(&socket).await {
                return checked(stream);
            }
            let ended = self.ended();
            if ended || begun.elapsed() > START_WAIT {
                // Another starter's may be there in its place.
                if let Ok(stream) = UnixStream::connect(&socket).await {
                    return checked(stream);
                }
                if begun.elapsed() > START_WAIT || !is_locked(&socket) {
                    let words = last_words(&socket);
                    let message = format!("the engine of the local model did not start{words}");
                    return Err(failure(ProviderFailureKind::Connection, message));
                }
            }
            sleep(LOOK).await;
        }
    }

    fn start(&self, socket: &Path) -> Result<(), String> {
        let place = &self.place;
        create_dir_private(&place.run).map_err(|error| error.to_string())?;
        let about = fs::metadata(&place.run).map_err(|error| error.to_string())?;
        if about.uid() != rustix::process::getuid().as_raw() || about.mode() & 0o077 != 0 {
            return Err(format!(
                "`{}` is open to others: remove it, or set `XDG_RUNTIME_DIR`",
                place.run.display()
            ));
        }
        let log = socket.with_extension("log");
        match remove_file(&log) {
            Err(error) if !error.is_not_found() => return Err(error.to_string()),
            _ => {}
        }
        let log = open_append(&log, 0o600).map_err(|error| error.to_string())?;
        let child = Command::new(&place.program)
            .arg("local-engine")
            .arg("--socket")
            .arg(socket)
            .arg("--model")
            .arg(&place.model)
            .arg("--kept")
            .arg(&place.kept)
            // No key of anyone's is its business.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start `{}`: {error}", place.program.display()))?;
        let before = self.child.lock().unwrap_or_else(PoisonError::into_inner).replace(child);
        if let Some(mut before) = before {
            // Only looks whether it has ended; a process that goes on belongs to others too.
            let _ = before.try_wait();
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

/// Whether some process is about to serve the socket.
fn is_locked(socket: &Path) -> bool {
    let Ok(file) = File::open(socket.with_extension("lock")) else { return false };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
}

/// The other end must be our own.
fn checked(stream: UnixStream) -> Result<UnixStream, ProviderFailure> {
    let own = rustix::process::getuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own => Ok(stream),
        _ => Err(failure(
            ProviderFailureKind::BadRequest,
            "the engine's socket is served by another user".into(),
        )),
    }
}

/// What a process that broke down said last.
fn last_words(socket: &Path) -> String {
    let read = |path: PathBuf| {
        let mut file = File::open(path).ok()?;
        let start = file.metadata().ok()?.len().saturating_sub(WORDS_MAX);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start)).ok()?;
        let mut words = Vec::new();
        file.take(WORDS_MAX).read_to_end(&mut words).ok()?;
        Some(String::from_utf8_lossy(&words).trim().to_owned())
    };
    match read(socket.with_extension("log")) {
        Some(words) if !words.is_empty() => format!(": {words}"),
        _ => String::new(),
    }
}

fn failure(kind: ProviderFailureKind, message: String) -> ProviderFailure {
    ProviderFailure { kind, status: None, message, retry_after_ms: None }
}

/// What an answer must be, and how it is read.
#[derive(Debug)]
struct Form {
    validator: Option<Validator>,
}

/// A conversation with the model.
struct Talk {
    engine: Arc<Process>,
    request: Request,
    form: Option<Form>,
    problem: Option<String>,
    /// Bytes of all that was pushed, and the tokens that the engine counted when there were so many.
    bytes: u64,
    counted: Option<(u64, u64)>,
}

impl Talk {
    fn new(engine: Arc<Process>, epoch: &Epoch) -> Self {
        let tools = epoch.tools.iter().map(|tool| Tool {
            name: tool.name.as_str().to_owned(),
            description: tool.description.clone(),
            schema: tool.schema.clone(),
        });
        let mut request = Request {
            system: epoch.system.clone(),
            tools: tools.collect(),
            messages: Vec::new(),
            format: epoch.format.clone(),
            max_output: None,
            temperature: None,
            seed: 0,
            must_call: false,
        };
        let mut problem = None;
        let form = match &epoch.format {
            ResponseFormat::Text => None,
            ResponseFormat::Json => {
                tell(&mut request.system, "The answer is one JSON value, with nothing before or after it.");
                Validator::new(&json!({})).ok().map(|any| Form { validator: Some(any) })
            }
            ResponseFormat::Schema { schema, .. } => {
                tell(
                    &mut request.system,
                    &format!(
                        "The answer is one JSON value that fits this JSON Schema, with nothing before or after it:\n{schema}"
                    ),
                );
                match Validator::new(schema) {
                    Ok(validator) => Some(Form { validator: Some(validator) }),
                    Err(error) => {
                        problem = Some(format!("the schema of the answer cannot be used: {error}"));
                        None
                    }
                }
            }
        };
        let bytes = serde_json::to_string(&request).map_or(0, |text| text.len() as u64);
        Self { engine, request, form, problem, bytes, counted: None }
    }

    fn structured(&self, message: &Message, stop: &StopReason, held: bool) -> Option<Structured> {
        let form = self.form.as_ref()?;
        let way = if held { Way::Native } else { Way::Prompt };
        let done = message.calls().next().is_none() && *stop != StopReason::Refused;
        let reading = done.then_some(form.validator.as_ref()).flatten().map(|validator| {
            match schema::read_answer(&message.text(), validator, None) {
                Ok(answer) if answer.was_cut => Read_::Misfits { problem: "it ends in the middle".into() },
                Ok(answer) => Read_::Fits { rung: answer.rung, value: Box::new(answer.value) },
                Err(unusable) => Read_::Misfits { problem: unusable.to_string() },
            }
        });
        Some(Structured { way, reading })
    }

    async fn attempt(
        &mut self,
        spec: &SampleSpec,
        out: &mut (dyn FnMut(Piece) + Send),
        reading: &mut Reading,
    ) -> Result<(Usage, bool, bool), (ProviderFailure, Usage)> {
        let none = |failure| (failure, Usage::default());
        if let Some(problem) = &self.problem {
            return Err(none(failure(ProviderFailureKind::BadRequest, problem.clone())));
        }
        self.request.max_output = spec.max_output;
        self.request.must_call = spec.must_call;
        self.request.temperature = spec.temperature.map(|temperature| temperature.hundredths());
        self.request.seed = seed(spec, self.request.messages.len());
        let mut stream = self.engine.connect().await.map_err(none)?;
        let broke = |message: String| {
            none(failure(
                ProviderFailureKind::Connection,
                format!("the engine of the local model broke down: {message}"),
            ))
        };
        let ask = Ask::Answer { request: Cow::Borrowed(&self.request) };
        send(&mut stream, &ask, REQUEST_MAX).await.map_err(|error| broke(error.to_string()))?;
        let (mut pieces, bytes) = (0_u64, self.bytes);
        loop {
            let spent = Usage { output: pieces, estimated: pieces > 0, ..Usage::default() };
            let reply = match timeout(SILENCE, receive::<Reply>(&mut stream, REPLY_MAX)).await {
                Err(_) => {
                    let message = "the engine of the local model has said nothing for a minute".to_owned();
                    return Err((failure(ProviderFailureKind::Timeout, message), spent));
                }
                Ok(Ok(Some(reply))) => reply,
                Ok(ended) => {
                    let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
                    let words =
                        self.engine.place.socket().map(|socket| last_words(&socket)).unwrap_or_default();
                    let message = format!(
                        "the engine of the local model broke down in the middle of an answer: {why}{words}"
                    );
                    return Err((failure(ProviderFailureKind::Cut, message), spent));
                }
            };
            match reply {
                Reply::Waiting | Reply::Reading { .. } | Reply::Window { .. } => {}
                Reply::Text { text } => {
                    pieces += 1;
                    reading.feed(&text, out);
                }
                Reply::Done { cut, input, reused, output, held, .. } => {
                    self.counted = Some((bytes, input));
                    let usage = Usage { input, output, cache_read: reused, ..Usage::default() };
                    return Ok((usage, cut, held));
                }
                Reply::Failed { failure: kind, message } => return Err((failure(kind, message), spent)),
            }
        }
    }
}

fn tell(system: &mut String, text: &str) {
    if !system.is_empty() {
        system.push_str("\n\n");
    }
    system.push_str(text);
}

/// The same dialogue at the same place has the same chance; another request for it has another.
fn seed(spec: &SampleSpec, messages: usize) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&spec.draw.to_le_bytes());
    hasher.update(&(messages as u64).to_le_bytes());
    let mut seed = [0; 8];
    seed.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(seed)
}

impl Dialogue for Talk {
    fn push(&mut self, message: &Message, _: &BlobStore) -> Result<(), codetether_files::Error> {
        for part in &message.parts {
            self.bytes += match part {
                ContentPart::Text { text } | ContentPart::Reasoning { text, .. } => text.len() as u64,
                ContentPart::Image { .. } => 64,
                ContentPart::ToolCall(call) => {
                    (call.sent_name().len() + call.sent_arguments().len()) as u64 + 64
                }
                ContentPart::ToolResult(result) => result.text.len() as u64 + 64,
            };
        }
        self.request.messages.push(message.clone());
        Ok(())
    }

    fn most_input(&self) -> u64 {
        // No token is made of less than a byte; templates add some for each message.
        let (at, tokens) = self.counted.unwrap_or_default();
        let around = 16 * (self.request.messages.len() as u64 + 2);
        tokens + self.bytes.saturating_sub(at) + around
    }

    fn way(&self) -> Option<Way> {
        self.form.as_ref().map(|_| Way::Native)
    }

    fn sample<'a>(
        &'a mut self,
        spec: &'a SampleSpec,
        out: &'a mut (dyn FnMut(Piece) + Send),
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Sampled, SampleError>> {
        Box::pin(async move {
            let base = format!("{}", self.request.messages.len());
            let mut reading = Reading::new(base);
            // Dropped, the attempt closes its connection, which tells the engine to stop.
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                outcome = self.attempt(spec, out, &mut reading) => Some(outcome),
            };
            let Some(outcome) = outcome else {
                let partial = reading.partial();
                let output = partial.as_ref().map_or(0, |message| message.text().len() as u64 / 4);
                let usage = Usage { output, estimated: true, ..Usage::default() };
                return Err(SampleError::Interrupted { partial, usage });
            };
            let (usage, cut, held) =
                outcome.map_err(|(failure, usage)| SampleError::Failed { failure, usage })?;
            let (message, calls) = reading.finish(out);
            let stop = match (cut, calls) {
                (true, _) => StopReason::MaxOutput,
                (false, true) => StopReason::ToolUse,
                (false, false) => StopReason::EndTurn,
            };
            let structured = self.structured(&message, &stop, held);
            Ok(Sampled { message, structured, stop, usage })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_made_anew_draws_anew_and_one_that_is_replayed_does_not() {
        let of = |draw, messages| seed(&SampleSpec { draw, ..SampleSpec::default() }, messages);
        assert_eq!(of(7, 3), of(7, 3));
        assert!(of(7, 3) != of(8, 3) && of(7, 3) != of(7, 4));
        let named =
            SampleSpec { draw: 7, cache_key: Some("another session".into()), ..SampleSpec::default() };
        assert_eq!(seed(&named, 3), of(7, 3), "what is random about a session has no part in it");
    }
}
