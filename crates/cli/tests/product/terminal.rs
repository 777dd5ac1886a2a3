//! At a terminal: what needs a yes is shown and asked.

use std::io::{Read, Write};
use std::process::Stdio;

use codetether_testkit::Reply;
use serde_json::json;

use crate::bench::Bench;

/// In the place of an answer: the signal that Ctrl-C sends.
const INTERRUPT: &str = "^C";

/// Runs at a pseudo-terminal; each answer is typed once its question was seen.
fn at_terminal(bench: &Bench, args: &[&str], answers: &[&str]) -> (i32, String) {
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
        if let Some(at) = screen[seen..].find("in this session: ") {
            seen += at + 1;
            match answers.next() {
                Some(&INTERRUPT) => {
                    let pid = rustix::process::Pid::from_child(&child);
                    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
                }
                Some(answer) => controller.write_all(format!("{answer}\n").as_bytes()).unwrap(),
                None => {}
            }
        }
    }
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
fn always_is_asked_once() {
    let bench = Bench::new([
        Reply::call("bash", json!({ "command": "date >> log" })),
        Reply::call("bash", json!({ "command": "date >> log" })),
        Reply::text("done"),
    ]);
    let (code, screen) = at_terminal(&bench, &["go"], &["a"]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(screen.matches("in this session: ").count(), 1, "{screen}");
    assert_eq!(bench.read("log").lines().count(), 2);
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
fn an_interrupt_during_a_question_ends_the_turn() {
    let bench = Bench::new([Reply::call("bash", json!({ "command": "touch made" }))]);
    let (code, screen) = at_terminal(&bench, &["go"], &[INTERRUPT]);
    assert_eq!(code, 130, "{screen}");
    assert!(!bench.path("made").exists());
    let events = bench.events();
    assert!(events.ends_with("turn.interrupted\nask.withdrawn\ncall.ended\nturn.ended\n"), "{events}");
}
