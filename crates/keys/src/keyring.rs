//! The keyring of the desktop, by the Secret Service of D-Bus. Every call is on a thread of its own with a limit of
//! time, since a locked keyring asks its person and waits. (The kernel's keyrings are not used: they do not last.)

use codetether_secret::Secret;

use crate::{Environment, KeyError};

/// The keyring, if there may be one.
#[derive(Debug, Clone, Copy)]
pub struct Keyring {
    /// Whether there is a session bus to ask.
    bus: bool,
}

impl Keyring {
    /// There may be a keyring where there is a session bus. Asks nothing.
    pub(crate) fn by(environment: &Environment) -> Self {
        let bus = cfg!(feature = "keyring")
            && (environment("DBUS_SESSION_BUS_ADDRESS").is_some()
                || environment("XDG_RUNTIME_DIR")
                    .is_some_and(|folder| std::path::Path::new(&folder).join("bus").exists()));
        Self { bus }
    }

    /// Whether a Secret Service answers.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.bus && service::is_there()
    }

    /// A provider's key, if there is a keyring and it is in it.
    ///
    /// # Errors
    /// When the keyring is there and does not open.
    pub fn get(&self, provider: &str) -> Result<Option<Secret>, KeyError> {
        if self.bus { service::get(provider) } else { Ok(None) }
    }

    /// Keeps a provider's key.
    ///
    /// # Errors
    /// When there is no keyring, or it does not open.
    pub fn set(&self, provider: &str, key: &Secret) -> Result<(), KeyError> {
        if self.bus { service::set(provider, key) } else { Err(none()) }
    }

    /// Forgets a provider's key. Says whether there was one.
    ///
    /// # Errors
    /// When the keyring is there and does not open.
    pub fn remove(&self, provider: &str) -> Result<bool, KeyError> {
        if self.bus { service::remove(provider) } else { Ok(false) }
    }
}

fn none() -> KeyError {
    KeyError::Keyring { action: "write to", reason: "there is none".into() }
}

#[cfg(not(feature = "keyring"))]
mod service {
    use super::{KeyError, Secret, none};

    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn get(_: &str) -> Result<Option<Secret>, KeyError> {
        Ok(None)
    }

    pub(super) fn set(_: &str, _: &Secret) -> Result<(), KeyError> {
        Err(none())
    }

    pub(super) fn remove(_: &str) -> Result<bool, KeyError> {
        Ok(false)
    }
}

#[cfg(feature = "keyring")]
mod service {
    use std::sync::Arc;
    use std::time::Duration;

    use keyring_core::api::CredentialStoreApi as _;
    use keyring_core::{Entry, Error};
    use zbus_secret_service_keyring_store::Store;

    use super::{KeyError, Secret, none};
    use crate::bounded::within;

    /// What our entries are called.
    const SERVICE: &str = "codetether";
    /// How long one call may take: long enough to type a password, short enough for a run that nobody watches.
    const LIMIT: Duration = Duration::from_secs(20);

    pub(super) fn is_there() -> bool {
        matches!(within(LIMIT, || Store::new().is_ok()), Ok(true))
    }

    pub(super) fn get(provider: &str) -> Result<Option<Secret>, KeyError> {
        let read = |entry: &Entry| match entry.get_password() {
            Ok(key) => Ok(Some(Secret::from(key))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        };
        Ok(with("read", provider, read)?.flatten())
    }

    pub(super) fn set(provider: &str, key: &Secret) -> Result<(), KeyError> {
        let key = key.clone();
        with("write to", provider, move |entry| entry.set_password(key.expose()))?.ok_or_else(none)
    }

    pub(super) fn remove(provider: &str) -> Result<bool, KeyError> {
        let remove = |entry: &Entry| match entry.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(error),
        };
        Ok(with("change", provider, remove)?.unwrap_or(false))
    }

    /// Does something with a provider's entry; `None` where no Secret Service answers.
    fn with<T: Send + 'static>(
        action: &'static str,
        provider: &str,
        work: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
    ) -> Result<Option<T>, KeyError> {
        let trouble = |reason: String| KeyError::Keyring { action, reason };
        let provider = provider.to_owned();
        let done = within(LIMIT, move || {
            let Ok(store): Result<Arc<Store>, _> = Store::new() else { return Ok(None) };
            let entry = store.build(SERVICE, &provider, None)?;
            work(&entry).map(Some)
        });
        match done {
            // Not every error's text is free of what was read.
            Ok(Err(error)) => Err(trouble(match error {
                Error::NoStorageAccess(_) => "it is locked".into(),
                Error::Ambiguous(_) => "it has several keys of that name".into(),
                Error::PlatformFailure(cause) => cause.to_string(),
                _ => "it gives no sound answer".into(),
            })),
            Ok(Ok(done)) => Ok(done),
            Err(_) => Err(trouble(format!("no answer in {} seconds", LIMIT.as_secs()))),
        }
    }
}
