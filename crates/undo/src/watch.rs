//! What the kernel says of changes (inotify): which folders to look at again. Nobody listens between snapshots; the
//! kernel keeps the events, and says so when there were too many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::ops::Bound;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use codetether_files::Folder;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};

use crate::tree::{self, Path};

/// A tree of more folders is scanned instead: the user's other programs need watches too.
const FOLDERS_MAX: usize = 32_768;

/// File systems of which all changes are told, as they are made through this kernel alone: ext, XFS, Btrfs, F2FS, tmpfs,
/// ZFS, bcachefs and overlays of them.
const LOCAL: [u64; 8] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, 0x2fc1_2fc1, 0xca45_1a4e, 0x794c_7630];

/// All that matters to the content of a folder.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// Watched folders.
#[derive(Debug)]
pub(crate) struct Watch {
    events: OwnedFd,
    folders: Mutex<Folders>,
}

#[derive(Debug, Default)]
struct Folders {
    by_id: HashMap<i32, Path>,
    by_path: BTreeMap<Path, i32>,
    /// One could not be watched, so nothing can be said.
    has_gap: bool,
}

impl Watch {
    /// `None` where changes are not told.
    pub(crate) fn new(root: &Folder) -> Option<Self> {
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "its type differs by platform")]
        let kind = rustix::fs::fstatfs(root).ok()?.f_type as u64;
        if !LOCAL.contains(&kind) {
            return None;
        }
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        Some(Self { events, folders: Mutex::default() })
    }

    /// Watches a folder; to be done before it is read.
    pub(crate) fn add(&self, path: &Path, folder: &Folder) {
        let mut folders = self.folders();
        if folders.has_gap || folders.by_path.len() >= FOLDERS_MAX {
            folders.has_gap = true;
            return;
        }
        // The open folder itself, whatever its path leads to by now.
        let own = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
        match inotify::add_watch(&self.events, own, CHANGES) {
            Ok(id) => {
                if let Some(old) = folders.by_path.insert(Path::clone(path), id)
                    && old != id
                {
                    folders.by_id.remove(&old);
                    let _ = inotify::remove_watch(&self.events, old);
                }
                if let Some(old) = folders.by_id.insert(id, Path::clone(path))
                    && old != *path
                {
                    folders.by_path.remove(&old);
                }
            }
            Err(_) => folders.has_gap = true,
        }
    }

    /// Lets go of a folder and those below it.
    pub(crate) fn remove_below(&self, folder: &[u8]) {
        let mut folders = self.folders();
        let gone: Vec<(Path, i32)> = folders
            .by_path
            .range::<[u8], _>((Bound::Included(folder), Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(folder))
            .filter(|(path, _)| ***path == *folder || tree::is_below(path, folder))
            .map(|(path, id)| (Path::clone(path), *id))
            .collect();
        for (path, id) in gone {
            folders.by_path.remove(&path);
            folders.by_id.remove(&id);
            // Its folder may be gone, and the watch with it.
            let _ = inotify::remove_watch(&self.events, id);
        }
    }

    /// Ends it, without the wait for it that closing would be.
    pub(crate) fn leave(self) {
        leave_to_kernel(self.events);
    }

    /// Whether all folders are watched.
    pub(crate) fn is_whole(&self) -> bool {
        !self.folders().has_gap
    }

    /// The folders in which something changed since the last time; `None` when that is not known.
    pub(crate) fn changed(&self) -> Option<BTreeSet<Path>> {
        let mut folders = self.folders();
        let mut changed = BTreeSet::new();
        let mut is_known = !folders.has_gap;
        let mut buffer = [MaybeUninit::<u8>::uninit(); 32 << 10];
        let mut events = Reader::new(&self.events, &mut buffer);
        loop {
            match events.next() {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return None,
                Ok(event) => {
                    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                        is_known = false;
                    } else if event.events().contains(ReadFlags::IGNORED) {
                        // The folder is gone; where it was moved it was given another number.
                        if let Some(path) = folders.by_id.remove(&event.wd()) {
                            if folders.by_path.get(&path) == Some(&event.wd()) {
                                folders.by_path.remove(&path);
                            }
                            // Another may have its name.
                            changed.insert(path);
                        }
                    } else if let Some(path) = folders.by_id.get(&event.wd()) {
                        changed.insert(Path::clone(path));
                    }
                }
            }
        }
        is_known.then_some(changed)
    }

    fn folders(&self) -> MutexGuard<'_, Folders> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a descriptor without waiting for what closing it does. For one of inotify the kernel makes sure that nobody is
/// about to tell of something (`fsnotify_destroy_group`), which takes up to 16 ms, and the end of the process would wait
/// for it as well. So it is put into the queue of a socket that nothing holds but that queue: such sockets are collected by
/// the kernel, on a thread of its own (unix(7); before Linux 6.9 on ours, and then nothing is gained). What goes wrong here
/// leaves it closed as usual.
fn leave_to_kernel(left: OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok((near, far)) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None) else { return };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let both = [left.as_fd(), far.as_fd()];
    if beside.push(SendAncillaryMessage::ScmRights(&both)) {
        let _ = sendmsg(&near, &[IoSlice::new(b"x")], &mut beside, SendFlags::NOSIGNAL);
    }
    drop((left, far));
    // The end of a socket that is still held is what has the kernel collect.
    drop(near);
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "what others do to files")]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn a_change_names_its_folder_and_a_flood_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let root = Folder::open(dir.path()).unwrap();
        let watch = Watch::new(&root).expect("tests run on a local file system");
        for path in ["", "a", "a/b"] {
            watch.add(&Path::from(path.as_bytes()), &root.descend(path).unwrap());
        }
        assert_eq!(watch.changed(), Some(BTreeSet::new()));
        std::fs::write(dir.path().join("a/b/f"), "x").unwrap();
        assert_eq!(watch.changed(), Some(BTreeSet::from([Path::from(&b"a/b"[..])])));
        let most: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        for n in 0..=most / 2 {
            // Two names in turn, so that the events are not merged.
            std::fs::rename(
                dir.path().join(if n % 2 == 0 { "a/b/f" } else { "a/b/g" }),
                dir.path().join(if n % 2 == 0 { "a/b/g" } else { "a/b/f" }),
            )
            .unwrap();
        }
        assert_eq!(watch.changed(), None);
        assert_eq!(watch.changed(), Some(BTreeSet::new()));
    }

    #[test]
    fn what_is_left_to_the_kernel_is_closed() {
        let (reader, writer) = std::io::pipe().unwrap();
        leave_to_kernel(writer.into());
        let end = PollFd::new(&reader, PollFlags::IN);
        let soon = Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(poll(&mut [end], Some(&soon)), Ok(1), "something still holds the other end");
    }

    #[test]
    fn a_folder_that_was_let_go_of_says_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::create_dir_all(dir.path().join("ab")).unwrap();
        let root = Folder::open(dir.path()).unwrap();
        let watch = Watch::new(&root).expect("tests run on a local file system");
        for path in ["a", "a/b", "ab"] {
            watch.add(&Path::from(path.as_bytes()), &root.descend(path).unwrap());
        }
        watch.remove_below(b"a");
        for path in ["a/b/f", "a/f", "ab/f"] {
            std::fs::write(dir.path().join(path), "x").unwrap();
        }
        assert_eq!(watch.changed(), Some(BTreeSet::from([Path::from(&b"ab"[..])])));
    }
}
