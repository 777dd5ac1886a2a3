//! Which variables a command inherits: those on a list, and of those none that could hold a secret. What is not
//! known is not passed on, so a new kind of key is safe before anyone has heard of it.

use std::ffi::{OsStr, OsString};

/// Variables that commands inherit, in groups. A star stands for any ending.
const INHERITED: &[&str] = &[
    // the person and the machine
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "HOSTNAME",
    "TZ",
    "TMPDIR",
    "XDG_*",
    // language and terminal
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    // C and what is built on it
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "PKG_CONFIG_PATH",
    "CMAKE_PREFIX_PATH",
    "MAKEFLAGS",
    "CCACHE_DIR",
    "LIBCLANG_PATH",
    // Rust
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_JOBS",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUST_BACKTRACE",
    "SCCACHE_DIR",
    // Go
    "GOPATH",
    "GOROOT",
    "GOCACHE",
    "GOMODCACHE",
    "GOBIN",
    "GOFLAGS",
    "GOPROXY",
    "GOTOOLCHAIN",
    "CGO_ENABLED",
    // Java and its kin
    "JAVA_HOME",
    "JDK_HOME",
    "MAVEN_HOME",
    "M2_HOME",
    "GRADLE_HOME",
    "GRADLE_USER_HOME",
    "SDKMAN_DIR",
    "KOTLIN_HOME",
    "SCALA_HOME",
    "ANDROID_HOME",
    "ANDROID_SDK_ROOT",
    // JavaScript
    "NVM_DIR",
    "NVM_BIN",
    "NODE_PATH",
    "NODE_ENV",
    "NODE_EXTRA_CA_CERTS",
    "PNPM_HOME",
    "BUN_INSTALL",
    "DENO_DIR",
    "VOLTA_HOME",
    "FNM_DIR",
    "NPM_CONFIG_CACHE",
    "NPM_CONFIG_REGISTRY",
    // Python
    "PYENV_ROOT",
    "PYENV_VERSION",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_CACHE_DIR",
    "PIP_INDEX_URL",
    "UV_CACHE_DIR",
    "UV_PYTHON",
    "POETRY_HOME",
    // other languages and version managers
    "RBENV_ROOT",
    "GEM_HOME",
    "GEM_PATH",
    "BUNDLE_PATH",
    "COMPOSER_HOME",
    "DOTNET_ROOT",
    "GHCUP_INSTALL_BASE_PREFIX",
    "OPAMROOT",
    "OPAM_SWITCH_PREFIX",
    "MIX_HOME",
    "HEX_HOME",
    "JULIA_DEPOT_PATH",
    "R_LIBS_USER",
    "PERL5LIB",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "NIX_PATH",
    "NIX_PROFILES",
    "HOMEBREW_PREFIX",
    "FLUTTER_ROOT",
    "DOCKER_HOST",
    // the way to the network, beside `PROXIES`
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    // whether anyone is there
    "CI",
    "DEBIAN_FRONTEND",
];

/// Variables that name the proxy on the way to the network: outside they are inherited, inside they lead nowhere.
pub(crate) const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Parts of names that speak of a secret. They win over the list above.
const SECRET: &[&str] = &["KEY", "TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL", "AUTH", "COOKIE"];

/// Ends of names whose values say where something is.
const PLACES: &[&str] = &["_FILE", "_DIR", "_PATH", "_SOCK", "XAUTHORITY"];

/// Shorter values, in bytes, would be found in innocent texts.
const SHORTEST: usize = 8;

/// Set for every command: nobody is there to answer a prompt; git's own look-ups leave its index alone, and start no
/// program that a repository's settings name to watch its files.
const SET: &[(&str, &str)] = &[
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
    ("GIT_CONFIG_VALUE_0", "false"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// What every command has in its environment, whatever it inherits.
pub(crate) fn ours() -> Vec<(OsString, OsString)> {
    SET.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The whole environment of a command: what of `from` (usually `std::env::vars_os()`) may be inherited, then our own,
/// then `extra`, which is passed as it is: it is how a grant names a secret, and how a [`crate::Marker`] travels.
///
/// Left out of `from`: names that are not on the list; names that speak of a secret; values that may hold an address
/// with a user or password in it: an `@` behind a `://` (`http://me:pw@index`), and any `@` where the name ends in
/// `_proxy`, whose scheme may be left out. The order is by name, the same for the same input.
pub fn environment(
    from: impl IntoIterator<Item = (OsString, OsString)>,
    extra: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let inherited = from.into_iter().filter(|(name, value)| may_inherit(name, value));
    let all: std::collections::BTreeMap<_, _> = inherited.chain(ours()).chain(extra).collect();
    all.into_iter().collect()
}

/// The values that the names in `from` call secrets, so that they can be taken out of texts: UTF-8, without white
/// space around them, at least eight bytes. The place of a secret is none: an absolute path in a variable that is
/// called `…_FILE`, `…_DIR`, `…_PATH`, `…_SOCK` or `XAUTHORITY`.
pub fn secrets(from: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    from.into_iter()
        .filter_map(|(name, value)| {
            let (name, value) = (name.to_string_lossy().to_ascii_uppercase(), value.to_str()?.trim());
            let is_place = value.starts_with('/') && PLACES.iter().any(|end| name.ends_with(end));
            (speaks_of_secret(&name) && !is_place && value.len() >= SHORTEST).then(|| value.to_owned())
        })
        .collect()
}

/// Whether a name, in capitals, speaks of a secret. Who wrote something is none (`GIT_AUTHOR_NAME`).
/// Whether a name, of a variable or a header, speaks of a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    speaks_of_secret(&name.to_ascii_uppercase())
}

fn speaks_of_secret(upper: &str) -> bool {
    let name = upper.replace("AUTHOR_", "");
    SECRET.iter().any(|part| name.contains(part))
}

fn may_inherit(name: &OsStr, value: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let listed = INHERITED.iter().chain(PROXIES).any(|entry| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *entry,
    });
    let upper = name.to_ascii_uppercase();
    listed && !speaks_of_secret(&upper) && !may_name_a_user(&upper, value)
}

/// Whether the value may hold an address with someone's name or password in it, wherever such an address ends: a
/// password that is written wrongly may hold any character.
fn may_name_a_user(upper: &str, value: &OsStr) -> bool {
    let value = value.to_string_lossy();
    let address =
        if upper.ends_with("_PROXY") { Some(&*value) } else { value.split_once("://").map(|(_, rest)| rest) };
    address.is_some_and(|address| address.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pairs: &[(&str, &str)]) -> Vec<String> {
        let from = pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let left = environment(from, []);
        left.into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .filter(|n| SET.iter().all(|(name, _)| n != name))
            .collect()
    }

    #[test]
    fn what_builds_need_is_inherited() {
        let pairs = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("XDG_CACHE_HOME", "/c"),
            ("CARGO_HOME", "/cargo"),
            ("HTTP_PROXY", "http://proxy:3128"),
        ];
        assert_eq!(kept(&pairs), ["CARGO_HOME", "HTTP_PROXY", "LC_ALL", "PATH", "XDG_CACHE_HOME"]);
    }

    #[test]
    fn no_key_passes_by_name_or_value() {
        let pairs = [
            ("OPENAI_API_KEY", "sk-1"),
            ("ANTHROPIC_AUTH_TOKEN", "x"),
            ("GITHUB_TOKEN", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("SSH_AUTH_SOCK", "/s"),
            ("XDG_SECRET", "x"),
            ("LC_API_KEY", "x"),
            ("CODETETHER_MODEL", "x"),
            ("DATABASE_URL", "postgres://me:pw@db/x"),
            ("HTTPS_PROXY", "http://me:pw@proxy:3128"),
            ("HTTP_PROXY", "me:pw@proxy:3128"),
            ("all_proxy", "http://me:p/w@proxy"),
            ("NPM_CONFIG_REGISTRY", "https://me:p/w@registry"),
            ("ERL_AFLAGS", "-setcookie secret"),
            ("PIP_INDEX_URL", "https://__user__@index/simple"),
            ("GOPROXY", "https://a,https://me:pw@b"),
            ("LD_PRELOAD", "/x.so"),
            ("PWD", "/x"),
            ("path", "/x"),
        ];
        assert_eq!(kept(&pairs), Vec::<String>::new());
    }

    #[test]
    fn an_at_sign_in_no_address_is_harmless() {
        assert_eq!(
            kept(&[("NODE_PATH", "/x/node@22"), ("HTTP_PROXY", "proxy:3128")]),
            ["HTTP_PROXY", "NODE_PATH"]
        );
    }

    #[test]
    fn the_values_that_names_call_secrets_are_known() {
        let pairs = [
            ("OPENAI_API_KEY", "sk-12345\n"),
            ("Http_Authorization", "Bearer x"),
            ("SECRET_KEY", "/9j4AAQSk"),
            ("GIT_AUTHOR_NAME", "Ada Lovelace"),
            ("PASSWORD_STORE_DIR", "/home/ada/project"),
            ("XAUTHORITY", "/home/ada/.Xauthority"),
            ("DB_PASSWORD", "short"),
            ("HOME", "/home/ada"),
        ];
        let from = pairs.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        assert_eq!(secrets(from), ["sk-12345", "Bearer x", "/9j4AAQSk"]);
    }

    #[test]
    fn what_is_granted_is_added_and_wins() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let got = environment(
            [pair("PATH", "/a"), pair("MY_TOKEN", "no")],
            [pair("PATH", "/b"), pair("MY_TOKEN", "yes")],
        );
        let mut expected: Vec<_> = SET.iter().map(|(name, value)| pair(name, value)).collect();
        expected.extend([pair("MY_TOKEN", "yes"), pair("PATH", "/b")]);
        assert_eq!(got, expected);
    }
}
