//! What is secret in places that can be read: it is masked. Names that are known, files that only their owner may
//! read in the system, and what a package client keeps beside its settings.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, statat};

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
}

/// A hunt for what in these places only its owner or group may read: what the user is not to see unless it is root, who
/// sees everything. Everyone else is kept out by the permissions of the files. Several threads can [`join`](Self::join).
#[derive(Default)]
pub(crate) struct Hunt {
    trail: Mutex<Trail>,
}

/// What a hunt has found, and where it still has to look.
#[derive(Default)]
struct Trail {
    /// Each with its depth, and whether all of what is below counts.
    folders: Vec<Folder>,
    /// How many are being looked at, in which there may be more.
    under_way: usize,
    seen: usize,
    masks: Vec<Mask>,
}

struct Folder {
    path: PathBuf,
    depth: usize,
    /// Whether the hunt goes all the way down.
    whole: bool,
}

/// Counts a folder as looked at, however that ended.
struct UnderWay<'a>(&'a Hunt);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.trail().under_way -= 1;
    }
}

impl Hunt {
    /// A hunt through the system's settings.
    pub(crate) fn new(system: &[PathBuf]) -> Self {
        let tops = system.iter().filter(|top| top.starts_with("/etc") || top.starts_with("/opt"));
        Self::below(tops.map(|top| (top.clone(), top.starts_with("/etc"))))
    }

    fn below(tops: impl Iterator<Item = (PathBuf, bool)>) -> Self {
        let folders = tops.map(|(path, whole)| Folder { path, depth: 0, whole }).collect();
        Self { trail: Mutex::new(Trail { folders, ..Trail::default() }) }
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hunts until there is nothing left to look at for anyone.
    pub(crate) fn join(&self) {
        // A call for most folders, and one that says that this was all.
        let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
        loop {
            let mut trail = self.trail();
            let Some(folder) = trail.folders.pop() else {
                if trail.under_way == 0 {
                    return;
                }
                drop(trail);
                std::thread::yield_now();
                continue;
            };
            trail.under_way += 1;
            drop(trail);
            let under_way = UnderWay(self);
            let found = look(&folder, &mut buffer);
            let mut trail = self.trail();
            trail.seen += found.seen;
            let too_many = trail.seen > MOST;
            let folders = found.folders.into_iter();
            if too_many {
                trail.masks.extend(folders.map(|folder| private(folder.path, true)));
            } else {
                trail.folders.extend(folders);
            }
            trail.masks.extend(found.masks);
            drop(trail);
            drop(under_way);
        }
    }

    /// What it found.
    pub(crate) fn into_masks(self) -> Vec<Mask> {
        self.trail.into_inner().unwrap_or_else(PoisonError::into_inner).masks
    }
}

fn private(path: PathBuf, folder: bool) -> Mask {
    Mask { path, folder, why: "only the system itself may read it".into() }
}

/// Looks at what is in a folder.
fn look(folder: &Folder, buffer: &mut [MaybeUninit<u8>]) -> Trail {
    let mut found = Trail::default();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(opened) = openat(CWD, &folder.path, flags, Mode::empty()) else { return found };
    let mut entries = RawDir::new(&opened, buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        found.seen += 1;
        // Most of what is in `/etc` are links, and the kind is known without a look at each.
        if entry.file_type() == FileType::Symlink {
            continue;
        }
        let Ok(stat) = statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            continue;
        }
        let is_folder = kind == FileType::Directory;
        let path = || folder.path.join(OsStr::from_bytes(name.to_bytes()));
        let needed = if is_folder { 0o005 } else { 0o004 };
        if stat.st_mode & needed != needed || found.seen > MOST {
            found.masks.push(private(path(), is_folder));
        } else if is_folder && (folder.whole || folder.depth < 2) {
            found.folders.push(Folder { path: path(), depth: folder.depth + 1, whole: folder.whole });
        }
    }
    found
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
    #[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
    fn what_only_its_owner_may_read_is_private_however_deep_it_lies() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        let modes =
            [("open", 0o644), ("shadow", 0o640), ("a/b/key", 0o600), ("a/b/c", 0o644), ("closed/x", 0o644)];
        for (name, mode) in modes {
            let file = top.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::set_permissions(top.join("closed"), std::fs::Permissions::from_mode(0o711)).unwrap();
        std::os::unix::fs::symlink("shadow", top.join("link")).unwrap();
        // More than one call gives of one folder.
        (0..2_000)
            .for_each(|n| std::fs::create_dir(top.join(format!("folder-with-a-long-name-{n}"))).unwrap());
        let hunt = Hunt::below([(top.to_owned(), true)].into_iter());
        std::thread::scope(|scope| {
            scope.spawn(|| hunt.join());
            hunt.join();
        });
        let masks = hunt.into_masks();
        let mut found: Vec<_> =
            masks.iter().map(|mask| (mask.path.strip_prefix(top).unwrap(), mask.folder)).collect();
        found.sort();
        let expected = [("a/b/key", false), ("closed", true), ("shadow", false)];
        assert_eq!(found, expected.map(|(path, folder)| (Path::new(path), folder)));
    }

    #[test]
    fn a_token_is_told_from_the_name_of_a_variable() {
        assert!(holds_token("registry=x\n//registry.example/:_authToken=abc\n"));
        assert!(holds_token("_auth = \"YWRhOnB3\"\n"));
        assert!(!holds_token("//registry.example/:_authToken=${NPM_TOKEN}\nregistry=https://x\n"));
    }
}
