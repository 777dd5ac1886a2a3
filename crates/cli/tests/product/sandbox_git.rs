//! Git in a sandbox: it works, and nothing that git outside would run can be changed.
#![allow(clippy::disallowed_methods, reason = "tests set up a person's files as a person would")]

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::sandbox::Site;

/// Git outside, as the user.
fn git(site: &Site, args: &[&str]) -> String {
    let mut command: Command = site.home.command("git".as_ref());
    command.args([
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.com",
        "-c",
        "protocol.file.allow=always",
    ]);
    let output = command.args(args).current_dir(site.home.project()).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const IDENTITY: &str = "export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=a@b; set -e; ";

#[test]
fn everyday_git_works() {
    let site = Site::new();
    let program = [
        IDENTITY,
        "echo one > one; git add one; git commit -qm one;",
        "echo two >> one; git stash -q; git stash pop -q; git commit -qam two;",
        "git branch other; git checkout -q other; echo three > three; git add -A; git commit -qm three;",
        "git checkout -q main; git rebase -q other; git tag v1; git gc -q;",
        "git worktree add -q .trees/new 2>/dev/null; git worktree remove .trees/new",
    ];
    let ran = site.sh(&[], &program.concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(git(&site, &["log", "--format=%s"]), "three\ntwo\none\nStart\n");
}

#[test]
fn the_users_name_is_known_and_nothing_else_of_their_settings() {
    let site = Site::new();
    std::fs::write(
        site.home.path().join(".gitconfig"),
        "[user]\nname = Ada L.\nemail = ada@example.com\n[core]\nfsmonitor = /evil\n[credential]\nhelper = store\n",
    )
    .unwrap();
    let mut command = site.command(&["run", "--", "git", "config", "--global", "--list"]);
    let output = command.env_remove("GIT_CONFIG_GLOBAL").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "user.name=Ada L.\nuser.email=ada@example.com\n");
}

/// Each of these has to fail; `a && b` fails where either does.
fn all_fail(site: &Site, attempts: &[&str]) {
    for attempt in attempts {
        assert_ne!(site.sh(&[], attempt).code, 0, "{attempt}");
    }
}

#[test]
fn hooks_and_settings_of_a_repository_stay() {
    let site = Site::new();
    std::fs::remove_dir_all(site.path(".git/hooks")).unwrap();
    let before = std::fs::read_to_string(site.path(".git/config")).unwrap();
    all_fail(
        &site,
        &[
            "echo x > .git/hooks/pre-commit",
            "rmdir .git/hooks",
            "mv .git/hooks .git/other",
            "mv .git other",
            "echo x >> .git/config",
            "rm .git/config",
            "echo x > .git/config.new && mv .git/config.new .git/config",
            "echo x > .git/info/attributes",
            "mv .git/info .git/other",
            "git config core.fsmonitor evil",
        ],
    );
    assert_eq!(std::fs::read_to_string(site.path(".git/config")).unwrap(), before);
    assert_eq!(std::fs::read_dir(site.path(".git/hooks")).unwrap().count(), 0);
}

#[test]
fn a_repository_cannot_be_led_elsewhere() {
    let site = Site::new();
    let ran = site.sh(&[], "mkdir -p evil/hooks && echo ../evil > .git/commondir");
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("commondir` out: it would have led git outside"), "{}", ran.stderr);
    assert!(!site.path(".git/commondir").exists());
}

#[test]
fn nested_repositories_submodules_and_worktrees_are_guarded_too() {
    let site = Site::new();
    git(&site, &["init", "-q", "deep/nested"]);
    git(&site, &["init", "-q", "--bare", "bare.git"]);
    let other = site.home.path().join("other");
    git(&site, &["clone", "-q", ".", other.to_str().unwrap()]);
    git(&site, &["submodule", "--quiet", "add", other.to_str().unwrap(), "sub"]);
    git(&site, &["worktree", "add", "-q", "tree"]);
    all_fail(
        &site,
        &[
            "echo x > deep/nested/.git/hooks/x",
            "mv deep other",
            "mv deep/nested deep/other",
            "echo x > bare.git/hooks/x",
            "echo x >> bare.git/config",
            "echo x > .git/modules/sub/hooks/x",
            "mv .git/modules .git/other",
            "echo gitdir: /evil > sub/.git",
            "rm tree/.git",
            "echo /evil > .git/worktrees/tree/commondir",
            "mv .git/worktrees .git/other",
        ],
    );
    let program = format!(
        "{IDENTITY} cd tree; echo x > x; git add x; git commit -qm x; cd ../sub; echo y > y; git add y; git commit -qm y"
    );
    let ran = site.sh(&[], &program);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_linked_worktree_writes_its_repository_and_a_forged_one_nothing() {
    let site = Site::new();
    let tree = site.home.path().join("tree");
    git(&site, &["worktree", "add", "-q", tree.to_str().unwrap()]);
    let run = |dir: &std::path::Path, program: &str| {
        let mut command = site.command(&["run", "--", "sh", "-c", program]);
        command.current_dir(dir).output().unwrap()
    };
    let hooks = site.path(".git/hooks/x");
    let program =
        format!("{IDENTITY} echo x > x; git add x; git commit -qm inside; ! echo x > {}", hooks.display());
    let output = run(&tree, &program);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(git(&site, &["log", "--all", "--format=%s"]).contains("inside"));
    assert!(!hooks.exists());

    let forged = site.home.path().join("forged");
    std::fs::create_dir(&forged).unwrap();
    let admin = site.path(".git/worktrees/tree");
    std::fs::write(forged.join(".git"), format!("gitdir: {}\n", admin.display())).unwrap();
    let output = run(&forged, &format!("ls {}", site.path(".git").display()));
    assert!(!output.status.success());
}

#[test]
fn what_settings_name_is_guarded() {
    let site = Site::new();
    std::fs::create_dir(site.path(".husky")).unwrap();
    std::fs::write(site.path(".husky/pre-commit"), "exit 0").unwrap();
    std::fs::write(site.path("shared.gitconfig"), "").unwrap();
    git(&site, &["config", "core.hooksPath", ".husky"]);
    git(&site, &["config", "include.path", "../shared.gitconfig"]);
    std::fs::create_dir(site.path("real-hooks")).unwrap();
    std::fs::remove_dir_all(site.path(".git/hooks")).unwrap();
    symlink("../real-hooks", site.path(".git/hooks")).unwrap();
    all_fail(
        &site,
        &[
            "echo evil > .husky/pre-commit",
            "mv .husky other",
            "echo evil > shared.gitconfig",
            "rm shared.gitconfig",
            "echo evil > real-hooks/x",
            "rm .git/hooks",
        ],
    );
}

#[test]
fn settings_of_agents_and_editors_stay_where_they_are_there() {
    let site = Site::new();
    for name in [".codetether/settings.toml", ".vscode/tasks.json", ".claude/settings.json"] {
        std::fs::create_dir(site.path(name).parent().unwrap()).unwrap();
        std::fs::write(site.path(name), "mine").unwrap();
    }
    std::fs::write(site.path(".mcp.json"), "mine").unwrap();
    all_fail(
        &site,
        &[
            "echo x > .codetether/settings.toml",
            "echo x > .vscode/new",
            "mv .claude other",
            "echo x > .mcp.json",
            "rm .mcp.json",
        ],
    );
}

#[test]
fn a_repository_in_a_layer_over_a_package_cache_is_disarmed() {
    let site = Site::new();
    std::fs::create_dir(site.home.path().join(".npm")).unwrap();
    let ran =
        site.sh(&[], "git init -q ~/.npm/new; git -C ~/.npm/new config core.fsmonitor 'touch mark; false'");
    assert!(ran.code == 0 && ran.stderr.contains("took `core.fsmonitor` out"), "{}", ran.stderr);
    let mut find: Command = site.home.command("find".as_ref());
    let found = find.arg(site.home.path()).args(["-path", "*/new/.git/config"]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.lines().count(), 1, "{found}");
    let config = std::fs::read_to_string(found.trim()).unwrap();
    assert!(!config.contains("fsmonitor"), "{config}");
}

#[test]
fn a_folder_that_shells_look_for_programs_in_keeps_its_place() {
    let site = Site::new();
    for folder in [".venv/bin", "real"] {
        std::fs::create_dir_all(site.path(folder)).unwrap();
    }
    symlink("real", site.path("bin")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", site.path(".venv/bin").display(), site.path("bin").display());
    for attempt in ["mv .venv v", "rm bin", "echo x > .venv/bin/git", "mv real r"] {
        let mut command = site.command(&["run", "--", "sh", "-c", attempt]);
        assert!(!command.env("PATH", &path).output().unwrap().status.success(), "{attempt}");
    }
}

#[test]
fn a_repository_of_a_persons_in_a_folder_that_programs_fill_stays_as_it_is() {
    let site = Site::new();
    for place in ["target", "node_modules/x/packages/y"] {
        std::fs::create_dir_all(site.path(place)).unwrap();
        git(&site, &["-C", place, "init", "-q"]);
        git(&site, &["-C", place, "config", "core.sshCommand", "ssh -i key"]);
        std::fs::create_dir_all(site.path(place).join(".git/hooks")).unwrap();
        std::fs::write(site.path(place).join(".git/hooks/pre-commit"), "").unwrap();
        std::fs::write(site.path(place).join("a"), "").unwrap();
    }
    // What is older than the sandbox is told from what is not by the clock of the file system.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let ran = site.sh(&[], "git -C target add a; git -C node_modules/x/packages/y add a");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for place in ["target", "node_modules/x/packages/y"] {
        assert_eq!(git(&site, &["-C", place, "config", "core.sshCommand"]), "ssh -i key\n");
        assert!(site.path(place).join(".git/hooks/pre-commit").exists());
    }
}
