use std::time::Duration;

use codetether_builtin::Shell;
use codetether_event::{ItemId, Seq, Touches, Typed};
use codetether_tool::{Args, Command, Heard, Wish};
use serde_json::json;

use crate::bench::{Bench, find_in, touches};

fn heard(said: &str, ended: Option<&str>, came: bool) -> Heard {
    Heard {
        process: ItemId::call(Seq(7), 0),
        command: "npm run\ndev".into(),
        ended: ended.map(Into::into),
        ran: Duration::from_secs(65),
        said: said.into(),
        unread: 12,
        came,
    }
}

#[tokio::test]
async fn a_command_in_the_background_is_started_with_no_end_of_its_own() {
    let bench = Bench::new();
    let text = bench.told("bash", json!({"command": "npm run dev", "background": true, "pty": true})).await;
    assert!(text.starts_with("[process 1 runs in the background until"), "{text}");
    bench.told("bash", json!({"command": "x", "background": true, "timeout": 5})).await;
    let ran = bench.host.ran.lock().unwrap().clone();
    let all: Vec<_> = ran.iter().map(|Command { time, terminal, .. }| (*time, *terminal)).collect();
    assert_eq!(all, [(Duration::MAX, true), (Duration::from_secs(5), false)]);
    let args = Args(json!({"command": "x", "background": true}));
    assert!(find_in(Shell::Confined, "bash").touches(&args).background);
}

#[tokio::test]
async fn what_is_heard_is_told() {
    let bench = Bench::new();
    for (action, heard, expected) in [
        ("read", heard("a\n", None, true), "a\n[process 7.0 runs]\n"),
        ("read", heard("", None, true), "[nothing new]\n[process 7.0 runs]\n"),
        (
            "read",
            heard("b", Some("ended with exit code 2"), true),
            "b\n[process 7.0 ended with exit code 2]\n",
        ),
        ("wait", heard("a\n", None, true), "a\n[it came; process 7.0 runs]\n"),
        (
            "wait",
            heard("", None, false),
            "[nothing new]\n[waited 1800 s: process 7.0 has not said that; it has run for 65 s]\n",
        ),
        ("write", heard("> ", None, true), "> \n[written; process 7.0 runs]\n"),
        ("write", heard("", None, false), "[nothing new]\n[it has not read all of that yet]\n"),
        (
            "write",
            heard("", Some("ended with exit code 0"), false),
            "[nothing new]\n[not written: process 7.0 ended with exit code 0]\n",
        ),
        (
            "kill",
            heard("", Some("was killed, as asked"), true),
            "[nothing new]\n[process 7.0 was killed, as asked]\n",
        ),
        (
            "kill",
            heard("", None, false),
            "[nothing new]\n[process 7.0 could not be killed and may still run]\n",
        ),
        ("list", heard("", None, false), "7.0: `npm run dev` runs for 65 s, 12 bytes to read\n"),
    ] {
        *bench.host.heard.lock().unwrap() = vec![heard];
        let args = json!({"action": action, "id": "7.0", "text": "x\n", "until": "x", "timeout": 9_999_999});
        assert_eq!(bench.told("process", args).await, expected, "{action}");
    }
}

#[tokio::test]
async fn what_is_waited_for_is_a_regular_expression_or_else_a_text() {
    let bench = Bench::new();
    *bench.host.heard.lock().unwrap() = vec![heard("", None, true)];
    for (until, text, expected) in [
        ("listening on .*:[0-9]+$", "x\nlistening on 127.0.0.1:80\ny", true),
        ("listening on .*:[0-9]+$", "listening on it", false),
        ("^ready", "not ready", false),
        ("port [80", "on port [80]", true),
        ("port [80", "on port 80", false),
    ] {
        bench.told("process", json!({"action": "wait", "id": "7.0", "until": until})).await;
        let wish = bench.host.wishes.lock().unwrap().pop().unwrap();
        let Wish::Wait { until: Some(found), time, .. } = wish else { panic!("it waits for something else") };
        assert_eq!((found(text), time), (expected, Duration::from_secs(30)), "{until} {text}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let bench = Bench::new();
    for (args, expected) in [
        (json!({"action": "read"}), "`id` is missing: which process?"),
        (json!({"action": "kill", "id": "all"}), "there is no process `all`; `list` shows them"),
        (json!({"action": "write", "id": "7.0"}), "`text` is missing: what is to be written?"),
        (
            json!({"action": "write", "id": "7.0", "text": "x".repeat(65_537)}),
            "65537 bytes are too much to write at once: write 65536 at most, the rest in further calls",
        ),
    ] {
        assert_eq!(bench.refused("process", args).await, expected);
    }
    assert_eq!(
        bench.told("process", json!({"action": "list"})).await,
        "[no process was started in the background]\n"
    );
}

#[test]
fn only_what_is_typed_is_judged() {
    for action in ["read", "wait", "kill", "list"] {
        assert_eq!(touches("process", json!({"action": action, "id": "7.0"})), Touches::default());
    }
    let typed = touches("process", json!({"action": "write", "id": " 7.0", "text": "rm x\n"}));
    let expected = Typed { process: "7.0".into(), text: "rm x\n".into(), ..Typed::default() };
    assert!(typed.could_write());
    assert_eq!(typed, Touches { typed: Some(expected), ..Touches::default() });
}
