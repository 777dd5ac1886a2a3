//! What may run, explained, listed and changed; and rules as the whole program keeps them.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::Bench;

#[test]
fn a_command_is_explained_part_by_part() {
    let bench = Bench::new([]);
    let run = bench.bare(&[
        "permissions",
        "explain",
        "--mode",
        "ask",
        "--allow",
        "bash(git diff *)",
        "--deny",
        "bash(rm *)",
        "git diff | tee x; rm y > z",
    ]);
    insta::assert_snapshot!(run.shown(), @r"
    exit: 0
    --- stdout
    deny
      allow command git diff
            `allow` bash(git diff *), from flag `--allow`: it matches
      ask   command tee x
            no rule allows it, and mode `ask` asks
      deny  command rm y
            `deny` bash(rm *), from flag `--deny`: it matches
      ask   write z
            no rule allows it, and mode `ask` asks
    --- stderr
    ");
    let run = bench.bare(&["permissions", "explain", "make > log"]);
    insta::assert_snapshot!(run.shown(), @r"
    exit: 0
    --- stdout
    allow
      allow command make
            the sandbox confines it, and what it changes can be taken back
      allow write log
            mode `auto-edit` allows it
    --- stderr
    ");
    let run = bench.bare(&["permissions", "explain", "--mode", "ask", "git $X"]);
    let told = "`$X` before git's command may change what git runs or where";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    assert_eq!(bench.bare(&["permissions", "explain", ""]).code, 2, "there is nothing to explain");
    bench.user_settings("[sandbox]\ntier = \"landlock\"\n");
    let run = bench.bare(&["permissions", "explain", "--mode", "auto-edit", "make > log"]);
    insta::assert_snapshot!(run.shown(), @r"
    exit: 0
    --- stdout
    ask
      ask   command make
            no rule allows it, and mode `auto-edit` asks
      allow write log
            mode `auto-edit` allows it
    to allow it
      codetether permissions add allow 'bash(make)'
    --- stderr
    ");
}

#[test]
fn an_explanation_is_json_for_programs() {
    let bench = Bench::new([]);
    let explain = |args: &[&str]| -> Value {
        let run = bench.bare(&[&["permissions", "explain", "--json"], args].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        serde_json::from_str(&run.stdout).unwrap()
    };
    let told = explain(&["--mode", "ask", "--allow", "bash(git diff *)", "git diff && $X"]);
    assert_eq!(told["verdict"], "ask");
    assert_eq!(told["commands"][0]["rule"], "bash(git diff *)");
    assert_eq!(told["commands"][0]["from"], "flag `--allow`");
    assert_eq!(told["others"][0]["kind"], "unclear");
    assert_eq!(told["rules"], json!([]));
    assert_eq!(explain(&["--mode", "plan", "touch x"])["verdict"], "deny");
    assert_eq!(explain(&["--mode", "bypass", "touch x"])["verdict"], "allow");
    assert_eq!(explain(&["--tool", "edit", "--allow", "edit(src/**)", "src/x"])["verdict"], "allow");
    assert_eq!(
        explain(&["--tool", "fetch", "--deny", "fetch(*.example.com)", "a.example.com"])["verdict"],
        "deny"
    );
}

#[test]
fn rules_are_added_listed_and_removed() {
    let bench = Bench::new([]);
    let rule = "bash(cargo frob *)";
    assert_eq!(bench.bare(&["permissions", "add", "allow", rule]).code, 0);
    assert_eq!(bench.bare(&["permissions", "add", "deny", "read(.env)", "--user"]).code, 0);
    assert_eq!(bench.bare(&["permissions", "add", "ask", "bash(make *)", "--project"]).code, 0);
    let listed = bench.bare(&["permissions", "list"]).shown();
    insta::assert_snapshot!(listed, @r"
    exit: 0
    --- stdout
    deny  read(.env)    (user [temp]/home/.config/codetether/config.toml:1)
    ask   bash(make *)    (project [temp]/project/.codetether/config.toml:1)
    allow bash(cargo frob *)    (folder [temp]/home/.config/codetether/config.toml:3)
    --- stderr
    ");
    let other = bench.path("other");
    codetether_files::create_dir_all(&other).unwrap();
    let elsewhere = bench.bare(&["permissions", "list", "-C", other.to_str().unwrap()]);
    assert!(
        !elsewhere.stdout.contains("frob") && elsewhere.stdout.contains("read(.env)"),
        "{}",
        elsewhere.stdout
    );
    assert_eq!(bench.bare(&["permissions", "remove", "allow", rule]).code, 0);
    assert!(!bench.bare(&["permissions", "list"]).stdout.contains("frob"));
    let run = bench.bare(&["permissions", "remove", "allow", rule]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("there is no rule `bash(cargo frob *)`"), "{}", run.stderr);
    let run = bench.bare(&["permissions", "add", "allow", "bash(a; b)"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("a rule is for one command"), "{}", run.stderr);
}

#[test]
fn a_search_passes_over_what_may_not_be_read() {
    let bench = Bench::new([
        Reply::calls([
            ("grep", json!({ "pattern": "KEY" })),
            ("glob", json!({ "pattern": "*" })),
            ("read", json!({ "path": ".env" })),
            ("bash", json!({ "command": "cat .env" })),
        ]),
        Reply::text("done"),
    ]);
    bench.file(".env", "KEY=hidden\n");
    bench.file("a.txt", "KEY=shown\n");
    let run = bench.run(&["--mode", "bypass", "--deny", "read(.env)", "go"]);
    assert_eq!(run.code, 7, "{}", run.stderr);
    let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(body.contains("KEY=shown") && !body.contains("hidden"), "{body}");
    assert!(body.contains("1 file passed over"), "{body}");
}

#[test]
fn plan_reads_and_writes_nothing() {
    let bench = Bench::new([
        Reply::calls([
            ("bash", json!({ "command": "cat main.py" })),
            ("bash", json!({ "command": "cat main.py > copy.py" })),
            ("write", json!({ "path": "new", "content": "x" })),
            ("edit", json!({ "path": "main.py", "old": "hello", "new": "x" })),
        ]),
        Reply::text("done"),
    ]);
    let run = bench.run(&["--mode", "plan", "--allow", "bash", "--allow", "edit", "go"]);
    assert_eq!(run.code, 7);
    let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(body.contains("print(") && body.contains("not permitted (mode `plan`"), "{body}");
    assert!(!bench.path("copy.py").exists() && !bench.path("new").exists());
    assert!(bench.read("main.py").contains("hello"));
}

#[test]
fn what_destroys_is_refused_under_bypass_when_nobody_is_there() {
    let bench =
        Bench::new([Reply::call("bash", json!({ "command": "git reset --hard" })), Reply::text("done")]);
    bench.file("main.py", "changed\n");
    let run = bench.run(&["--yes", "go"]);
    assert_eq!(run.code, 7);
    assert_eq!(bench.read("main.py"), "changed\n");
    assert!(run.stderr.contains("bash(git reset --hard)"), "{}", run.stderr);
}
