//! What is at a path, or below one, as a text that differs when anything of it does.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Content, kind, permissions, owner, time of change, attributes.
pub(crate) fn state(path: &Path) -> String {
    let Ok(meta) = path.symlink_metadata() else { return "nothing".to_owned() };
    let kind = meta.file_type();
    let mut state = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
    if kind.is_symlink() {
        state.push_str(&format!(" to {:?}", path.read_link().unwrap_or_default()));
    } else if kind.is_file() {
        let mut hash = DefaultHasher::new();
        std::fs::read(path).unwrap_or_default().hash(&mut hash);
        let content = hash.finish();
        state.push_str(&format!(" {} bytes {content:x} {}.{}", meta.size(), meta.mtime(), meta.mtime_nsec()));
    }
    if kind.is_file() || kind.is_dir() {
        state.push_str(&attributes(path));
    }
    if kind.is_block_device() || kind.is_char_device() {
        state.push_str(&format!(" device {}", meta.rdev()));
    }
    state
}

fn attributes(path: &Path) -> String {
    let mut names = [0_u8; 1024];
    let length = rustix::fs::listxattr(path, &mut names[..]).unwrap_or(0);
    let mut text = String::from_utf8_lossy(&names[..length]).into_owned();
    if let Ok(file) = codetether_files::open_read(path)
        && let Ok(flags) = rustix::fs::ioctl_getflags(&file)
    {
        let held = flags & (rustix::fs::IFlags::IMMUTABLE | rustix::fs::IFlags::APPEND);
        text.push_str(&format!(" {held:?}"));
    }
    text
}

/// The same of all below a folder but what is below `without`.
pub(crate) fn below(folder: &Path, without: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if without.contains(&path) {
                continue;
            }
            found.insert(path.clone(), state(&path));
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            }
        }
    }
    found
}

/// Whether anything right in a folder, or in one of its folders, has a set-user or set-group bit.
pub(crate) fn has_set_id(folder: &Path) -> bool {
    let is = |path: &Path| {
        path.symlink_metadata().is_ok_and(|meta| !meta.is_symlink() && meta.mode() & 0o6000 != 0)
    };
    let inside =
        |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(folder).any(|path| is(&path) || (path.is_dir() && inside(&path).any(|path| is(&path))))
}

/// Whether a file begins with a line of this text.
pub(crate) fn holds_line_of(text: &str, path: &str) -> bool {
    let content = std::fs::read(path).unwrap_or_default();
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    !line.is_empty() && text.as_bytes().windows(line.len()).any(|part| part == line)
}

/// Whether a path's text ends like that, for links of descriptors.
pub(crate) fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned()
}
