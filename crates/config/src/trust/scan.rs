//! A project's own files, read once and within bounds. No link is followed and nothing is waited for, so a hostile
//! project can neither lead out, nor hang, nor fill the memory.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::load::{LARGEST, PROJECT_DIR, PROJECT_FILE, ProjectSettings, powers_of};

/// Most names below the folder.
const MOST_FILES: usize = 1_000;

/// Most bytes of all files.
const MOST_BYTES: usize = 16 << 20;

/// Folders in folders.
const DEEPEST: usize = 32;

/// Where other agents' programs have files that are used here, too: all of these folders, whichever is there.
pub(crate) const FOREIGN: [(&str, &str); 3] =
    [(".claude", "skills"), (".claude", "commands"), (".agents", "skills")];

/// What counts of a project's own folder further up in its repository.
const FROM_ABOVE: [&str; 3] = ["agents", "skills", "commands"];

/// The folders, for people.
const FOLDERS: &str = "`.codetether`, `.claude` and `.agents`";

/// The name of the settings file in the folder.
const SETTINGS: &str = "config.toml";

/// Context, never power: outside of trust, wherever it lies.
const CONTEXT: &str = "AGENTS.md";

/// What a project's own files are, as one short value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        blake3::Hash::from_bytes(self.0).fmt(f)
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file.
    File,
    /// One that may be run.
    Executable,
    /// A symbolic link; its content is what it says.
    Link,
}

impl Kind {
    /// In a word or two.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Executable => "executable",
            Self::Link => "link",
        }
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// Where it is, relative to the project's root.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Why files cannot be trusted, whatever the user says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There are too many.
    #[error("there are more than {MOST_FILES} files and folders in {}", FOLDERS)]
    TooMany,
    /// They are too large.
    #[error("the files in {} are larger than {} MiB", FOLDERS, MOST_BYTES >> 20)]
    TooLarge,
    /// Folders lie too deep.
    #[error("the folders in {} are more than {DEEPEST} deep", FOLDERS)]
    TooDeep,
    /// The settings file is too large.
    #[error("`{PROJECT_FILE}` is larger than a file of settings can be (1 MiB)")]
    SettingsTooLarge,
    /// A link where none is followed.
    #[error("`{}` is a symbolic link, which is not followed here", .0.display())]
    Link(PathBuf),
    /// A pipe, a device or a socket; or a file where a folder should be, or the other way round.
    #[error("`{}` is not {wanted}", path.display())]
    NotA {
        /// What it should be.
        wanted: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read `{}`: {problem}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
}

/// A project's own files, as they were when they were read.
#[derive(Debug, Clone)]
pub struct ProjectFiles {
    root: PathBuf,
    /// Sorted by path.
    files: Vec<ProjectFile>,
    flaw: Option<Flaw>,
    /// What the settings among them would set, and could set only with trust.
    powers: Vec<(&'static str, toml::Value)>,
}

impl ProjectFiles {
    /// Reads a project's own files. `root` is absolute and free of links; trust is bound to it.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let mut scan = Scan::default();
        let flaw = scan.project(root).and_then(|()| scan.shared(root)).err();
        let mut files = scan.files;
        files.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        let mut read = Self { root: root.to_owned(), files, flaw, powers: Vec::new() };
        if let Some(settings) = read.settings_file() {
            read.powers = powers_of(&root.join(PROJECT_FILE), &settings.content);
        }
        read
    }

    /// The project's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files, sorted by path; with a flaw those that were read before it was found.
    #[must_use]
    pub fn files(&self) -> &[ProjectFile] {
        &self.files
    }

    /// Why they cannot be trusted.
    #[must_use]
    pub fn flaw(&self) -> Option<&Flaw> {
        self.flaw.as_ref()
    }

    /// What the settings among them would set, and could set only with trust.
    #[must_use]
    pub fn powers(&self) -> &[(&'static str, toml::Value)] {
        &self.powers
    }

    /// The files besides the settings; each of them is power.
    pub fn others(&self) -> impl Iterator<Item = &ProjectFile> {
        self.files.iter().filter(|file| !is_settings(file))
    }

    /// Whether anything among them needs trust to hold. Settings that only narrow do not.
    #[must_use]
    pub fn have_power(&self) -> bool {
        !self.powers.is_empty() || self.others().next().is_some()
    }

    /// The settings among them, to be loaded with the rest.
    #[must_use]
    pub fn settings(&self, trusted: bool) -> Option<ProjectSettings> {
        self.settings_file().map(|file| ProjectSettings {
            file: self.root.join(PROJECT_FILE),
            bytes: file.content.clone(),
            trusted: trusted && self.flaw.is_none(),
        })
    }

    fn settings_file(&self) -> Option<&ProjectFile> {
        self.files.iter().find(|file| is_settings(file) && file.kind != Kind::Link)
    }

    /// What trust is bound to, besides the folder.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        };
        for file in &self.files {
            part(file.path.as_os_str().as_bytes());
            part(file.kind.as_str().as_bytes());
            part(&file.content);
        }
        Hash(*hasher.finalize().as_bytes())
    }
}

fn is_settings(file: &ProjectFile) -> bool {
    file.path == Path::new(PROJECT_FILE)
}

#[derive(Default)]
struct Scan {
    files: Vec<ProjectFile>,
    names: usize,
    bytes: usize,
}

impl Scan {
    fn project(&mut self, root: &Path) -> Result<(), Flaw> {
        let path = PathBuf::from(PROJECT_DIR);
        let unreadable = |error| unreadable(&path, error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match openat(CWD, root, flags, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        match statat(&root, PROJECT_DIR, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match kind_of(&stat) {
                FileType::Directory => {}
                FileType::Symlink => return Err(Flaw::Link(path)),
                _ => return Err(Flaw::NotA { wanted: "a folder", path }),
            },
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        }
        let folder =
            openat(&root, PROJECT_DIR, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(unreadable)?;
        // The settings first: they can narrow even where the rest is too much.
        let mut flaw = None;
        match statat(&folder, SETTINGS, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => flaw = self.settings(&folder, &stat).err(),
            Err(Errno::NOENT) => {}
            Err(error) => flaw = Some(self::unreadable(&path.join(SETTINGS), error)),
        }
        let rest = self.folder(folder, &path, DEEPEST);
        flaw.map_or(rest, Err)
    }

    /// What other agents' programs have in a folder that is used here, and what a folder further up has.
    fn shared(&mut self, root: &Path) -> Result<(), Flaw> {
        self.of(root, Path::new(""), &FOREIGN)?;
        let mut up = PathBuf::new();
        for folder in codetether_files::above(root) {
            up.push("..");
            self.of(&folder, &up, &FROM_ABOVE.map(|kind| (PROJECT_DIR, kind)))?;
            self.of(&folder, &up, &FOREIGN)?;
        }
        Ok(())
    }

    /// Reads these folders below `base`, which is called `up`. Links on the way are noted and not followed, so that
    /// nothing comes from behind them.
    fn of(&mut self, base: &Path, up: &Path, folders: &[(&str, &str)]) -> Result<(), Flaw> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for (outer, inner) in folders {
            let at = up.join(outer);
            let base = match openat(CWD, base, flags, Mode::empty()) {
                Ok(base) => base,
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(unreadable(up, error)),
            };
            let Some(folder) = self.enter(&base, outer, &at)? else { continue };
            let at = at.join(inner);
            if let Some(folder) = self.enter(&folder, inner, &at)? {
                self.folder(folder, &at, DEEPEST)?;
            }
        }
        Ok(())
    }

    /// Opens a folder by its name, if it is one.
    fn enter(&mut self, folder: &OwnedFd, name: &str, at: &Path) -> Result<Option<OwnedFd>, Flaw> {
        let failed = |error| unreadable(at, error);
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match kind_of(&stat) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                openat(folder, name, flags, Mode::empty()).map(Some).map_err(failed)
            }
            FileType::Symlink if self.files.iter().all(|file| file.path != at) => {
                let content = readlinkat(folder, name, Vec::new()).map_err(failed)?.into_bytes();
                self.files.push(ProjectFile { path: at.to_owned(), kind: Kind::Link, content });
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn settings(&mut self, folder: &OwnedFd, stat: &Stat) -> Result<(), Flaw> {
        let path = PathBuf::from(PROJECT_FILE);
        match kind_of(stat) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(Flaw::Link(path)),
            _ => return Err(Flaw::NotA { wanted: "a regular file", path }),
        }
        let (kind, content) = regular(folder, SETTINGS.as_ref(), &path, LARGEST)?;
        let content = content.ok_or(Flaw::SettingsTooLarge)?;
        self.bytes = content.len();
        self.files.push(ProjectFile { path, kind, content });
        Ok(())
    }

    fn folder(&mut self, folder: OwnedFd, path: &Path, deeper: usize) -> Result<(), Flaw> {
        let listed = Dir::read_from(&folder).map_err(|error| unreadable(path, error))?;
        for entry in listed {
            let entry = entry.map_err(|error| unreadable(path, error))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            self.names += 1;
            if self.names > MOST_FILES {
                return Err(Flaw::TooMany);
            }
            let at = path.join(name);
            if at == Path::new(PROJECT_FILE) {
                continue;
            }
            let stat =
                statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| unreadable(&at, error))?;
            match kind_of(&stat) {
                FileType::RegularFile | FileType::Symlink if name == CONTEXT => {}
                FileType::Directory => {
                    let deeper = deeper.checked_sub(1).ok_or(Flaw::TooDeep)?;
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let inner = openat(&folder, name, flags, Mode::empty())
                        .map_err(|error| unreadable(&at, error))?;
                    self.folder(inner, &at, deeper)?;
                }
                FileType::RegularFile => {
                    let room = MOST_BYTES.saturating_sub(self.bytes);
                    let (kind, content) = regular(&folder, name, &at, room)?;
                    let content = content.ok_or(Flaw::TooLarge)?;
                    self.bytes = self.bytes.saturating_add(content.len());
                    self.files.push(ProjectFile { path: at, kind, content });
                }
                FileType::Symlink => {
                    let target =
                        readlinkat(&folder, name, Vec::new()).map_err(|error| unreadable(&at, error))?;
                    let content = target.into_bytes();
                    self.files.push(ProjectFile { path: at, kind: Kind::Link, content });
                }
                _ => return Err(Flaw::NotA { wanted: "a regular file", path: at }),
            }
        }
        Ok(())
    }
}

/// Whether a regular file may be run, and its content; `None` when it is larger than `room`.
fn regular(
    folder: &OwnedFd,
    name: &OsStr,
    path: &Path,
    room: usize,
) -> Result<(Kind, Option<Vec<u8>>), Flaw> {
    // Not waiting: a pipe may have taken the name since.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty()).map_err(|error| unreadable(path, error))?;
    let stat = fstat(&file).map_err(|error| unreadable(path, error))?;
    if kind_of(&stat) != FileType::RegularFile {
        return Err(Flaw::NotA { wanted: "a regular file", path: path.to_owned() });
    }
    let kind = if stat.st_mode & 0o111 == 0 { Kind::File } else { Kind::Executable };
    let mut content = Vec::new();
    let most = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    File::from(file).take(most).read_to_end(&mut content).map_err(|error| unreadable(path, error))?;
    Ok((kind, (content.len() <= room).then_some(content)))
}

fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn unreadable(path: &Path, error: impl Into<std::io::Error>) -> Flaw {
    let path = path.to_owned();
    let problem = codetether_files::Error::new("read", &path, error.into()).to_string();
    // The system's words alone.
    let problem = problem.rsplit(": ").next().unwrap_or_default().to_owned();
    Flaw::Unreadable { path, problem }
}
