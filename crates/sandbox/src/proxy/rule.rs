//! A rule names hosts that may be reached: `HOST`, `*.SUFFIX`, each with an optional `:PORT`, and `HOST:PORT/private`
//! for a host that lies in a private network. Pure.

use std::fmt;

use codetether_net::{AddressKind, Addresses, address_kind};

use super::host::{AuthorityError, Host, Target, authority};
use super::preset::Preset;

/// The ports of a rule that names none.
const WEB: [u16; 2] = [80, 443];

/// Names below which anyone can have a host of their own. A star there would allow strangers.
const SHARED: &[&str] = &[
    "amazonaws.com",
    "appspot.com",
    "azureedge.net",
    "azurewebsites.net",
    "cloudapp.net",
    "cloudfront.net",
    "core.windows.net",
    "deno.dev",
    "duckdns.org",
    "fastly.net",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "githubusercontent.com",
    "gitlab.io",
    "googleapis.com",
    "googleusercontent.com",
    "herokuapp.com",
    "hf.space",
    "netlify.app",
    "ngrok-free.app",
    "ngrok.app",
    "ngrok.io",
    "nip.io",
    "onrender.com",
    "pages.dev",
    "r2.dev",
    "run.app",
    "sslip.io",
    "surge.sh",
    "trycloudflare.com",
    "vercel.app",
    "web.app",
    "workers.dev",
];

/// Second labels that registries of countries give out below (`co.uk`, `com.br`).
const REGISTRY: &[&str] = &["ac", "co", "com", "edu", "gob", "gov", "mil", "ne", "net", "nom", "or", "org"];

/// Who may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    hosts: Hosts,
    port: Option<u16>,
    is_private: bool,
    /// Where it was written.
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    This(Host),
    /// All names that end in `.` and this.
    Below(Box<str>),
}

/// Where a rule was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line or in the user's settings.
    Given,
    /// Someone allowed it when asked.
    Approved,
    /// A preset, and the place from which it took the host.
    Preset(Preset, String),
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The host or its port.
    #[error(
        "cannot allow `{text}`: {source}; write `HOST`, `*.SUFFIX`, `HOST:PORT`, `HOST:PORT/private` or a preset"
    )]
    Authority {
        /// As it was given.
        text: String,
        /// What is wrong.
        source: AuthorityError,
    },
    /// A name of one label leads into a private network, if anywhere.
    #[error(
        "cannot allow `{text}`: it is neither a preset ({}) nor a full name; for a host of a private network write `{text}:PORT/private`",
        Preset::names()
    )]
    OneLabel {
        /// As it was given.
        text: String,
    },
    /// A star below which strangers live, or not at the front.
    #[error("cannot allow `{text}`: anyone can have a host below `{suffix}`; name the hosts that you mean")]
    TooWide {
        /// As it was given.
        text: String,
        /// What stands behind the star.
        suffix: String,
    },
    /// An address of a private network without the word.
    #[error("cannot allow `{text}`: it is {}; if you mean it, write `{text}:PORT/private`", kind.words())]
    NotPublic {
        /// As it was given.
        text: String,
        /// What it is.
        kind: AddressKind,
    },
    /// An address that nobody may reach.
    #[error("cannot allow `{text}`: it is {}, which is never reached from the sandbox", kind.words())]
    Never {
        /// As it was given.
        text: String,
        /// What it is.
        kind: AddressKind,
    },
    /// A private rule must say exactly what it means.
    #[error(
        "cannot allow `{text}`: `/private` needs one host and its port, as in `mirror.corp:8443/private`"
    )]
    Vague {
        /// As it was given.
        text: String,
    },
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// When it is none, or allows more than anyone can mean.
    pub fn parse(text: &str, origin: Origin) -> Result<Self, RuleError> {
        let given = || text.to_owned();
        let (body, is_private) = match text.strip_suffix("/private") {
            Some(body) => (body, true),
            None => (text, false),
        };
        let (name, is_star) = match body.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (body, false),
        };
        let (host, port) =
            authority(name).map_err(|source| RuleError::Authority { text: given(), source })?;
        if is_private && (is_star || port.is_none()) {
            return Err(RuleError::Vague { text: given() });
        }
        let hosts = match (host, is_star) {
            (Host::Name(name), true) => {
                if is_shared(&name) {
                    return Err(RuleError::TooWide { text: given(), suffix: name.into() });
                }
                Hosts::Below(name)
            }
            (Host::Ip(_), true) => {
                let source = AuthorityError::Host(super::host::HostError::Character);
                return Err(RuleError::Authority { text: given(), source });
            }
            (Host::Name(name), false) if !name.contains('.') && !is_private => {
                return Err(RuleError::OneLabel { text: name.into() });
            }
            (Host::Ip(ip), false) => {
                let kind = address_kind(ip);
                match kind {
                    kind if kind.is_outside() => {}
                    kind if kind.is_internal() && is_private => {}
                    kind if kind.is_internal() => {
                        return Err(RuleError::NotPublic { text: Host::Ip(ip).to_string(), kind });
                    }
                    kind => return Err(RuleError::Never { text: given(), kind }),
                }
                Hosts::This(Host::Ip(ip))
            }
            (host, false) => Hosts::This(host),
        };
        Ok(Self { hosts, port, is_private, origin })
    }

    /// The rule for exactly this target.
    #[must_use]
    pub fn exact(target: &Target, is_private: bool, origin: Origin) -> Self {
        // The usual ports go together only where that widens nothing that was not asked for anyway.
        let port = (is_private || !WEB.contains(&target.port)).then_some(target.port);
        Self { hosts: Hosts::This(target.host.clone()), port, is_private, origin }
    }

    /// Whether it names this target.
    #[must_use]
    pub fn names(&self, target: &Target) -> bool {
        self.names_host(&target.host) && self.names_port(target.port)
    }

    pub(crate) fn names_host(&self, host: &Host) -> bool {
        match (&self.hosts, host) {
            (Hosts::This(this), host) => this == host,
            (Hosts::Below(suffix), Host::Name(name)) => {
                name.strip_suffix(&**suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Hosts::Below(_), Host::Ip(_)) => false,
        }
    }

    fn names_port(&self, port: u16) -> bool {
        match self.port {
            Some(this) => this == port,
            None => WEB.contains(&port),
        }
    }

    /// The addresses that its hosts may have.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        if self.is_private { Addresses::Internal } else { Addresses::Public }
    }

    /// As a flag of the command line.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--net allow:{self}")
    }
}

/// As it is written.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::This(host) => write!(f, "{host}")?,
            Hosts::Below(suffix) => write!(f, "*.{suffix}")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(if self.is_private { "/private" } else { "" })
    }
}

/// In words, to follow "allowed".
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("by `--net` or the settings"),
            Self::Approved => f.write_str("when asked"),
            Self::Preset(preset, place) => write!(f, "by the preset `{preset}`, from {place}"),
        }
    }
}

/// Whether strangers have hosts below this name: a top level, a registry's second level, or a hosting service.
fn is_shared(suffix: &str) -> bool {
    let labels: Vec<&str> = suffix.split('.').collect();
    let is_registry = matches!(labels[..], [second, top] if top.len() == 2 && REGISTRY.contains(&second));
    let is_hosting = SHARED.iter().any(|shared| {
        // Also what lies above or below one: `*.s3.amazonaws.com`, `*.windows.net`.
        suffix == *shared
            || suffix.strip_suffix(shared).is_some_and(|rest| rest.ends_with('.'))
            || shared.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
    });
    labels.len() < 2 || is_registry || is_hosting
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text, Origin::Given).unwrap()
    }

    fn target(text: &str) -> Target {
        let (host, port) = authority(text).unwrap();
        Target { host, port: port.unwrap() }
    }

    #[test]
    fn a_rule_names_whole_labels_and_its_ports() {
        let table = [
            ("crates.io", "crates.io:443", true),
            ("crates.io", "crates.io:80", true),
            ("crates.io", "crates.io:8443", false),
            ("crates.io", "static.crates.io:443", false),
            ("crates.io", "xcrates.io:443", false),
            ("crates.io", "crates.io.evil.example:443", false),
            ("CRATES.io.", "crates.io:443", true),
            ("crates.io:8443", "crates.io:8443", true),
            ("crates.io:8443", "crates.io:443", false),
            ("*.crates.io", "static.crates.io:443", true),
            ("*.crates.io", "a.b.crates.io:443", true),
            ("*.crates.io", "crates.io:443", false),
            ("*.crates.io", "xcrates.io:443", false),
            ("*.crates.io", "static.crates.io:22", false),
            ("*.crates.io:22", "static.crates.io:22", true),
            ("1.1.1.1", "1.1.1.1:443", true),
            ("1.1.1.1", "1.1.1.2:443", false),
            ("127.0.0.1:4873/private", "127.0.0.1:4873", true),
            ("[::1]:4873/private", "[::1]:4873", true),
            ("mirror:8080/private", "mirror:8080", true),
        ];
        for (text, to, named) in table {
            assert_eq!((text, to, rule(text).names(&target(to))), (text, to, named));
        }
    }

    #[test]
    fn only_a_private_rule_leads_inside() {
        assert_eq!(rule("a.example:1").addresses(), Addresses::Public);
        assert_eq!(rule("a.example:1/private").addresses(), Addresses::Internal);
    }

    #[test]
    fn a_rule_that_allows_more_than_anyone_means_is_refused_with_what_to_write() {
        let said = |text: &str| Rule::parse(text, Origin::Given).unwrap_err().to_string();
        let forms = "write `HOST`, `*.SUFFIX`, `HOST:PORT`, `HOST:PORT/private` or a preset";
        let shared = |text: &str, suffix: &str| {
            format!(
                "cannot allow `{text}`: anyone can have a host below `{suffix}`; name the hosts that you mean"
            )
        };
        let vague = |text: &str| {
            format!(
                "cannot allow `{text}`: `/private` needs one host and its port, as in `mirror.corp:8443/private`"
            )
        };
        let character = "it holds a character that no host has; write other scripts as `xn--…`";
        let table = [
            ("*", format!("cannot allow `*`: {character}; {forms}")),
            ("a.*.example", format!("cannot allow `a.*.example`: {character}; {forms}")),
            ("*.*.example", format!("cannot allow `*.*.example`: {character}; {forms}")),
            ("https://a.example", format!("cannot allow `https://a.example`: its port is no port; {forms}")),
            ("a.example:0", format!("cannot allow `a.example:0`: its port is no port; {forms}")),
            ("me@a.example", format!("cannot allow `me@a.example`: it names a user; {forms}")),
            ("*.1.1.1.1", format!("cannot allow `*.1.1.1.1`: {character}; {forms}")),
            ("0x7f.1", format!("cannot allow `0x7f.1`: it is an address in an odd spelling; {forms}")),
            ("*.com", shared("*.com", "com")),
            ("*.co.uk", shared("*.co.uk", "co.uk")),
            ("*.github.io", shared("*.github.io", "github.io")),
            ("*.s3.amazonaws.com", shared("*.s3.amazonaws.com", "s3.amazonaws.com")),
            ("*.windows.net:443", shared("*.windows.net:443", "windows.net")),
            (
                "crago",
                "cannot allow `crago`: it is neither a preset (cargo, npm, pip, go) nor a full name; for a host of a private network write `crago:PORT/private`"
                    .into(),
            ),
            (
                "10.0.0.1",
                "cannot allow `10.0.0.1`: it is an address of a private network; if you mean it, write `10.0.0.1:PORT/private`"
                    .into(),
            ),
            (
                "169.254.169.254:80/private",
                "cannot allow `169.254.169.254:80/private`: it is a cloud's metadata address, which is never reached from the sandbox"
                    .into(),
            ),
            ("a.example/private", vague("a.example/private")),
            ("*.a.example:1/private", vague("*.a.example:1/private")),
        ];
        for (text, expected) in table {
            assert_eq!(said(text), expected);
        }
    }

    proptest! {
        /// The matcher against a slow and plain definition of what a rule names.
        #[test]
        fn a_rule_names_what_its_words_say(
            suffix in "[a-c]{1,2}\\.[a-c]{3}",
            name in "([a-c]{1,2}\\.){0,3}[a-c]{1,2}\\.[a-c]{3}",
            star: bool,
            capitals: bool,
        ) {
            let text = if star { format!("*.{suffix}") } else { suffix.clone() };
            let rule = rule(&text);
            let asked = if capitals { name.to_uppercase() } else { name.clone() };
            let to = target(&format!("{asked}:443"));
            let labels: Vec<&str> = name.split('.').collect();
            let end: Vec<&str> = suffix.split('.').collect();
            let is_below = labels.len() > end.len() && labels.ends_with(&end);
            prop_assert_eq!(rule.names(&to), if star { is_below } else { labels == end });
        }

        #[test]
        fn a_rule_is_read_as_it_is_written(text in "(\\*\\.)?[a-c.]{1,6}(:[0-9]{1,3})?(/private)?") {
            if let Ok(rule) = Rule::parse(&text, Origin::Given) {
                prop_assert_eq!(Rule::parse(&rule.to_string(), Origin::Given), Ok(rule));
            }
        }
    }
}
