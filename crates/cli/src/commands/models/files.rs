//! `codetether models pull|import|verify|remove`, and what `list` and `show` say of models on this machine: their files.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};
use codetether_weights::{
    Entry, Error, Head, Kept, Progress, Pulled, Store, Verified, Watch, entry, name_of,
};
use reqwest::Url;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::run::compose;
use crate::{place, printer};

/// Tokens of a context that the need of memory is told for.
const CONTEXT: u64 = 4096;

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// A model that is known (`models list --local` lists them), an address (`https://…`), or
    /// `hf:OWNER/REPOSITORY/FILE`.
    #[arg(value_name = "NAME|URL|hf:REPO/FILE")]
    what: String,
    /// What it is called here; for one that is not known by name, else its file's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The SHA-256 that it must have.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    /// Fetch nothing: only look whether it is here.
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The GGUF file. It is copied.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// What it is called here; else its file's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The SHA-256 that it must have.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
}

fn sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a SHA-256 is 64 hexadecimal digits".into())
    }
}

/// The models on this machine.
pub(crate) fn store() -> Result<Store, Failure> {
    Ok(Store::new(place::data_dir()?.join("models")))
}

/// The size of a model's file, for people.
pub(crate) fn size_of(model: &codetether_event::ModelId) -> Option<String> {
    Some(size(store().ok()?.find(model.model()).ok()?.facts.bytes))
}

/// What is to be fetched.
enum What {
    Known(&'static Entry),
    At(Url, String),
}

pub(super) fn pull(args: &PullArgs) -> Result<Exit, Failure> {
    let store = store()?;
    let what = wanted(args, &store)?;
    if args.offline {
        let name = match &what {
            What::Known(entry) => entry.name,
            What::At(_, name) => name,
        };
        let kept = store.find(name).map_err(|error| offline(&error, name))?;
        printer::err(&format!("{} is here: {}\n", kept.name, kept.path.display()));
        return Ok(Exit::Done);
    }
    if let What::Known(entry) = &what {
        printer::err(&format!("{}, {}, {}\n{}\n", entry.title, size(entry.bytes), entry.licence, entry.note));
    }
    let mut bar = Bar::new("fetched");
    let pulled = compose::runtime()?.block_on(async {
        match &what {
            What::Known(entry) => store.pull(entry, &mut bar).await,
            What::At(url, name) => store.pull_url(url, name, args.sha256.as_deref(), &mut bar).await,
        }
    });
    bar.end();
    match pulled.map_err(failure)? {
        Pulled::Here(kept) => {
            printer::err(&format!("{} is here already: {}\n", kept.name, kept.path.display()))
        }
        Pulled::Come(kept) => told(&kept),
    }
    Ok(Exit::Done)
}

fn wanted(args: &PullArgs, store: &Store) -> Result<What, Failure> {
    let at = |url: &str| {
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| failure(Error::Address(args.what.clone())))?;
        let file = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let name = name(args.name.as_deref(), Path::new(file))?;
        Ok(What::At(url, name))
    };
    if let Some(rest) = args.what.strip_prefix("hf:") {
        let mut parts = rest.splitn(3, '/');
        return match (parts.next(), parts.next(), parts.next()) {
            (Some(owner), Some(repository), Some(file)) if !file.is_empty() => {
                at(&format!("https://huggingface.co/{owner}/{repository}/resolve/main/{file}"))
            }
            _ => Err(failure(Error::Address(args.what.clone()))),
        };
    }
    if args.what.contains("://") {
        return at(&args.what);
    }
    let name = name_of(&args.what).map_err(failure)?;
    if let Some(entry) = entry(&name) {
        let beside = args.name.as_deref().map(|_| "--name").or(args.sha256.as_deref().map(|_| "--sha256"));
        return match beside {
            None => Ok(What::Known(entry)),
            Some(flag) => Err(Failure::with_help(
                Exit::Usage,
                format!("`{flag}` does not go with a model that is known by name"),
                format!("`codetether models pull {name}` knows what it is called and what its hash is"),
            )),
        };
    }
    // What is here without being known by name was given it here.
    match store.find(&name) {
        Ok(kept) => {
            Err(Failure::new(Exit::Usage, format!("{name} is here already: {}", kept.path.display())))
        }
        Err(error) => Err(failure(error)),
    }
}

/// The name that was given, or one made of the file's.
fn name(given: Option<&str>, file: &Path) -> Result<String, Failure> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = given.map_or(stem, str::to_owned);
    name_of(&name).map_err(|error| match given {
        Some(_) => failure(error),
        None => Failure::with_help(Exit::Usage, error.to_string(), "`--name NAME` gives it another one"),
    })
}

fn offline(error: &Error, name: &str) -> Failure {
    let help = format!("without `--offline`, `codetether models pull {name}` fetches it");
    Failure::with_help(Exit::Failed, error.to_string(), help)
}

/// How an error is told, with what to do about it.
pub(crate) fn failure(error: Error) -> Failure {
    let message = error.to_string();
    let (exit, help) = match &error {
        Error::Name(_) | Error::Address(_) => (Exit::Usage, None),
        Error::Unknown { near, .. } if near.is_empty() => (
            Exit::Usage,
            Some("`codetether models list --local` lists those that are known; `models import FILE` takes a file".into()),
        ),
        Error::Unknown { near, .. } => {
            let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
            (Exit::Usage, Some(format!("did you mean {}?", near.join(" or "))))
        }
        Error::Missing(name) => (Exit::Failed, Some(format!("`codetether models pull {name}` fetches it, once"))),
        Error::Taken(name) => {
            (Exit::Usage, Some(format!("`--name NAME` gives it another one; `models remove {name}` removes that one")))
        }
        Error::Gguf { .. } => (Exit::Failed, Some("models are single files in the GGUF format".into())),
        Error::Hash { .. } => (Exit::Failed, Some("fetch it anew, or from elsewhere".into())),
        Error::Space { .. } => {
            (Exit::Failed, Some("make room (`codetether models remove NAME`), or set `XDG_DATA_HOME`".into()))
        }
        Error::Sources { name, .. } => (
            Exit::Failed,
            Some(format!(
                "what has come is kept: the same command goes on with it; or fetch the file elsewhere, then `codetether \
                 models import FILE --name {name}`"
            )),
        ),
        Error::Held(_) => (Exit::Failed, Some("wait for it".into())),
        Error::File(_) => (Exit::Failed, None),
    };
    match help {
        Some(help) => Failure::with_help(exit, message, help),
        None => Failure::new(exit, message),
    }
}

pub(super) fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    let name = name(args.name.as_deref(), &args.file)?;
    let mut bar = Bar::new("copied");
    let kept = store()?.import(&args.file, &name, args.sha256.as_deref(), &mut bar);
    bar.end();
    told(&kept.map_err(failure)?);
    Ok(Exit::Done)
}

fn told(kept: &Kept) {
    let known = if kept.facts.was_known { "as expected" } else { "nobody said beforehand what it should be" };
    let next = match codetether_local::HAS_ENGINE {
        true => format!("`codetether run -m local/{} \"…\"` asks it", kept.name),
        false => codetether_local::NO_ENGINE.to_owned(),
    };
    printer::err(&format!(
        "{} is here: {}\nSHA-256 {} ({known})\n{next}\n",
        kept.name,
        kept.path.display(),
        kept.facts.sha256
    ));
}

pub(super) fn verify(name: Option<&str>) -> Result<Exit, Failure> {
    let store = store()?;
    let names = match name {
        Some(name) => vec![store.find(name).map_err(failure)?.name],
        None => store.list().map_err(failure)?.into_iter().map(|kept| kept.name).collect(),
    };
    if names.is_empty() {
        printer::err("there are no models here\n");
    }
    let mut changed = false;
    for name in names {
        let mut bar = Bar::new("read");
        let verified = store.verify(&name, &mut bar);
        bar.end();
        let line = match verified.map_err(failure)? {
            Verified::Same => format!("ok       {name}\n"),
            Verified::Changed { found } => {
                changed = true;
                format!("CHANGED  {name}: SHA-256 is {found} now\n")
            }
        };
        printer::out(&line)?;
    }
    if changed {
        return Err(Failure::with_help(
            Exit::Failed,
            "a model's file is not what it was when it came",
            "`codetether models remove NAME`, then `models pull NAME`",
        ));
    }
    Ok(Exit::Done)
}

pub(super) fn remove(name: &str) -> Result<Exit, Failure> {
    let freed = store()?.remove(name).map_err(failure)?;
    printer::err(&format!("removed: {} are free again\n", size(freed)));
    Ok(Exit::Done)
}

/// Those that are here, then those that are known and not here.
pub(super) fn list(as_json: bool) -> Result<Exit, Failure> {
    let store = store()?;
    let kept = store.list().map_err(failure)?;
    let missing =
        codetether_weights::CATALOGUE.iter().filter(|entry| kept.iter().all(|kept| kept.name != entry.name));
    let mut text = String::new();
    if as_json {
        for kept in &kept {
            let row = json!({
                "model": format!("local/{}", kept.name), "here": true, "bytes": kept.facts.bytes,
                "sha256": kept.facts.sha256, "source": kept.facts.source, "path": kept.path,
            });
            text.push_str(&format!("{row}\n"));
        }
        for entry in missing {
            let row = json!({
                "model": format!("local/{}", entry.name), "here": false, "bytes": entry.bytes,
                "sha256": entry.sha256, "licence": entry.licence, "memory": entry.memory,
            });
            text.push_str(&format!("{row}\n"));
        }
    } else {
        let line = |name: &str, bytes: u64, here: &str, what: &str| {
            let line = format!("{:<36} {:>8}  {here:<8}  {what}", format!("local/{name}"), size(bytes));
            format!("{}\n", line.trim_end())
        };
        for kept in &kept {
            let what = entry(&kept.name).map_or("", |entry| entry.note);
            text.push_str(&line(&kept.name, kept.facts.bytes, "here", what));
        }
        for entry in missing {
            text.push_str(&line(entry.name, entry.bytes, "to fetch", entry.note));
        }
        printer::err("`codetether models pull NAME` fetches one\n");
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

pub(super) fn show(name: &str, as_json: bool) -> Result<Exit, Failure> {
    let kept = match store()?.find(name) {
        Err(Error::Missing(name)) => return missing(&name, as_json),
        found => found.map_err(failure)?,
    };
    let head = kept.head().map_err(failure)?;
    let text = if as_json { format!("{}\n", as_value(&kept, &head)) } else { shown(&kept, &head) };
    printer::out(&text)?;
    Ok(Exit::Done)
}

/// What is known of one that is not here.
fn missing(name: &str, as_json: bool) -> Result<Exit, Failure> {
    let Some(entry) = entry(name) else { return Err(failure(Error::Missing(name.to_owned()))) };
    let sources: Vec<String> = entry.sources.iter().map(codetether_weights::Source::describe).collect();
    if as_json {
        let value = json!({
            "model": format!("local/{name}"), "here": false, "title": entry.title, "note": entry.note,
            "licence": entry.licence, "bytes": entry.bytes, "sha256": entry.sha256, "memory": entry.memory,
            "sources": sources,
        });
        printer::out(&format!("{value}\n"))?;
        return Ok(Exit::Done);
    }
    let mut text = format!("local/{name}\n");
    let mut line = |key: &str, value: &str| text.push_str(&format!("  {key:<13}{value}\n"));
    line("", "not here: `codetether models pull` fetches it");
    line("title", entry.title);
    line("good for", entry.note);
    line("licence", entry.licence);
    line("size", &size(entry.bytes));
    line("memory", &format!("about {}", size(entry.memory)));
    line("SHA-256", entry.sha256);
    for source in sources {
        line("source", &source);
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

/// Bytes that it takes to run with a context of [`CONTEXT`] tokens: what was measured, or the file and half of it again,
/// since weights are laid out anew beside it.
fn memory(kept: &Kept, head: &Head) -> u64 {
    let weights = kept.facts.bytes.saturating_add(kept.facts.bytes / 2);
    let measured = entry(&kept.name).map(|entry| entry.memory);
    measured.unwrap_or_else(|| {
        weights.saturating_add(head.context_bytes.unwrap_or_default().saturating_mul(CONTEXT))
    })
}

fn shown(kept: &Kept, head: &Head) -> String {
    let mut text = format!("local/{}\n", kept.name);
    let mut line =
        |key: &str, value: String| text.push_str(&format!("  {key:<13}{}\n", printer::plain(&value)));
    let entry = entry(&kept.name);
    if let Some(name) = entry.map(|entry| entry.title.to_owned()).or_else(|| head.name.clone()) {
        line("title", name);
    }
    if let Some(entry) = entry {
        line("good for", entry.note.into());
        line("licence", entry.licence.into());
    }
    line("architecture", head.architecture.clone());
    line("quantisation", head.quantisation.clone());
    line("parameters", format!("{:.2} billion in {} tensors", head.parameters as f64 / 1e9, head.tensors));
    let number = |number: Option<u64>, unit: &str| number.map_or("unknown".into(), |n| format!("{n} {unit}"));
    line("context", number(head.context, "tokens"));
    line("vocabulary", number(head.vocabulary, "tokens"));
    let template =
        head.template.as_ref().map_or("none: ChatML is used".into(), |text| format!("{} bytes", text.len()));
    line("template", template);
    line("size", size(kept.facts.bytes));
    line("memory", format!("about {} with {CONTEXT} tokens", size(memory(kept, head))));
    line("SHA-256", kept.facts.sha256.clone());
    line("source", kept.facts.source.clone());
    line("file", kept.path.display().to_string());
    text
}

fn as_value(kept: &Kept, head: &Head) -> serde_json::Value {
    let entry = entry(&kept.name);
    json!({
        "model": format!("local/{}", kept.name), "here": true,
        "title": entry.map(|entry| entry.title).or(head.name.as_deref()),
        "note": entry.map(|entry| entry.note), "licence": entry.map(|entry| entry.licence),
        "architecture": head.architecture, "quantisation": head.quantisation, "parameters": head.parameters,
        "context": head.context, "vocabulary": head.vocabulary, "template": head.template,
        "bytes": kept.facts.bytes, "memory": memory(kept, head), "sha256": kept.facts.sha256,
        "was_known": kept.facts.was_known, "source": kept.facts.source, "path": kept.path,
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} KB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// How far it has come: one line again and again at a terminal, elsewhere a line each tenth.
struct Bar {
    what: &'static str,
    terminal: bool,
    begun: Instant,
    /// Bytes that were there when it began.
    first: Option<u64>,
    drawn: Option<Instant>,
    tenth: u64,
}

impl Bar {
    const WIDTH: usize = 24;

    fn new(what: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { what, terminal, begun: Instant::now(), first: None, drawn: None, tenth: 0 }
    }

    fn end(&mut self) {
        if self.drawn.take().is_some() {
            printer::err("\r\x1b[2K");
        }
    }
}

impl Watch for Bar {
    fn progress(&mut self, Progress { done, total }: Progress) {
        let first = *self.first.get_or_insert(done);
        let of = total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
        let tenth = total.map_or(0, |total| done.saturating_mul(10) / total.max(1));
        if !self.terminal {
            if tenth > self.tenth {
                self.tenth = tenth;
                printer::err(&format!("{} {}{of}\n", self.what, size(done)));
            }
            return;
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < Duration::from_millis(100)) && Some(done) != total
        {
            return;
        }
        self.drawn = Some(Instant::now());
        let took = self.begun.elapsed().as_secs_f64().max(0.001);
        let speed = (done - first.min(done)) as f64 / took;
        let filled = total.map_or(0, |total| done.saturating_mul(Self::WIDTH as u64) / total.max(1));
        let bar = "#".repeat(usize::try_from(filled).unwrap_or_default().min(Self::WIDTH));
        let left = total.filter(|_| speed > 0.0).map(|total| (total.saturating_sub(done)) as f64 / speed);
        let left = left.map(|left| format!(", {left:.0} s left")).unwrap_or_default();
        printer::err(&format!(
            "\r\x1b[2K[{bar:<width$}] {}{of}, {:.1} MB/s{left}",
            size(done),
            speed / 1e6,
            width = Self::WIDTH
        ));
    }

    fn note(&mut self, text: &str) {
        self.end();
        printer::err(&format!("note: {}\n", printer::plain(text)));
    }
}
