//! Which endpoint answers for a model: rows of settings, and the vendors' own endpoints, which need none.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codetether_agent::FindProvider;
use codetether_config::{Model, Privacy, Provider as Row, Settings, ToolCalls as RowToolCalls, Wire};
use codetether_event::ModelId;
use codetether_keys::{KeyError, KeyFile, Keys, Place, Wanted};
use codetether_provider::vendors::{self, VENDORS, Vendor};
use codetether_provider::{Anthropic, Cassettes, Gemini, OpenAiChat, OpenAiResponses, Provider, ToolCalls};
use codetether_secret::Secret;

use crate::exit::{Exit, Failure};
use crate::{keys, place};

/// The other address that the environment gives.
fn other_base(vendor: &Vendor, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    vendor.bases.iter().find_map(|name| variable(name)).map(|value| vendor.address(&value))
}

/// The name of the variable that holds the key, or that would; none for servers that want no key.
fn key_variable(vendor: &Vendor, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let set = vendor.keys.iter().find(|name| variable(name).is_some());
    set.or_else(|| vendor.keys.first()).map(|name| (*name).to_owned())
}

fn wire_of(vendor: &Vendor) -> Wire {
    match vendor.wire {
        vendors::Wire::OpenAiChat => Wire::OpenAiChat,
        vendors::Wire::Anthropic => Wire::Anthropic,
        vendors::Wire::Gemini => Wire::Gemini,
    }
}

/// The ways to get a model, for those who have none yet.
const WAYS: &str = "either set `OPENAI_API_KEY` and choose a model with `-m openai/MODEL`,
or set `ANTHROPIC_API_KEY` and choose one with `-m anthropic/MODEL`,
or set `GEMINI_API_KEY` and choose one with `-m google/MODEL`,
or keep a key with `codetether auth login openai` (or in Vault: `VAULT_ADDR`),
or point `OPENAI_BASE_URL` at any OpenAI-compatible server (one on this machine needs no key),
or run a small one on this machine: `codetether models pull qwen2.5-coder-1.5b-instruct`, then add `--local`,
or describe an endpoint in the settings file: `[providers.NAME]` with `base_url` and `key_env`, and use `-m NAME/MODEL`";

/// Where a model is asked, and with which key.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) base_url: String,
    pub(crate) key: Option<Secret>,
    /// The engine, where the model is inside this program.
    pub(crate) embedded: Option<codetether_local::Place>,
    wire: Wire,
    row: Row,
}

/// The provider of models on this machine.
const LOCAL: &str = "local";

/// Whether this is the program's own provider, and not a row of the user's that is called so.
fn is_local(rows: &BTreeMap<String, Row>, name: &str) -> bool {
    name == LOCAL && !rows.contains_key(LOCAL)
}

/// What local models have on the disk: their files, and the states that are kept of them.
struct DataFiles {
    store: codetether_weights::Store,
    states: std::path::PathBuf,
}

fn data_files() -> Result<DataFiles, Failure> {
    let data = place::data_dir()?;
    Ok(DataFiles { store: codetether_weights::Store::new(data.join("models")), states: data.join("states") })
}

/// Finds the engine of a model on this machine. Starts nothing.
fn local(model: &ModelId) -> Result<codetether_local::Place, Missing> {
    let missing = |message: String, help: &str| Missing { message, help: help.to_owned() };
    if !codetether_local::HAS_ENGINE {
        let message = format!("`{model}` cannot be asked: this build has no engine for local models");
        return Err(missing(message, codetether_local::NO_ENGINE));
    }
    let files =
        data_files().map_err(|failure| missing(failure.message(), "set `HOME` to your home folder"))?;
    let kept = files.store.find(model.model()).map_err(|error| Missing {
        message: error.to_string(),
        help: match error {
            codetether_weights::Error::Missing(name) => {
                format!("`codetether models pull {name}` fetches it, once")
            }
            _ => "`codetether models list --local` says which there are".to_owned(),
        },
    })?;
    Ok(codetether_local::Place {
        // Also where the file was replaced meanwhile.
        program: "/proc/self/exe".into(),
        run: place::run_dir(),
        kept: files.states,
        model: kept.path,
    })
}

/// The best model that is on this machine, inside this program: those known by name first, as the catalogue has them.
pub(crate) fn best_embedded() -> Result<Model, Failure> {
    embedded()?.ok_or_else(|| {
        let best = codetether_weights::CATALOGUE.first().map(|entry| entry.name).unwrap_or_default();
        Failure::with_help(
            Exit::Usage,
            "no model is on this machine yet",
            format!("`codetether models pull {best}` fetches one, once; `codetether models list --local` says which there are"),
        )
    })
}

/// The same; nothing where there is none.
fn embedded() -> Result<Option<Model>, Failure> {
    let kept = data_files()?.store.list().map_err(crate::commands::models::files::failure)?;
    let rank = |name: &str| {
        let entries = codetether_weights::CATALOGUE;
        entries.iter().position(|entry| entry.name == name).unwrap_or(entries.len())
    };
    let best = kept.into_iter().min_by_key(|kept| (rank(&kept.name), std::cmp::Reverse(kept.facts.bytes)));
    Ok(best.and_then(|kept| format!("{LOCAL}/{}", kept.name).parse().ok()))
}

/// Checks, before anything is written, that the model's endpoint is known and its key there.
pub(crate) fn check(settings: &Settings, model: &ModelId, cassettes: &Cassettes) -> Result<Found, Failure> {
    let keys = keys::of(settings);
    let found = find(&settings.providers, model, &keys::variable, &|wanted| key(keys, wanted, cassettes))
        .map_err(|problem| Failure::with_help(Exit::Usage, problem.message, problem.help))?;
    check_private(settings, model, &found)?;
    check_offered(settings, model)?;
    Ok(found)
}

/// A model that is not in the user's own list of what its endpoint offers is a slip.
fn check_offered(settings: &Settings, model: &ModelId) -> Result<(), Failure> {
    let name = model.provider();
    let Some(offered) = settings.providers.get(name).and_then(|row| row.models.as_ref()) else {
        return Ok(());
    };
    if offered.0.iter().any(|offered| offered == model.model()) {
        return Ok(());
    }
    let ids: Vec<ModelId> = offered.0.iter().map(|id| ModelId::new(format!("{name}/{id}"))).collect();
    let mut near = codetether_provider::nearest(model, &ids);
    near.retain(|near| ids.contains(near));
    let hint = match near.is_empty() {
        false => did_you_mean(&near),
        true => {
            let ids: Vec<String> = ids.iter().take(6).map(|id| format!("`{id}`")).collect();
            format!("it offers {}", ids.join(", "))
        }
    };
    Err(Failure::with_help(
        Exit::Usage,
        format!("`{name}` offers no model `{}`", model.model()),
        format!("{hint}; or add it to `models` of `[providers.{name}]`"),
    ))
}

/// A question that names models.
pub(crate) fn did_you_mean(near: &[ModelId]) -> String {
    let near: Vec<String> = near.iter().map(|near| format!("`{near}`")).collect();
    format!("did you mean {}?", near.join(" or "))
}

/// Checks that the endpoint of a model that may be asked later is known. Its key is looked for only then.
pub(crate) fn check_known(settings: &Settings, model: &ModelId) -> Result<(), Failure> {
    let unasked = |_: &Wanted<'_>| Ok(Some(Secret::from("none".to_owned())));
    let found = find(&settings.providers, model, &keys::variable, &unasked)
        .map_err(|problem| Failure::with_help(Exit::Usage, problem.message, problem.help))?;
    check_private(settings, model, &found)?;
    check_offered(settings, model)
}

/// With `privacy = "local"` nothing is asked but models on this machine.
fn check_private(settings: &Settings, model: &ModelId, found: &Found) -> Result<(), Failure> {
    let private = found.is_private_enough(settings.privacy, model);
    private.map_err(|problem| Failure::with_help(
        Exit::Usage,
        problem,
        "choose one with `-m`: of this program's own (`local/…`, see `codetether models list --local`) or of a server on \
         this machine; or set `privacy = \"any\"`",
    ))
}

impl Found {
    /// What is against asking there, if anything is.
    fn is_private_enough(&self, privacy: Privacy, model: &ModelId) -> Result<(), String> {
        let here = self.embedded.is_some() || codetether_net::is_loopback(&self.base_url);
        match here || privacy == Privacy::Any {
            true => Ok(()),
            false => Err(format!("`{model}` is no model of this machine, and `privacy` is `local`")),
        }
    }
}

/// Whether this is a model inside this program.
pub(crate) fn is_embedded(settings: &Settings, model: &ModelId) -> bool {
    is_local(&settings.providers, model.provider())
}

/// A provider to ask which models it offers.
pub(crate) fn reach(settings: &Settings, name: &str) -> Result<Arc<dyn Provider>, String> {
    if is_local(&settings.providers, name) {
        return Err("models on this machine are listed by `codetether models list --local`".to_owned());
    }
    let (keys, cassettes) = (keys::of(settings), Cassettes::default());
    let any = ModelId::new(format!("{name}/any"));
    let found = find(&settings.providers, &any, &keys::variable, &|wanted| key(keys, wanted, &cassettes));
    provider(name, found.map_err(|missing| missing.message)?, &cassettes)
}

/// Whether there is an endpoint of this name.
pub(crate) fn is_known(settings: &Settings, name: &str) -> bool {
    settings.providers.contains_key(name) || VENDORS.iter().any(|vendor| vendor.name == name)
}

/// The providers that someone set up: they have a row in the settings, a model of theirs is chosen there, the
/// environment has their address or key, or `keys.toml` has it.
pub(crate) fn set_up(settings: &Settings) -> Result<Vec<String>, Failure> {
    let kept = keys::of(settings).file().map(KeyFile::names).transpose()?.unwrap_or_default();
    let chosen = settings.model.iter().chain(&settings.fallback).map(|model| model.provider());
    let set = |names: &[&str]| names.iter().any(|name| keys::variable(name).is_some());
    // Where there is no usual model, the key is there for other things too.
    let has_key = |vendor: &Vendor| vendor.default.is_some() && set(vendor.keys);
    let vendors = VENDORS.iter().filter(|vendor| set(vendor.bases) || has_key(vendor));
    let rows = settings.providers.keys().map(String::as_str);
    let named = rows.chain(vendors.map(|vendor| vendor.name)).chain(chosen);
    let mut names: Vec<String> = named.map(str::to_owned).chain(kept).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The key of an endpoint. Where cassettes answer none is looked for, and what stands for it is sent to nobody.
fn key(keys: &Keys, wanted: &Wanted<'_>, cassettes: &Cassettes) -> Result<Option<Secret>, KeyError> {
    if cassettes.is_replay() {
        return Ok(Some(Secret::from("none".to_owned())));
    }
    Ok(keys.find(wanted)?.map(|found| found.secret))
}

/// The model of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) model: ModelId,
    /// Why it is this one, where nobody chose it.
    pub(crate) note: Option<String>,
}

/// The model of the settings; where they name none, the first vendor's of the table whose key is in the environment or
/// in `keys.toml`. Sources that may be slow or raise a question (Vault, the keyring, commands) are not asked.
pub(crate) fn chosen(settings: &Settings) -> Result<Chosen, Failure> {
    let main = settings.tiers.main.as_ref().filter(|_| settings.routes()).map(codetether_config::Model::id);
    if let Some(model) = main.or_else(|| settings.model.clone()) {
        return Ok(Chosen { model, note: None });
    }
    let kept = keys::of(settings).file().map(KeyFile::names).transpose()?.unwrap_or_default();
    if let Some(usual) = usual(&settings.providers, &keys::variable, &kept) {
        return Ok(usual);
    }
    // Without a key there may still be a model.
    let embedded = if codetether_local::HAS_ENGINE { embedded()? } else { None };
    let embedded = embedded.map(|model| {
        let model = model.id();
        let note = Some(format!("no model chosen, and no key: using `{model}` on this machine"));
        Chosen { model, note }
    });
    embedded.ok_or_else(|| Failure::with_help(Exit::Usage, "no model is chosen", WAYS))
}

fn usual(
    rows: &BTreeMap<String, Row>,
    variable: &dyn Fn(&str) -> Option<String>,
    kept: &[String],
) -> Option<Chosen> {
    VENDORS.iter().find_map(|vendor| {
        let model = format!("{}/{}", vendor.name, vendor.default?);
        let named = rows.get(vendor.name).and_then(|row| row.key_env.clone());
        let set = named.or_else(|| key_variable(vendor, variable)).filter(|name| variable(name).is_some());
        let why = match set {
            Some(name) => format!("`{name}` is set"),
            None if kept.iter().any(|name| name == vendor.name) => {
                format!("a key of `{}` is in `keys.toml`", vendor.name)
            }
            None => return None,
        };
        let note = Some(format!("no model chosen: using `{model}` because {why}"));
        Some(Chosen { model: ModelId::new(model), note })
    })
}

/// Where a model that came without its provider could be asked: at those whose keys are set, or else at the best known.
pub(crate) fn where_to_ask(model: &str) -> String {
    if VENDORS.iter().any(|vendor| vendor.name == model) {
        return is_provider(model);
    }
    let has_key = |vendor: &&Vendor| vendor.keys.iter().any(|name| keys::variable(name).is_some());
    let mut names: Vec<&str> = VENDORS.iter().filter(has_key).map(|vendor| vendor.name).collect();
    if names.is_empty() {
        names = VENDORS.iter().take(4).map(|vendor| vendor.name).chain(["ollama"]).collect();
    }
    let model: String = model.chars().take(80).collect();
    let known = knowing(&model);
    if !known.is_empty() {
        names = known;
    }
    let ways: Vec<String> = names.iter().take(6).map(|name| format!("`{name}/{model}`")).collect();
    format!("write it with its provider, such as {}", ways.join(", "))
}

/// What to write where a provider was named in the place of a model.
pub(crate) fn is_provider(name: &str) -> String {
    format!(
        "`{name}` is a provider: write `{name}/MODEL`, such as `codetether models list --provider {name}` lists"
    )
}

/// The vendors whose model of this name is known, those whose keys are set first.
fn knowing(model: &str) -> Vec<&'static str> {
    let id = |vendor: &&Vendor| ModelId::new(format!("{}/{model}", vendor.name));
    let mut known: Vec<&Vendor> =
        VENDORS.iter().filter(|vendor| codetether_provider::facts(&id(vendor)).is_some()).collect();
    known.sort_by_key(|vendor| vendor.keys.iter().all(|name| keys::variable(name).is_none()));
    known.into_iter().map(|vendor| vendor.name).collect()
}

/// Finds providers by these settings; each is made once, so that its connections are shared.
pub(crate) fn finder(settings: &Settings, cassettes: Cassettes) -> Arc<FindProvider> {
    let (rows, keys, privacy) = (settings.providers.clone(), keys::of(settings), settings.privacy);
    let made: Mutex<HashMap<String, Arc<dyn Provider>>> = Mutex::default();
    Arc::new(move |model| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        // Each local model has a process of its own.
        let is_local = is_local(&rows, model.provider());
        let name = if is_local { model.as_str() } else { model.provider() };
        if let Some(provider) = made.get(name) {
            return Ok(provider.clone());
        }
        if is_local {
            let place = local(model).map_err(|missing| missing.message)?;
            let provider: Arc<dyn Provider> = Arc::new(codetether_local::Local::new(place));
            made.insert(name.to_owned(), provider.clone());
            return Ok(provider);
        }
        let key = |wanted: &Wanted<'_>| key(keys, wanted, &cassettes);
        let found = find(&rows, model, &keys::variable, &key).map_err(|problem| problem.message)?;
        // Here, too, since an agent that a child is may name a model of its own.
        found.is_private_enough(privacy, model)?;
        let provider = provider(model.provider(), found, &cassettes)?;
        made.insert(model.provider().to_owned(), provider.clone());
        Ok(provider)
    })
}

/// All that is secret here as far as is known: the keys of every endpoint, and headers and variables whose names speak
/// of a secret.
pub(crate) fn secrets(settings: &Settings) -> Vec<Secret> {
    let keys = settings.providers.values().filter_map(|row| env::var(row.key_env.as_ref()?).ok());
    let headers = settings.providers.values().flat_map(|row| &row.headers);
    let headers =
        headers.filter(|(name, _)| codetether_sandbox::is_secret_name(name)).map(|(_, value)| value.clone());
    let variables = codetether_sandbox::secrets(env::vars_os());
    let values = keys.chain(headers).chain(variables);
    values.map(|value| Secret::from(value.trim().to_owned())).collect()
}

/// A provider that settings or vendors make known, and by what its key is looked for.
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) variable: Option<String>,
    pub(crate) place: Place,
    /// Whether it is worth a line where it has no key: it is in the settings, or one of the best known.
    pub(crate) matters: bool,
    command: Option<String>,
}

impl Endpoint {
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            provider: &self.name,
            variable: self.variable.as_deref(),
            command: self.command.as_deref(),
            place: self.place,
        }
    }
}

/// Every provider that is known, by name.
pub(crate) fn endpoints(settings: &Settings) -> Vec<Endpoint> {
    let names = settings.providers.keys().map(String::as_str).chain(VENDORS.iter().map(|vendor| vendor.name));
    let names: std::collections::BTreeSet<&str> = names.collect();
    let endpoint = |name: &str| {
        let vendor = VENDORS.iter().find(|vendor| vendor.name == name);
        let row = settings.providers.get(name).cloned().unwrap_or_default();
        let base = row
            .base_url
            .or_else(|| vendor.and_then(|vendor| other_base(vendor, &keys::variable)))
            .or_else(|| vendor.map(|vendor| vendor.base_url.to_owned()));
        Endpoint {
            name: name.to_owned(),
            variable: row.key_env.or_else(|| vendor.and_then(|vendor| key_variable(vendor, &keys::variable))),
            place: base.map_or(Place::Remote, |base| place(&base)),
            matters: settings.providers.contains_key(name)
                || VENDORS.iter().take(4).any(|vendor| vendor.name == name),
            command: row.key_command,
        }
    };
    names.into_iter().map(endpoint).collect()
}

fn place(base_url: &str) -> Place {
    if codetether_net::is_loopback(base_url) { Place::Local } else { Place::Remote }
}

fn provider(name: &str, found: Found, cassettes: &Cassettes) -> Result<Arc<dyn Provider>, String> {
    let client = codetether_net::client(&found.base_url).map_err(|error| error.to_string())?;
    let client = cassettes.over(client);
    let endpoint = codetether_provider::Endpoint {
        name: name.to_owned(),
        base_url: found.base_url,
        key: found.key,
        headers: found.row.headers.into_iter().collect(),
        idle_timeout: found.row.idle_timeout.map(Duration::from),
        total_timeout: found.row.total_timeout.map(Duration::from),
        strict_tools: found.row.strict_tools,
    };
    let tool_calls = match found.row.tool_calls.unwrap_or_default() {
        RowToolCalls::Native => ToolCalls::Native,
        RowToolCalls::Schema => ToolCalls::Schema,
    };
    Ok(match found.wire {
        Wire::OpenAiChat => Arc::new(OpenAiChat::new(&endpoint, tool_calls, client)),
        Wire::OpenAiResponses => Arc::new(OpenAiResponses::new(&endpoint, client)),
        Wire::Anthropic => Arc::new(Anthropic::new(&endpoint, client)),
        Wire::Gemini => Arc::new(Gemini::new(&endpoint, client)),
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Missing {
    message: String,
    help: String,
}

fn find(
    rows: &BTreeMap<String, Row>,
    model: &ModelId,
    variable: &dyn Fn(&str) -> Option<String>,
    key: &dyn Fn(&Wanted<'_>) -> Result<Option<Secret>, KeyError>,
) -> Result<Found, Missing> {
    let name = model.provider();
    if is_local(rows, name) {
        let embedded = Some(local(model)?);
        let base_url = "this machine".to_owned();
        return Ok(Found { base_url, key: None, embedded, wire: Wire::OpenAiChat, row: Row::default() });
    }
    let vendor = VENDORS.iter().find(|vendor| vendor.name == name);
    let mut row = rows.get(name).cloned();
    if let Some(vendor) = vendor {
        let usual = || Some(vendor.base_url).filter(|url| !url.is_empty());
        let row = row.get_or_insert_default();
        row.base_url = row
            .base_url
            .take()
            .or_else(|| other_base(vendor, variable))
            .or_else(|| usual().map(str::to_owned));
        row.key_env = row.key_env.take().or_else(|| key_variable(vendor, variable));
        row.wire.get_or_insert(wire_of(vendor));
    }
    let Some(row) = row else {
        // Some vendors' own names of models begin as if with a provider's.
        let whole = knowing(model.as_str()).into_iter().map(|vendor| format!("`{vendor}/{model}`"));
        let near = near(rows, name).into_iter().map(|near| format!("`{near}/{}`", model.model()));
        let near: Vec<String> = whole.chain(near).take(3).collect();
        let there = there(rows, variable);
        let help = match (near.is_empty(), there.is_empty()) {
            (false, _) => format!("did you mean {}?", near.join(" or ")),
            (true, false) => format!(
                "set up here: {}; `[providers.{name}]` with a `base_url` in the settings makes another known",
                there.join(", ")
            ),
            (true, true) => {
                let names: Vec<&str> = VENDORS.iter().map(|vendor| vendor.name).collect();
                format!("{WAYS};\nknown without settings: {}", names.join(", "))
            }
        };
        return Err(Missing { message: format!("there is no provider `{name}`"), help });
    };
    let wire = row.wire.unwrap_or_default();
    let native = match wire {
        Wire::OpenAiChat => None,
        Wire::OpenAiResponses => Some("openai-responses"),
        Wire::Anthropic => Some("anthropic"),
        Wire::Gemini => Some("gemini"),
    };
    if let Some(wire) = native.filter(|_| row.tool_calls == Some(RowToolCalls::Schema)) {
        return Err(Missing {
            message: format!("provider `{name}` cannot call tools by `schema` over the wire `{wire}`"),
            help: format!(
                "leave `tool_calls` out of `[providers.{name}]`, or set its `wire` to `openai-chat`"
            ),
        });
    }
    if row.strict_tools == Some(true) && row.tool_calls == Some(RowToolCalls::Schema) {
        return Err(Missing {
            message: format!("provider `{name}` has no strict tools where tools are called by `schema`"),
            help: format!(
                "leave `strict_tools` or `tool_calls` out of `[providers.{name}]`: by `schema`, each call is held to \
                 its tool's schema as it is"
            ),
        });
    }
    let Some(base_url) = row.base_url.clone() else {
        return Err(Missing {
            message: format!("provider `{name}` has no address"),
            help: match vendor.and_then(|vendor| vendor.bases.first()) {
                Some(base) => format!("set `{base}`, or add `base_url` to `[providers.{name}]`"),
                None => format!("add `base_url` to `[providers.{name}]`"),
            },
        });
    };
    let wanted = Wanted {
        provider: name,
        variable: row.key_env.as_deref(),
        command: row.key_command.as_deref(),
        place: place(&base_url),
    };
    let key = key(&wanted).map_err(|error| Missing {
        message: error.to_string(),
        help: "`codetether auth status` shows where keys are looked for, and what is wrong there".into(),
    })?;
    match (&key, &row.key_env) {
        (None, Some(key_env)) if !codetether_net::is_loopback(&base_url) => Err(Missing {
            message: format!("there is no key for provider `{name}`: `{key_env}` is not set"),
            help: match vendor {
                Some(vendor) if WAYS.contains(&format!(" {}/MODEL", vendor.name)) => WAYS.to_owned(),
                _ => format!(
                    "set `{key_env}` to the provider's key, or keep it with `codetether auth login {name}`"
                ),
            },
        }),
        _ => Ok(Found { base_url, key, embedded: None, wire, row }),
    }
}

/// The providers that the settings describe, or whose keys or addresses are in the environment.
fn there(rows: &BTreeMap<String, Row>, variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |vendor: &&Vendor| vendor.keys.iter().chain(vendor.bases).any(|name| variable(name).is_some());
    let vendors = VENDORS.iter().filter(set).map(|vendor| vendor.name);
    let mut names: Vec<String> = Vec::new();
    for name in rows.keys().map(String::as_str).chain(vendors) {
        let name = format!("`{name}`");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Up to three providers whose names are like this one, the likest first.
fn near<'a>(rows: &'a BTreeMap<String, Row>, name: &str) -> Vec<&'a str> {
    let known = rows.keys().map(String::as_str).chain(VENDORS.iter().map(|vendor| vendor.name));
    let mut near: Vec<(f64, &str)> = known.map(|known| (strsim::jaro(known, name), known)).collect();
    near.retain(|(likeness, _)| *likeness > 0.8);
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.dedup();
    near.into_iter().take(3).map(|(_, near)| near).collect()
}

/// Why there is nobody to keep a key for, with what may have been meant.
pub(crate) fn no_provider(settings: &Settings, name: &str) -> Failure {
    let near: Vec<String> = near(&settings.providers, name).iter().map(|near| format!("`{near}`")).collect();
    let name: String = name.chars().take(80).collect();
    let help = match near.is_empty() {
        false => format!("did you mean {}?", near.join(" or ")),
        true => {
            let names: Vec<&str> = VENDORS.iter().map(|vendor| vendor.name).collect();
            format!("known without settings: {}", names.join(", "))
        }
    };
    let help = format!("{help}; `[providers.NAME]` with a `base_url` in the settings makes another known");
    Failure::with_help(Exit::Usage, format!("there is no provider `{}`", crate::printer::plain(&name)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(
        model: &str,
        row: Option<(&str, Row)>,
        variables: &[(&str, &str)],
    ) -> Result<(String, bool), String> {
        let rows = row.into_iter().map(|(name, row)| (name.to_owned(), row)).collect();
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let key = |wanted: &Wanted<'_>| Ok(wanted.variable.and_then(variable).map(Secret::from));
        find(&rows, &ModelId::new(model), &variable, &key)
            .map(|found| (found.base_url, found.key.is_some()))
            .map_err(|missing| format!("{} | {}", missing.message, missing.help))
    }

    #[test]
    fn vendors_need_no_settings() {
        for vendor in VENDORS {
            let model = format!("{}/x", vendor.name);
            for key in vendor.keys.iter().filter(|_| !vendor.base_url.is_empty()) {
                assert_eq!(look(&model, None, &[(key, "sk-1")]), Ok((vendor.base_url.into(), true)));
            }
            if vendor.keys.is_empty() {
                assert_eq!(look(&model, None, &[]), Ok((vendor.base_url.into(), false)));
            }
            for base in vendor.bases {
                let local = (*base, "http://127.0.0.1:8080/v1");
                assert_eq!(look(&model, None, &[local]), Ok((local.1.into(), false)));
            }
            let local = (*vendor.bases.first().unwrap_or(&"NONE"), "http://127.0.0.1:8080/v1");
            let own = Row { base_url: Some("http://localhost:1".into()), ..Row::default() };
            let found = look(&model, Some((vendor.name, own)), &[local]);
            assert_eq!(found, Ok(("http://localhost:1".into(), false)), "settings outrank variables");
        }
    }

    #[test]
    fn a_vendor_speaks_its_own_wire_and_all_others_what_their_row_says() {
        let base_url = || Some("http://localhost:1".into());
        let wire = |model: &str, wire: Option<Wire>| {
            let rows =
                BTreeMap::from([("h".to_owned(), Row { base_url: base_url(), wire, ..Row::default() })]);
            let key = |_: &Wanted<'_>| Ok(Some(Secret::from("sk-1".to_owned())));
            find(&rows, &ModelId::new(model), &|_| None, &key).map(|found| found.wire)
        };
        assert_eq!(wire("openai/x", None), Ok(Wire::OpenAiChat));
        assert_eq!(wire("anthropic/x", None), Ok(Wire::Anthropic));
        assert_eq!(wire("google/x", None), Ok(Wire::Gemini));
        assert_eq!(wire("h/x", None), Ok(Wire::OpenAiChat));
        assert_eq!(wire("h/x", Some(Wire::Anthropic)), Ok(Wire::Anthropic));
    }

    #[test]
    fn calls_by_schema_over_a_wire_that_has_none_are_refused() {
        for (wire, name) in [(Wire::Anthropic, "anthropic"), (Wire::OpenAiResponses, "openai-responses")] {
            let row = Row {
                base_url: Some("http://localhost:1".into()),
                wire: Some(wire),
                tool_calls: Some(RowToolCalls::Schema),
                ..Row::default()
            };
            let text = look("h/x", Some(("h", row)), &[]).unwrap_err();
            assert!(text.contains(&format!("over the wire `{name}` | leave `tool_calls` out")), "{text}");
        }
    }

    #[test]
    fn strict_tools_that_are_called_by_schema_are_refused() {
        let row = |strict| Row {
            base_url: Some("http://localhost:1".into()),
            tool_calls: Some(RowToolCalls::Schema),
            strict_tools: Some(strict),
            ..Row::default()
        };
        let text = look("h/x", Some(("h", row(true))), &[]).unwrap_err();
        assert!(text.contains("no strict tools") && text.contains("out of `[providers.h]`"), "{text}");
        assert!(look("h/x", Some(("h", row(false))), &[]).is_ok());
    }

    #[test]
    fn a_missing_key_or_endpoint_shows_the_ways() {
        let text = look("openai/x", None, &[]).unwrap_err();
        assert!(
            text.starts_with("there is no key for provider `openai`") && text.contains("OPENAI_BASE_URL"),
            "{text}"
        );
        let text = look("nobody/x", None, &[]).unwrap_err();
        assert!(text.contains("no provider `nobody`") && text.contains("[providers.NAME]"), "{text}");
        assert!(look("opnai/x", None, &[]).unwrap_err().contains("did you mean `openai/x`?"));
        assert!(look("antropic/x", None, &[]).unwrap_err().contains("did you mean `anthropic/x`?"));
        let remote =
            Row { base_url: Some("https://h/v1".into()), key_env: Some("H_KEY".into()), ..Row::default() };
        assert!(look("h/x", Some(("h", remote)), &[]).unwrap_err().contains("`H_KEY` is not set"));
        assert!(look("h/x", Some(("h", Row::default())), &[]).unwrap_err().contains("has no address"));
    }

    #[test]
    fn the_first_vendor_with_a_key_gives_the_model_where_none_is_chosen() {
        let usual = |variables: &[&str], kept: &[&str], row: Option<Row>| {
            let rows = row.map(|row| ("groq".to_owned(), row)).into_iter().collect();
            let variable = |name: &str| variables.contains(&name).then(|| "sk-1".to_owned());
            let kept: Vec<String> = kept.iter().map(|name| (*name).to_owned()).collect();
            super::usual(&rows, &variable, &kept)
                .map(|chosen| (chosen.model.provider().to_owned(), chosen.note.unwrap()))
        };
        let (name, note) = usual(&["OPENROUTER_API_KEY", "OPENAI_API_KEY"], &["mistral"], None).unwrap();
        assert_eq!(name, "openai");
        assert!(note.ends_with("because `OPENAI_API_KEY` is set"), "{note}");
        let (name, note) = usual(&["XAI_API_KEY"], &["mistral"], None).unwrap();
        assert_eq!(name, "mistral");
        assert!(note.ends_with("because a key of `mistral` is in `keys.toml`"), "{note}");
        let own = Row { key_env: Some("MY_GROQ".into()), ..Row::default() };
        assert_eq!(usual(&["MY_GROQ"], &[], Some(own)).unwrap().0, "groq");
        assert_eq!(usual(&["GITHUB_TOKEN", "HF_TOKEN", "AZURE_API_KEY"], &["ollama"], None), None);
    }

    #[test]
    fn who_is_not_known_is_looked_for_in_the_whole_table() {
        assert!(look("olama/x", None, &[]).unwrap_err().contains("did you mean `ollama/x`"));
        assert!(look("grok/x", None, &[]).unwrap_err().contains("`groq/x`"));
        assert!(look("nobody/x", None, &[]).unwrap_err().contains("cerebras"));
        let text = look("meta-llama/llama-3.1-70b-instruct", None, &[]).unwrap_err();
        assert!(text.contains("did you mean `openrouter/meta-llama/llama-3.1-70b-instruct`"), "{text}");
        let text = look("azure/x", None, &[("AZURE_API_KEY", "k")]).unwrap_err();
        assert!(
            text.ends_with(
                "has no address | set `AZURE_OPENAI_ENDPOINT`, or add `base_url` to `[providers.azure]`"
            ),
            "{text}"
        );
        let text = look("groq/x", None, &[]).unwrap_err();
        assert!(text.contains("`GROQ_API_KEY` is not set") && text.contains("auth login groq"), "{text}");
    }

    #[test]
    fn a_row_of_the_settings_is_an_endpoint() {
        let row = Row { base_url: Some("https://h/v1".into()), ..Row::default() };
        assert_eq!(look("h/a/b", Some(("h", row)), &[]), Ok(("https://h/v1".into(), false)));
    }
}
