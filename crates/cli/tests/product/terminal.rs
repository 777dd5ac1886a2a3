//! At a terminal: what needs a yes is shown and asked.

use std::io::{Read, Write};
use std::process::Stdio;

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;

/// What every question ends in.
pub(crate) const QUESTION: &str = "(a reason may follow) > ";

/// In the place of an answer: the signal that Ctrl-C sends.
pub(crate) const INTERRUPT: &str = "^C";

/// In the place of an answer: the end of the program.
pub(crate) const KILL: &str = "^K";

/// In the place of an answer: none.
pub(crate) const NOTHING: &str = "";

/// Runs at a pseudo-terminal, in mode `ask`; each answer is typed once its question was seen.
pub(crate) fn at_terminal(bench: &Bench, args: &[&str], answers: &[&str]) -> (i32, String) {
    answered(bench, &[&["--mode", "ask"], args].concat(), QUESTION, answers)
}

/// The same, where something else is waited for.
pub(crate) fn answered(bench: &Bench, args: &[&str], awaited: &str, answers: &[&str]) -> (i32, String) {
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let terminal = ioctl_tiocgptpeer(&controller, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    let mut command = bench.run_command(args);
    command.stdin(Stdio::from(terminal.try_clone().unwrap()));
    command.stdout(Stdio::from(terminal.try_clone().unwrap())).stderr(Stdio::from(terminal));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut controller = std::fs::File::from(controller);
    let (mut screen, mut buffer, mut answers) = (String::new(), [0_u8; 4096], answers.iter());
    let mut seen = 0;
    // Reading fails once the last end of the terminal is closed.
    while let Ok(n) = controller.read(&mut buffer) {
        screen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        if let Some(at) = screen[seen..].find(awaited) {
            seen += at + 1;
            match answers.next() {
                Some(&INTERRUPT) => {
                    let pid = rustix::process::Pid::from_child(&child);
                    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
                }
                Some(&KILL) => child.kill().unwrap(),
                Some(&NOTHING) | None => {}
                Some(answer) => controller.write_all(format!("{answer}\n").as_bytes()).unwrap(),
            }
        }
    }
    codetether_testkit::planted::assert_none(screen.as_bytes(), "what the terminal shows");
    (child.wait().unwrap().code().unwrap_or(-1), screen)
}

#[test]
fn a_command_is_shown_and_allowed_once() {
    let bench = Bench::new([Reply::call("bash", json!({ "command": "touch made" })), Reply::text("done")]);
    let (code, screen) = at_terminal(&bench, &["go"], &["y"]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("run `touch made`"), "{screen}");
    assert!(bench.path("made").exists());
}

#[test]
fn the_first_line_says_when_there_is_no_sandbox() {
    let bench = Bench::new([Reply::text("done"), Reply::text("done")]);
    let (_, screen) = at_terminal(&bench, &["go", "--no-sandbox"], &[]);
    assert!(screen.contains("openai/scripted · no sandbox"), "{screen}");
    let (_, screen) = at_terminal(&bench, &["go"], &[]);
    assert!(screen.contains("openai/scripted\r\n"), "{screen}");
}

#[test]
fn a_change_is_shown_as_a_diff_and_refused_with_a_reason() {
    let bench = Bench::new([
        Reply::call("edit", json!({ "path": "a.txt", "old": "one", "new": "two" })),
        Reply::text("as you like"),
    ]);
    bench.file("a.txt", "one\n");
    let (code, screen) = at_terminal(&bench, &["go"], &["n keep it"]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("-one") && screen.contains("+two"), "{screen}");
    assert_eq!(bench.read("a.txt"), "one\n");
    let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(body.contains("the user said no: keep it"), "{body}");
}

#[test]
fn an_answer_for_the_session_is_asked_for_once() {
    let call = || Reply::call("bash", json!({ "command": "date >> log" }));
    let bench = Bench::new([call(), call(), Reply::text("done"), call(), Reply::text("done")]);
    let (code, screen) = at_terminal(&bench, &["go"], &["s"]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(screen.matches(QUESTION).count(), 1, "{screen}");
    assert!(screen.contains("the rule `bash(date)`, `edit(/log)`"), "{screen}");
    assert_eq!(bench.read("log").lines().count(), 2);
    assert_eq!(bench.run(&["go", "--mode", "ask"]).code, 7, "another session is asked anew");
}

#[test]
fn an_answer_for_good_is_written_where_it_says() {
    let call = || Reply::call("bash", json!({ "command": "cargo frob --lib" }));
    let bench = Bench::new([call(), Reply::text("done"), call(), Reply::text("done")]);
    let (code, screen) = at_terminal(&bench, &["go"], &["a"]);
    assert_eq!(code, 0, "{screen}");
    let config = bench.home.config().join("codetether/config.toml");
    assert!(screen.contains(&format!("always writes it to {}", config.display())), "{screen}");
    let written = std::fs::read_to_string(config).unwrap();
    assert!(written.contains("allow = [\"bash(cargo frob *)\"]"), "{written}");
    assert!(!bench.run(&["go on", "--mode", "ask"]).stderr.contains("refused"), "it holds in later sessions");
}

#[test]
fn what_no_rule_could_allow_offers_none() {
    let bench =
        Bench::new([Reply::call("bash", json!({ "command": "X=touch; $X made" })), Reply::text("done")]);
    let (code, screen) = at_terminal(&bench, &["go"], &["a\ny"]);
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("[a]lways") && screen.contains("please answer `y` or `n`"), "{screen}");
    assert!(screen.contains("why: what runs is in a variable"), "{screen}");
}

#[test]
fn two_calls_are_asked_about_one_after_the_other() {
    let bench = Bench::new([
        Reply::calls([
            ("write", json!({ "path": "new.txt", "content": "one\n" })),
            ("edit", json!({ "path": "new.txt", "old": "one", "new": "two" })),
        ]),
        Reply::text("done"),
    ]);
    let (code, screen) = at_terminal(&bench, &["go"], &["y", "y"]);
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("-one") && screen.contains("+two"),
        "the second shows what it would change: {screen}"
    );
    assert_eq!(bench.read("new.txt"), "two\n");
}

#[test]
fn what_a_call_writes_is_shown_while_it_streams() {
    for format in ["text", "json"] {
        let write = json!({ "path": "notes/\u{1b}[2Ja.txt", "content": "x".repeat(4_000) });
        let reply = Reply::text("I write it.").and_call("write", write).stall_after(5_000);
        let bench = Bench::new([reply]);
        let awaited = r"writing notes/\u{1b}[2Ja.txt, ";
        let (code, screen) = answered(&bench, &["go", "--format", format], awaited, &[INTERRUPT]);
        assert_eq!(code, 130, "{screen}");
        let (before, after) = screen.split_once(awaited).unwrap();
        assert!(after.split_once(' ').unwrap().0.parse::<u32>().is_ok_and(|n| n > 20), "{screen}");
        match format {
            "text" => assert!(before.contains("I write it.\r\n"), "its line is its own: {screen}"),
            _ => assert!(!before.contains("I write it."), "{screen}"),
        }
        if format == "json" {
            let (_, summary) = screen.split_once("{\"session\"").unwrap();
            assert!(summary.contains("\"text\":\"I write it.\"") && !summary.contains("writing"), "{screen}");
        }
    }
}

#[test]
fn an_interrupt_during_a_question_ends_the_turn() {
    let bench = Bench::new([Reply::call("bash", json!({ "command": "touch made" }))]);
    let (code, screen) = at_terminal(&bench, &["go"], &[INTERRUPT]);
    assert_eq!(code, 130, "{screen}");
    assert!(!bench.path("made").exists());
    let events = bench.events();
    assert!(events.ends_with("turn.interrupted\nask.withdrawn\ncall.ended\nturn.ended\n"), "{events}");
}
