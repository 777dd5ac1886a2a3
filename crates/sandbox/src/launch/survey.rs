//! A look at the machine before a sandbox is made: where the system and the toolchains are, what in them is secret,
//! which repositories the workspace has. Only looks; what follows from it is [`super::layout`]'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::host::Host;
use super::layout::Layers;
use super::policy::Policy;
use super::repository::Wanted;
use super::secrets::Hunt;
use super::{caches, gitsettings, secrets, walk};

/// Something that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) path: PathBuf,
    /// Whether its content stays, too; else only its place.
    pub(crate) frozen: bool,
    pub(crate) why: String,
}

impl Pin {
    pub(crate) fn frozen(path: impl Into<PathBuf>, why: &str) -> Self {
        Self { path: path.into(), frozen: true, why: why.to_owned() }
    }

    pub(crate) fn held(path: impl Into<PathBuf>, why: &str) -> Self {
        Self { path: path.into(), frozen: false, why: why.to_owned() }
    }
}

/// Something that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) path: PathBuf,
    pub(crate) folder: bool,
    pub(crate) why: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) home: PathBuf,
    /// Of the machine, in megabytes.
    pub(crate) memory: u32,
    /// Links at the top, and where they lead.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    pub(crate) system: Vec<PathBuf>,
    pub(crate) toolchains: BTreeSet<PathBuf>,
    /// Package caches; with layers where the workspace has some of its own.
    pub(crate) caches: Vec<(PathBuf, Option<Layers>)>,
    /// Repositories outside of the workspace that it is a working tree of.
    pub(crate) repositories: Vec<(PathBuf, String)>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) masks: Vec<Mask>,
    /// What is to be made before a command runs.
    pub(crate) wanted: Vec<Wanted>,
    /// What must not be there after one ran.
    pub(crate) unwanted: Vec<PathBuf>,
    /// What was looked at in places that can be written.
    pub(crate) walk: walk::Walk,
    /// How many folders nobody looked at.
    pub(crate) unseen: usize,
    /// What `PATH` names, as it is written.
    pub(crate) in_path: Vec<PathBuf>,
    /// What the user's own git settings name.
    pub(crate) global: gitsettings::Global,
    /// Git settings for the empty home.
    pub(crate) git_settings: Option<String>,
    /// What does less than it should, for people.
    pub(crate) notes: Vec<String>,
}

/// Where the system is. What is not there is left out.
const SYSTEM: &[&str] = &[
    "/usr",
    "/etc",
    "/opt",
    "/nix",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/gnu/store",
    "/home/linuxbrew/.linuxbrew",
    // what package managers and typesetters ask about the system
    "/var/lib/dpkg",
    "/var/lib/ghc",
    "/var/lib/texmf",
    "/var/cache/fontconfig",
    // how many processors there are
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Where toolchains are: the variable that says so, and where in the home they are without it.
const TOOLCHAINS: &[(&str, &str)] = &[
    ("RUSTUP_HOME", ".rustup"),
    ("PYENV_ROOT", ".pyenv"),
    ("NVM_DIR", ".nvm"),
    ("VOLTA_HOME", ".volta"),
    ("FNM_DIR", ".local/share/fnm"),
    ("BUN_INSTALL", ".bun"),
    ("PNPM_HOME", ".local/share/pnpm"),
    ("", ".npm-global"),
    ("", ".local/share/uv"),
    ("", ".local/bin"),
    ("", ".local/lib"),
    ("POETRY_HOME", ".local/share/pypoetry"),
    ("VIRTUAL_ENV", ""),
    ("CONDA_PREFIX", ""),
    ("GOROOT", "sdk"),
    ("GOBIN", "go/bin"),
    ("RBENV_ROOT", ".rbenv"),
    ("", ".rvm"),
    ("GEM_HOME", ".gem"),
    ("ASDF_DIR", ".asdf"),
    ("ASDF_DATA_DIR", ""),
    ("MISE_DATA_DIR", ".local/share/mise"),
    ("SDKMAN_DIR", ".sdkman"),
    ("JAVA_HOME", ""),
    ("GHCUP_INSTALL_BASE_PREFIX", ".ghcup"),
    ("OPAMROOT", ".opam"),
    ("DOTNET_ROOT", ".dotnet"),
    ("JULIA_DEPOT_PATH", ".julia"),
    ("FLUTTER_ROOT", ""),
    ("ANDROID_HOME", ""),
    ("", ".elan"),
    ("", ".juliaup"),
    // browsers that tests drive
    ("", ".cache/ms-playwright"),
    ("", ".cache/puppeteer"),
];

impl Survey {
    /// Looks at the machine, for a policy. What follows from the look at the workspace and the caches can be done while the
    /// look at the system is still under way.
    pub(crate) fn take(policy: &Policy, host: &Host, then: impl FnOnce(&mut Self)) -> Self {
        let mut survey = Self { home: host.home.clone(), memory: memory(), ..Self::default() };
        for path in SYSTEM.iter().map(Path::new) {
            match path.symlink_metadata() {
                Ok(meta) if meta.is_symlink() => {
                    if let Ok(target) = path.read_link() {
                        survey.links.push((path.to_owned(), target));
                    }
                }
                Ok(_) => survey.system.push(path.to_owned()),
                Err(_) => {}
            }
        }
        let system = survey.system.clone();
        let rest = || {
            survey.find_toolchains(host);
            caches::find(policy, host, &mut survey);
            survey.git_settings = gitsettings::harmless(host);
            survey.global = gitsettings::Global::read(host);
            secrets::mask(policy, host, &mut survey);
            walk::guard(policy, &mut survey);
            then(&mut survey);
        };
        if host.user.is_root() {
            let hunt = Hunt::new(&system);
            let is_whole = beside(
                || hunt.join(),
                || {
                    rest();
                    hunt.join();
                },
            );
            let hunt = if is_whole { hunt } else { Hunt::new(&system) };
            hunt.join();
            survey.masks.extend(hunt.into_masks());
        } else {
            rest();
        }
        survey
    }

    fn find_toolchains(&mut self, host: &Host) {
        let named = TOOLCHAINS.iter().flat_map(|(variable, place)| {
            let by_name = host.var(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            let usual = (!place.is_empty()).then(|| host.home.join(place));
            by_name.or(usual)
        });
        let in_path = host.var("PATH").map(std::env::split_paths).into_iter().flatten();
        self.in_path = in_path.filter(|path| path.is_absolute()).collect();
        let in_path = self.in_path.iter().cloned();
        let all: BTreeSet<PathBuf> =
            named.chain(in_path).filter_map(|path| path.canonicalize().ok()).collect();
        for path in all {
            let seen = self.system.iter().chain(&self.toolchains).any(|above| path.starts_with(above));
            if !seen && path.is_dir() && !self.is_too_wide(&path) {
                self.toolchains.insert(path);
            }
        }
    }

    /// Whether a folder is the home, or one that the home is in, or what the kernel shows of itself.
    fn is_too_wide(&self, path: &Path) -> bool {
        self.home.starts_with(path)
            || ["/proc", "/sys", "/dev", "/run"].iter().any(|top| path.starts_with(top))
    }
}

/// Does something, with help from a thread of its own where there is one to be had. That thread has ended when this
/// returns: the process has one again, as forking wants. Whether the help did not break down.
fn beside(help: impl Fn() + Sync, work: impl FnOnce()) -> bool {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, &help);
        work();
        thread.ok().is_none_or(|thread| thread.join().is_ok())
    })
}

fn memory() -> u32 {
    let info = rustix::system::sysinfo();
    u32::try_from((u128::from(info.totalram) * u128::from(info.mem_unit)) >> 20).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use super::*;

    #[test]
    fn help_comes_from_another_thread_and_its_breakdown_is_known() {
        let helpers = Mutex::new(Vec::new());
        let mut worked = false;
        assert!(beside(|| helpers.lock().unwrap().push(thread::current().id()), || worked = true));
        assert!(worked && !helpers.into_inner().unwrap().contains(&thread::current().id()));
        assert!(!beside(|| panic!("the help breaks down"), || ()));
    }
}
