//! Trust: a project's own files have power only once the user said so, at a terminal or by `codetether trust`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use codetether_testkit::{Reply, redact};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

const POWER: &str = "allow = [\"bash(touch made)\"]\ndeny = [\"write\"]\n";

fn bench(replies: usize) -> Bench {
    let calls = (0..replies)
        .flat_map(|_| [Reply::call("bash", json!({ "command": "touch made" })), Reply::text("done")]);
    let bench = Bench::new(calls);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", POWER);
    // What no rule allows is to be asked about.
    bench.user_settings("mode = \"ask\"\n");
    bench
}

/// Whether the command that only the project allows has run.
fn made(bench: &Bench) -> bool {
    codetether_files::remove_file(bench.path("made")).is_ok()
}

/// Runs at a pseudo-terminal; each answer is typed once its question was seen.
fn at_terminal(mut command: Command, answers: &[&str]) -> (i32, String) {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let terminal = ioctl_tiocgptpeer(&controller, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    command.stdin(Stdio::from(terminal.try_clone().unwrap()));
    command.stdout(Stdio::from(terminal.try_clone().unwrap())).stderr(Stdio::from(terminal));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut controller = std::fs::File::from(controller);
    let (mut screen, mut buffer, mut answers, mut seen) = (String::new(), [0_u8; 4096], answers.iter(), 0);
    // Reading fails once the last end of the terminal is closed.
    while let Ok(n) = controller.read(&mut buffer) {
        screen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        if let Some(at) = screen[seen..].find("trust them? [y]es · [n]o > ") {
            seen += at + 1;
            if let Some(answer) = answers.next() {
                controller.write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
        }
    }
    (child.wait().unwrap().code().unwrap_or(-1), redact(&screen).replace("\r\n", "\n"))
}

fn asked(screen: &str) -> bool {
    screen.contains("trust them?")
}

#[test]
fn with_nobody_there_power_is_off_and_one_line_says_so() {
    let bench = bench(3);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 7);
    assert!(!made(&bench));
    let line = "note: `.codetether` is not trusted: left out `allow`; `codetether trust` shows it, `codetether trust add` trusts it\n";
    assert_eq!(run.stderr.matches(line).count(), 1, "{}", run.stderr);
    assert!(!bench.run(&["go", "--quiet"]).stderr.contains("is not trusted"));
    assert!(!made(&bench));
    let add = bench.bare(&["trust", "add"]);
    insta::assert_snapshot!(add.shown(), @r#"
    exit: 0
    --- stdout
    trusted, as they are now: the files of `[temp]/project`
      .codetether/config.toml (file, 46 bytes)
    the settings among them set
      allow: "bash(touch made)"
    --- stderr
    "#);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(made(&bench) && !run.stderr.contains("note:"), "{}", run.stderr);
}

#[test]
fn at_a_terminal_it_is_asked_once_and_again_with_a_diff_after_a_change() {
    let bench = bench(4);
    let run = |args: &[&str], answers: &[&str]| at_terminal(bench.run_command(args), answers);
    let (code, screen) = run(&["go"], &["what?", "y"]);
    assert_eq!(code, 0, "{screen}");
    let question = screen.split_once("trust them?").unwrap().0;
    insta::assert_snapshot!(question.trim_start(), @r#"
    `[temp]/project` has files of its own with power: they change what happens here
      .codetether/config.toml (file, 46 bytes)
    the settings among them set
      allow: "bash(touch made)"
    "#);
    assert!(made(&bench), "{screen}");
    let (_, screen) = run(&["go"], &[]);
    assert!(!asked(&screen) && made(&bench), "{screen}");
    bench.file(".codetether/config.toml", "allow = [\"bash\"]\ndeny = [\"write\"]\n");
    let (_, screen) = run(&["go", "--mode", "plan"], &["n"]);
    assert!(screen.contains("have changed since you trusted them"), "{screen}");
    assert!(screen.contains("-allow = [\"bash(touch made)\"]\n+allow = [\"bash\"]"), "{screen}");
    let (_, screen) = run(&["go", "--mode", "plan"], &[]);
    assert!(!asked(&screen), "a no is remembered too: {screen}");
    assert!(screen.contains("you refused to trust `.codetether` here: left out `allow`"), "{screen}");
}

#[test]
fn files_that_only_narrow_are_not_asked_about() {
    let bench = Bench::new([Reply::call("bash", json!({ "command": "touch made" })), Reply::text("done")]);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", "deny = [\"bash\"]\nmax_steps = 5\n");
    let (code, screen) = at_terminal(bench.run_command(&["go", "--yes"]), &[]);
    assert!(!asked(&screen) && !screen.contains("note: `.codetether`"), "{screen}");
    assert_eq!(code, 7, "it holds all the same: {screen}");
}

#[test]
fn what_is_shown_of_a_hostile_project_is_plain() {
    let bench = Bench::new([]);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(
        ".codetether/config.toml",
        "allow = [\"bash(\u{202e}x)\"]\nmodel = \"a/\\u001b]0;owned\\u0007\"\n",
    );
    bench.file(".codetether/\u{1b}[2Jx\ny", "\u{1b}[2J\n");
    let show = bench.bare(&["trust", "show"]).stdout;
    assert!(!show.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{show:?}");
    assert_eq!(bench.bare(&["trust", "add"]).code, 0);
    bench.file(".codetether/\u{1b}[2Jx\ny", "\u{1b}[2J\n\u{1b}[31m\n");
    let show = bench.bare(&["trust", "show"]).stdout;
    assert!(show.contains("changed") && !show.contains('\u{1b}'), "{show:?}");
}

#[test]
fn files_that_cannot_be_trusted_are_said_and_have_no_power() {
    let bench = bench(1);
    let run = bench.bare(&["trust", "add"]);
    assert_eq!(run.code, 0);
    codetether_files::rename(bench.path(".codetether"), bench.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", bench.path(".codetether")).unwrap();
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(!made(&bench));
    let line = "note: the project's own files cannot be trusted (`.codetether` is a symbolic link, which is not followed here)";
    assert!(run.stderr.contains(line), "{}", run.stderr);
    let add = bench.bare(&["trust", "add"]);
    assert_eq!(add.code, 1);
    assert!(add.stderr.contains("cannot be trusted"), "{}", add.stderr);
}

#[test]
fn a_project_can_never_widen_the_mode() {
    let bench = bench(1);
    bench.file(".codetether/config.toml", "mode = \"bypass\"\n");
    assert_eq!(bench.bare(&["trust", "add"]).code, 0);
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 7);
    assert!(
        run.stderr.contains("note: `.codetether/config.toml` cannot widen what you set: left out `mode`"),
        "{}",
        run.stderr
    );
    assert!(!made(&bench));
}

#[test]
fn decisions_are_listed_shown_and_forgotten() {
    let bench = bench(0);
    let state = || {
        let object: Value = serde_json::from_str(&bench.bare(&["trust", "show", "--json"]).stdout).unwrap();
        object["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "undecided");
    let shown = bench.bare(&["trust"]);
    insta::assert_snapshot!(redact(&shown.stdout), @r#"
    the files of `[temp]/project` are not trusted; `codetether trust add` trusts them
      .codetether/config.toml (file, 46 bytes)
    the settings among them set
      allow: "bash(touch made)"
    "#);
    assert_eq!(bench.bare(&["trust", "add"]).code, 0);
    assert_eq!(state(), "trusted");
    let list = bench.bare(&["trust", "list"]).stdout;
    let folder = bench.path(".").canonicalize().unwrap().display().to_string();
    assert!(list.starts_with("trusted  ") && list.trim_end().ends_with(&folder), "{list}");
    let line: Value = serde_json::from_str(&bench.bare(&["trust", "list", "--json"]).stdout).unwrap();
    assert_eq!((&line["folder"], &line["decision"]), (&Value::from(folder), &Value::from("trusted")));
    bench.file(".codetether/hook.sh", "echo hi\n");
    assert_eq!(state(), "changed");
    let shown = bench.bare(&["trust", "show"]).stdout;
    assert!(shown.contains(".codetether/hook.sh: new file\n") && shown.contains("+echo hi\n"), "{shown}");
    assert_eq!(bench.bare(&["trust", "remove"]).code, 0);
    assert_eq!(state(), "undecided");
    assert_eq!(bench.bare(&["trust", "remove"]).code, 1);
    assert_eq!(bench.bare(&["trust", "list"]).stdout, "");
    let none = Run::from(bench.binary(&["trust", "show", "/"]).output().unwrap());
    assert_eq!(
        none.stdout,
        "`/` has no files of its own in `.codetether`, and no skills or commands in `.claude` or `.agents`\n"
    );
}

#[test]
fn an_agents_file_needs_no_trust() {
    let bench = Bench::new([Reply::text("hi")]);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/AGENTS.md", "be brief");
    let (_, screen) = at_terminal(bench.run_command(&["go"]), &[]);
    assert!(!asked(&screen) && !screen.contains("trust"), "{screen}");
}
