//! Which definition of a name counts, and that nothing is found where it is not to be.

use std::path::{Path, PathBuf};

use codetether_files::{WriteOptions, create_dir_all, write_atomic};

use super::*;
use crate::trust::ProjectFiles;

struct There {
    _dir: tempfile::TempDir,
    base: PathBuf,
}

impl There {
    /// A home, and a repository `top` with the folder `top/sub`.
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        create_dir_all(base.join("top/.git")).unwrap();
        create_dir_all(base.join("top/sub")).unwrap();
        for (name, text) in files {
            let path = base.join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write_atomic(path, text.as_bytes(), &WriteOptions::default()).unwrap();
        }
        Self { _dir: dir, base }
    }

    fn with<T>(&self, trusted: bool, look: impl FnOnce(Places<'_>) -> T) -> T {
        let project = ProjectFiles::read(&self.base.join("top/sub"));
        let user = self.base.join("home/.config/codetether");
        let home = self.base.join("home");
        look(Places { user: Some(&user), home: Some(&home), project: &project, trusted })
    }
}

#[test]
fn the_nearest_of_a_name_counts() {
    let order = [
        "home/.claude/commands/x.md",
        "home/.config/codetether/commands/x.md",
        "top/.claude/commands/x.md",
        "top/.codetether/commands/x.md",
        "top/sub/.claude/commands/x.md",
        "top/sub/.codetether/commands/x.md",
    ];
    for last in 0..order.len() {
        let files: Vec<(&str, &str)> = order.iter().take(last + 1).map(|path| (*path, *path)).collect();
        let there = There::new(&files);
        let found = there.with(true, |places| command(places, "x").unwrap());
        assert_eq!(found.template, order[last]);
        assert_eq!(there.with(true, |places| commands(places).all.len()), 1);
        // What is not trusted is not there.
        let untrusted = there.with(false, |places| command(places, "x").unwrap());
        assert_eq!(untrusted.template, order[last.min(1)]);
    }
}

#[test]
fn what_was_typed_is_completed_and_names_are_plain() {
    let there = There::new(&[
        ("home/.config/codetether/commands/review.md", "Review."),
        ("home/.config/codetether/commands/git/log.md", "Log."),
        ("home/.config/codetether/commands/README.md", "About."),
        ("home/.config/codetether/commands/two words.md", "x"),
        ("home/.claude/commands/three words.md", "x"),
        ("home/.config/codetether/commands/a/b/c/d/e/f.md", "too deep"),
    ]);
    let names = |typed: &str| -> Vec<String> {
        there.with(true, |places| complete(places, typed).into_iter().map(|command| command.name).collect())
    };
    assert_eq!(names("/"), ["git:log", "review"]);
    assert_eq!(names("/re"), ["review"]);
    assert_eq!(names("re"), [""; 0]);
    let broken = there.with(true, |places| commands(places).broken);
    let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("`two words` cannot be the name of a command"), "{told:?}");
    assert!(there.with(true, |places| expand(places, "/review")).unwrap().is_some());
    assert!(there.with(true, |places| expand(places, "/git/log")).unwrap().is_none());
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_said() {
    let there = There::new(&[("home/.config/codetether/agents/big.md", &"x".repeat(300 << 10))]);
    let bytes = there.base.join("home/.config/codetether/agents/raw.md");
    write_atomic(bytes, &[0xff, 0xfe], &WriteOptions::default()).unwrap();
    let said = |name: &str| match there.with(true, |places| agent(places, name)).unwrap_err() {
        FindError::Broken(error) => error.to_string(),
        FindError::Unknown { message, .. } => panic!("{message}"),
    };
    assert!(said("big").contains("it is larger than 256 KiB"), "{}", said("big"));
    assert!(said("raw").contains("it is not UTF-8"), "{}", said("raw"));
}

#[test]
fn the_agents_that_are_built_in_are_well_formed() {
    let there = There::new(&[]);
    let Defined { all, broken } = there.with(true, agents);
    assert!(broken.is_empty());
    let names: Vec<&str> = all.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(names, ["build", "explore", "plan"]);
    for agent in all {
        assert_eq!(agent.from.path, Path::new(""));
        assert_eq!(agent.prompt.is_empty(), agent.name == BUILD);
        assert_eq!(agent.mode.is_none(), agent.name == BUILD);
    }
}
