//! What a command finds at which path, and why: the plan that [`super::build`] executes and `explain` answers from.
//! Pure: made from a policy and from what a look at the machine found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::policy::{Grant, Policy};
use super::survey::{Pin, Survey};

/// Whether what is there can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It can.
    Write,
    /// It can be read alone.
    Read,
}

/// What is at a path inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// What is there outside, and all below.
    Host(Access),
    /// A link of ours.
    Link(PathBuf),
    /// The same, but it cannot be renamed, removed or replaced.
    Held,
    /// The same, and it cannot be changed either.
    Frozen,
    /// It can be seen, but not opened.
    Masked {
        /// Whether it is a folder.
        folder: bool,
    },
    /// An empty folder in memory that can be written.
    Empty {
        /// Most megabytes.
        megabytes: u32,
        /// Its permissions.
        mode: u32,
    },
    /// A file of ours in such a folder.
    File(Vec<u8>),
    /// A layer of the workspace's own over what is there outside.
    Layered(Layers),
    /// A few devices that are harmless.
    Devices,
    /// The processes inside.
    Processes,
}

/// The folders of a layered one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layers {
    /// What is written goes here.
    pub(crate) upper: PathBuf,
    /// The kernel's own, beside it.
    pub(crate) work: PathBuf,
}

/// A place, and what put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) why: String,
}

/// All places, the outer before the inner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) spots: BTreeMap<PathBuf, Spot>,
}

/// Most megabytes of private folders, which are in memory: together they never take more than half of that.
const TEMPORARY: u32 = 4096;
const SHARED_MEMORY: u32 = 1024;
const HOME: u32 = 1024;
/// The smallest that is of use.
const LEAST: u32 = 16;

impl Layout {
    /// The plan for a policy on this machine.
    pub(crate) fn of(policy: &Policy, survey: &Survey) -> Self {
        let mut layout = Self::default();
        layout.put("/dev", Place::Devices, "a few devices that are harmless");
        let at_most = |megabytes: u32, part: u32| megabytes.min(survey.memory / part).max(LEAST);
        let memory = Place::Empty { megabytes: at_most(SHARED_MEMORY, 16), mode: 0o1777 };
        layout.put("/dev/shm", memory, "private, empty at the start");
        layout.put("/proc", Place::Processes, "the processes inside alone");
        for (path, target) in &survey.links {
            layout.put(path, Place::Link(target.clone()), "a link of the system's");
        }
        for path in &survey.system {
            layout.put(path, Place::Host(Access::Read), "the system: read-only");
        }
        for path in ["/tmp", "/var/tmp"] {
            let private = Place::Empty { megabytes: at_most(TEMPORARY, 6), mode: 0o1777 };
            layout.put(path, private, "private, empty at the start");
        }
        let home = Place::Empty { megabytes: at_most(HOME, 16), mode: 0o700 };
        layout.put(&survey.home, home, "an empty home of its own");
        for path in &survey.toolchains {
            layout.put(path, Place::Host(Access::Read), "a toolchain: read-only");
        }
        for (path, layers) in &survey.caches {
            let (place, why) = match layers {
                Some(layers) => (
                    Place::Layered(layers.clone()),
                    "a package cache: yours read-only, what is written stays with this workspace's sandbox",
                ),
                None => (Place::Host(Access::Read), "a package cache: read-only"),
            };
            layout.put(path, place, why);
        }
        for grant in &policy.readable {
            layout.put(
                &grant.path,
                Place::Host(Access::Read),
                &format!("granted for reading by {}", grant.by),
            );
        }
        let access = if policy.writes() { Access::Write } else { Access::Read };
        let why = match access {
            Access::Write => "the workspace",
            Access::Read => "the workspace: mode `read-only` writes nothing",
        };
        layout.put(&policy.root, Place::Host(access), why);
        for Grant { path, by } in &policy.writable {
            let (access, why) = match access {
                Access::Write => (access, format!("granted for writing by {by}")),
                Access::Read => (access, format!("granted by {by}, but mode `read-only` writes nothing")),
            };
            layout.put(path, Place::Host(access), &why);
        }
        for (path, why) in &survey.repositories {
            layout.put(path, Place::Host(access), why);
        }
        // Never in a home that is the user's own: the workspace can be that.
        let home_is_ours =
            layout.spots.get(&survey.home).is_some_and(|spot| matches!(spot.place, Place::Empty { .. }));
        if let (true, Some(settings)) = (home_is_ours, &survey.git_settings) {
            let file = Place::File(settings.clone().into_bytes());
            let why = "your name, and what is harmless of your git settings";
            layout.put(survey.home.join(".gitconfig"), file, why);
        }
        // Where nothing can be written, nothing needs holding.
        if access == Access::Write {
            for pin in &survey.pins {
                layout.pin(pin);
            }
        }
        for mask in &survey.masks {
            layout.put(&mask.path, Place::Masked { folder: mask.folder }, &mask.why);
        }
        layout
    }

    fn put(&mut self, path: impl Into<PathBuf>, place: Place, why: &str) {
        self.spots.insert(path.into(), Spot { place, why: why.to_owned() });
    }

    /// Only ever adds to what is kept: what is frozen stays so, and a root is held by being one.
    fn pin(&mut self, pin: &Pin) {
        let place = if pin.frozen { Place::Frozen } else { Place::Held };
        if self.spots.get(&pin.path).is_none_or(|spot| spot.place == Place::Held) {
            self.put(&pin.path, place, &pin.why);
        } else if pin.frozen {
            let frozen = Place::Host(Access::Read);
            if let Some(spot) =
                self.spots.get_mut(&pin.path).filter(|spot| spot.place == Place::Host(Access::Write))
            {
                (spot.place, spot.why) = (frozen, pin.why.clone());
            }
        }
    }

    /// What holds for a path: the innermost place that it is in, or none.
    pub(crate) fn at(&self, path: &Path) -> Option<(&Path, &Spot)> {
        path.ancestors().find_map(|above| {
            let (found, spot) = self.spots.get_key_value(above)?;
            // What is held is as writable as what it is in; that is found above it.
            (spot.place != Place::Held || above == path).then_some((found.as_path(), spot))
        })
    }

    /// Where something may be written, for Landlock: the roots of what is writable.
    pub(crate) fn writable(&self) -> Vec<&Path> {
        let writable = |place: &Place| {
            matches!(
                place,
                Place::Host(Access::Write) | Place::Empty { .. } | Place::Layered(_) | Place::Devices
            )
        };
        self.spots.iter().filter(|(_, spot)| writable(&spot.place)).map(|(path, _)| path.as_path()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::policy::Mode;
    use crate::launch::survey::Mask;

    fn survey() -> Survey {
        Survey {
            home: "/home/ada".into(),
            memory: 1 << 20,
            links: vec![("/bin".into(), "usr/bin".into())],
            system: vec!["/usr".into(), "/etc".into()],
            toolchains: ["/home/ada/.rustup".into()].into(),
            pins: vec![
                Pin::held("/home/ada/project/.git", "a repository"),
                Pin::frozen("/home/ada/project/.git/hooks", "hooks run outside"),
            ],
            masks: vec![Mask { path: "/etc/shadow".into(), folder: false, why: "secret".into() }],
            ..Survey::default()
        }
    }

    fn policy(mode: Mode) -> Policy {
        Policy { root: "/home/ada/project".into(), ..Policy::new(mode, Path::new("/tmp")).unwrap() }
    }

    fn place(layout: &Layout, path: &str) -> Option<Place> {
        layout.at(Path::new(path)).map(|(_, spot)| spot.place.clone())
    }

    #[test]
    fn the_innermost_place_decides() {
        let layout = Layout::of(&policy(Mode::WorkspaceWrite), &survey());
        assert_eq!(place(&layout, "/home/ada/project/src/main.rs"), Some(Place::Host(Access::Write)));
        assert_eq!(place(&layout, "/home/ada/project/.git/index"), Some(Place::Host(Access::Write)));
        assert_eq!(place(&layout, "/home/ada/project/.git"), Some(Place::Held));
        assert_eq!(place(&layout, "/home/ada/project/.git/hooks/pre-commit"), Some(Place::Frozen));
        assert_eq!(place(&layout, "/home/ada/.ssh/id"), Some(Place::Empty { megabytes: HOME, mode: 0o700 }));
        assert_eq!(place(&layout, "/home/ada/.rustup/x"), Some(Place::Host(Access::Read)));
        assert_eq!(place(&layout, "/etc/shadow"), Some(Place::Masked { folder: false }));
        assert_eq!(place(&layout, "/var/lib/secret"), None);
    }

    #[test]
    fn read_only_writes_nothing_but_what_is_private() {
        let mut policy = policy(Mode::ReadOnly);
        policy.writable.push(Grant { path: "/data".into(), by: "--writable".into() });
        let layout = Layout::of(&policy, &survey());
        assert_eq!(place(&layout, "/home/ada/project/x"), Some(Place::Host(Access::Read)));
        assert_eq!(place(&layout, "/data/x"), Some(Place::Host(Access::Read)));
        let private = ["/dev", "/dev/shm", "/home/ada", "/tmp", "/var/tmp"].map(Path::new);
        assert_eq!(layout.writable(), private);
    }

    #[test]
    fn a_workspace_that_is_the_home_gets_no_files_of_ours() {
        let survey = Survey { git_settings: Some("[user]".into()), ..survey() };
        let own = Path::new("/home/ada/.gitconfig");
        assert!(Layout::of(&policy(Mode::WorkspaceWrite), &survey).spots.contains_key(own));
        let policy = Policy { root: "/home/ada".into(), ..policy(Mode::WorkspaceWrite) };
        let layout = Layout::of(&policy, &survey);
        assert!(!layout.spots.contains_key(own));
        assert_eq!(place(&layout, "/home/ada/x"), Some(Place::Host(Access::Write)));
        assert_eq!(place(&layout, "/home/ada/.rustup/x"), Some(Place::Host(Access::Read)));
    }

    #[test]
    fn a_workspace_that_is_a_private_folder_is_the_workspace() {
        let mut policy = policy(Mode::WorkspaceWrite);
        policy.root = "/tmp".into();
        let layout = Layout::of(&policy, &survey());
        assert_eq!(place(&layout, "/tmp/x"), Some(Place::Host(Access::Write)));
    }
}
