//! What a command's environment must say so that its clients use the proxy. Those that read no environment reach
//! nothing, as there is no other way out.

use std::net::SocketAddr;

use super::allow::Allow;
use super::host::Host;

/// Everyone's variables, then those of clients whose own configuration would count more.
const NAMES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "CARGO_HTTP_PROXY",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "PIP_PROXY",
];

/// The sandbox's own loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The variables for commands in a sandbox whose proxy listens there. Its own loopback is reached without it, but for
/// a name under which a rule means a server of the machine outside.
#[must_use]
pub fn variables(proxy: SocketAddr, allow: &Allow) -> Vec<(&'static str, String)> {
    let rules = allow.rules();
    let is_outside = |name: &str| {
        let text = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        let host = Host::parse(&text).ok();
        host.is_some_and(|host| rules.iter().any(|rule| rule.names_host(&host)))
    };
    let inside: Vec<&str> = LOOPBACK.into_iter().filter(|name| !is_outside(name)).collect();
    let inside = inside.join(",");
    let address = format!("http://{proxy}");
    let all = NAMES.into_iter().map(|name| (name, address.clone()));
    all.chain([("no_proxy", inside.clone()), ("NO_PROXY", inside)]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rule::{Origin, Rule};
    use super::*;

    #[test]
    fn a_loopback_name_that_a_rule_means_goes_through_the_proxy() {
        let of = |rules: &[&str]| {
            let rules = rules.iter().map(|rule| Rule::parse(rule, Origin::Given).unwrap()).collect();
            let all = variables("127.0.0.1:3128".parse().unwrap(), &Allow::new(rules).unwrap());
            let value = |name: &str| all.iter().find(|(key, _)| *key == name).unwrap().1.clone();
            (value("HTTPS_PROXY"), value("no_proxy"), all.len())
        };
        let proxy = || "http://127.0.0.1:3128".to_owned();
        assert_eq!(of(&["a.example"]), (proxy(), "localhost,127.0.0.1,::1".to_owned(), 12));
        assert_eq!(of(&["localhost:4873/private", "[::1]:1/private"]), (proxy(), "127.0.0.1".to_owned(), 12));
    }
}
