//! Files of settings changed: what is kept, what is refused, and who may change them at the same time.

use std::os::unix::fs::PermissionsExt;

use super::*;

struct File {
    _dir: tempfile::TempDir,
    file: SettingsFile,
}

fn file(text: &str) -> File {
    let dir = tempfile::tempdir().unwrap();
    let file = SettingsFile::user(dir.path().join("new/config.toml"));
    if !text.is_empty() {
        create_dir_all(file.path().parent().unwrap()).unwrap();
        write_atomic(file.path(), text.as_bytes(), &WriteOptions::default()).unwrap();
    }
    File { _dir: dir, file }
}

impl File {
    fn text(&self) -> String {
        codetether_files::read_to_string(self.file.path()).unwrap()
    }

    fn refused(&self, key: &[&str], value: &str) -> String {
        let before = self.text();
        let error = self.file.set(key, value).unwrap_err();
        assert_eq!(self.text(), before, "nothing is written");
        let help = error.help().map(|help| help.to_string()).unwrap_or_default();
        format!("{error} | {help}").replace(&self.file.path().display().to_string(), "FILE")
    }
}

#[test]
fn comments_and_order_stay() {
    let text = "# mine\nmax_steps = 7 # few\n\n# which\nmodel = \"a/b\"   # good\n\n[retry] # patience\nmax_tries = 2\n";
    let file = file(text);
    file.file.set(&["model"], "c/d").unwrap();
    file.file.set(&["max_steps"], "9").unwrap();
    file.file.set(&["retry", "max_time"], "10m").unwrap();
    file.file.set(&["mode"], "plan").unwrap();
    file.file.set(&["providers", "x", "headers", "X-N"], "5").unwrap();
    file.file.set(&["tools"], "[\"read\", \"bash\"]").unwrap();
    insta::assert_snapshot!(file.text(), @r#"
    # mine
    max_steps = 9 # few

    # which
    model = "c/d"   # good
    mode = "plan"
    tools = ["read", "bash"]

    [retry] # patience
    max_tries = 2
    max_time = "10m"

    [providers.x.headers]
    X-N = "5"
    "#);
    assert!(file.file.unset(&["providers", "x", "headers", "X-N"]).unwrap());
    assert!(file.file.unset(&["retry", "max_time"]).unwrap());
    assert!(file.file.unset(&["mode"]).unwrap());
    assert!(file.file.unset(&["tools"]).unwrap());
    assert!(!file.file.unset(&["tools"]).unwrap());
    assert_eq!(file.text(), text.replace("= 7", "= 9").replace("a/b", "c/d"));
}

#[test]
fn lists_grow_and_shrink_as_they_are_written() {
    let file = file("allow = [\"a\"]\ndeny = [\n  \"b\", # why\n  \"c\" # not\n]\nask = [\n  \"d\",\n]\n");
    for key in ["allow", "deny", "ask"] {
        assert!(file.file.push(&[key], "bash(new)").unwrap());
        assert!(!file.file.push(&[key], "bash(new)").unwrap());
    }
    assert!(file.file.push(&["folders", "/a b", "allow"], "bash(x)").unwrap());
    assert!(file.file.push(&["folders", "/a b", "allow"], "bash(y)").unwrap());
    insta::assert_snapshot!(file.text(), @r#"
    allow = ["a", "bash(new)"]
    deny = [
      "b", # why
      "c", # not
      "bash(new)",
    ]
    ask = [
      "d",
      "bash(new)",
    ]

    [folders."/a b"]
    allow = ["bash(x)", "bash(y)"]
    "#);
    assert!(file.file.remove(&["deny"], "b").unwrap());
    assert!(!file.file.remove(&["deny"], "b").unwrap());
    assert!(!file.file.remove(&["folders", "/other", "allow"], "b").unwrap());
    for (key, rule) in [("allow", "a"), ("allow", "bash(new)"), ("ask", "d")] {
        assert!(file.file.remove(&[key], rule).unwrap());
    }
    assert!(file.file.remove(&["folders", "/a b", "allow"], "bash(x)").unwrap());
    assert!(file.file.remove(&["folders", "/a b", "allow"], "bash(y)").unwrap());
    let text = file.text();
    assert!(!text.contains("folders") && !text.contains("allow"), "{text}");
    let _: toml::Table = text.parse().unwrap();
}

#[test]
fn tables_are_found_however_they_are_written() {
    let file = file(
        "retry = { max_tries = 2 }\nproviders.x.base_url = \"http://h\"\n[folders]\n\"/a\" = { deny = [\"read\"] }\n",
    );
    file.file.set(&["retry", "base_ms"], "7").unwrap();
    file.file.set(&["providers", "x", "key_env"], "K").unwrap();
    file.file.push(&["folders", "/a", "allow"], "edit").unwrap();
    insta::assert_snapshot!(file.text(), @r#"
    retry = { max_tries = 2 , base_ms = 7 }
    providers.x.base_url = "http://h"
    providers.x.key_env = "K"
    [folders]
    "/a" = { deny = ["read"] , allow = ["edit"] }
    "#);
}

#[test]
fn what_would_be_wrong_is_refused() {
    let file = file("max_steps = 1\nallow = [\"read\"]\n");
    let refused: Vec<String> = [
        (&["modle"][..], "a/b"),
        (&["max_steps"], "many"),
        (&["model"], "gpt"),
        (&["allow"], "[\"bash(\"]"),
        (&["allow", "x"], "1"),
        (&["max_time"], "\"soon\""),
        (&["folders", "a", "deny"], "[\"read\"]"),
    ]
    .into_iter()
    .map(|(key, value)| file.refused(key, value))
    .map(|text| text.split(" is not a rule").next().unwrap().to_owned())
    .collect();
    insta::assert_snapshot!(refused.join("\n"), @r#"
    cannot change `FILE`: unknown key `modle` | did you mean `model`?
    cannot change `FILE`: `max_steps` must be a whole number from 0 to 4294967295, not the text `many` | nothing was changed
    cannot change `FILE`: `gpt` is not a model | write it as `provider/model`, such as `openai/gpt-5`
    cannot change `FILE`: `bash(`
    cannot change `FILE`: `allow.x` is not a table there | `codetether config edit` opens the file
    cannot change `FILE`: `soon` is not a duration (write `90`, `90s`, `10m` or `1h30m`) | nothing was changed
    cannot change `FILE`: `a` is not the path of a folder | write it from the root on: `[folders."/home/me/project"]`
    "#);
    assert!(file.file.push(&["deny"], "bash(").is_err());
    assert!(file.file.push(&["max_steps"], "bash").is_err());
    assert_eq!(file.text(), "max_steps = 1\nallow = [\"read\"]\n");
}

#[test]
fn a_value_holds_no_second_key() {
    let file = file("max_steps = 1\n");
    file.file.set(&["model"], "a/b\"\nmode = \"bypass").unwrap();
    let table: toml::Table = file.text().parse().unwrap();
    assert_eq!(table.keys().collect::<Vec<_>>(), ["max_steps", "model"]);
}

#[test]
fn what_is_wrong_already_can_be_mended_key_by_key() {
    let file = file("modle = \"a/b\"\nmax_step = 3\n");
    file.file.set(&["model"], "c/d").unwrap();
    assert!(file.file.unset(&["modle"]).unwrap());
    assert_eq!(file.text(), "max_step = 3\nmodel = \"c/d\"\n");
}

#[test]
fn what_is_no_toml_is_left_alone() {
    let file = file("model = \n");
    let error = file.file.set(&["mode"], "plan").unwrap_err();
    assert!(matches!(&error, EditError::Wrong(_)), "{error}");
    assert_eq!(file.text(), "model = \n");
}

#[test]
fn a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode() {
    let file = file("");
    assert!(!file.file.path().exists());
    file.file.set(&["mode"], "plan").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file.file.path()), mode(file.file.path().parent().unwrap())), (0o600, 0o700));
    rustix::fs::chmod(file.file.path(), 0o644.into()).unwrap();
    file.file.set(&["mode"], "ask").unwrap();
    assert_eq!(mode(file.file.path()), 0o644);
    assert!(!file.file.create().unwrap());
}

#[test]
fn a_projects_file_can_set_what_a_project_may_and_is_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let file = SettingsFile::project(dir.path());
    file.push(&["deny"], "bash(rm *)").unwrap();
    let error = file.set(&["providers", "x", "base_url"], "http://h").unwrap_err();
    assert!(error.to_string().contains("a project's own file cannot set `providers`"), "{error}");
    let names: Vec<_> = std::fs::read_dir(dir.path().join(".codetether")).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing but the file itself is there");
    let elsewhere = dir.path().join("elsewhere.toml");
    codetether_files::rename(file.path(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, file.path()).unwrap();
    assert!(matches!(file.set(&["mode"], "plan"), Err(EditError::Link { .. })));
}

#[test]
fn two_writers_lose_nothing() {
    let file = file("");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let file = &file.file;
            scope.spawn(move || {
                for n in 0..10 {
                    assert!(file.push(&["allow"], &format!("bash(w{writer} {n})")).unwrap());
                }
            });
        }
    });
    let table: toml::Table = file.text().parse().unwrap();
    assert_eq!(table["allow"].as_array().unwrap().len(), 40);
}

#[test]
fn a_key_is_read_as_toml_reads_it() {
    assert_eq!(parse_key("retry.max_tries").unwrap(), ["retry", "max_tries"]);
    assert_eq!(parse_key("folders.\"/a.b/c\".deny").unwrap(), ["folders", "/a.b/c", "deny"]);
    for wrong in ["", "a.", "a b", "a.\"b"] {
        assert!(matches!(parse_key(wrong), Err(EditError::Key { .. })), "{wrong}");
    }
}
