//! What a command may do, as plain data. It comes from the user's settings and the command line, never from the
//! workspace, and is made canonical once, outside, before anything of the workspace is run.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What may be written at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing but private temporary folders.
    ReadOnly,
    /// The workspace, what `writable` names, and private temporary folders.
    WorkspaceWrite,
    /// Everything: no sandbox.
    Unconfined,
}

impl Mode {
    /// As it is written on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::WorkspaceWrite => "workspace-write",
            Self::Unconfined => "unconfined",
        }
    }
}

/// How it is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Namespaces, a new root, Landlock and seccomp.
    Namespaces,
    /// Landlock and seccomp alone, with the gaps of [`crate::gaps`].
    Landlock,
}

impl Tier {
    /// As it is written on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
        }
    }
}

/// A place that was granted, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Absolute, without links in it.
    pub path: PathBuf,
    /// The flag, or the file and line. No part of what is hashed: it changes nothing.
    #[serde(skip)]
    pub by: String,
}

/// Which way leads out to the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// None: loopback inside alone.
    Off,
    /// The proxy outside, to these hosts.
    Allow(Vec<String>),
}

/// Bounds of one command and all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Private memory of one process, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Longest run, in milliseconds.
    pub millis: Option<u64>,
    /// Largest file that may be written, in bytes.
    pub file: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        // Not `available_parallelism`, which reads a dozen files of cgroups first.
        let cpus = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count());
        let per_cpu = cpus.saturating_mul(32);
        Self { memory: Some(4 << 30), processes: per_cpu.saturating_add(512), millis: None, file: None }
    }
}

/// What a command may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What may be written at all.
    pub mode: Mode,
    /// The workspace: absolute, without links in it.
    pub root: PathBuf,
    /// More places that may be written.
    pub writable: Vec<Grant>,
    /// More places that may be read.
    pub readable: Vec<Grant>,
    /// Which way leads out.
    pub net: Net,
    /// Variables that are passed on although they are on no list.
    pub env: Vec<String>,
    /// Bounds.
    pub limits: Limits,
    /// How it is enforced; without one, by the strongest that this machine has.
    pub tier: Option<Tier>,
}

/// Why a policy makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A place that is not there, or cannot be looked at.
    #[error("cannot grant `{path}` ({by}): {cause}")]
    NoPlace {
        /// As it was written.
        path: PathBuf,
        /// By what.
        by: String,
        /// What the system said.
        cause: String,
    },
    /// A place so wide that nothing would be confined.
    #[error("cannot grant `{path}` ({by}): that is where the system itself is")]
    TooWide {
        /// The place.
        path: PathBuf,
        /// By what.
        by: String,
    },
    /// A place that a link in the workspace leads to: whoever made the link would grant themselves what it leads to.
    #[error(
        "cannot grant `{path}` ({by}): it is in the workspace and leads out of it, to `{real}`; name that"
    )]
    LeadsOut {
        /// As it was written.
        path: PathBuf,
        /// By what.
        by: String,
        /// Where it leads.
        real: PathBuf,
    },
    /// What was asked for beside no sandbox at all.
    #[error("`{0}` has no effect with `--mode unconfined`: leave one of them out")]
    NoEffect(&'static str),
    /// Something that could never be a variable.
    #[error("cannot pass `{0}` on: a name of a variable has no `=` and no NUL in it, and is not empty")]
    NoName(String),
}

/// Places that no flag can make writable or a workspace: the system, and what the kernel shows of itself.
const NEVER: &[&str] =
    &["/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"];

impl Policy {
    /// For this workspace, with nothing granted.
    ///
    /// # Errors
    /// When the workspace is not there, or is the system itself.
    pub fn new(mode: Mode, root: &Path) -> Result<Self, PolicyError> {
        let root = place(root, "the workspace")?;
        let limits = Limits::default();
        Ok(Self {
            mode,
            root: not_the_system(root)?.path,
            writable: Vec::new(),
            readable: Vec::new(),
            net: Net::Off,
            env: Vec::new(),
            // What is not confined is not bounded either, unless someone says so.
            limits: Limits { memory: limits.memory.filter(|_| mode != Mode::Unconfined), ..limits },
            tier: None,
        })
    }

    /// Lets a place be written (and read).
    ///
    /// # Errors
    /// When it is not there, or is the system itself.
    pub fn grant_write(&mut self, path: &Path, by: &str) -> Result<(), PolicyError> {
        let grant = not_the_system(place(path, by)?)?;
        self.writable.push(self.not_led_out(path, grant)?);
        Ok(())
    }

    /// Lets a place be read.
    ///
    /// # Errors
    /// When it is not there, or is the root.
    pub fn grant_read(&mut self, path: &Path, by: &str) -> Result<(), PolicyError> {
        let grant = place(path, by)?;
        if ["/", "/proc", "/dev"].iter().any(|never| grant.path == Path::new(never)) {
            return Err(PolicyError::TooWide { path: grant.path, by: grant.by });
        }
        self.readable.push(self.not_led_out(path, grant)?);
        Ok(())
    }

    /// Follows a name step by step: a link that lies in the workspace may not lead out of it.
    fn not_led_out(&self, named: &Path, grant: Grant) -> Result<Grant, PolicyError> {
        let mut at = PathBuf::new();
        for step in std::path::absolute(named).unwrap_or_else(|_| named.to_owned()).components() {
            if step == Component::ParentDir {
                at.pop();
                continue;
            }
            let here = at.join(step);
            let real = here.canonicalize().unwrap_or_else(|_| here.clone());
            let is_link = at.starts_with(&self.root) && here.is_symlink();
            if is_link && !real.starts_with(&self.root) {
                return Err(PolicyError::LeadsOut { path: named.to_owned(), by: grant.by, real: grant.path });
            }
            at = real;
        }
        Ok(grant)
    }

    /// Passes a variable on.
    ///
    /// # Errors
    /// When that is no name of a variable.
    pub fn pass(&mut self, name: &str) -> Result<(), PolicyError> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(PolicyError::NoName(name.to_owned()));
        }
        self.env.push(name.to_owned());
        Ok(())
    }

    /// What names this policy in audits: 16 hexadecimal digits of its content.
    #[must_use]
    pub fn hash(&self) -> String {
        // Plain data with text keys cannot fail to become JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&json).to_hex()[..16].to_owned()
    }

    /// Whether the workspace and what `writable` names may be written.
    pub(crate) fn writes(&self) -> bool {
        self.mode != Mode::ReadOnly
    }
}

fn place(path: &Path, by: &str) -> Result<Grant, PolicyError> {
    let real = path.canonicalize().map_err(|error| PolicyError::NoPlace {
        path: path.to_owned(),
        by: by.to_owned(),
        cause: error.to_string(),
    })?;
    Ok(Grant { path: real, by: by.to_owned() })
}

fn not_the_system(grant: Grant) -> Result<Grant, PolicyError> {
    let inside = |top: &str| grant.path.starts_with(top);
    if NEVER.iter().any(|never| grant.path == Path::new(never))
        || inside("/proc")
        || inside("/sys")
        || inside("/dev") && !inside("/dev/shm")
    {
        return Err(PolicyError::TooWide { path: grant.path, by: grant.by });
    }
    Ok(grant)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_once_and_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let policy = Policy::new(Mode::WorkspaceWrite, &dir.path().join("link")).unwrap();
        assert_eq!(policy.root, real);
    }

    #[test]
    fn a_link_in_the_workspace_grants_nothing_outside() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(root.path().join("build")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("build", root.path().join("inner")).unwrap();
        let mut policy = Policy::new(Mode::WorkspaceWrite, root.path()).unwrap();
        assert!(matches!(
            policy.grant_write(&root.path().join("link"), "x"),
            Err(PolicyError::LeadsOut { .. })
        ));
        assert!(matches!(
            policy.grant_read(&root.path().join("link/."), "x"),
            Err(PolicyError::LeadsOut { .. })
        ));
        policy.grant_write(&root.path().join("inner"), "x").unwrap();
        policy
            .grant_write(&root.path().join("build/../..").join(outside.path().file_name().unwrap()), "x")
            .unwrap();
    }

    #[test]
    fn the_system_is_no_workspace() {
        for path in ["/", "/usr", "/etc", "/proc/self", "/dev"] {
            assert!(Policy::new(Mode::WorkspaceWrite, Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn who_granted_a_place_is_no_part_of_the_hash() {
        let dir = tempfile::tempdir().unwrap();
        let policy = |by: &str| {
            let mut policy = Policy::new(Mode::WorkspaceWrite, dir.path()).unwrap();
            policy.grant_write(dir.path(), by).unwrap();
            policy.hash()
        };
        assert_eq!(policy("--writable"), policy("config.toml:3"));
        assert_ne!(policy("--writable"), Policy::new(Mode::WorkspaceWrite, dir.path()).unwrap().hash());
    }

    #[test]
    fn a_policy_survives_its_journey() {
        let mut policy = Policy::new(Mode::ReadOnly, Path::new("/tmp")).unwrap();
        policy.net = Net::Allow(vec!["example.com".into()]);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }
}
