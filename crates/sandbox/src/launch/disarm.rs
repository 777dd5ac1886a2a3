//! Repositories that a command made: git outside enters them too (as submodules of the one around them, or since a person
//! works in them), and would run what their settings and hooks say. So those are set aside when the command has ended;
//! all else of the repository stays, and git works in it.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, fchmod, fstat, mkdirat, openat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::again::NewRepositories;
use super::folder::open_up;
use super::gitsettings::entries;
use super::repository::pointed_at;
use super::sweep::folder;

/// Longest file of settings that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Names that are tried for what is set aside.
const NAMES: u32 = 100;

/// Settings that run nothing and lead nowhere: how they begin, and the last parts that may follow; none: any.
const HARMLESS: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "repositoryformatversion",
            "filemode",
            "bare",
            "logallrefupdates",
            "ignorecase",
            "precomposeunicode",
            "symlinks",
            "autocrlf",
            "eol",
            "safecrlf",
            "quotepath",
            "sparsecheckout",
            "sparsecheckoutcone",
            "compression",
            "sharedrepository",
            "abbrev",
            "untrackedcache",
            "splitindex",
            "longpaths",
            "protecthfs",
            "protectntfs",
            "checkstat",
            "trustctime",
            "preloadindex",
            "whitespace",
            "commentchar",
            "bigfilethreshold",
            "multipackindex",
            "commitgraph",
        ],
    ),
    (
        "extensions",
        &[
            "objectformat",
            "compatobjectformat",
            "noop",
            "preciousobjects",
            "refstorage",
            "relativeworktrees",
            "worktreeconfig",
        ],
    ),
    (
        "remote",
        &[
            "url",
            "pushurl",
            "fetch",
            "push",
            "tagopt",
            "prune",
            "prunetags",
            "mirror",
            "skipdefaultupdate",
            "skipfetchall",
            "pushdefault",
        ],
    ),
    (
        "branch",
        &[
            "remote",
            "merge",
            "rebase",
            "pushremote",
            "description",
            "autosetupmerge",
            "autosetuprebase",
            "sort",
        ],
    ),
    (
        "submodule",
        &["url", "active", "branch", "ignore", "fetchrecursesubmodules", "shallow", "recurse", "update"],
    ),
    ("user", &["name", "email", "useconfigonly"]),
    ("author", &["name", "email"]),
    ("committer", &["name", "email"]),
    ("init", &["defaultbranch"]),
    ("commit", &["gpgsign", "verbose", "status", "cleanup"]),
    ("tag", &["gpgsign", "forcesignannotated", "sort"]),
    ("pull", &["rebase", "ff"]),
    ("push", &["default", "autosetupremote", "followtags", "recursesubmodules"]),
    ("fetch", &["prune", "prunetags", "parallel", "recursesubmodules", "writecommitgraph"]),
    ("merge", &["ff", "conflictstyle", "log", "renames", "renamelimit", "directoryrenames"]),
    (
        "diff",
        &[
            "algorithm",
            "renames",
            "renamelimit",
            "mnemonicprefix",
            "noprefix",
            "colormoved",
            "context",
            "ignoresubmodules",
            "submodule",
        ],
    ),
    ("rebase", &["autosquash", "autostash", "updaterefs"]),
    ("rerere", &["enabled", "autoupdate"]),
    ("gc", &["auto", "autodetach", "autopacklimit", "pruneexpire", "writecommitgraph", "cruftpacks"]),
    ("maintenance", &["auto", "strategy"]),
    ("advice", &[]),
    ("color", &[]),
    ("column", &[]),
    ("index", &[]),
    ("feature", &[]),
    ("receive", &["denycurrentbranch", "denynonfastforwards", "denydeletes"]),
    ("status", &[]),
    ("transfer", &["fsckobjects"]),
    ("lfs", &["repositoryformatversion", "access", "locksverify"]),
];

/// What `git lfs install` writes.
const LFS: &[(&str, &str)] = &[
    ("filter.lfs.clean", "git-lfs clean -- %f"),
    ("filter.lfs.smudge", "git-lfs smudge -- %f"),
    ("filter.lfs.process", "git-lfs filter-process"),
    ("filter.lfs.required", "true"),
];

/// Whether it is a name that git reads as one, and nothing more.
fn is_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a setting runs nothing and leads nowhere.
fn is_harmless(key: &str, value: &str) -> bool {
    if LFS.contains(&(key, value)) {
        return true;
    }
    let (Some((section, _)), Some((before, name))) = (key.split_once('.'), key.rsplit_once('.')) else {
        return false;
    };
    let listed = is_name(name)
        && HARMLESS
            .iter()
            .any(|(known, names)| *known == section && (names.is_empty() || names.contains(&name)));
    let is_address = match section {
        "remote" => true,
        "branch" => matches!(name, "remote" | "pushremote"),
        "submodule" => name == "url",
        _ => false,
    };
    // `submodule.X.update` can be a command, `merge.X.driver` and the like are on no list, and a helper is no address. An
    // extension's value is a word: as a path, it leads elsewhere.
    listed
        && !value.starts_with('!')
        && !(is_address && value.contains("::"))
        && !(section == "extensions" && (before != section || value.contains([':', '/'])))
}

/// Whether a line cannot be read in another way than it is here.
fn is_plain(line: &str) -> bool {
    let line = line.trim_matches([' ', '\t']);
    let quiet = |text: &str| !text.contains(['\\', '"', '#', ';', '\r', '\0']);
    if line.is_empty() {
        return true;
    }
    if let Some(inner) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        return match inner.split_once(" \"") {
            None => is_name(inner),
            Some((section, sub)) => {
                is_name(section) && sub.strip_suffix('"').is_some_and(|sub| quiet(sub) && !sub.contains(']'))
            }
        };
    }
    match line.split_once('=') {
        None => is_name(line),
        Some((name, value)) => is_name(name.trim_end_matches([' ', '\t'])) && quiet(value),
    }
}

/// The file of settings without what could run something, and what was left out; nothing where it can stay. `leads_back` is
/// asked whether the working tree that it names is one that names this repository.
fn harmless(text: &str, leads_back: impl Fn(&str) -> bool) -> Option<(String, Vec<String>)> {
    let all = entries(text);
    let stays = |(key, value): &(String, String)| {
        if key == "core.worktree" { leads_back(value) } else { is_harmless(key, value) }
    };
    let (kept, left_out): (Vec<_>, Vec<_>) = all.into_iter().partition(stays);
    if left_out.is_empty() && text.split('\n').all(is_plain) {
        return None;
    }
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut new = String::new();
    for (key, value) in &kept {
        let (Some((section, _)), Some((before, name))) = (key.split_once('.'), key.rsplit_once('.')) else {
            continue;
        };
        let sub = before.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'));
        let sub = sub.map(|sub| format!(" \"{}\"", quoted(sub))).unwrap_or_default();
        let value = quoted(value).replace('\n', "\\n").replace('\t', "\\t");
        new.push_str(&format!("[{section}{sub}]\n\t{name} = \"{value}\"\n"));
    }
    let mut names: Vec<String> = left_out.into_iter().map(|(key, _)| key).collect();
    names.dedup();
    Some((new, names))
}

/// Most notes of one look.
const NOTES: usize = 20;

/// Sets aside what could run something in what a command made of repositories. Gives what people should hear.
pub(crate) fn all(new: &NewRepositories) -> Vec<String> {
    let mut notes: Vec<String> = new.strays.iter().filter_map(|path| unlead(path)).collect();
    notes.extend(new.git_dirs.iter().flat_map(|git_dir| disarm(git_dir)));
    notes.extend(new.links.iter().filter_map(|path| unlink(path)));
    notes.extend(new.startup.iter().filter_map(|path| put_away(path)));
    notes.extend(new.too_long.iter().filter_map(|path| shorten(path)));
    notes.extend(new.unsearched.iter().map(|path| {
        format!(
            "`{}` holds so much that repositories were not looked for in it: run no git there",
            path.display()
        )
    }));
    let more = notes.len().saturating_sub(NOTES);
    notes.truncate(NOTES);
    if more > 0 {
        notes.push(format!("and {more} more of repositories that the command made"));
    }
    notes
}

/// Sets aside what could run something in the folder that git keeps a repository in. Gives what people should hear.
fn disarm(git_dir: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    let mut told = |name: &str, done: Result<Option<String>, Errno>| match done {
        Ok(None) | Err(Errno::NOENT | Errno::NOTDIR) => {}
        Ok(Some(note)) => notes.push(format!("`{}`: {note}", git_dir.join(name).display())),
        Err(errno) => notes.push(format!(
            "`{}` may run something when git is used there, and stays: {}",
            git_dir.join(name).display(),
            std::io::Error::from(errno)
        )),
    };
    let dir = match folder(git_dir) {
        Ok(dir) => dir,
        Err(errno) => {
            told("", Err(errno));
            return notes;
        }
    };
    // Where that fails, what is to be changed in it says so.
    let _ = open_up(git_dir);
    let leads_back = |tree: &OsStr| {
        let file = git_dir.join(tree).join(".git");
        pointed_at(&file).is_some_and(|back| Some(back) == git_dir.canonicalize().ok())
    };
    for name in ["config", "config.worktree"] {
        told(name, settings(&dir, name, &leads_back));
    }
    told("hooks", hooks(&dir));
    for name in names(&dir, "worktrees").unwrap_or_default() {
        let place = Path::new("worktrees").join(name);
        if let Ok(admin) = folder(&git_dir.join(&place)) {
            let _ = open_up(&git_dir.join(&place));
            let file = place.join("config.worktree");
            told(&file.to_string_lossy(), settings(&admin, "config.worktree", &|_| false));
        }
    }
    notes
}

/// Sets aside what leads git to where nobody looked for repositories. Gives what people should hear.
fn unlead(lead: &Path) -> Option<String> {
    Some(match moved_aside(lead, lead.file_name()?) {
        Ok(aside) => {
            format!("`{}`: it led git out of the workspace, or nowhere; it is now `{aside}`", lead.display())
        }
        Err(errno) => format!(
            "`{}` leads git out of the workspace, or nowhere, and stays: {}",
            lead.display(),
            std::io::Error::from(errno)
        ),
    })
}

/// Folders of a repository in which git takes whatever name there is for a branch, a worktree or a submodule.
const ANY_NAME: &[&str] = &["refs", "worktrees", "modules"];

/// Sets aside a link in a repository's folder, by which git would write elsewhere, or take it out where git would follow it by
/// any name. Gives what people should hear.
fn unlink(link: &Path) -> Option<String> {
    let target = link.read_link().ok()?;
    let any_name = ANY_NAME.iter().any(|name| link.components().any(|part| part.as_os_str() == *name));
    let name = link.file_name()?;
    // What has such a name was set aside by an earlier look.
    if !any_name && name.as_bytes().windows(9).any(|part| part == b".disarmed") {
        return None;
    }
    let done = if any_name {
        within(link, |above| unlinkat(above, name, AtFlags::empty())).map(|()| "was taken out".to_owned())
    } else {
        moved_aside(link, name).map(|aside| format!("is now `{aside}`"))
    };
    match done {
        Ok(done) => Some(format!(
            "`{}`: a link to `{}`, which git outside would have followed; it {done}",
            link.display(),
            target.display()
        )),
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        Err(errno) => Some(format!(
            "`{}` is a link to `{}`, which git outside would follow, and stays: {}",
            link.display(),
            target.display(),
            std::io::Error::from(errno)
        )),
    }
}

/// Sets aside what would be run when somebody logs in or opens a shell. Gives what people should hear.
fn put_away(path: &Path) -> Option<String> {
    // Behind a link it is that which has come.
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    let path = above.into_iter().find(|path| path.is_symlink()).unwrap_or(path);
    match moved_aside(path, path.file_name()?) {
        Ok(aside) => Some(format!(
            "`{}`: it would be run when you log in or open a shell; it is now `{aside}`",
            path.display()
        )),
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        Err(errno) => Some(format!(
            "`{}` is run when you log in or open a shell, and stays: {}",
            path.display(),
            std::io::Error::from(errno)
        )),
    }
}

/// Gives a folder with a very long path another name, which no file of git's knows. Gives what people should hear.
fn shorten(path: &Path) -> Option<String> {
    let name = path.file_name()?;
    let renamed = within(path, |above| set_aside_as(above, name, "too-long"));
    let begin: String = path.display().to_string().chars().take(80).collect();
    match renamed {
        Ok(aside) => Some(format!(
            "`{begin}…`: a folder in it has so long a path that it was not looked into, and is now `{aside}`: run no git there"
        )),
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        Err(errno) => Some(format!(
            "`{begin}…`: a folder in it has so long a path that it was not looked into, and stays: {}",
            std::io::Error::from(errno)
        )),
    }
}

/// Gives something that name with another end, where it is.
fn moved_aside(path: &Path, name: &OsStr) -> Result<String, Errno> {
    within(path, |above| set_aside(above, name))
}

/// Does something in the folder that a path is in; that is opened for its owner where it has to be.
fn within<T>(path: &Path, act: impl Fn(&OwnedFd) -> Result<T, Errno>) -> Result<T, Errno> {
    let above = path.parent().ok_or(Errno::INVAL)?;
    let dir = folder(above)?;
    match act(&dir) {
        Err(Errno::ACCESS) => open_up(above).and_then(|()| act(&dir)),
        done => done,
    }
}

fn settings(dir: &OwnedFd, name: &str, leads_back: &dyn Fn(&OsStr) -> bool) -> Result<Option<String>, Errno> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let text =
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile { text(dir, name)? } else { None };
    let Some((text, letters)) = text else {
        let aside = set_aside(dir, OsStr::new(name))?;
        return Ok(Some(format!("no plain file of settings; it is now `{aside}`")));
    };
    let harmless = harmless(&text, |tree| leads_back(OsStr::from_bytes(&letters.bytes(tree))));
    let (new, left_out) = match harmless {
        Some(new) => new,
        // By its other name it could be changed later.
        None if stat.st_nlink > 1 => (text, Vec::new()),
        None => return Ok(None),
    };
    // First it goes: whatever fails then, git reads none, which is harmless.
    let aside = set_aside(dir, OsStr::new(name))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = openat(dir, name, flags, Mode::from_raw_mode(0o600)).and_then(|file| {
        let mut file = std::fs::File::from(file);
        let written = file.write_all(&letters.bytes(&new));
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        // As it was, but for bits that have no meaning for a file of settings.
        fchmod(&file, Mode::from_raw_mode(stat.st_mode & 0o666))
    });
    if let Err(errno) = written {
        // Half of it could end within a word.
        let _ = unlinkat(dir, name, AtFlags::empty());
        let cause = std::io::Error::from(errno);
        return Ok(Some(format!("it is now `{aside}`, and there is none in its place: {cause}")));
    }
    if left_out.is_empty() {
        let _ = unlinkat(dir, &aside, AtFlags::empty());
        return Ok(None);
    }
    let few = left_out.iter().take(5).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let more = left_out.len().saturating_sub(5);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Some(format!(
        "took {few}{more} out, which git outside could run or follow; the whole is in `{aside}`"
    )))
}

/// How the bytes of a file are read as letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    Unicode,
    /// One for each byte.
    Bytes,
}

impl Letters {
    fn read(bytes: Vec<u8>) -> (String, Self) {
        match String::from_utf8(bytes) {
            Ok(text) => (text, Self::Unicode),
            Err(error) => (error.as_bytes().iter().map(|byte| char::from(*byte)).collect(), Self::Bytes),
        }
    }

    fn bytes(self, text: &str) -> Vec<u8> {
        match self {
            Self::Unicode => text.as_bytes().to_vec(),
            Self::Bytes => text.chars().filter_map(|letter| u8::try_from(letter).ok()).collect(),
        }
    }
}

/// The text of a file that is no longer than it may be.
fn text(dir: &OwnedFd, name: &str) -> Result<Option<(String, Letters)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        || stat.st_size.cast_unsigned() > LONGEST
    {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::from(file).take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok((bytes.len() as u64 <= LONGEST).then(|| Letters::read(bytes)))
}

fn hooks(dir: &OwnedFd) -> Result<Option<String>, Errno> {
    let stat = statat(dir, "hooks", AtFlags::SYMLINK_NOFOLLOW)?;
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    // One that cannot be listed can hold anything.
    let samples = |names: Vec<OsString>| names.iter().all(|name| name.as_bytes().ends_with(b".sample"));
    if is_folder && names(dir, "hooks").is_some_and(samples) {
        return Ok(None);
    }
    let aside = set_aside(dir, OsStr::new("hooks"))?;
    match mkdirat(dir, "hooks", Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    Ok(Some(format!("git outside would run what is in it; it is now `{aside}`")))
}

/// Gives it a name that git does not look for: its own, with another end.
fn set_aside(dir: &OwnedFd, name: &OsStr) -> Result<String, Errno> {
    match set_aside_as(dir, name, &name.to_string_lossy()) {
        Err(Errno::NAMETOOLONG) => set_aside_as(dir, name, "long-name"),
        done => done,
    }
}

/// The same, with another beginning.
fn set_aside_as(dir: &OwnedFd, name: &OsStr, begin: &str) -> Result<String, Errno> {
    for number in 0..NAMES {
        let aside =
            if number == 0 { format!("{begin}.disarmed") } else { format!("{begin}.disarmed-{number}") };
        match renameat_with(dir, name, dir, &aside, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(aside),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    // All of these are taken: on purpose, so the next is one that nobody could foresee.
    let mut random = [0_u8; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let aside = format!("{begin}.disarmed-{:032x}", u128::from_ne_bytes(random));
    renameat_with(dir, name, dir, &aside, RenameFlags::NOREPLACE).map(|()| aside)
}

/// The names in a folder that is no link; none where it cannot be listed.
fn names(dir: impl AsFd, name: &str) -> Option<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty()).ok()?;
    let all = Dir::new(fd).ok()?.map_while(Result::ok);
    let all = all.map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec()));
    Some(all.filter(|name| name != "." && name != "..").collect())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests set up files as a person would")]
mod tests {
    use super::*;

    const CLONED: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
                          [remote \"origin\"]\n\turl = https://example.com/a/b.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
                          [branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n";

    #[test]
    fn what_git_writes_itself_stays() {
        assert_eq!(harmless(CLONED, |_| false), None);
        assert_eq!(harmless("[user]\n\tname = Ada L.\n\temail = ada@example.com\n", |_| false), None);
        assert_eq!(
            harmless("[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\trequired = true\n", |_| false),
            None
        );
    }

    #[test]
    fn what_could_run_something_is_left_out() {
        for (line, key) in [
            ("[core]\n\tfsmonitor = touch x\n", "core.fsmonitor"),
            ("[core]\n\thooksPath = h\n", "core.hookspath"),
            ("[include]\n\tpath = ../x\n", "include.path"),
            ("[includeIf \"gitdir:.\"]\n\tpath = ../x\n", "includeif.gitdir:..path"),
            ("[filter \"a\"]\n\tclean = x\n", "filter.a.clean"),
            ("[filter \"lfs\"]\n\tclean = ./git-lfs clean -- %f\n", "filter.lfs.clean"),
            ("[submodule \"a\"]\n\tupdate = !x\n", "submodule.a.update"),
            ("[merge \"a\"]\n\tdriver = x\n", "merge.a.driver"),
            ("[protocol \"ext\"]\n\tallow = always\n", "protocol.ext.allow"),
            ("[remote \"a\"]\n\turl = ext::sh -c x\n", "remote.a.url"),
            ("[alias]\n\tst = !x\n", "alias.st"),
            ("[remote]\n\tpushDefault = ext::sh -c x\n", "remote.pushdefault"),
            ("[branch \"a\"]\n\tremote = ext::sh -c x\n", "branch.a.remote"),
            ("[branch \"a\"]\n\tpushRemote = ext::sh -c x\n", "branch.a.pushremote"),
            ("[submodule \"a\"]\n\turl = ext::sh -c x\n", "submodule.a.url"),
            ("[remote \"a\"]\n\tpromisor = true\n", "remote.a.promisor"),
            ("[extensions]\n\tpartialClone = a\n", "extensions.partialclone"),
            ("[extensions]\n\trefStorage = files:///x\n", "extensions.refstorage"),
            ("[color] [core] fsmonitor = x\n", "core.fsmonitor"),
            ("[color]\n\t[core] fsmonitor = x\n", "core.fsmonitor"),
            ("[color]\n\ta b = x\n", "color.a b"),
            ("[core]\n\tworktree = /home/ada\n", "core.worktree"),
        ] {
            let (new, left_out) = harmless(&format!("{CLONED}{line}"), |_| false).unwrap();
            assert_eq!(left_out, [key]);
            assert_eq!(entries(&new), entries(CLONED));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_written_anew() {
        for text in [
            "[user]\n# a \\\nname = x\n[core]\nfsmonitor = x\n",
            "\u{feff}[user]\nname = x\n",
            "[user]\n\tname = \"a\\\"b\" ; c\n",
            "[user] name = x\n",
            "[user]\r\n\tname = x\r\n",
        ] {
            let (new, _) = harmless(text, |_| false).unwrap();
            assert!(!new.contains("fsmonitor"), "{new}");
            assert!(entries(&new).iter().all(|(key, value)| is_harmless(key, value)));
        }
    }

    #[test]
    fn settings_and_hooks_are_set_aside_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().canonicalize().unwrap().join(".git");
        std::fs::create_dir_all(git.join("hooks")).unwrap();
        std::fs::create_dir_all(git.join("worktrees/w")).unwrap();
        std::fs::write(git.join("hooks/pre-commit"), "x").unwrap();
        std::fs::write(git.join("config"), format!("{CLONED}[core]\n\tfsmonitor = x\n")).unwrap();
        std::fs::write(git.join("worktrees/w/config.worktree"), "[core]\n\tfsmonitor = x\n").unwrap();
        let notes = disarm(&git);
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert_eq!(std::fs::read_dir(git.join("hooks")).unwrap().count(), 0);
        assert!(git.join("hooks.disarmed/pre-commit").exists());
        assert_eq!(entries(&std::fs::read_to_string(git.join("config")).unwrap()), entries(CLONED));
        assert!(std::fs::read_to_string(git.join("config.disarmed")).unwrap().contains("fsmonitor"));
        assert_eq!(std::fs::read_to_string(git.join("worktrees/w/config.worktree")).unwrap(), "");
        assert_eq!(disarm(&git), Vec::<String>::new(), "all is done");
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("g/h")).unwrap();
        std::fs::write(root.join("theirs"), "[core]\n\tfsmonitor = x\n").unwrap();
        std::os::unix::fs::symlink("../theirs", root.join("g/config")).unwrap();
        std::os::unix::fs::symlink("h", root.join("g/hooks")).unwrap();
        std::os::unix::fs::symlink("g", root.join("link")).unwrap();
        assert_eq!(disarm(&root.join("link")).len(), 1, "it stays, and that is said");
        assert!(root.join("g/config").is_symlink());
        assert_eq!(disarm(&root.join("g")).len(), 2);
        assert!(!root.join("g/config").exists() && root.join("g/hooks").is_dir());
        assert_eq!(std::fs::read_to_string(root.join("theirs")).unwrap(), "[core]\n\tfsmonitor = x\n");
    }

    #[test]
    fn settings_keep_their_mode_and_their_bytes_and_get_a_file_of_their_own() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().canonicalize().unwrap();
        let config = git.join("config");
        let name = b"[user]\n\tname = Jos\xe9\n[core]\n\tpager = x\n";
        std::fs::write(&config, name).unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(disarm(&git).len(), 1);
        assert_eq!(std::fs::read(&config).unwrap(), b"[user]\n\tname = \"Jos\xe9\"\n");
        assert_eq!(config.metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::write(&config, CLONED).unwrap();
        std::fs::hard_link(&config, git.join("COMMIT_EDITMSG")).unwrap();
        assert_eq!(disarm(&git), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(&config).unwrap(), CLONED);
        assert_eq!(config.metadata().unwrap().nlink(), 1);
    }

    #[test]
    fn links_are_set_aside_or_taken_out_where_any_name_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().canonicalize().unwrap().join(".git");
        std::fs::create_dir_all(git.join("refs/heads")).unwrap();
        let links = ["index", "refs/heads/main"].map(|name| git.join(name));
        for link in &links {
            std::os::unix::fs::symlink("/nowhere", link).unwrap();
        }
        let new = NewRepositories { links: links.to_vec(), ..NewRepositories::default() };
        let notes = all(&new);
        assert!(notes.len() == 2 && notes[0].contains("index.disarmed"), "{notes:?}");
        assert!(notes[1].contains("`/nowhere`") && notes[1].ends_with("was taken out"), "{notes:?}");
        assert!(links.iter().all(|link| link.symlink_metadata().is_err()));
        assert_eq!(std::fs::read_dir(git.join("refs/heads")).unwrap().count(), 0);
        assert_eq!(all(&new), Vec::<String>::new());
    }
}
