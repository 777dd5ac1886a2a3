//! A KV2 store of HashiCorp Vault or OpenBao: one secret a provider, its key in the field `api_key`. Speaks over the
//! program's one HTTP client, so that TLS, proxies and redirects are as everywhere; writes nothing there.
//!
//! Source: the HTTP API of Vault 1.x and OpenBao 2.x (`/v1/MOUNT/data/PATH`, `auth/approle/login`,
//! `auth/token/lookup-self`, `auth/token/renew-self`).

use std::sync::Arc;
use std::time::Duration;

use codetether_secret::{Redactor, Secret};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::bounded::{Late, within};
use crate::error::words;
use crate::{Environment, KeyError, is_name};

/// How long all that is asked for one key may take.
const LIMIT: Duration = Duration::from_secs(15);
/// Most bytes of an answer.
const MOST: usize = 1024 * 1024;

/// Where the store is, and how to get in.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// Its address.
    pub address: String,
    /// Where the KV2 engine is mounted.
    pub mount: String,
    /// The path whose children are named after providers.
    pub path: String,
    /// The namespace.
    pub namespace: Option<String>,
    /// How to get in.
    pub access: Access,
}

/// How to get in.
#[derive(Debug, Clone)]
pub enum Access {
    /// With a token. It is renewed when less than half of its time is left.
    Token(Secret),
    /// By a login as an AppRole; a login that ran out is done again.
    AppRole {
        /// The role.
        role_id: String,
        /// What proves it, where the role asks for it.
        secret_id: Option<Secret>,
    },
    /// Not at all: neither was given.
    Nothing,
}

impl VaultConfig {
    /// The store of these settings, each of which falls back to the variable that Vault's own tools, or
    /// `codetether` before, read. `None` where no address is set.
    #[must_use]
    pub fn by(settings: VaultSettings<'_>, environment: &Environment) -> Option<Self> {
        let or = |set: Option<&str>, name: &str| set.map(str::to_owned).or_else(|| environment(name));
        let secret = |set: Option<&str>, name: &str| {
            environment(set.unwrap_or(name)).map(|value| Secret::from(value.trim().to_owned()))
        };
        let address = or(settings.address, "VAULT_ADDR")?;
        let access = match (secret(settings.token_env, "VAULT_TOKEN"), or(settings.role_id, "VAULT_ROLE_ID"))
        {
            (Some(token), _) => Access::Token(token),
            (None, Some(role_id)) => {
                Access::AppRole { role_id, secret_id: secret(settings.secret_id_env, "VAULT_SECRET_ID") }
            }
            (None, None) => Access::Nothing,
        };
        Some(Self {
            address,
            mount: or(settings.mount, "VAULT_MOUNT").unwrap_or_else(|| "secret".into()),
            path: or(settings.path, "VAULT_SECRETS_PATH").unwrap_or_else(|| "codetether/providers".into()),
            namespace: or(settings.namespace, "VAULT_NAMESPACE"),
            access,
        })
    }

    /// What gets one in, so that it can be taken out of texts.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        match &self.access {
            Access::Token(token) => vec![token.clone()],
            Access::AppRole { secret_id, .. } => secret_id.iter().cloned().collect(),
            Access::Nothing => Vec::new(),
        }
    }
}

/// The table `[vault]` of the user's settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct VaultSettings<'a> {
    /// `address`.
    pub address: Option<&'a str>,
    /// `mount`.
    pub mount: Option<&'a str>,
    /// `path`.
    pub path: Option<&'a str>,
    /// `namespace`.
    pub namespace: Option<&'a str>,
    /// `role_id`.
    pub role_id: Option<&'a str>,
    /// `secret_id_env`.
    pub secret_id_env: Option<&'a str>,
    /// `token_env`.
    pub token_env: Option<&'a str>,
}

/// One login, kept for the process.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    token: Secret,
}

/// What is wrong, and what to do.
type Trouble = (String, String);

/// A provider's key, if the store has one.
pub(crate) fn read(
    config: &VaultConfig,
    provider: &str,
    session: &mut Option<Session>,
    redactor: &Arc<Redactor>,
) -> Result<Option<Secret>, KeyError> {
    if !is_name(provider) {
        return Err(KeyError::Name(provider.to_owned()));
    }
    let trouble = |(reason, cure): Trouble| KeyError::Vault {
        provider: provider.to_owned(),
        address: without_user(&config.address),
        reason: redactor.redact(&reason).into_owned(),
        cure,
    };
    redactor.learn(config.secrets());
    let (asked, name, mut known) = (config.clone(), provider.to_owned(), session.clone());
    let of = Arc::clone(redactor);
    let answer = within(LIMIT, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| (format!("cannot start a runtime: {error}"), "try again".to_owned()))?;
        let key = runtime.block_on(async {
            let store = Store::new(&asked, &of)?;
            let work = store.key(&name, &mut known);
            // Sooner than the thread is given up, so that it ends.
            match tokio::time::timeout(LIMIT.saturating_sub(Duration::from_secs(1)), work).await {
                Ok(key) => key,
                Err(_) => Err(silent()),
            }
        })?;
        Ok((key, known))
    });
    let (key, known) = match answer {
        Ok(answer) => answer.map_err(trouble)?,
        Err(Late::Time) => return Err(trouble(silent())),
        Err(Late::Thread) => {
            return Err(trouble(("there is no thread to ask on".into(), "try again".into())));
        }
    };
    *session = known;
    Ok(key)
}

fn silent() -> Trouble {
    ("it does not answer in time".into(), "check the address and the way there, or unset `VAULT_ADDR`".into())
}

struct Store<'a> {
    config: &'a VaultConfig,
    client: Client,
    redactor: &'a Redactor,
}

impl<'a> Store<'a> {
    fn new(config: &'a VaultConfig, redactor: &'a Redactor) -> Result<Self, Trouble> {
        let client = codetether_net::client(&config.address).map_err(|error| {
            (error.to_string(), "correct `address` of `[vault]` or `VAULT_ADDR`".to_owned())
        })?;
        Ok(Self { config, client, redactor })
    }

    async fn key(&self, provider: &str, session: &mut Option<Session>) -> Result<Option<Secret>, Trouble> {
        let began = session.is_none();
        let token = match session {
            Some(session) => session.token.clone(),
            None => self.enter().await?,
        };
        let is_token = matches!(self.config.access, Access::Token(_));
        let renewal = async {
            if began && is_token {
                self.renew(&token).await;
            }
        };
        let (mut answer, ()) = tokio::join!(self.secret(provider, &token), renewal);
        let mut token = token;
        if matches!(answer, Ok((StatusCode::FORBIDDEN, _))) && !began && !is_token {
            token = self.enter().await?;
            answer = self.secret(provider, &token).await;
        }
        let (status, body) = answer?;
        let key = self.judge(provider, status, &body)?;
        *session = Some(Session { token });
        Ok(key)
    }

    /// The token to ask with.
    async fn enter(&self) -> Result<Secret, Trouble> {
        match &self.config.access {
            Access::Token(token) => Ok(token.clone()),
            Access::Nothing => Err((
                "there is neither a token nor a role to get in with".into(),
                "set `VAULT_TOKEN`, or `role_id` of `[vault]` and `VAULT_SECRET_ID`".into(),
            )),
            Access::AppRole { role_id, secret_id } => {
                let mut body = json!({ "role_id": role_id });
                if let Some(secret_id) = secret_id {
                    body["secret_id"] = json!(secret_id.expose());
                }
                let (status, answer) =
                    self.request(Method::POST, "auth/approle/login", None, Some(body)).await?;
                let token = answer.pointer("/auth/client_token").and_then(Value::as_str);
                match token {
                    Some(token) if status.is_success() => {
                        let token = Secret::from(token.to_owned());
                        self.redactor.learn([token.clone()]);
                        Ok(token)
                    }
                    _ => Err((
                        format!("the AppRole login failed with {status}{}", self.said(&answer)),
                        "check `role_id` of `[vault]` and the secret id".into(),
                    )),
                }
            }
        }
    }

    /// Keeps a token alive that can be. What goes wrong here is no reason not to use it as long as it lives.
    async fn renew(&self, token: &Secret) {
        let looked = self.request(Method::GET, "auth/token/lookup-self", Some(token), None).await;
        let Ok((StatusCode::OK, about)) = looked else { return };
        let number = |name: &str| about.pointer(&format!("/data/{name}")).and_then(Value::as_u64);
        let (left, all) = (number("ttl").unwrap_or(0), number("creation_ttl").unwrap_or(0));
        if about.pointer("/data/renewable") == Some(&Value::Bool(true)) && left < all.div_ceil(2) {
            let _ = self.request(Method::POST, "auth/token/renew-self", Some(token), Some(json!({}))).await;
        }
    }

    async fn secret(&self, provider: &str, token: &Secret) -> Result<(StatusCode, Value), Trouble> {
        let (mount, path) = (self.config.mount.trim_matches('/'), self.config.path.trim_matches('/'));
        self.request(Method::GET, &format!("{mount}/data/{path}/{provider}"), Some(token), None).await
    }

    fn judge(&self, provider: &str, status: StatusCode, body: &Value) -> Result<Option<Secret>, Trouble> {
        let place = format!(
            "{}/{}/{provider}",
            self.config.mount.trim_matches('/'),
            self.config.path.trim_matches('/')
        );
        let said = self.said(body);
        let trouble = |reason: String, cure: &str| Err((reason, cure.to_owned()));
        match status.as_u16() {
            200 => match body.pointer("/data/data/api_key").and_then(Value::as_str) {
                Some(key) => Ok(Some(Secret::from(key.to_owned()))),
                None => trouble(
                    format!("`{place}` has no text `api_key`"),
                    "write the key there as `api_key`; the engine has to be KV version 2",
                ),
            },
            // No secret there, or a deleted one; anything else that is not found has words.
            404 if said.is_empty() => Ok(None),
            404 => trouble(
                format!("there is nothing at `{place}`{said}"),
                "check `mount` and `path` of `[vault]`",
            ),
            403 => trouble(
                format!("it does not allow reading `{place}`{said}"),
                "get a new token, or have its policy allow `read` there",
            ),
            503 => trouble(
                format!("it is sealed or in maintenance{said}"),
                "have it unsealed, or unset `VAULT_ADDR`",
            ),
            300..=399 => {
                trouble(format!("it answers {status}, a redirect"), "set the address that it leads to")
            }
            _ => trouble(format!("it answers {status}{said}"), "look into its log"),
        }
    }

    /// The server's own words.
    fn said(&self, body: &Value) -> String {
        let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let texts: Vec<&str> = errors.filter_map(Value::as_str).collect();
        let said = words(&texts.join(", "), self.redactor);
        if said.is_empty() { said } else { format!(" (it says: {said})") }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), Trouble> {
        let url = format!("{}/v1/{path}", self.config.address.trim_end_matches('/'));
        let unreachable = |error: reqwest::Error| {
            let mut why = error.without_url().to_string();
            let reason = words(&std::mem::take(&mut why), self.redactor);
            (
                format!("it cannot be reached: {reason}"),
                "check the address and the way there, or unset `VAULT_ADDR`".to_owned(),
            )
        };
        let mut request = self.client.request(method, url).header("X-Vault-Request", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", sensitive(token)?);
        }
        if let Some(namespace) = &self.config.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, mut bytes) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len().saturating_add(chunk.len()) > MOST {
                return Err((
                    format!("its answer is longer than {MOST} bytes"),
                    "check that it is a Vault".into(),
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// A header's value that HTTP/2 neither compresses nor shows.
fn sensitive(token: &Secret) -> Result<reqwest::header::HeaderValue, Trouble> {
    let mut value = reqwest::header::HeaderValue::from_str(token.expose())
        .map_err(|_| ("the token holds what no token can".to_owned(), "set the token again".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn without_user(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => address.to_owned(),
    }
}
