//! The environment of a confined command: what is on the list of what commands inherit, less what leads out, then what
//! the policy names, then what says where things are inside. Pure.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::host::Host;
use super::policy::{Net, Policy};
use crate::environment::PROXIES;
use crate::proxy::{self, Allow, Origin, Rule};

/// On the list of what is inherited, but of no use inside, like `PROXIES`: they lead to sockets and folders outside.
const OUTSIDE: &[&str] = &["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "DOCKER_HOST", "TMPDIR"];

/// Toolchains that look for themselves in the home, unless a variable says where they are.
const AT_HOME: &[(&str, &str)] =
    &[("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("PYENV_ROOT", ".pyenv"), ("NVM_DIR", ".nvm")];

/// Who commits, where the environment says so.
const IDENTITY: &[&str] =
    &["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];

/// The port on loopback inside where the way out is, when there is one.
pub(crate) const PROXY_PORT: u16 = 3128;

/// The environment for a policy; `temp` is where temporary files go, `home` the private home.
pub(crate) fn environment(
    policy: &Policy,
    host: &Host,
    home: &Path,
    temp: &Path,
) -> Vec<(OsString, OsString)> {
    let all = || host.vars.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut vars: BTreeMap<OsString, OsString> = crate::environment(all(), []).into_iter().collect();
    for name in OUTSIDE.iter().chain(PROXIES) {
        vars.remove(OsStr::new(name));
    }
    if home != host.home {
        // What finds itself by the home is to be found all the same.
        for (name, place) in AT_HOME {
            let found = (!vars.contains_key(OsStr::new(name))).then(|| host.home.join(place));
            found.map(|path| vars.insert((*name).into(), path.into()));
        }
    }
    let mut set = |name: &str, value: &OsStr| vars.insert(name.into(), value.into());
    set("HOME", home.as_os_str());
    set("TMPDIR", temp.as_os_str());
    set("CODETETHER_SANDBOX", "1".as_ref());
    match &policy.net {
        // Else cargo tries for half a minute to reach a registry.
        Net::Off => drop(set("CARGO_NET_OFFLINE", "true".as_ref())),
        Net::Allow(hosts) => {
            // What is no rule by itself is a preset, and whoever leads the way out says so where it is neither.
            let rules = hosts.iter().filter_map(|host| Rule::parse(host, Origin::Given).ok());
            // Too many are refused by whoever leads the way out.
            if let Ok(allow) = Allow::new(rules.collect()) {
                let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, PROXY_PORT));
                let variables = proxy::variables(proxy, &allow);
                variables.iter().for_each(|(name, value)| drop(set(name, value.as_ref())));
            }
        }
    }
    for name in policy.env.iter().map(String::as_str).chain(IDENTITY.iter().copied()) {
        if let Some(value) = host.vars.get(OsStr::new(name)) {
            vars.insert(name.into(), value.clone());
        }
    }
    vars.into_iter().collect()
}
