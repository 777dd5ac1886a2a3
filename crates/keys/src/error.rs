//! Why a source of keys cannot answer, with what to do next. No message holds a key.

use codetether_secret::Redactor;

/// Why a source of keys cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file, or its folder.
    #[error(transparent)]
    File(#[from] codetether_files::Error),
    /// Others can read the file of keys.
    #[error(
        "cannot use `{path}`: others can read it; `chmod 600 {path}` makes it yours alone, and the keys in it should be replaced"
    )]
    Open {
        /// The file.
        path: String,
    },
    /// The file is not what it should be.
    #[error("cannot read `{path}`: {reason}; it holds lines such as `openai = \"…\"`")]
    Shape {
        /// The file.
        path: String,
        /// What is wrong, without what stands there.
        reason: String,
    },
    /// Vault does not answer, or not what was asked.
    #[error("cannot read the key of `{provider}` from Vault at `{address}`: {reason}; {cure}")]
    Vault {
        /// The provider.
        provider: String,
        /// Its address.
        address: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        cure: String,
    },
    /// The keyring does not answer.
    #[error("cannot {action} the keyring: {reason}; unlock it, or set the provider's variable")]
    Keyring {
        /// What was being done.
        action: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The command does not print a key.
    #[error("cannot get the key of `{provider}` by its `key_command`: {reason}; try the command by hand")]
    Command {
        /// The provider.
        provider: String,
        /// What is wrong.
        reason: String,
    },
    /// A provider's name that cannot be kept.
    #[error("`{0}` cannot be the name of a provider here: letters, digits, `-`, `_` and `.` can, 64 at most")]
    Name(String),
}

/// The server's own words, few and without what is secret in them.
pub(crate) fn words(text: &str, redactor: &Redactor) -> String {
    let text = redactor.redact(text);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    line.trim().to_owned()
}
