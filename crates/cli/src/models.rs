//! Which endpoint answers for a model: rows of settings, and the one endpoint that needs none.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codetether_agent::FindProvider;
use codetether_config::{Provider as Row, Settings, ToolCalls as RowToolCalls};
use codetether_event::ModelId;
use codetether_provider::{Endpoint, OpenAiChat, Provider, ToolCalls};
use codetether_secret::Secret;

use crate::exit::{Exit, Failure};

const OPENAI: &str = "openai";
const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENAI_KEY: &str = "OPENAI_API_KEY";
const OPENAI_BASE: &str = "OPENAI_BASE_URL";

/// The ways to get a model, for those who have none yet.
const WAYS: &str = "either set `OPENAI_API_KEY` and choose a model with `-m openai/MODEL`,
or point `OPENAI_BASE_URL` at any OpenAI-compatible server (one on this machine needs no key),
or describe an endpoint in the settings file: `[providers.NAME]` with `base_url` and `key_env`, and use `-m NAME/MODEL`";

/// Where a model is asked, and with which key.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) base_url: String,
    pub(crate) key: Option<Secret>,
    row: Row,
}

/// Checks, before anything is written, that the model's endpoint is known and its key there.
pub(crate) fn check(settings: &Settings, model: &ModelId) -> Result<Found, Failure> {
    find(&settings.providers, model, &|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .map_err(|problem| Failure::with_help(Exit::Usage, problem.message, problem.help))
}

/// The model of the settings.
pub(crate) fn chosen(settings: &Settings) -> Result<ModelId, Failure> {
    settings.model.clone().ok_or_else(|| Failure::with_help(Exit::Usage, "no model is chosen", WAYS))
}

/// Finds providers by these settings; each is made once, so that its connections are shared.
pub(crate) fn finder(settings: &Settings) -> Arc<FindProvider> {
    let rows = settings.providers.clone();
    let made: Mutex<HashMap<String, Arc<dyn Provider>>> = Mutex::default();
    Arc::new(move |model| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = made.get(model.provider()) {
            return Ok(provider.clone());
        }
        let found = find(&rows, model, &|name| env::var(name).ok().filter(|value| !value.is_empty()))
            .map_err(|problem| problem.message)?;
        let provider = provider(model.provider(), found)?;
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

fn provider(name: &str, found: Found) -> Result<Arc<dyn Provider>, String> {
    let client = codetether_net::client(&found.base_url).map_err(|error| error.to_string())?;
    let timeout = |seconds: Option<codetether_config::Seconds>, default| {
        seconds.map_or(Duration::from_secs(default), Duration::from)
    };
    let endpoint = Endpoint {
        name: name.to_owned(),
        base_url: found.base_url,
        key: found.key,
        headers: found.row.headers.into_iter().collect(),
        tool_calls: match found.row.tool_calls.unwrap_or_default() {
            RowToolCalls::Native => ToolCalls::Native,
            RowToolCalls::Schema => ToolCalls::Schema,
        },
        idle_timeout: timeout(found.row.idle_timeout, 300),
        total_timeout: timeout(found.row.total_timeout, 1_800),
    };
    Ok(Arc::new(OpenAiChat::new(endpoint, client)))
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
) -> Result<Found, Missing> {
    let name = model.provider();
    let mut row = rows.get(name).cloned();
    if name == OPENAI {
        let row = row.get_or_insert_default();
        row.base_url =
            row.base_url.take().or_else(|| variable(OPENAI_BASE)).or_else(|| Some(OPENAI_URL.into()));
        row.key_env.get_or_insert_with(|| OPENAI_KEY.into());
    }
    let Some(row) = row else {
        let near =
            rows.keys().map(String::as_str).chain([OPENAI]).find(|known| strsim::jaro(known, name) > 0.8);
        let help =
            near.map_or_else(|| WAYS.to_owned(), |near| format!("did you mean `{near}/{}`?", model.model()));
        return Err(Missing { message: format!("there is no provider `{name}`"), help });
    };
    let Some(base_url) = row.base_url.clone() else {
        return Err(Missing {
            message: format!("provider `{name}` has no address"),
            help: format!("add `base_url` to `[providers.{name}]`"),
        });
    };
    let key = row.key_env.as_deref().and_then(variable).map(|key| Secret::from(key.trim().to_owned()));
    match (&key, &row.key_env) {
        (None, Some(key_env)) if !codetether_net::is_loopback(&base_url) => Err(Missing {
            message: format!("there is no key for provider `{name}`: `{key_env}` is not set"),
            help: if name == OPENAI {
                WAYS.to_owned()
            } else {
                format!("set `{key_env}` to the provider's key")
            },
        }),
        _ => Ok(Found { base_url, key, row }),
    }
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
        find(&rows, &ModelId::new(model), &variable)
            .map(|found| (found.base_url, found.key.is_some()))
            .map_err(|missing| format!("{} | {}", missing.message, missing.help))
    }

    #[test]
    fn openai_needs_no_settings() {
        let key = (OPENAI_KEY, "sk-1");
        assert_eq!(look("openai/x", None, &[key]), Ok((OPENAI_URL.into(), true)));
        let local = (OPENAI_BASE, "http://127.0.0.1:8080/v1");
        assert_eq!(look("openai/x", None, &[local]), Ok((local.1.into(), false)));
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
        let remote =
            Row { base_url: Some("https://h/v1".into()), key_env: Some("H_KEY".into()), ..Row::default() };
        assert!(look("h/x", Some(("h", remote)), &[]).unwrap_err().contains("`H_KEY` is not set"));
        assert!(look("h/x", Some(("h", Row::default())), &[]).unwrap_err().contains("has no address"));
    }

    #[test]
    fn a_row_of_the_settings_is_an_endpoint() {
        let row = Row { base_url: Some("https://h/v1".into()), ..Row::default() };
        assert_eq!(look("h/a/b", Some(("h", row)), &[]), Ok(("https://h/v1".into(), false)));
    }
}
