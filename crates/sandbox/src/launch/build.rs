//! Makes the new root that a plan describes, from inside new namespaces: clones of what may be seen, in a tree that is
//! otherwise empty, which then takes the place of the old one. Decides nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxAttributes, StatxFlags,
    fstatvfs, mkdirat, openat, openat2, statx, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change,
    move_mount, open_tree, unmount,
};

use super::fault::{Doing, Fault};
use super::layout::{Access, Layers, Layout, Place};
use super::survey::{Mask, Pin};
use super::sys::{Attributes, Reach, add_attributes, loopback_up};

/// Devices that are of use and harmless.
pub(crate) const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// What links in `/dev` lead to.
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// What of `/proc` speaks of, or changes, the machine and not the processes inside.
const PROC_READ_ONLY: &[&str] =
    &["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "driver", "mtrr", "dynamic_debug"];
const PROC_MASKED: &[&str] = &["kcore", "keys", "timer_list", "kmsg"];

/// Where the new root is put until it is the root: any folder of the old one.
const LANDINGS: &[&str] = &["/tmp", "/mnt", "/run", "/proc", "/usr"];

/// Writes down who one is in a new user namespace: who one was, and nobody else.
pub(crate) fn map_users(user: rustix::fs::Uid, group: rustix::fs::Gid) -> Result<(), Fault> {
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        let open = openat(CWD, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        open.and_then(|fd| rustix::io::write(fd, text.as_bytes()))
            .map(drop)
            .doing(|| format!("writing `{path}`"))
    };
    // Without this a group could be left that a file denies something to.
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{0} {0} 1", user.as_raw()))?;
    write("gid_map", format!("{0} {0} 1", group.as_raw()))
}

/// How long a root is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    OneCommand,
    /// What masks things is wanted again, for the `/proc` of each command: it keeps its name in the root.
    Kept,
}

/// Makes the new root, and moves into it. Gives what people should hear.
pub(crate) fn new_root(
    layout: &Layout,
    processes_max: Option<u32>,
    stay: Stay,
) -> Result<Vec<String>, Fault> {
    let mut notes = Vec::new();
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .doing(|| "keeping mounts from spreading")
        .map_err(Fault::powerless)?;
    // All that is wanted of the old root is taken before anything hides it.
    let mut taken = Vec::new();
    for (path, spot) in &layout.spots {
        let tree = match &spot.place {
            Place::Host(access) => Some(host_tree(path, *access)?),
            Place::Layered(layers) => Some(match layered(path, layers) {
                Ok(tree) => tree,
                Err(fault) => {
                    notes.push(format!("`{}` is read-only: {}: {}", path.display(), fault.step, fault.cause));
                    host_tree(path, Access::Read)?
                }
            }),
            Place::Empty { megabytes, mode } => Some(memory(*megabytes, *mode)?),
            Place::Devices => Some(memory(1, 0o755)?),
            _ => None,
        };
        taken.push((path, &spot.place, tree));
    }
    let devices: Vec<_> = DEVICES
        .iter()
        .map(|name| Ok((*name, clone_tree(CWD, &Path::new("/dev").join(name))?)))
        .collect::<Result<_, Fault>>()?;
    let processes = proc(processes_max, stay).map_err(|fault| {
        fault.with_cure(
            "a container that hides parts of `/proc` forbids this: start it with `--security-opt systempaths=unconfined`, or use `--tier landlock`",
        )
    })?;

    let root = memory(16, 0o755)?;
    let landing = LANDINGS.iter().find(|path| Path::new(path).is_dir()).copied().unwrap_or("/");
    attach(&root, CWD, Path::new(landing))?;
    let void = Void::new(&root)?;
    let mut processes = Some(processes);
    for (path, place, tree) in taken {
        let inside = path.strip_prefix("/").unwrap_or(path);
        match (place, tree) {
            (Place::Link(target), _) => {
                folders_above(&root, inside, layout)?;
                symlinkat(target, &root, inside).doing(|| format!("linking `{}`", path.display()))?;
            }
            (Place::File(bytes), _) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = openat(&root, inside, flags, Mode::from_raw_mode(0o644));
                let mut file = std::fs::File::from(file.doing(|| format!("making `{}`", path.display()))?);
                file.write_all(bytes).doing(|| format!("writing `{}`", path.display()))?;
            }
            (Place::Held | Place::Frozen, _) => {
                let Some(here) = find(&root, inside)? else { continue };
                let tree = clone_tree(&here, Path::new(""))?;
                if *place == Place::Frozen {
                    add_attributes(&tree, Reach::Below, Attributes::READ_ONLY)
                        .doing(|| format!("making `{}` read-only", path.display()))?;
                }
                attach_to(&tree, &here, path)?;
            }
            (Place::Masked { folder }, _) => {
                let Some(here) = find(&root, inside)? else { continue };
                let tree = Void::over(if *folder { &void.folder } else { &void.file })?;
                attach_to(&tree, &here, path)?;
            }
            (Place::Processes, _) => {
                mount_point(&root, inside, layout, true)?;
                if let Some(tree) = processes.take() {
                    attach(&tree, &root, inside)?;
                    guard_proc(&tree, &void.file)?;
                }
            }
            (_, Some(tree)) => {
                let kind =
                    rustix::fs::fstat(&tree).doing(|| format!("looking at `{}`", path.display()))?.st_mode;
                let folder = FileType::from_raw_mode(kind) == FileType::Directory;
                mount_point(&root, inside, layout, folder)?;
                attach(&tree, &root, inside)?;
                if *place == Place::Devices {
                    fill_devices(&tree, &devices)?;
                }
            }
            (_, None) => {}
        }
    }
    if stay == Stay::OneCommand {
        void.forget(&root)?;
    }
    add_attributes(&root, Reach::Here, Attributes::READ_ONLY).doing(|| "making the new root read-only")?;

    rustix::process::fchdir(&root).doing(|| "going to the new root")?;
    rustix::process::pivot_root(".", ".").doing(|| "changing the root")?;
    unmount(".", UnmountFlags::DETACH).doing(|| "leaving the old root")?;
    rustix::process::chdir("/").doing(|| "going to the new root")?;
    loopback_up().doing(|| "bringing loopback up")?;
    Ok(notes)
}

/// Guards more of what is in the root, as process 1 in it: what is guarded already stays so, and what is not there needs
/// no guard.
pub(crate) fn guard_more(pins: &[Pin], masks: &[Mask]) -> Result<(), Fault> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).doing(|| "opening `/`")?;
    let inside = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    // The outer before the inner; what is frozen is more than held.
    let mut all: BTreeMap<&Path, bool> = BTreeMap::new();
    for pin in pins {
        *all.entry(&pin.path).or_default() |= pin.frozen;
    }
    for (path, frozen) in all {
        let Some(here) = find(&root, &inside(path))? else { continue };
        if is_mounted(&here, path)? && (!frozen || is_read_only(&here, path)?) {
            continue;
        }
        let tree = clone_tree(&here, Path::new(""))?;
        if frozen {
            add_attributes(&tree, Reach::Below, Attributes::READ_ONLY)
                .doing(|| format!("making `{}` read-only", path.display()))?;
        }
        attach_to(&tree, &here, path)?;
    }
    for mask in masks {
        let Some(here) = find(&root, &inside(&mask.path))? else { continue };
        if is_mounted(&here, &mask.path)? && is_void(&here, &mask.path)? {
            continue;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = if mask.folder { Void::FOLDER } else { Void::FILE };
        let void = openat(&root, name, flags, Mode::empty()).doing(|| "opening what masks things")?;
        attach_to(&Void::over(&void)?, &here, &mask.path)?;
    }
    Ok(())
}

/// Whether it is where something is mounted.
fn is_mounted(here: &OwnedFd, path: &Path) -> Result<bool, Fault> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let seen = statx(here, "", flags, StatxFlags::empty()).doing(|| looking(path))?;
    Ok(seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn is_read_only(here: &OwnedFd, path: &Path) -> Result<bool, Fault> {
    Ok(fstatvfs(here).doing(|| looking(path))?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether it is what masks things: nobody may do anything with that.
fn is_void(here: &OwnedFd, path: &Path) -> Result<bool, Fault> {
    Ok(rustix::fs::fstat(here).doing(|| looking(path))?.st_mode & 0o777 == 0)
}

fn looking(path: &Path) -> String {
    format!("looking at `{}`", path.display())
}

/// Puts the processes of this process namespace in place of those that `/proc` shows: a command's own.
pub(crate) fn own_proc(processes_max: Option<u32>) -> Result<(), Fault> {
    let tree = proc(processes_max, Stay::OneCommand)?;
    let root = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(|| "opening `/`")?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let masked = openat(&root, Void::FILE, flags, Mode::empty()).doing(|| "opening what masks things")?;
    // Over the other one, which nothing inside can take away.
    attach(&tree, &root, Path::new("proc"))?;
    guard_proc(&tree, &masked)
}

/// The processes of this process namespace, and how many there may be: the namespace's own bound, since Linux 6.14.
fn proc(processes_max: Option<u32>, stay: Stay) -> Result<OwnedFd, Fault> {
    let tree = filesystem("proc", &[], MountAttrFlags::MOUNT_ATTR_NOEXEC)?;
    if let Some(most) = processes_max {
        let doing = || "bounding the number of processes";
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&tree, "sys/kernel/pid_max", flags, Mode::empty()).doing(doing)?;
        rustix::io::write(&file, most.to_string().as_bytes()).doing(doing)?;
        if stay == Stay::OneCommand {
            skip_reserved(&tree)?;
        }
    }
    Ok(tree)
}

/// Starts counting where the kernel starts again after the last number: else those below, which are given once, would
/// be processes beyond the bound. Where several commands come, each has a namespace, and bound, of its own.
fn skip_reserved(proc: &OwnedFd) -> Result<(), Fault> {
    let doing = || "skipping the numbers that the kernel keeps";
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = match openat(proc, "sys/kernel/ns_last_pid", flags, Mode::empty()) {
        Ok(file) => file,
        // A kernel without checkpoints has no such file: then the bound is that much wider.
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(Fault::of(doing(), errno)),
    };
    rustix::io::write(&file, super::RESERVED.to_string().as_bytes()).map(drop).doing(doing)
}

/// What stands for all that is masked: a file and a folder that cannot be opened, and are nowhere.
struct Void {
    file: OwnedFd,
    folder: OwnedFd,
}

impl Void {
    const FILE: &str = ".masked-file";
    const FOLDER: &str = ".masked-folder";

    fn new(root: &OwnedFd) -> Result<Self, Fault> {
        let doing = || "making what masks things";
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(root, Self::FILE, flags, Mode::empty()).doing(doing)?;
        mkdirat(root, Self::FOLDER, Mode::empty()).doing(doing)?;
        // Not mounts that are attached nowhere: taking one of those down makes every processor stop for a moment.
        let opened = |name: &str| {
            openat(root, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).doing(doing)
        };
        Ok(Self { file: opened(Self::FILE)?, folder: opened(Self::FOLDER)? })
    }

    /// A mount of one of them.
    fn over(what: &OwnedFd) -> Result<OwnedFd, Fault> {
        let tree = clone_tree(what, Path::new(""))?;
        add_attributes(&tree, Reach::Here, Attributes::READ_ONLY).doing(|| "making what masks things")?;
        Ok(tree)
    }

    fn forget(self, root: &OwnedFd) -> Result<(), Fault> {
        let doing = || "tidying up what masks things";
        unlinkat(root, Self::FILE, AtFlags::empty()).doing(doing)?;
        unlinkat(root, Self::FOLDER, AtFlags::REMOVEDIR).doing(doing)
    }
}

fn guard_proc(proc: &OwnedFd, masked: &OwnedFd) -> Result<(), Fault> {
    for name in PROC_READ_ONLY {
        let Some(here) = find(proc, Path::new(name))? else { continue };
        let tree = clone_tree(&here, Path::new(""))?;
        add_attributes(&tree, Reach::Here, Attributes::READ_ONLY)
            .doing(|| format!("making `/proc/{name}` read-only"))?;
        attach_to(&tree, &here, Path::new(name))?;
    }
    for name in PROC_MASKED {
        let Some(here) = find(proc, Path::new(name))? else { continue };
        attach_to(&Void::over(masked)?, &here, Path::new(name))?;
    }
    Ok(())
}

fn fill_devices(dev: &OwnedFd, devices: &[(&str, OwnedFd)]) -> Result<(), Fault> {
    for (name, tree) in devices {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(dev, *name, flags, Mode::from_raw_mode(0o666)).doing(|| format!("making `/dev/{name}`"))?;
        add_attributes(tree, Reach::Here, Attributes::DEVICE).doing(|| format!("guarding `/dev/{name}`"))?;
        attach(tree, dev, Path::new(name))?;
    }
    for (name, target) in DEVICE_LINKS {
        symlinkat(*target, dev, *name).doing(|| format!("linking `/dev/{name}`"))?;
    }
    for name in ["pts", "shm"] {
        mkdirat(dev, name, Mode::from_raw_mode(0o755)).doing(|| format!("making `/dev/{name}`"))?;
    }
    let terminals = filesystem(
        "devpts",
        &[("newinstance", None), ("ptmxmode", Some("0666")), ("mode", Some("620"))],
        MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?;
    attach(&terminals, dev, Path::new("pts"))
}

fn host_tree(path: &Path, access: Access) -> Result<OwnedFd, Fault> {
    // Links were followed when the policy was made; one that has appeared since leads nowhere.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let here = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .doing(|| format!("taking `{}`", path.display()))?;
    let tree = clone_tree(&here, Path::new(""))?;
    let attributes = match access {
        Access::Read => Attributes::READ_ONLY,
        Access::Write => Attributes::INERT,
    };
    add_attributes(&tree, Reach::Below, attributes).doing(|| format!("guarding `{}`", path.display()))?;
    Ok(tree)
}

fn layered(path: &Path, layers: &Layers) -> Result<OwnedFd, Fault> {
    let text = |path: &Path| escaped(path);
    let (lower, upper, work) = (text(path), text(&layers.upper), text(&layers.work));
    let options = [
        ("lowerdir", Some(lower.as_str())),
        ("upperdir", Some(upper.as_str())),
        ("workdir", Some(work.as_str())),
        ("userxattr", None),
        ("volatile", None),
    ];
    filesystem("overlay", &options, MountAttrFlags::MOUNT_ATTR_NODEV)
}

/// A path as overlayfs reads it: a colon parts layers and a comma options, unless a backslash is before it.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        if matches!(letter, ':' | ',' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn memory(megabytes: u32, mode: u32) -> Result<OwnedFd, Fault> {
    let (size, mode) = (format!("{megabytes}m"), format!("{mode:o}"));
    filesystem("tmpfs", &[("size", Some(&size)), ("mode", Some(&mode))], MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn filesystem(kind: &str, options: &[(&str, Option<&str>)], more: MountAttrFlags) -> Result<OwnedFd, Fault> {
    let doing = || format!("making a file system of kind `{kind}`");
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).doing(doing)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(&context, *key, *value),
            None => fsconfig_set_flag(&context, *key),
        }
        .doing(|| format!("setting `{key}` of a file system of kind `{kind}`"))?;
    }
    fsconfig_create(&context).doing(doing)?;
    let attributes = more | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let attributes =
        if kind == "devpts" { attributes } else { attributes | MountAttrFlags::MOUNT_ATTR_NODEV };
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).doing(doing)
}

fn clone_tree(from: impl AsFd, path: &Path) -> Result<OwnedFd, Fault> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(from, path, flags).doing(|| format!("taking `{}`", path.display()))
}

fn attach(tree: &OwnedFd, to: impl AsFd, path: &Path) -> Result<(), Fault> {
    move_mount(tree, "", to, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .doing(|| format!("mounting at `{}`", path.display()))
}

/// Attaches to what was opened, so that nothing can be swapped in between.
fn attach_to(tree: &OwnedFd, here: &OwnedFd, path: &Path) -> Result<(), Fault> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", here, "", flags).doing(|| format!("mounting at `{}`", path.display()))
}

/// What is at a path, where no link leads on; none when nothing is.
fn find(root: impl AsFd, path: &Path) -> Result<Option<OwnedFd>, Fault> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(&root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(Errno::LOOP) => Err(Fault::new(
            format!("guarding `/{}`", path.display()),
            "a link was put in its place while the sandbox was being set up",
        )),
        Err(errno) => Err(Fault::of(format!("guarding `/{}`", path.display()), errno)),
    }
}

/// Makes what something can be mounted on, where that is in a folder of ours.
fn mount_point(root: &OwnedFd, path: &Path, layout: &Layout, folder: bool) -> Result<(), Fault> {
    folders_above(root, path, layout)?;
    if !is_ours(path, layout) {
        return Ok(());
    }
    let made = if folder {
        mkdirat(root, path, Mode::from_raw_mode(0o755))
    } else {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(root, path, flags, Mode::from_raw_mode(0o644)).map(drop)
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Fault::of(format!("making a place for `/{}`", path.display()), errno)),
    }
}

fn folders_above(root: &OwnedFd, path: &Path, layout: &Layout) -> Result<(), Fault> {
    let mut above: Vec<&Path> =
        path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    above.reverse();
    for folder in above {
        if !is_ours(folder, layout) {
            continue;
        }
        match mkdirat(root, folder, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Fault::of(format!("making `/{}`", folder.display()), errno)),
        }
    }
    Ok(())
}

/// Whether what a path is in is in memory: nothing is ever made in what belongs to the host.
fn is_ours(path: &Path, layout: &Layout) -> bool {
    let full = Path::new("/").join(path);
    full.ancestors()
        .skip(1)
        .find_map(|above| layout.spots.get(above))
        .is_none_or(|spot| matches!(spot.place, Place::Empty { .. } | Place::Devices))
}
