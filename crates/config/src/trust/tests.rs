//! Trust against those who would have it without being given it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use codetether_event::UnixMillis;
use codetether_files::{WriteOptions, create_dir_all, remove_file, rename, write_atomic};

use super::*;
use crate::load::{Sources, load};

struct Place {
    dir: tempfile::TempDir,
    root: PathBuf,
    store: TrustStore,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let root = base.join("project");
        create_dir_all(&root).unwrap();
        Self { store: TrustStore::new(&base.join("data")), root, dir }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        create_dir_all(path.parent().unwrap()).unwrap();
        write_atomic(&path, text.as_ref(), &WriteOptions::default()).unwrap();
        path
    }

    fn read(&self) -> ProjectFiles {
        ProjectFiles::read(&self.root)
    }

    fn decide(&self, decision: Decision) {
        self.store.keep(&self.read(), decision, UnixMillis(7)).unwrap();
    }

    fn verdict(&self) -> Verdict {
        self.store.verdict(&self.read())
    }

    /// The rules that allow, with what is on the disk now.
    fn allowed(&self) -> Vec<String> {
        let files = self.read();
        allowed(&files, self.store.verdict(&files).trusted())
    }

    fn flaw(&self) -> String {
        let files = self.read();
        let error = self.store.keep(&files, Decision::Trusted, UnixMillis(7)).unwrap_err();
        assert!(matches!(self.store.verdict(&files), Verdict::Flawed(_)));
        assert!(self.store.list().unwrap().is_empty());
        error.to_string().replace(&format!("{}", self.root.display()), "ROOT")
    }
}

fn allowed(files: &ProjectFiles, trusted: bool) -> Vec<String> {
    let sources = Sources { project: files.settings(trusted), ..Sources::default() };
    load(&sources)
        .unwrap()
        .turn(codetether_event::ModelId::new("a/b"), codetether_event::Confinement::None)
        .allow
}

#[test]
fn power_comes_with_trust_and_goes_with_a_change() {
    let place = Place::new();
    assert_eq!(place.verdict(), Verdict::Unknown);
    assert!(!place.read().have_power());
    place.file(".codetether/config.toml", "allow = [\"bash(make)\"]\n");
    assert_eq!((place.verdict(), place.allowed()), (Verdict::Unknown, vec![]));
    place.decide(Decision::Refused);
    assert_eq!((place.verdict(), place.allowed()), (Verdict::Refused, vec![]));
    place.decide(Decision::Trusted);
    assert_eq!((place.verdict(), place.allowed()), (Verdict::Trusted, vec!["bash(make)".into()]));
    place.file(".codetether/config.toml", "allow = [\"bash\"]\n");
    assert!(matches!(place.verdict(), Verdict::Changed(_)));
    assert_eq!(place.allowed(), [""; 0]);
    place.file(".codetether/config.toml", "allow = [\"bash(make)\"]\n");
    assert_eq!(place.verdict(), Verdict::Trusted, "these are the files that were trusted");
    assert!(place.store.forget(&place.root).unwrap());
    assert!(!place.store.forget(&place.root).unwrap());
    assert_eq!(place.verdict(), Verdict::Unknown);
}

#[test]
fn every_change_of_any_file_counts() {
    let place = Place::new();
    let hook = place.file(".codetether/hooks/start.sh", "echo hi\n");
    place.file(".codetether/config.toml", "deny = [\"write\"]\n");
    symlink("start.sh", place.root.join(".codetether/hooks/link")).unwrap();
    place.decide(Decision::Trusted);
    let changed = |change: &dyn Fn()| {
        change();
        let files = place.read();
        assert!(matches!(place.store.verdict(&files), Verdict::Changed(_)));
        let lines: Vec<String> = changes(&place.store, &files)
            .iter()
            .map(|change| format!("{}: {}", change.path, change.what))
            .collect();
        place.decide(Decision::Trusted);
        lines.join(", ")
    };
    assert_eq!(
        changed(&|| drop(place.file(".codetether/hooks/start.sh", "echo ho\n"))),
        ".codetether/hooks/start.sh: changed"
    );
    let executable = || codetether_files::set_executable(&hook).unwrap();
    assert_eq!(changed(&executable), ".codetether/hooks/start.sh: was a file, is a executable");
    assert_eq!(
        changed(&|| drop(place.file(".codetether/agents/a.md", ""))),
        ".codetether/agents/a.md: new file"
    );
    let link = place.root.join(".codetether/hooks/link");
    let other = || {
        remove_file(&link).unwrap();
        symlink("/bin/sh", &link).unwrap();
    };
    assert_eq!(changed(&other), ".codetether/hooks/link: changed");
    assert_eq!(changed(&|| remove_file(&hook).unwrap()), ".codetether/hooks/start.sh: removed");
    let moved =
        || rename(place.root.join(".codetether/agents"), place.root.join(".codetether/skills")).unwrap();
    assert_eq!(changed(&moved), ".codetether/agents/a.md: removed, .codetether/skills/a.md: new file");
}

#[test]
fn no_two_sets_of_files_are_taken_for_each_other() {
    let hash = |files: &[(&str, &str)]| {
        let place = Place::new();
        for (name, text) in files {
            place.file(&format!(".codetether/{name}"), text);
        }
        place.read().hash().to_string()
    };
    let sets = [
        hash(&[("a", "b")]),
        hash(&[("ab", "")]),
        hash(&[("a", ""), ("b", "")]),
        hash(&[("a", "b"), ("c", "")]),
        hash(&[("a/b", "")]),
        hash(&[]),
    ];
    let distinct: std::collections::BTreeSet<&String> = sets.iter().collect();
    assert_eq!(distinct.len(), sets.len());
}

#[test]
fn a_change_is_shown_line_by_line() {
    let place = Place::new();
    place.file(".codetether/config.toml", "# ours\ndeny = [\"write\"]\nallow = [\"bash(make)\"]\n");
    place.decide(Decision::Trusted);
    place.file(".codetether/config.toml", "# ours\ndeny = [\"write\"]\nallow = [\"bash\"]\n");
    place.file(".codetether/blob", [0xff]);
    let changes = changes(&place.store, &place.read());
    assert_eq!((changes.len(), changes[0].what.as_str(), &changes[0].diff), (2, "new file", &None));
    insta::assert_snapshot!(changes[1].diff.as_ref().unwrap(), @r#"
    --- a/.codetether/config.toml
    +++ b/.codetether/config.toml
    @@ -1,3 +1,3 @@
     # ours
     deny = ["write"]
    -allow = ["bash(make)"]
    +allow = ["bash"]
    "#);
}

#[test]
fn what_is_loaded_is_what_was_judged_though_the_file_is_swapped_in_between() {
    let place = Place::new();
    place.file(".codetether/config.toml", "allow = [\"bash(make)\"]\n");
    place.decide(Decision::Trusted);
    let files = place.read();
    let verdict = place.store.verdict(&files);
    place.file(".codetether/config.toml", "allow = [\"bash\"]\n");
    assert_eq!(allowed(&files, verdict.trusted()), ["bash(make)"]);
    // And a decision is about what was shown, not about what is there by now.
    place.store.keep(&files, Decision::Trusted, UnixMillis(8)).unwrap();
    assert!(matches!(place.verdict(), Verdict::Changed(_)));
}

#[test]
fn trust_is_for_this_folder_and_no_copy_of_it() {
    let place = Place::new();
    place.file(".codetether/config.toml", "allow = [\"bash(make)\"]\n");
    place.decide(Decision::Trusted);
    let base = place.root.parent().unwrap().to_owned();
    let copy = base.join("copy");
    create_dir_all(copy.join(".codetether")).unwrap();
    codetether_files::copy(place.root.join(".codetether/config.toml"), copy.join(".codetether/config.toml"))
        .unwrap();
    assert_eq!(place.store.verdict(&ProjectFiles::read(&copy)), Verdict::Unknown);
    rename(&place.root, base.join("moved")).unwrap();
    assert_eq!(place.store.verdict(&ProjectFiles::read(&base.join("moved"))), Verdict::Unknown);
    assert_eq!(
        place.verdict(),
        Verdict::Changed(place.store.kept(&place.root).unwrap()),
        "nothing is there now"
    );
}

#[test]
fn agents_md_is_context_and_outside_of_trust() {
    let place = Place::new();
    place.file(".codetether/AGENTS.md", "do as I say");
    place.file("AGENTS.md", "do as I say");
    let files = place.read();
    assert!(!files.have_power() && files.files().is_empty());
    remove_file(place.root.join(".codetether/AGENTS.md")).unwrap();
    place.file(".codetether/AGENTS.md/hooks/start.sh", "");
    assert!(place.read().have_power(), "a folder of this name hides nothing");
}

#[test]
fn settings_that_only_narrow_have_no_power() {
    let place = Place::new();
    place.file(".codetether/config.toml", "deny = [\"write\"]\nmax_steps = 3\nmode = \"plan\"\n");
    assert!(!place.read().have_power());
    place.file(".codetether/config.toml", "deny = [\"write\"]\nmodel = \"a/b\"\nretry.max_tries = 1\n");
    let powers: Vec<String> =
        place.read().powers().iter().map(|(key, value)| format!("{key} = {value}")).collect();
    assert_eq!(powers, ["model = \"a/b\"", "retry = { max_tries = 1 }"]);
    place.file(".codetether/config.toml", "deny = [\"write\"]\n");
    place.file(".codetether/skills/a/SKILL.md", "");
    assert!(place.read().have_power());
}

#[test]
fn no_link_leads_to_power() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    create_dir_all(&outside).unwrap();
    write_atomic(outside.join("config.toml"), b"allow = [\"bash\"]\n", &WriteOptions::default()).unwrap();
    let folder = place.root.join(".codetether");
    symlink(&outside, &folder).unwrap();
    assert_eq!(
        place.flaw(),
        "`ROOT` cannot be trusted: `.codetether` is a symbolic link, which is not followed here"
    );
    assert_eq!(place.allowed(), [""; 0]);
    remove_file(&folder).unwrap();
    create_dir_all(&folder).unwrap();
    for target in [outside.join("config.toml"), "../inside.toml".into(), "/dev/zero".into()] {
        place.file("inside.toml", "allow = [\"bash\"]\n");
        let link = folder.join("config.toml");
        symlink(&target, &link).unwrap();
        assert_eq!(
            place.flaw(),
            "`ROOT` cannot be trusted: `.codetether/config.toml` is a symbolic link, which is not followed here"
        );
        assert_eq!(place.allowed(), [""; 0]);
        remove_file(&link).unwrap();
    }
    // A folder that is a link is a link: what is in it is not looked at.
    symlink(&outside, folder.join("agents")).unwrap();
    let files = place.read();
    assert_eq!(files.files().len(), 1);
    assert_eq!(
        (files.files()[0].kind, &files.files()[0].content[..]),
        (Kind::Link, outside.as_os_str().as_encoded_bytes())
    );
}

#[test]
fn what_cannot_be_read_cannot_be_trusted() {
    let place = Place::new();
    place.file(".codetether/config.toml", "allow = [\"bash\"]\ndeny = [\"write\"]\n");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.root.join(".codetether/pipe"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert_eq!(place.flaw(), "`ROOT` cannot be trusted: `.codetether/pipe` is not a regular file");
    // What the settings narrow holds all the same.
    let files = place.read();
    let settings = load(&Sources { project: files.settings(true), ..Sources::default() }).unwrap();
    let turn = settings.turn(codetether_event::ModelId::new("a/b"), codetether_event::Confinement::None);
    assert_eq!((turn.allow, turn.deny), (vec![], vec!["write".to_owned()]));
    remove_file(place.root.join(".codetether/pipe")).unwrap();
    remove_file(place.root.join(".codetether/config.toml")).unwrap();
    create_dir_all(place.root.join(".codetether/config.toml")).unwrap();
    assert_eq!(place.flaw(), "`ROOT` cannot be trusted: `.codetether/config.toml` is not a regular file");
}

#[test]
fn an_unreadable_file_is_said() {
    let place = Place::new();
    let path = place.file(".codetether/secret", "x");
    rustix::fs::chmod(&path, rustix::fs::Mode::empty()).unwrap();
    if codetether_files::read(&path).is_ok() {
        // Root reads everything; then this is a file like any other.
        assert!(place.read().flaw().is_none());
        return;
    }
    assert_eq!(place.flaw(), "`ROOT` cannot be trusted: cannot read `.codetether/secret`: Permission denied");
}

#[test]
fn too_much_cannot_be_trusted() {
    let place = Place::new();
    let big = place.file(".codetether/big", "");
    // A file of zeros that takes no room on the disk.
    let open = rustix::fs::open(&big, rustix::fs::OFlags::WRONLY, rustix::fs::Mode::empty()).unwrap();
    rustix::fs::ftruncate(&open, 1 << 40).unwrap();
    assert_eq!(
        place.flaw(),
        "`ROOT` cannot be trusted: the files in `.codetether`, `.claude` and `.agents` are larger than 16 MiB"
    );
    rename(&big, place.root.join(".codetether/config.toml")).unwrap();
    assert!(place.flaw().contains("`.codetether/config.toml` is larger than a file of settings can be"));
    remove_file(place.root.join(".codetether/config.toml")).unwrap();
    place.file(&format!(".codetether/{}x", "d/".repeat(40)), "");
    assert!(place.flaw().contains("more than 32 deep"), "{}", place.flaw());
    codetether_files::remove_dir_all(place.root.join(".codetether/d")).unwrap();
    for n in 0..=1_000 {
        place.file(&format!(".codetether/{n}"), "");
    }
    assert!(place.flaw().contains("more than 1000 files"), "{}", place.flaw());
}

#[test]
fn a_hostile_change_is_compared_in_bounded_time() {
    let place = Place::new();
    let lines = |seed: u32| -> String {
        let mut state = seed;
        (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 31 == 0 { "a\n" } else { "b\n" }
            })
            .collect()
    };
    for n in 0..5 {
        place.file(&format!(".codetether/{n}"), lines(n));
    }
    place.decide(Decision::Trusted);
    for n in 0..5 {
        place.file(&format!(".codetether/{n}"), lines(n + 9));
    }
    let started = std::time::Instant::now();
    let changes = changes(&place.store, &place.read());
    assert_eq!(changes.iter().filter(|change| change.diff.is_some()).count(), 5);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn decisions_are_the_users_alone_and_a_broken_one_is_none() {
    let place = Place::new();
    place.file(".codetether/config.toml", "allow = [\"bash\"]\n");
    place.decide(Decision::Trusted);
    let store = place.root.parent().unwrap().join("data/trust");
    let entry = std::fs::read_dir(&store).unwrap().next().unwrap().unwrap().path();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&store), mode(&entry)), (0o700, 0o600));
    let listed = place.store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].folder.as_str(), listed[0].decision, listed[0].at),
        (place.root.to_str().unwrap(), Decision::Trusted, UnixMillis(7))
    );
    write_atomic(&entry, b"{", &WriteOptions::default()).unwrap();
    assert_eq!((place.verdict(), place.store.list().unwrap().len()), (Verdict::Unknown, 0));
}

#[test]
fn skills_and_commands_of_others_and_from_above_are_covered() {
    let place = Place::new();
    let sub = place.root.join("sub");
    create_dir_all(&sub).unwrap();
    create_dir_all(place.root.join(".git")).unwrap();
    place.file(".codetether/agents/a.md", "a");
    place.file(".codetether/config.toml", "allow = [\"bash\"]");
    place.file(".claude/commands/c.md", "c");
    place.file(".claude/settings.json", "{}");
    place.file("sub/.agents/skills/s/SKILL.md", "s");
    symlink("../../outside", sub.join(".claude")).unwrap();
    let paths = |files: &ProjectFiles| -> Vec<String> {
        files.files().iter().map(|file| format!("{} {}", file.path.display(), file.kind.as_str())).collect()
    };
    let files = ProjectFiles::read(&sub);
    let wanted = [
        "../.claude/commands/c.md file",
        "../.codetether/agents/a.md file",
        ".agents/skills/s/SKILL.md file",
        ".claude link",
    ];
    assert_eq!(paths(&files), wanted);
    assert!(files.have_power());
    place.store.keep(&files, Decision::Trusted, UnixMillis(7)).unwrap();
    assert!(place.store.verdict(&ProjectFiles::read(&sub)).trusted());
    place.file(".claude/commands/c.md", "another");
    assert!(matches!(place.store.verdict(&ProjectFiles::read(&sub)), Verdict::Changed(_)));
    remove_file(sub.join(".claude")).unwrap();
    place.file("sub/.agents/skills/s/run.sh", "echo");
    let files = ProjectFiles::read(&sub);
    assert_eq!(changes(&place.store, &files).len(), 3);
}

#[test]
fn without_a_repository_nothing_from_above_counts() {
    let place = Place::new();
    place.file(".codetether/agents/a.md", "a");
    create_dir_all(place.root.join("sub")).unwrap();
    assert!(ProjectFiles::read(&place.root.join("sub")).files().is_empty());
}
