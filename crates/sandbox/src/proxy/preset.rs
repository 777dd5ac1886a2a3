//! Presets: the hosts that a package client needs, taken from the user's own configuration of it, so that private
//! mirrors work. Files of the user and of the machine are read, and the environment; never those of a workspace, which
//! could widen what its own commands may reach. No client is run.
//!
//! A host that the configuration names may lie in a private network, at exactly that port; one that is a client's
//! default may not.

mod cargo;
mod go;
mod npm;
mod pip;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use url::Url;

use super::host::{Host, Target};
use super::rule::{Origin, Rule};

/// The longest configuration that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// A package client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Rust's: registries, and the sources that replace crates.io.
    Cargo,
    /// JavaScript's: the registry, and those of scopes.
    Npm,
    /// Python's: the indexes.
    Pip,
    /// Go's: the module proxies and the checksum database.
    Go,
}

/// Where the configuration is looked for.
pub struct Place<'a> {
    /// The user's home.
    pub home: PathBuf,
    /// The root of the machine's files: `/`, but in tests.
    pub root: PathBuf,
    /// A variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Place<'a> {
    /// This machine, seen by the user with this home and this environment.
    #[must_use]
    pub fn of_user(home: PathBuf, variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { home, root: "/".into(), variable }
    }

    /// A variable that is set to something.
    fn set(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The user's folder for configuration.
    fn config(&self) -> PathBuf {
        self.set("XDG_CONFIG_HOME").map_or_else(|| self.home.join(".config"), PathBuf::from)
    }

    /// A file of the machine.
    fn system(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Why a preset gives no rules. It gives all or none: with half of them a client fails in ways that mislead.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// A file is there and cannot be read.
    #[error("cannot take the hosts of `{preset}` from its configuration: {source}")]
    Read {
        /// Whose.
        preset: Preset,
        /// Names the file.
        source: codetether_files::Error,
    },
    /// A file is not what the client would read.
    #[error(
        "cannot take the hosts of `{preset}` from `{}`: {reason}; mend the file, or name the hosts instead of the preset",
        file.display()
    )]
    Parse {
        /// Whose.
        preset: Preset,
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration names what cannot be reached through the proxy.
    #[error(
        "cannot allow the host that {place} names for `{preset}`: {reason}; mend it, or name the hosts instead of the preset"
    )]
    Address {
        /// Whose.
        preset: Preset,
        /// Where it is named.
        place: String,
        /// What is wrong with it. Never the address itself, which may hold a password.
        reason: String,
    },
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cargo, Self::Npm, Self::Pip, Self::Go];

    /// The preset of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.to_string() == name)
    }

    pub(super) fn names() -> String {
        Self::ALL.map(|preset| preset.to_string()).join(", ")
    }

    /// The hosts that this client needs, as it is set up for this user.
    ///
    /// # Errors
    /// When its configuration cannot be read or names what cannot be allowed.
    pub fn rules(self, place: &Place<'_>) -> Result<Vec<Rule>, PresetError> {
        let mut found = Found { preset: self, rules: Vec::new() };
        match self {
            Self::Cargo => cargo::find(place, &mut found)?,
            Self::Npm => npm::find(place, &mut found)?,
            Self::Pip => pip::find(place, &mut found)?,
            Self::Go => go::find(place, &mut found)?,
        }
        Ok(found.rules)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Pip => "pip",
            Self::Go => "go",
        })
    }
}

/// What was found so far.
struct Found {
    preset: Preset,
    rules: Vec<Rule>,
}

impl Found {
    /// A host that the client uses when nobody says otherwise.
    fn default_host(&mut self, name: &'static str) {
        let Ok(host) = Host::parse(name) else { return };
        self.push(&Target { host, port: 443 }, false, "the client's default");
    }

    /// A host that the configuration names by an address. What is not reached by HTTP (`file:`, `ssh:`, a folder) needs
    /// no rule, and the proxy would not carry it.
    fn address(&mut self, address: &str, place: &str) -> Result<(), PresetError> {
        let wrong =
            |reason: String| PresetError::Address { preset: self.preset, place: place.to_owned(), reason };
        let Some((scheme, _)) = address.split_once("://") else { return Ok(()) };
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            return Ok(());
        }
        let url = Url::parse(address).map_err(|error| wrong(error.to_string()))?;
        let host =
            Host::parse(url.host_str().unwrap_or_default()).map_err(|error| wrong(error.to_string()))?;
        let port = url.port_or_known_default().unwrap_or(443);
        if let Host::Ip(ip) = &host {
            let kind = codetether_net::address_kind(*ip);
            if !kind.is_outside() && !kind.is_internal() {
                return Err(wrong(format!("it is {}", kind.words())));
            }
        }
        self.push(&Target { host, port }, true, place);
        Ok(())
    }

    /// A host that something the configuration names refers to in turn: it must be public.
    fn referred(&mut self, address: &str, place: &str) {
        let Ok(url) = Url::parse(address) else { return };
        let host = url.host_str().map(Host::parse);
        if let ("http" | "https", Some(Ok(host @ Host::Name(_)))) = (url.scheme(), host) {
            let port = url.port_or_known_default().unwrap_or(443);
            self.push(&Target { host, port }, false, place);
        }
    }

    fn push(&mut self, target: &Target, is_private: bool, place: &str) {
        let rule = Rule::exact(target, is_private, Origin::Preset(self.preset, place.to_owned()));
        let is_there = self.rules.iter().any(|other| other.to_string() == rule.to_string());
        if !is_there {
            self.rules.push(rule);
        }
    }

    /// A file of the configuration; nothing when it is not there.
    fn read(&self, file: &Path) -> Result<Option<String>, PresetError> {
        let failed = |source| PresetError::Read { preset: self.preset, source };
        let parse = |reason: &str| self.wrong(file, reason);
        match std::fs::metadata(file) {
            // Opening a pipe would wait for its other end.
            Ok(metadata) if !metadata.is_file() => return Ok(None),
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
        let opened = match codetether_files::open_read(file) {
            Ok(opened) => opened,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut text = String::new();
        let length = opened
            .take(LONGEST + 1)
            .read_to_string(&mut text)
            .map_err(|error| failed(codetether_files::Error::new("read", file, error)))?;
        if length as u64 > LONGEST {
            return Err(parse("it is longer than a mebibyte"));
        }
        Ok(Some(text))
    }

    fn wrong(&self, file: &Path, reason: impl fmt::Display) -> PresetError {
        let reason = reason.to_string();
        PresetError::Parse { preset: self.preset, file: file.to_owned(), reason }
    }
}

/// `KEY` in a file, as the place of a host.
fn in_file(key: &str, file: &Path) -> String {
    format!("`{key}` in `{}`", file.display())
}

/// A variable, as the place of a host.
fn in_variable(name: &str) -> String {
    format!("the variable `{name}`")
}
