//! What is in the folders that git keeps repositories in: repositories of submodules and hidden ones, links, sockets. Each
//! folder is read again only when it has changed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::lstat;

use super::again::Stamp;
use super::folder::{Closed, Folder, is_too_long};
use super::repository::is_git_dir;

/// Most folders of one repository that are looked into before a command runs.
const MOST: usize = 20_000;

/// Most that are looked into after it, where it can have made them.
const MOST_AFTERWARDS: usize = 1_000_000;

/// Folders of a repository that are not looked into: all in them is guarded or set aside together, or git follows nothing
/// there.
const LEFT_OUT: &[&str] = &["hooks", "lfs", "annex"];

/// Those with so many folders in them that only what is directly in them is looked at.
const FLAT: &[&str] = &["objects"];

/// A link: by what it is and not by where, so that one in a repository that was moved is the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    id: (u64, u64),
    changed: (i64, i64),
    target: OsString,
}

impl Link {
    fn at(path: &Path) -> Option<Self> {
        let stat = lstat(path).ok()?;
        let target = path.read_link().ok()?.into_os_string();
        let changed = (stat.st_ctime, stat.st_ctime_nsec.cast_signed());
        Some(Self { id: (stat.st_dev, stat.st_ino), changed, target })
    }

    /// Whether it is what git itself makes of a branch's name.
    fn is_head(&self, path: &Path) -> bool {
        let target = self.target.as_bytes();
        path.file_name() == Some(OsStr::new("HEAD"))
            && target.starts_with(b"refs/")
            && !target.windows(2).any(|pair| pair == b"..")
    }
}

/// What was found in one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Repositories in it.
    pub(super) git_dirs: Vec<PathBuf>,
    pub(super) links: Vec<(PathBuf, Link)>,
    pub(super) sockets: Vec<PathBuf>,
    /// Linked worktrees' own folders.
    pub(super) worktrees: Vec<PathBuf>,
    pub(super) too_long: Vec<PathBuf>,
    /// Folders at its top that were not looked into to their end.
    pub(super) unfinished: Vec<PathBuf>,
}

/// What a folder had in it when it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    stamp: Stamp,
    /// In which look it was read, or found as it was.
    look: u64,
    folders: Vec<Box<OsStr>>,
    links: Vec<(PathBuf, Link)>,
    sockets: Vec<Box<OsStr>>,
    looks_like: Looks,
}

/// What a folder looks like by the names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// All that git asks of a repository.
    Repository,
    /// What it asks of a linked worktree's own folder.
    Worktree,
    Other,
}

/// What a folder is to the one that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The one that is looked at.
    Top,
    Worktrees,
    /// A linked worktree's own, where git puts it.
    Worktree,
    Flat,
    Any,
}

/// Remembers what was in folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inside {
    listed: BTreeMap<PathBuf, Listed>,
    look: u64,
    pub(super) closed: Closed,
}

impl Inside {
    /// Begins another look: what was found before may have changed since.
    pub(super) fn begin(&mut self) {
        self.listed.retain(|_, listed| listed.look == self.look);
        self.look += 1;
    }

    /// Looks into the folder that git keeps a repository in.
    pub(super) fn of(&mut self, git_dir: &Path) -> Found {
        let most = if self.closed == Closed::Stays { MOST } else { MOST_AFTERWARDS };
        let mut found = Found::default();
        let mut open = vec![(git_dir.to_owned(), Part::Top)];
        let mut seen = 0;
        while let Some((path, part)) = open.pop() {
            seen += 1;
            if seen > most {
                open.push((path, part));
                let mut tops: Vec<PathBuf> = open.iter().filter_map(|(path, _)| top(path, git_dir)).collect();
                tops.sort();
                tops.dedup();
                found.unfinished = tops;
                break;
            }
            if is_too_long(&path) {
                found.too_long.push(path);
                continue;
            }
            let Some(listed) = self.listed(&path, part) else { continue };
            let is_repository = match part {
                Part::Top | Part::Worktree => true,
                Part::Any => listed.looks_like != Looks::Other,
                Part::Worktrees | Part::Flat => false,
            };
            match (part, listed.looks_like) {
                (Part::Any, Looks::Repository | Looks::Worktree) | (Part::Worktree, Looks::Repository) => {
                    found.git_dirs.push(path.clone());
                }
                _ => {}
            }
            if part == Part::Worktree {
                found.worktrees.push(path.clone());
            }
            found.links.extend(listed.links.iter().cloned());
            found.sockets.extend(listed.sockets.iter().map(|name| path.join(&**name)));
            for name in &listed.folders {
                let is = |names: &[&str]| is_repository && names.iter().any(|other| **name == **other);
                let inner = match part {
                    Part::Worktrees => Part::Worktree,
                    _ if is(LEFT_OUT) => continue,
                    _ if is(FLAT) => Part::Flat,
                    _ if is(&["worktrees"]) => Part::Worktrees,
                    _ => Part::Any,
                };
                open.push((path.join(&**name), inner));
            }
            // Submodules come first, and what only holds names of branches last.
            if part == Part::Top {
                open.sort_by_key(|(path, _)| (path.ends_with("modules"), !holds_branches(path)));
            }
        }
        found
    }

    /// The links in a folder, and in those in it, as far as a look at things that stay as they are goes.
    pub(super) fn links_below(&mut self, folder: &Path, most: usize) -> Vec<PathBuf> {
        let (mut links, mut open, mut seen) = (Vec::new(), vec![folder.to_owned()], 0);
        while let Some(path) = open.pop().filter(|_| seen < most) {
            seen += 1;
            let Some(listed) = self.listed(&path, Part::Any) else { continue };
            links.extend(listed.links.iter().map(|(path, _)| path.clone()));
            open.extend(listed.folders.iter().map(|name| path.join(&**name)));
        }
        links
    }

    /// What is in a folder: as it was, where nothing has changed.
    fn listed(&mut self, path: &Path, part: Part) -> Option<&Listed> {
        let before = self.listed.get(path);
        if before.is_some_and(|before| before.look == self.look) {
            return self.listed.get(path);
        }
        let stamp = Stamp::of(path);
        let same = before.is_some_and(|before| before.stamp.is_still(&stamp));
        if !same {
            let folder = Folder::open(path, self.closed).ok()?;
            let links = folder.links.iter().filter_map(|name| {
                let path = path.join(&**name);
                let link = Link::at(&path)?;
                (!link.is_head(&path)).then_some((path, link))
            });
            let listed = Listed {
                stamp,
                look: self.look,
                looks_like: if folder.has("HEAD") && folder.has("objects") && folder.has("refs") {
                    Looks::Repository
                } else if is_git_dir(|name| folder.has(name)) {
                    Looks::Worktree
                } else {
                    Looks::Other
                },
                links: links.collect(),
                folders: if part == Part::Flat { Vec::new() } else { folder.folders },
                sockets: folder.sockets,
            };
            self.listed.insert(path.to_owned(), listed);
        }
        let listed = self.listed.get_mut(path)?;
        listed.look = self.look;
        Some(listed)
    }
}

/// Whether a folder at the top of a repository is one that git needs to write for each commit.
pub(super) fn holds_branches(path: &Path) -> bool {
    path.ends_with("refs") || path.ends_with("logs")
}

/// The folder at the top of a repository that something in it is in.
pub(super) fn top(path: &Path, git_dir: &Path) -> Option<PathBuf> {
    Some(git_dir.join(path.strip_prefix(git_dir).ok()?.components().next()?))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    fn repository(path: &Path) {
        std::fs::create_dir_all(path.join("refs")).unwrap();
        std::fs::create_dir_all(path.join("objects/ab")).unwrap();
        std::fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    #[test]
    fn repositories_and_links_in_a_repository_are_found_once_each() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().canonicalize().unwrap().join(".git");
        let inner = ["modules/a", "modules/a/modules/b", "hidden/c", "worktrees/whole"];
        for name in inner.iter().chain(&["", "objects/left-out"]) {
            repository(&git.join(name));
        }
        std::fs::create_dir_all(git.join("worktrees/w/logs")).unwrap();
        std::fs::write(git.join("worktrees/w/HEAD"), "").unwrap();
        std::fs::write(git.join("worktrees/w/commondir"), "../..").unwrap();
        let links = ["ORIG_HEAD", "logs/refs", "objects/zz", "info/x", "worktrees/w/logs/HEAD", "modules/m"];
        std::fs::create_dir_all(git.join("logs")).unwrap();
        std::fs::create_dir_all(git.join("info")).unwrap();
        for link in links {
            std::os::unix::fs::symlink("/nowhere", git.join(link)).unwrap();
        }
        std::fs::remove_file(git.join("hidden/c/HEAD")).unwrap();
        std::os::unix::fs::symlink("refs/heads/none", git.join("hidden/c/HEAD")).unwrap();
        let mut inside = Inside::default();
        for _ in 0..2 {
            inside.begin();
            let found = inside.of(&git);
            let sorted = |mut paths: Vec<PathBuf>| {
                paths.sort();
                paths
            };
            assert_eq!(sorted(found.git_dirs), sorted(inner.map(|name| git.join(name)).to_vec()));
            let found_links = found.links.into_iter().map(|(path, _)| path).collect();
            assert_eq!(sorted(found_links), sorted(links.map(|name| git.join(name)).to_vec()));
            assert!(found.unfinished.is_empty() && found.too_long.is_empty());
        }
        std::fs::create_dir_all(git.join("hidden/d")).unwrap();
        repository(&git.join("hidden/d"));
        inside.begin();
        assert!(inside.of(&git).git_dirs.contains(&git.join("hidden/d")));
    }
}
