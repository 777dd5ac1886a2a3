//! Every way out of a root that we know of, tried against both ways of resolving paths.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::resolve::Strategy;
use crate::{Entry, EntryKind};

struct Place {
    _dir: tempfile::TempDir,
    root: Root,
    inside: PathBuf,
    outside: PathBuf,
}

/// A root beside a folder that must not be reached, once for each way of resolving.
fn places() -> impl Iterator<Item = Place> {
    [Strategy::Kernel, Strategy::Walk].into_iter().map(|strategy| {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (inside, outside) = (base.join("inside"), base.join("outside"));
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(inside.join("file"), "inner").unwrap();
        std::fs::write(outside.join("secret"), "outer").unwrap();
        let root = Root { beneath: Beneath::with(inside.clone(), strategy).unwrap() };
        Place { _dir: dir, root, inside, outside }
    })
}

fn assert_untouched(place: &Place) {
    let names: Vec<_> = std::fs::read_dir(&place.outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(std::fs::read(place.outside.join("secret")).unwrap(), b"outer");
}

fn assert_refused(place: &Place, path: &str) {
    let outside = |got: Option<RootError>| matches!(got, Some(RootError::Outside { .. }));
    assert!(outside(place.root.open_file(path).err()), "open_file {path}");
    assert!(outside(place.root.read(path, 100).err()), "read {path}");
    assert!(outside(place.root.metadata(path).err()), "metadata {path}");
    assert!(outside(place.root.write(path, b"x").err()), "write {path}");
    assert_untouched(place);
}

#[test]
fn the_kernel_is_asked_where_it_can_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let can = rustix::fs::openat2(
        rustix::fs::CWD,
        ".",
        OFlags::PATH,
        rustix::fs::Mode::empty(),
        rustix::fs::ResolveFlags::BENEATH,
    );
    let expected = if can.is_ok() { Strategy::Kernel } else { Strategy::Walk };
    assert_eq!(Root::open(dir.path()).unwrap().beneath.strategy(), expected);
}

#[test]
fn a_folder_is_listed_with_what_its_names_stand_for() {
    for place in places() {
        symlink("../outside", place.inside.join("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, place.inside.join("pipe"), FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let mut all: Vec<_> = place.root.list(".").unwrap().map(Result::unwrap).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let expected = [
            ("file", EntryKind::File),
            ("link", EntryKind::Link("../outside".into())),
            ("pipe", EntryKind::Other),
            ("sub", EntryKind::Directory),
        ];
        assert_eq!(all, expected.map(|(name, kind)| Entry { name: name.into(), kind }));
        assert_eq!(place.root.list("sub").unwrap().count(), 0);
        assert!(matches!(place.root.list("link"), Err(RootError::Outside { .. })));
        assert!(matches!(place.root.list("file"), Err(RootError::NotADirectory { .. })));
        assert!(matches!(place.root.list("none"), Err(RootError::NotFound { .. })));
    }
}

#[test]
fn paths_are_normalised_by_their_text() {
    for place in places() {
        let relative = |path: &str| place.root.relative(path).map(|path| path.to_string());
        let absolute = place.inside.join("x/../y").display().to_string();
        for (path, expected) in [
            ("", "."),
            (".", "."),
            ("a/..", "."),
            ("./a//b/./c/", "a/b/c"),
            ("a/../../inside/b", "b"),
            (absolute.as_str(), "y"),
        ] {
            assert_eq!(relative(path).unwrap(), expected, "{path}");
        }
        for path in ["..", "a/../..", "../outside/secret", "/", "/etc/passwd", "../inside2"] {
            assert!(matches!(relative(path), Err(RootError::Outside { .. })), "{path}");
        }
        assert!(matches!(relative("a\0b"), Err(RootError::Invalid { .. })));
    }
}

#[test]
fn dots_and_absolute_paths_do_not_lead_out() {
    for place in places() {
        assert_refused(&place, "../outside/secret");
        assert_refused(&place, "sub/../../outside/secret");
        assert_refused(&place, place.outside.join("secret").to_str().unwrap());
        let refused = place.root.read("../outside/secret", 9).unwrap_err();
        assert_eq!(refused.to_string(), "`../outside/secret` is outside the workspace");
    }
}

#[test]
fn links_do_not_lead_out() {
    for place in places() {
        symlink("../outside/secret", place.inside.join("file-link")).unwrap();
        symlink("../outside", place.inside.join("dir-link")).unwrap();
        symlink(&place.outside, place.inside.join("absolute-link")).unwrap();
        symlink("dir-link", place.inside.join("link-to-link")).unwrap();
        symlink("../../outside/new", place.inside.join("sub/dangling")).unwrap();
        for path in
            ["file-link", "dir-link/secret", "absolute-link/secret", "link-to-link/secret", "sub/dangling"]
        {
            assert_refused(&place, path);
        }
        assert!(matches!(place.root.write("dir-link/new/deep", b"x"), Err(RootError::Outside { .. })));
        assert!(matches!(place.root.open_dir("dir-link"), Err(RootError::Outside { .. })));
        assert_untouched(&place);
    }
}

#[test]
fn links_that_stay_inside_are_followed_and_kept() {
    for place in places() {
        std::fs::write(place.inside.join("sub/real"), "old").unwrap();
        symlink("sub", place.inside.join("to-sub")).unwrap();
        symlink("../sub/./../sub/real", place.inside.join("sub/up")).unwrap();
        symlink(place.inside.join("sub/real"), place.inside.join("absolute")).unwrap();
        symlink("sub/new/file", place.inside.join("dangling")).unwrap();
        for path in ["to-sub/real", "sub/up", "to-sub/up", "absolute"] {
            place.root.write(path, path.as_bytes()).unwrap();
            assert_eq!(place.root.read("sub/real", 100).unwrap(), path.as_bytes());
            assert_eq!(place.root.read(path, 100).unwrap(), path.as_bytes());
        }
        place.root.write("dangling", b"made").unwrap();
        assert_eq!(place.root.read("sub/new/file", 100).unwrap(), b"made");
        for link in ["to-sub", "sub/up", "absolute", "dangling"] {
            assert!(place.inside.join(link).is_symlink(), "{link}");
        }
        assert_eq!(place.root.open_dir("to-sub").unwrap(), place.inside.join("sub"));
    }
}

#[test]
fn magic_links_are_not_followed() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let open = File::open(secret.path()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&open);
    for strategy in [Strategy::Kernel, Strategy::Walk] {
        let proc = PathBuf::from(format!("/proc/{}", std::process::id()));
        let root = Root { beneath: Beneath::with(proc, strategy).unwrap() };
        for path in [format!("fd/{number}"), "root/etc/passwd".into(), "cwd/Cargo.toml".into(), "exe".into()]
        {
            assert!(root.open_file(&path).is_err(), "{path} {strategy:?}");
        }
    }
}

#[test]
fn a_circle_of_links_is_an_error() {
    for place in places() {
        symlink("b", place.inside.join("a")).unwrap();
        symlink("a", place.inside.join("b")).unwrap();
        let error = place.root.read("a", 1).unwrap_err().to_string();
        assert!(error.ends_with("Too many levels of symbolic links"), "{error}");
        let error = place.root.write("a", b"x").unwrap_err().to_string();
        assert!(error.ends_with("Too many levels of symbolic links"), "{error}");
    }
}

#[test]
fn only_regular_files_are_opened_and_nothing_is_waited_for() {
    for place in places() {
        let fifo = place.inside.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, 0o600.into(), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.inside.join("socket")).unwrap();
        for path in ["fifo", "socket"] {
            assert!(matches!(place.root.open_file(path), Err(RootError::NotAFile { .. })), "{path}");
            assert!(matches!(place.root.write(path, b"x"), Err(RootError::NotAFile { .. })), "{path}");
        }
        assert!(matches!(place.root.open_file("sub"), Err(RootError::IsDirectory { .. })));
        assert!(matches!(place.root.write("sub", b"x"), Err(RootError::IsDirectory { .. })));
        assert!(matches!(place.root.write(".", b"x"), Err(RootError::IsDirectory { .. })));
        assert!(matches!(place.root.open_dir("file"), Err(RootError::NotADirectory { .. })));
        assert!(matches!(place.root.read("none", 1), Err(RootError::NotFound { .. })));
        let error = place.root.write("file/x", b"x").unwrap_err().to_string();
        assert!(error.ends_with("inside/file/x`: Not a directory"), "{error}");
    }
}

#[test]
fn a_read_is_bounded() {
    for place in places() {
        assert_eq!(place.root.read("file", 5).unwrap(), b"inner");
        let error = place.root.read("file", 4).unwrap_err();
        assert_eq!(error.to_string(), "`file` is too large: 5 bytes, at most 4 can be read");
    }
}

#[test]
fn a_write_makes_folders_and_keeps_the_mode() {
    for place in places() {
        place.root.write("a/b/c", b"new").unwrap();
        assert_eq!(place.root.read("a/b/c", 10).unwrap(), b"new");
        for (mode, kept) in [(0o600, 0o600), (0o755, 0o755), (0o4755, 0o755)] {
            let path = place.inside.join("file");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            place.root.write("file", b"x").unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, kept);
        }
        std::fs::set_permissions(place.inside.join("file"), PermissionsExt::from_mode(0o444)).unwrap();
        assert!(matches!(
            place.root.write("file", b"y"),
            Err(RootError::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied
        ));
        assert_eq!(std::fs::read(place.inside.join("file")).unwrap(), b"x");
    }
}

#[test]
fn permissions_are_given_or_kept() {
    for place in places() {
        let mode =
            |name: &str| std::fs::metadata(place.inside.join(name)).unwrap().permissions().mode() & 0o7777;
        place.root.write_as("program", b"x", Permissions::Program).unwrap();
        place.root.write_as("data", b"x", Permissions::Kept).unwrap();
        assert_eq!(mode("program"), mode("data") | 0o111 & (mode("data") >> 2));
        place.root.write_as("data", b"x", Permissions::Exactly(0o4710)).unwrap();
        assert_eq!(mode("data"), 0o710);
        place.root.write_as("data", b"x", Permissions::Program).unwrap();
        assert_eq!(mode("data"), 0o710, "what is there keeps its own");
    }
}

#[test]
fn names_are_removed_and_looked_at_themselves_and_never_outside() {
    for place in places() {
        symlink(place.outside.join("secret"), place.inside.join("link")).unwrap();
        symlink(&place.outside, place.inside.join("away")).unwrap();
        let kind = |path: &str| place.root.look(path).unwrap().map(|seen| seen.kind);
        assert_eq!(kind("link"), Some(crate::SeenKind::Link));
        assert_eq!(kind("sub"), Some(crate::SeenKind::Folder));
        assert_eq!((kind("none"), kind("file/none"), kind("none/none")), (None, None, None));
        place.root.remove("link").unwrap();
        assert!(matches!(place.root.remove("link"), Err(RootError::NotFound { .. })));
        for path in ["away/secret", "../outside/secret", "/etc/passwd"] {
            assert!(matches!(place.root.look(path), Err(RootError::Outside { .. })), "{path}");
            assert!(matches!(place.root.remove(path), Err(RootError::Outside { .. })), "{path}");
        }
        assert!(matches!(place.root.remove("."), Err(RootError::IsDirectory { .. })));
        assert!(matches!(place.root.remove("sub"), Err(RootError::IsDirectory { .. })));
        std::fs::write(place.inside.join("sub/x"), "").unwrap();
        assert!(place.root.remove_folder("sub").is_err());
        place.root.remove("sub/x").unwrap();
        place.root.remove_folder("sub").unwrap();
        assert!(place.root.remove_folder("file").is_err());
        assert_untouched(&place);
    }
}

/// Another process swaps a folder for a link to the outside, again and again, while we read and write.
#[test]
fn a_race_with_a_link_does_not_lead_out() {
    for place in places() {
        let (dir, link) = (place.inside.join("dir"), place.inside.join("link"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("secret"), "inner").unwrap();
        std::fs::write(place.outside.join("only outside"), "").unwrap();
        symlink(&place.outside, &link).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let exchange = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(rustix::fs::CWD, &dir, rustix::fs::CWD, &link, exchange)
                        .unwrap();
                }
            });
            let (mut in_, mut out, mut rounds) = (0, 0, 0);
            let mut names = std::collections::BTreeSet::new();
            // As many rounds as it takes to see both sides of the swap, within reason.
            while rounds < 2_000 || (rounds < 1_000_000 && (in_ == 0 || out == 0)) {
                rounds += 1;
                match place.root.read("dir/secret", 100) {
                    Ok(bytes) => {
                        assert_eq!(bytes, b"inner");
                        in_ += 1;
                    }
                    Err(_) => out += 1,
                }
                // Either is right, as long as nothing outside is touched.
                let _ = place.root.write("dir/secret", b"inner");
                let _ = place.root.write(&format!("dir/new{}/f", rounds % 7), b"x");
                let _ = place.root.open_dir("dir").map(|real| assert!(real.starts_with(&place.inside)));
                for entry in place.root.list("dir").into_iter().flatten().flatten() {
                    names.insert(entry.name);
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(in_ > 0 && out > 0, "the race was not one: {in_} in, {out} out");
            assert!(names.contains(OsStr::new("secret")) && !names.contains(OsStr::new("only outside")));
        });
        std::fs::remove_file(place.outside.join("only outside")).unwrap();
        assert_untouched(&place);
    }
}

#[test]
fn a_new_file_takes_the_place_of_nothing() {
    for place in places() {
        place.root.create_as("new/deep", b"x", Permissions::Kept).unwrap();
        assert_eq!(std::fs::read(place.inside.join("new/deep")).unwrap(), b"x");
        symlink("nothing", place.inside.join("link")).unwrap();
        for taken in ["file", "sub", "link"] {
            let error = place.root.create_as(taken, b"x", Permissions::Kept).unwrap_err();
            assert!(matches!(error, RootError::Exists { .. }), "{taken}: {error}");
        }
        assert_eq!(std::fs::read(place.inside.join("file")).unwrap(), b"inner");
        let names: Vec<_> =
            std::fs::read_dir(&place.inside).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 4, "nothing is left over: {names:?}");
        symlink(&place.outside, place.inside.join("out")).unwrap();
        let error = place.root.create_as("out/new", b"x", Permissions::Kept).unwrap_err();
        assert!(matches!(error, RootError::Outside { .. }), "{error}");
        assert_untouched(&place);
    }
}
