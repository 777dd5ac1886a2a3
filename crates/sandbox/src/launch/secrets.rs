//! What is secret in places that can be read: it is masked. Names that are known, files that only their owner may
//! read in the system, and what a package client keeps beside its settings.

use std::path::{Path, PathBuf};

use super::host::Host;
use super::policy::Policy;
use super::survey::{Mask, Survey};

/// In a home: where keys and passwords are kept.
const IN_HOME: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".oci",
    ".config",
    ".password-store",
    ".local/share/keyrings",
    ".local/share/codetether",
    ".local/state",
    ".mozilla",
    ".thunderbird",
    ".netrc",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".git-credentials",
    ".pgpass",
    ".my.cnf",
    ".vault-token",
    ".claude.json",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
    ".mysql_history",
    ".node_repl_history",
    ".gem/credentials",
    ".m2/settings.xml",
    ".m2/settings-security.xml",
    ".gradle/gradle.properties",
    ".terraform.d",
    ".claude",
    ".codex",
    ".gemini",
];

/// In a toolchain's or cache's folder: credentials that its client keeps there.
const IN_TOOLCHAINS: &[&str] =
    &["credentials", "credentials.toml", "auth.json", "auth.toml", ".npmrc", "gradle.properties", "servers"];

/// A file that is a secret wherever it is, by its name.
const FILES: &[&str] = &[".netrc", "_netrc", ".git-credentials", ".pypirc", ".pgpass", ".vault-token"];

/// What a token looks like in `.npmrc`.
const NPM_TOKENS: &[&str] = &["_authToken", "_auth", "_password"];

/// Entries of the system's settings that are looked at, at most.
const MOST: usize = 20_000;

/// Masks what is secret outside of the workspace.
pub(crate) fn mask(policy: &Policy, host: &Host, survey: &mut Survey) {
    let mut found: Vec<PathBuf> = Vec::new();
    let caches = survey.caches.iter().map(|(path, _)| path);
    for place in survey.toolchains.iter().chain(caches) {
        found.extend(IN_TOOLCHAINS.iter().map(|name| place.join(name)));
    }
    // A workspace, or a place that was granted, can have the home or a part of it in it.
    let shown: Vec<&PathBuf> = policy
        .readable
        .iter()
        .chain(&policy.writable)
        .map(|grant| &grant.path)
        .chain([&policy.root])
        .collect();
    // So can it have the layers of other workspaces' caches.
    let in_home = IN_HOME.iter().map(|name| host.home.join(name)).chain(host.cache.clone());
    found.extend(in_home.filter(|path| shown.iter().any(|place| path.starts_with(place))));
    for path in found {
        // What someone named exactly, they want to be seen.
        let named = shown.iter().any(|place| place.starts_with(&path));
        if let Ok(meta) = path.symlink_metadata()
            && !named
            && !meta.is_symlink()
        {
            survey.masks.push(Mask {
                path,
                folder: meta.is_dir(),
                why: "keys and passwords are kept there".into(),
            });
        }
    }
    // Everyone else is kept out by the permissions of the files.
    if host.user.is_root() {
        for top in survey.system.clone() {
            if top.starts_with("/etc") || top.starts_with("/opt") {
                mask_private(&top, survey);
            }
        }
    }
}

/// Masks what only its owner or group may read: what the user is not to see unless it is root, who sees everything.
fn mask_private(top: &Path, survey: &mut Survey) {
    use std::os::unix::fs::PermissionsExt as _;

    let mut folders = vec![(top.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            // Most of what is in `/etc` are links, and the kind is known without a look at each.
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            let needed = if meta.is_dir() { 0o005 } else { 0o004 };
            if meta.permissions().mode() & needed != needed || seen > MOST {
                let why = "only the system itself may read it";
                survey.masks.push(Mask { path: entry.path(), folder: meta.is_dir(), why: why.into() });
            } else if meta.is_dir() && (depth < 2 || top.starts_with("/etc")) {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
}

/// Whether a file in a workspace is a secret.
pub(crate) fn is_secret(name: &[u8], path: &Path) -> bool {
    if FILES.iter().any(|file| name == file.as_bytes()) {
        return true;
    }
    match name {
        b".npmrc" => super::gitsettings::read(path).is_some_and(|text| holds_token(&text)),
        b"credentials" | b"credentials.toml" => {
            path.parent().is_some_and(|folder| folder.ends_with(".cargo"))
        }
        _ => false,
    }
}

/// Whether a `.npmrc` has a token in it, and not only the name of a variable that has.
fn holds_token(text: &str) -> bool {
    text.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| {
        let key = key.trim().rsplit(':').next().unwrap_or_default();
        let value = value.trim().trim_matches('"');
        NPM_TOKENS.contains(&key) && !value.is_empty() && !(value.starts_with("${") && value.ends_with('}'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_the_name_of_a_variable() {
        assert!(holds_token("registry=x\n//registry.example/:_authToken=abc\n"));
        assert!(holds_token("_auth = \"YWRhOnB3\"\n"));
        assert!(!holds_token("//registry.example/:_authToken=${NPM_TOKEN}\nregistry=https://x\n"));
    }
}
