use std::path::PathBuf;
use std::time::Duration;

use codetether_builtin::Shell;
use codetether_tool::{Args, Command, Exit, ExitStatus, ToolOutput};
use serde_json::json;

use crate::bench::{Bench, find_in};

#[tokio::test]
async fn a_command_goes_to_the_host_as_it_is() {
    let bench = Bench::new();
    bench.told("bash", json!({"command": "echo \"$X\" && ls"})).await;
    let expected = Command {
        argv: ["bash", "-c", "echo \"$X\" && ls"].map(str::to_owned).to_vec(),
        dir: String::new(),
        time: bench.cx.limits.command_time,
        output: 29_700,
        outside: false,
        terminal: false,
    };
    assert_eq!(*bench.host.ran.lock().unwrap(), [expected]);
    assert_eq!(bench.preview("bash", json!({"command": "rm x"})).await, "rm x");
}

#[tokio::test]
async fn a_confined_command_may_ask_to_run_outside() {
    let bench = Bench::new();
    let args = || Args(json!({"command": "cargo fetch", "outside": true}));
    let confined = find_in(Shell::Confined, "bash");
    assert!(confined.touches(&args()).outside);
    confined.call(args(), &bench.cx).await.unwrap();
    confined.call(Args(json!({"command": "ls"})), &bench.cx).await.unwrap();
    let bare = find_in(Shell::Bare, "bash");
    assert!(!bare.touches(&args()).outside, "there is nothing to be outside of");
    bare.call(args(), &bench.cx).await.unwrap();
    let outside: Vec<bool> = bench.host.ran.lock().unwrap().iter().map(|command| command.outside).collect();
    assert_eq!(outside, [true, false, false]);
}

#[tokio::test]
async fn its_time_is_what_was_asked_for_within_bounds() {
    let bench = Bench::new();
    for timeout in [0, 5, u64::MAX] {
        bench.told("bash", json!({"command": "true", "timeout": timeout})).await;
    }
    let times: Vec<Duration> = bench.host.ran.lock().unwrap().iter().map(|command| command.time).collect();
    assert_eq!(times, [1, 5, 1_800].map(Duration::from_secs));
}

#[tokio::test]
async fn the_end_is_told() {
    let bench = Bench::new();
    let spool = PathBuf::from("/spool/1");
    let cases = [
        (ExitStatus::Code(0), "", None, "[no output]\n"),
        (ExitStatus::Code(0), "out\n", None, "out\n"),
        (ExitStatus::Code(2), "err", None, "err\n[exit code 2]\n"),
        (ExitStatus::Signal(9), "", None, "[no output]\n[killed by signal 9]\n"),
        (ExitStatus::TimedOut, "x\n", None, "x\n[killed after 120 s; `timeout` gives it longer]\n"),
        (
            ExitStatus::Code(0),
            "a\n",
            Some(spool),
            "a\n[the output was too long to show; run it through `head`, `tail` or `grep`, or into a file, to see more]\n",
        ),
    ];
    for (status, output, whole, text) in cases {
        *bench.host.exit.lock().unwrap() =
            Exit { status, output: output.into(), whole: whole.clone(), notes: Vec::new() };
        let got = bench.call("bash", json!({"command": "x"})).await.unwrap();
        let failed = status != ExitStatus::Code(0);
        assert_eq!(got, ToolOutput { text: text.into(), failed, whole, ..ToolOutput::default() });
    }
    *bench.host.exit.lock().unwrap() =
        Exit { status: ExitStatus::TimedOut, output: "x".into(), whole: None, notes: Vec::new() };
    let got = bench.told("bash", json!({"command": "x", "timeout": 9_999})).await;
    assert_eq!(got, "x\n[killed after 1800 s, the longest that is allowed]\n");
}

#[tokio::test]
async fn output_is_bounded_whatever_the_host_returns() {
    let bench = Bench::new();
    let output = format!("start{}end", "\u{FFFD}".repeat(30_000));
    *bench.host.exit.lock().unwrap() =
        Exit { status: ExitStatus::Code(0), output, whole: None, notes: Vec::new() };
    let got = bench.told("bash", json!({"command": "x"})).await;
    assert!(got.len() <= bench.cx.limits.output && got.starts_with("start") && got.ends_with("end\n"));
    assert!(got.contains(" bytes left out ...]"));
}

#[tokio::test]
async fn notes_about_the_run_stand_at_the_end_and_are_bounded() {
    let bench = Bench::new();
    let exit = |notes: Vec<String>| Exit {
        status: ExitStatus::Code(6),
        output: "x".repeat(60_000),
        whole: None,
        notes,
    };
    *bench.host.exit.lock().unwrap() = exit(vec!["one".into(), "two\n[exit code 0]".into()]);
    let got = bench.call("bash", json!({"command": "x"})).await.unwrap();
    assert!(got.text.ends_with("x\n[exit code 6]\n[one]\n[two [exit code 0]]\n"), "{}", got.text);
    *bench.host.exit.lock().unwrap() = exit(vec!["y".repeat(1_000); 40]);
    let got = bench.call("bash", json!({"command": "x"})).await.unwrap();
    assert!(got.text.len() <= bench.cx.limits.output, "{}", got.text.len());
    assert!(got.text.ends_with("y]\n[and 28 more like that]\n"));
}
