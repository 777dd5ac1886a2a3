//! Addresses of the web as a model may name them, and the private ones among them that the user allows. Pure.

use codetether_net::host_of;
use url::Url;

/// Longest address.
const LONGEST: usize = 2_000;

/// An address that may be asked for, if its host may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Without a fragment.
    pub(super) url: Url,
    /// A name in lower case, or an address.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Reads an address; the error is for the model.
pub(super) fn parse(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(format!("the address is longer than {LONGEST} bytes"));
    }
    let mut url = Url::parse(text)
        .map_err(|error| format!("`{text}` is no address ({error}): write `https://HOST/…`"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}:` is not fetched: only `https` and `http` are", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address with a user or a password in it is not fetched".to_owned());
    }
    let (Some(host), Some(port)) = (host_of(&url), url.port_or_known_default()) else {
        return Err(format!("`{text}` has no host"));
    };
    url.set_fragment(None);
    Ok(Target { url, host, port })
}

/// Hosts in private networks, and on this machine, that may be reached. Others are never dialled, whatever they are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivateHosts(Vec<(String, Option<u16>)>);

impl PrivateHosts {
    /// Reads `HOST:PORT`, or `HOST` for ports 80 and 443.
    ///
    /// # Errors
    /// Which one is none.
    pub fn parse<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        hosts.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn holds(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|(name, at)| name == host && at.map_or(matches!(port, 80 | 443), |at| at == port))
    }
}

fn one(text: &str) -> Result<(String, Option<u16>), String> {
    let wrong =
        || format!("`{text}` is no host: write `HOST:PORT`, such as `127.0.0.1:8080` or `docs.corp:443`");
    let bare =
        !text.is_empty() && !text.contains(['/', '@', '?', '#', '*']) && !text.contains(char::is_whitespace);
    if !bare {
        return Err(wrong());
    }
    let url = Url::parse(&format!("http://{text}")).map_err(|_| wrong())?;
    let host = host_of(&url).ok_or_else(wrong)?;
    // The port that is usual for an address is not kept by it.
    let port = url.port().or_else(|| text.ends_with(":80").then_some(80));
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_fetched() {
        let table = [
            ("ftp://h/x", "`ftp:` is not fetched"),
            ("file:///etc/passwd", "`file:` is not fetched"),
            ("javascript:alert(1)", "`javascript:` is not fetched"),
            ("docs.rs", "no address"),
            ("https://", "no address"),
            ("https://me:pw@h/", "a user or a password"),
            ("https://me@h/", "a user or a password"),
        ];
        for (text, problem) in table {
            let said = parse(text).unwrap_err();
            assert!(said.contains(problem) && !said.contains("pw"), "{text}: {said}");
        }
        assert!(parse(&format!("https://h/{}", "x".repeat(LONGEST))).is_err());
        let target = parse(" HTTPS://Docs.RS./a?b#c ").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("docs.rs", 443));
        assert!(target.url.as_str().ends_with("/a?b"), "{}", target.url);
    }

    #[test]
    fn a_private_host_is_one_host_at_one_port() {
        let hosts = PrivateHosts::parse(["127.0.0.1:8080", "Docs.Corp", "[::1]:80"]).unwrap();
        let table = [
            ("127.0.0.1", 8080, true),
            ("127.0.0.1", 80, false),
            ("docs.corp", 443, true),
            ("docs.corp", 80, true),
            ("docs.corp", 8080, false),
            ("x.docs.corp", 443, false),
            ("::1", 80, true),
            ("::1", 443, false),
        ];
        for (host, port, holds) in table {
            assert_eq!((host, port, hosts.holds(host, port)), (host, port, holds));
        }
        for wrong in ["", "*.corp", "http://h", "h/x", "h:x", "a b", "me@h"] {
            assert!(PrivateHosts::parse([wrong]).is_err(), "{wrong}");
        }
    }
}
