//! Package caches: yours below, read-only; above it a layer of the workspace's own, which no other workspace and
//! nothing outside ever reads. One layer serves one sandbox at a time; another takes the next.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, flock};

use super::host::Host;
use super::layout::Layers;
use super::policy::Policy;
use super::survey::Survey;

/// Where caches are: the variable that says so, and where in the home they are without it.
const CACHES: &[(&str, &str)] = &[
    ("CARGO_HOME", ".cargo"),
    ("GOMODCACHE", "go/pkg/mod"),
    ("GOCACHE", ".cache/go-build"),
    ("NPM_CONFIG_CACHE", ".npm"),
    ("PIP_CACHE_DIR", ".cache/pip"),
    ("UV_CACHE_DIR", ".cache/uv"),
    ("", ".cache/yarn"),
    ("", ".m2/repository"),
    ("GRADLE_USER_HOME", ".gradle"),
];

/// Sandboxes of one workspace that can each have a layer at the same time.
const SLOTS: u32 = 16;

/// The file that says whose layers these are.
const ROOT: &str = "root";

/// The file that says since which start of the machine the layers of a slot are there.
const BOOT: &str = "boot";

/// The folders that the kernel works in for a layer, of which one is in use: the other one is tidied up meanwhile.
const WORKS: [&str; 2] = ["work", "work.other"];

/// The kernel's folder in such a one.
const KERNELS: &str = "work";

/// Layers that are taken.
pub(crate) struct Slot {
    /// Held as long as it is open.
    _lock: File,
    /// What the kernel worked in before.
    stale: Vec<PathBuf>,
}

impl Slot {
    /// Makes what is not in use ready for the next time.
    pub(crate) fn tidy(&self) {
        self.stale.iter().for_each(|work| tidy(work));
    }
}

/// Finds the caches that are there.
pub(crate) fn find(policy: &Policy, host: &Host, survey: &mut Survey) {
    for (variable, place) in CACHES {
        let path = host.var(variable).map_or_else(|| host.home.join(place), PathBuf::from);
        let Ok(path) = path.canonicalize() else { continue };
        let seen = survey.system.iter().any(|above| path.starts_with(above));
        let granted = path.starts_with(&policy.root) || policy.root.starts_with(&path);
        if !path.is_dir() || seen || granted || survey.home.starts_with(&path) {
            continue;
        }
        survey.toolchains.retain(|other| *other != path);
        survey.caches.push((path, None));
    }
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be executed.
    Run,
    /// To be looked at: nothing is made or locked for it.
    Look,
}

/// Gives each cache a layer, where that can be. The lock has to live as long as the sandbox.
pub(crate) fn layer(policy: &Policy, host: &Host, survey: &mut Survey, purpose: Purpose) -> Option<Slot> {
    if survey.caches.is_empty() {
        return None;
    }
    let all = host.cache.as_ref()?;
    let own = all.join(name_of(&policy.root));
    let (dir, mut slot) = match purpose {
        Purpose::Look => (own.join("0"), None),
        Purpose::Run => match claim(all, &own, &policy.root) {
            Ok((dir, lock)) => (dir, Some(Slot { _lock: lock, stale: Vec::new() })),
            Err(cause) => {
                survey.notes.push(format!("package caches are read-only: {cause}"));
                return None;
            }
        },
    };
    for (path, layers) in &mut survey.caches {
        let here = dir.join(name_of(path));
        let upper = here.join("upper");
        let Some(slot) = &mut slot else {
            *layers = Some(Layers { upper, work: here.join(WORKS[0]) });
            continue;
        };
        match make(&here, &upper) {
            Ok((work, stale)) => {
                *layers = Some(Layers { upper, work });
                slot.stale.extend(stale);
            }
            Err(error) => survey.notes.push(format!("`{}` is read-only: {error}", path.display())),
        }
    }
    slot
}

fn name_of(path: &Path) -> String {
    blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex()[..16].to_owned()
}

fn claim(all: &Path, own: &Path, root: &Path) -> Result<(PathBuf, File), String> {
    if !own.is_dir() {
        // A new workspace pays for those that are gone.
        forget_gone(all);
        let text = |error: codetether_files::Error| error.to_string();
        codetether_files::create_dir_private(own).map_err(text)?;
        let bytes = root.as_os_str().as_encoded_bytes();
        codetether_files::write_atomic(own.join(ROOT), bytes, &codetether_files::WriteOptions::default())
            .map_err(text)?;
    }
    take_slot(own)
}

/// Removes the layers of workspaces that are not there any more.
fn forget_gone(all: &Path) {
    let entries = std::fs::read_dir(all).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()) {
        let Ok(root) = codetether_files::read(folder.join(ROOT)) else { continue };
        if PathBuf::from(OsString::from_vec(root)).exists() {
            continue;
        }
        for slot in folders(&folder) {
            folders(&slot).iter().for_each(|layers| open_works(layers));
        }
        // What is in use or someone else's stays.
        let _ = codetether_files::remove_dir_all(&folder);
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

fn take_slot(own: &Path) -> Result<(PathBuf, File), String> {
    for slot in 0..SLOTS {
        let dir = own.join(slot.to_string());
        codetether_files::create_dir_private(&dir).map_err(|error| error.to_string())?;
        let lock =
            codetether_files::open_append(dir.join("lock"), 0o600).map_err(|error| error.to_string())?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            renew(&dir).map_err(|error| error.to_string())?;
            return Ok((dir, lock));
        }
    }
    Err(format!("{SLOTS} sandboxes of this workspace run already"))
}

/// Makes a layer ready to be mounted once more. Gives what the kernel is to work in, and what it worked in before.
fn make(here: &Path, upper: &Path) -> Result<(PathBuf, Vec<PathBuf>), codetether_files::Error> {
    let works = WORKS.map(|name| here.join(name));
    let is_fresh = |work: &PathBuf| !work.join(KERNELS).exists();
    let fresh = works.iter().position(is_fresh).unwrap_or_else(|| {
        tidy(&works[0]);
        0
    });
    codetether_files::create_dir_private(upper)?;
    codetether_files::create_dir_private(&works[fresh])?;
    let stale = works.iter().enumerate().filter(|(n, work)| *n != fresh && !is_fresh(work));
    Ok((works[fresh].clone(), stale.map(|(_, work)| work.clone()).collect()))
}

/// Layers are mounted without being synced at their end, which would wait for the whole disk. The kernel leaves a note of
/// that behind, and mounts none that has one: a loss of power could have spoiled it. Those are removed when the machine has
/// started anew; any other is whole. What else is in the way the kernel removes itself.
fn tidy(work: &Path) {
    open_work(work);
    let note = [
        ("incompat/volatile/dirty", AtFlags::empty()),
        ("incompat/volatile", AtFlags::REMOVEDIR),
        ("incompat", AtFlags::REMOVEDIR),
        ("", AtFlags::REMOVEDIR),
    ];
    for (part, flags) in note {
        // There is none after a sandbox that failed early.
        let _ = rustix::fs::unlinkat(CWD, work.join(KERNELS).join(part), flags);
    }
}

/// The kernel's own folders are closed to everyone, who may only look into them or remove them where they are opened.
fn open_work(work: &Path) {
    for folder in ["", "incompat", "incompat/volatile"] {
        // It is not there before the first mount.
        let _ = rustix::fs::chmod(work.join(KERNELS).join(folder), Mode::RWXU);
    }
}

fn open_works(layers: &Path) {
    WORKS.iter().for_each(|name| open_work(&layers.join(name)));
}

/// Removes the layers of a slot when the machine has started anew since they were written.
fn renew(slot: &Path) -> Result<(), codetether_files::Error> {
    // Without one, each is as good as the last.
    let boot = codetether_files::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let file = slot.join(BOOT);
    if codetether_files::read(&file).is_ok_and(|before| before == boot) {
        return Ok(());
    }
    for layers in folders(slot) {
        open_works(&layers);
        codetether_files::remove_dir_all(&layers)?;
    }
    codetether_files::write_atomic(&file, &boot, &codetether_files::WriteOptions::default())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;
    use crate::launch::policy::Mode as PolicyMode;

    fn survey(cache: &Path) -> Survey {
        Survey { caches: vec![(cache.to_owned(), None)], ..Survey::default() }
    }

    #[test]
    fn two_sandboxes_have_two_layers_and_a_look_has_none() {
        let (root, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let policy = Policy::new(PolicyMode::WorkspaceWrite, root.path()).unwrap();
        let all = home.path().join("layers");
        let host = Host { cache: Some(all.clone()), ..Host::here() };
        let take = |purpose| {
            let mut survey = survey(home.path());
            let lock = layer(&policy, &host, &mut survey, purpose);
            (survey.caches.remove(0).1.unwrap().upper, lock)
        };
        let (looked, none) = take(Purpose::Look);
        assert!(none.is_none() && !all.exists());
        let (first, lock) = take(Purpose::Run);
        let (second, _lock) = take(Purpose::Run);
        assert_eq!(first, looked);
        assert_ne!(first, second);
        drop(lock);
        assert_eq!(take(Purpose::Run).0, first);
    }

    #[test]
    fn layers_that_a_loss_of_power_could_have_spoiled_are_begun_anew() {
        let (root, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let policy = Policy::new(PolicyMode::WorkspaceWrite, root.path()).unwrap();
        let host = Host { cache: Some(home.path().join("layers")), ..Host::here() };
        let take = || {
            let mut survey = survey(home.path());
            drop(layer(&policy, &host, &mut survey, Purpose::Run));
            survey.caches.remove(0).1.unwrap().upper
        };
        let file = take().join("file");
        std::fs::write(&file, "").unwrap();
        take();
        assert!(file.exists());
        std::fs::write(file.ancestors().nth(3).unwrap().join(BOOT), "another start").unwrap();
        take();
        assert!(!file.exists());
    }

    #[test]
    fn layers_of_a_workspace_that_is_gone_are_removed() {
        let (old, new, home) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Host { cache: Some(home.path().join("layers")), ..Host::here() };
        let take = |root: &Path| {
            let policy = Policy::new(PolicyMode::WorkspaceWrite, root).unwrap();
            let mut survey = survey(home.path());
            drop(layer(&policy, &host, &mut survey, Purpose::Run));
            survey.caches.remove(0).1.unwrap().upper
        };
        let gone = take(old.path());
        assert!(gone.is_dir());
        drop(old);
        assert!(take(new.path()).is_dir());
        assert!(!gone.exists());
    }
}
