//! The process's one set of key sources and the one redactor that knows what they gave. Shows no key.

use std::env;
use std::sync::{Arc, LazyLock, OnceLock};

use codetether_config::{Settings, Vault};
use codetether_keys::{Environment, Keys, VaultConfig, VaultSettings};
use codetether_secret::Redactor;

use crate::place;

static REDACTOR: LazyLock<Arc<Redactor>> = LazyLock::new(Arc::default);
static KEYS: OnceLock<Keys> = OnceLock::new();

/// Takes every secret that this process has come across out of texts.
pub(crate) fn redactor() -> Arc<Redactor> {
    Arc::clone(&REDACTOR)
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where keys are looked for, by the settings of the first call: a process has one set of settings.
pub(crate) fn of(settings: &Settings) -> &'static Keys {
    KEYS.get_or_init(|| {
        let environment: Environment = Arc::new(variable);
        let vault = VaultConfig::by(table(&settings.vault), &environment);
        let file = place::data_dir().ok().map(|dir| dir.join("keys.toml"));
        Keys::new(environment, vault, file, redactor())
    })
}

fn table(vault: &Vault) -> VaultSettings<'_> {
    VaultSettings {
        address: vault.address.as_deref(),
        mount: vault.mount.as_deref(),
        path: vault.path.as_deref(),
        namespace: vault.namespace.as_deref(),
        role_id: vault.role_id.as_deref(),
        secret_id_env: vault.secret_id_env.as_deref(),
        token_env: vault.token_env.as_deref(),
    }
}

/// Takes secrets out of what is said when the program breaks down.
pub(crate) fn redact_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let text = format!("thread `{}`: {panic}\n", thread.name().unwrap_or("unnamed"));
        crate::printer::err(&REDACTOR.redact(&text));
    }));
}
