//! What must hold of every command that is run, with real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use codetether_sandbox::{
    Ended, Ends, Error, Filter, Marker, Screen, Spec, Status, Typed, Typing, environment, kill_marked, run,
};
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn spec(&self, script: &str) -> Spec {
        Spec {
            argv: ["bash", "-c", script].map(OsString::from).to_vec(),
            dir: self.dir.path().to_owned(),
            env: environment(std::env::vars_os(), []),
            marker: None,
            time: Duration::from_secs(60),
            keep: 1024,
            spool: self.path("spool/out"),
            spool_max: 1 << 30,
            confined: None,
            ends: Ends::Nothing,
            filter: None,
        }
    }

    /// The number that the script wrote into the file, of a process that still lives or lived.
    fn pid(&self, name: &str) -> Pid {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }
}

async fn end(spec: Spec) -> Ended {
    run(spec, &mut |_| {}, &CancellationToken::new()).await.unwrap()
}

fn is_alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z")
}

/// Waits until it is gone: a killed process takes a moment.
fn wait_gone(pid: Pid) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "{pid:?} is still alive");
        std::thread::yield_now();
    }
}

fn kill(pid: Pid) {
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

#[tokio::test]
async fn output_of_both_streams_comes_in_order_with_the_exit_code() {
    let bench = Bench::new();
    let mut live = Vec::new();
    let spec = bench.spec("echo out; echo err >&2; echo out again; pwd; cat; exit 3");
    let ended =
        run(spec, &mut |piece| live.extend_from_slice(piece), &CancellationToken::new()).await.unwrap();
    let folder = bench.dir.path().canonicalize().unwrap();
    assert_eq!(ended.text(), format!("out\nerr\nout again\n{}\n", folder.display()));
    assert_eq!(ended.status, Status::Code(3));
    assert_eq!(live, ended.head, "live output is all output");
    assert_eq!((ended.whole, ended.whole_lacks), (None, None));
}

/// Lets digits pass as `#`, one byte late.
#[derive(Default)]
struct Hashes(Vec<u8>);

impl Filter for Hashes {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.0.extend(bytes.iter().map(|byte| if byte.is_ascii_digit() { b'#' } else { *byte }));
        out.extend(self.0.drain(..self.0.len().saturating_sub(1)));
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.0);
    }
}

#[tokio::test]
async fn the_filter_stands_before_all_that_keeps_or_shows_output() {
    let bench = Bench::new();
    for (script, status) in [("", Status::Code(0)), ("; cat; exec sleep 600", Status::TimedOut)] {
        let mut live = Vec::new();
        let mut spec = bench.spec(&format!("printf 'pin 1234, pin 5678'{script}"));
        spec.keep = 8;
        spec.time = if status == Status::Code(0) { spec.time } else { Duration::from_secs(3) };
        spec.spool = bench.path(&format!("spool/{}", script.len()));
        spec.filter = Some(Box::new(Hashes::default()));
        let ended =
            run(spec, &mut |piece| live.extend_from_slice(piece), &CancellationToken::new()).await.unwrap();
        assert_eq!(ended.status, status);
        assert_eq!(live, b"pin ####, pin ####");
        assert_eq!((ended.head, ended.tail, ended.total), (b"pin ".to_vec(), b"####".to_vec(), 18));
        assert_eq!(std::fs::read(ended.whole.unwrap()).unwrap(), live);
    }
}

#[tokio::test]
async fn a_signal_that_was_not_ours_is_reported() {
    assert_eq!(end(Bench::new().spec("kill -SEGV $$")).await.status, Status::Signal(11));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_does_not_hold_us() {
    let bench = Bench::new();
    let ended = end(bench.spec("sleep 600 & echo $! > pid; echo done")).await;
    let sleeper = bench.pid("pid");
    assert!(is_alive(sleeper), "what was started on purpose goes on");
    kill(sleeper);
    assert_eq!((ended.status, ended.text().as_str()), (Status::Code(0), "done\n"));
    assert!(ended.took < Duration::from_secs(30));
}

#[tokio::test]
async fn a_grandchild_that_floods_the_output_does_not_hold_us() {
    let bench = Bench::new();
    let ended = end(bench.spec("yes & echo $! > pid; while [ ! -s pid ]; do :; done")).await;
    kill(bench.pid("pid"));
    assert_eq!(ended.status, Status::Code(0));
}

#[tokio::test]
async fn the_end_of_time_kills_the_whole_group() {
    let bench = Bench::new();
    let mut spec =
        bench.spec("trap '' TERM; bash -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' & wait");
    spec.time = Duration::from_secs(3);
    let ended = end(spec).await;
    assert_eq!(ended.status, Status::TimedOut);
    assert!(ended.took < Duration::from_secs(20));
    wait_gone(bench.pid("pid"));
}

#[tokio::test]
async fn a_stopped_command_may_tidy_up_first() {
    let bench = Bench::new();
    let mut spec = bench.spec("trap 'echo tidied; exit 0' TERM; echo ready; sleep 600 & wait");
    let cancel = CancellationToken::new();
    spec.keep = 4096;
    let ended = run(
        spec,
        &mut |piece| {
            if piece.starts_with(b"ready") {
                cancel.cancel()
            }
        },
        &cancel,
    )
    .await
    .unwrap();
    assert_eq!((ended.status, ended.text().as_str()), (Status::Cancelled, "ready\ntidied\n"));
}

#[tokio::test]
async fn a_command_that_goes_into_our_own_group_is_killed_all_the_same() {
    let bench = Bench::new();
    // This program runs the test below, and nothing else.
    let mut spec = bench.spec("");
    spec.argv = [std::env::current_exe().unwrap().into_os_string()].to_vec();
    spec.argv.extend(
        ["--exact", "a_child_of_the_test_above_changes_its_group", "--nocapture"].map(OsString::from),
    );
    spec.env.push(("JOIN_GROUP".into(), rustix::process::getpgrp().as_raw_pid().to_string().into()));
    spec.env.push(("RUST_BACKTRACE".into(), "0".into()));
    let (cancel, mut said) = (CancellationToken::new(), Vec::new());
    let mut hear = |piece: &[u8]| {
        said.extend_from_slice(piece);
        if String::from_utf8_lossy(&said).contains("joined") {
            cancel.cancel();
        }
    };
    let ended = run(spec, &mut hear, &cancel).await.unwrap();
    assert_eq!((ended.status, ended.unkilled), (Status::Cancelled, None));
    assert!(ended.took < Duration::from_secs(20));
}

#[test]
fn a_child_of_the_test_above_changes_its_group() {
    let Ok(group) = std::env::var("JOIN_GROUP") else { return };
    rustix::process::setpgid(None, Pid::from_raw(group.parse().unwrap())).unwrap();
    println!("joined");
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn what_left_its_group_is_found_by_its_marker() {
    let bench = Bench::new();
    let mut spec = bench.spec("setsid -f bash -c 'echo $$ > pid; echo up; exec sleep 600' & wait; sleep 600");
    spec.marker =
        Some(Marker { name: "CODETETHER_CALL".into(), value: format!("test-{}-left", std::process::id()) });
    let cancel = CancellationToken::new();
    let ended = run(spec, &mut |_| cancel.cancel(), &cancel).await.unwrap();
    assert_eq!(ended.status, Status::Cancelled);
    wait_gone(bench.pid("pid"));
}

#[tokio::test]
async fn dropping_the_run_kills_the_group() {
    let bench = Bench::new();
    let ready = CancellationToken::new();
    let mut said = |_: &[u8]| ready.cancel();
    let never = CancellationToken::new();
    let running = run(bench.spec("sleep 600 & echo $! > pid; echo ready; wait"), &mut said, &never);
    tokio::select! {
        _ = running => panic!("it cannot have ended"),
        () = ready.cancelled() => {}
    }
    wait_gone(bench.pid("pid"));
}

#[tokio::test]
async fn a_hundred_megabytes_stay_in_bounds() {
    let bench = Bench::new();
    let mut spec = bench.spec("printf start; head -c 104857600 /dev/zero; printf end");
    spec.spool_max = 1 << 20;
    let ended = end(spec).await;
    assert_eq!((ended.status, ended.total), (Status::Code(0), 104_857_600 + 8));
    assert_eq!((ended.head.len(), ended.tail.len()), (512, 512));
    assert!(ended.head.starts_with(b"start\0") && ended.tail.ends_with(b"\0end"));
    let file = ended.whole.unwrap().metadata().unwrap();
    assert!(file.len() > 1 << 20 && file.len() < (1 << 20) + 200);
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    assert!(ended.whole_lacks.is_some());
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_else() {
    let bench = Bench::new();
    let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let parent = std::env::vars_os().chain([pair("OPENAI_API_KEY", "sk-secret"), pair("GITHUB_TOKEN", "x")]);
    let mut spec = bench.spec("");
    spec.argv = vec!["env".into()];
    spec.keep = 1 << 20;
    spec.env = environment(parent, [pair("GRANTED_KEY", "yes")]);
    spec.marker = Some(Marker { name: "MARK".into(), value: "1".into() });
    let mut expected: Vec<String> = spec
        .env
        .iter()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .chain(["MARK=1".to_owned()])
        .collect();
    expected.sort();
    let text = end(spec).await.text();
    let mut got: Vec<&str> = text.lines().collect();
    got.sort_unstable();
    assert_eq!(got, expected);
    assert!(
        text.contains("GRANTED_KEY=yes") && !text.contains("sk-secret") && !text.contains("GITHUB_TOKEN")
    );
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let bench = Bench::new();
    std::fs::write(bench.path("plain"), "not a program").unwrap();
    let error = |change: fn(&mut Spec)| {
        let mut spec = bench.spec("true");
        change(&mut spec);
        async { run(spec, &mut |_| {}, &CancellationToken::new()).await.unwrap_err() }
    };
    assert!(matches!(error(|spec| spec.argv.clear()).await, Error::Empty));
    let missing = error(|spec| spec.argv = vec!["no-such-program".into()]).await;
    assert_eq!(missing.to_string(), "cannot run `no-such-program`: there is no such program in PATH");
    let refused = error(|spec| spec.argv = vec!["./plain".into()]).await;
    assert_eq!(refused.to_string(), "cannot run `./plain`: Permission denied (os error 13)");
    assert!(matches!(error(|spec| spec.dir = "/no/such/folder".into()).await, Error::NoFolder { .. }));
    assert!(matches!(
        error(|spec| spec.argv = vec!["bash".into(), "a\0b".into()]).await,
        Error::Start { .. }
    ));
    assert!(matches!(error(|spec| spec.argv.push("x".repeat(1 << 20).into())).await, Error::Start { .. }));
}

#[tokio::test]
async fn a_command_that_is_cancelled_before_it_starts_ends_at_once() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ended = run(Bench::new().spec("sleep 600"), &mut |_| {}, &cancel).await.unwrap();
    assert_eq!(ended.status, Status::Cancelled);
}

#[tokio::test]
async fn orphans_are_found_by_their_marker_and_others_are_left() {
    let bench = Bench::new();
    let name = "CODETETHER_CALL";
    let value = format!("test-{}-orphan", std::process::id());
    let mut spec = bench.spec(
        "for i in 1 2 3; do setsid -f bash -c 'echo $$ > pid.'$i'; exec sleep 600'; done
         CODETETHER_CALL=other setsid -f bash -c 'echo $$ > other; exec sleep 600'
         while [ ! -s pid.1 ] || [ ! -s pid.2 ] || [ ! -s pid.3 ] || [ ! -s other ]; do sleep 0.01; done",
    );
    spec.marker = Some(Marker { name: name.into(), value: value.clone() });
    end(spec).await;
    assert!(is_alive(bench.pid("pid.1")));
    assert_eq!(kill_marked(name, &value).unwrap(), 3);
    for orphan in ["pid.1", "pid.2", "pid.3"] {
        wait_gone(bench.pid(orphan));
    }
    assert!(is_alive(bench.pid("other")));
    kill(bench.pid("other"));
    assert_eq!(kill_marked(name, &value).unwrap(), 0);
}

/// At a terminal of its own, with the lines that it shows.
async fn at_terminal(bench: &Bench, script: &str, typing: Option<Typing>) -> (Ended, String) {
    let ended = end(Spec { ends: Ends::Terminal(typing), ..bench.spec(script) }).await;
    let (mut screen, mut out) = (Screen::default(), String::new());
    screen.push(&[ended.head.as_slice(), &ended.tail].concat(), &mut out);
    screen.finish(&mut out);
    (ended, out)
}

#[tokio::test]
async fn a_terminal_is_the_command_s_own_and_of_a_fixed_size() {
    let bench = Bench::new();
    let script = "tty; stty size; echo $TERM; test -t 1 && : > /dev/tty && ps -o sid=,pgid=,tpgid= -p $$; echo err >&2; exit 3";
    let (ended, shown) = at_terminal(&bench, script, None).await;
    assert_eq!(ended.status, Status::Code(3), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/") && lines[1..3] == ["40 120", "dumb"], "{shown}");
    let ids: Vec<&str> = lines[3].split_whitespace().collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "it is in front: {shown}");
    assert_eq!(lines[4], "err");
}

#[tokio::test]
async fn nothing_that_was_written_to_a_terminal_is_lost_when_the_command_ends() {
    let bench = Bench::new();
    for n in 0..20 {
        let (ended, shown) = at_terminal(&bench, "seq 1 150; printf last", None).await;
        assert_eq!((ended.status, shown.lines().last()), (Status::Code(0), Some("last")), "{n}");
        assert_eq!(shown.lines().count(), 151);
    }
}

#[tokio::test]
async fn at_a_terminal_where_nobody_types_input_ends_at_once() {
    let bench = Bench::new();
    let (ended, shown) = at_terminal(&bench, "cat; echo read", None).await;
    assert_eq!((ended.status, shown.as_str()), (Status::Code(0), "read\n"));
}

#[tokio::test]
async fn a_signal_that_ends_a_command_at_a_terminal_is_told() {
    let bench = Bench::new();
    let (ended, _) = at_terminal(&bench, "kill -USR1 $$", None).await;
    assert_eq!(ended.status, Status::Signal(10));
    let spec = Spec { ends: Ends::Terminal(None), argv: vec!["no-such-program".into()], ..bench.spec("") };
    let error = run(spec, &mut |_| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn what_is_typed_is_read_and_its_end_too() {
    for is_terminal in [false, true] {
        let bench = Bench::new();
        let (typing, typed) = mpsc::channel(4);
        let ends = if is_terminal { Ends::Terminal(Some(typed)) } else { Ends::Fed(typed) };
        let spec = Spec {
            ends,
            ..bench.spec("stty -echo 2>/dev/null; echo ready; read -r a; echo \"got $a\"; cat")
        };
        let (said, mut heard) = mpsc::unbounded_channel::<String>();
        let feeding = async {
            let mut all = String::new();
            while !all.contains("ready") {
                all += &heard.recv().await.unwrap();
            }
            for (text, is_last) in [("one\n", false), ("two\n", true)] {
                let (taken, answer) = oneshot::channel();
                let typed = Typed { bytes: text.into(), is_last, taken };
                typing.send(typed).await.unwrap();
                answer.await.unwrap().unwrap();
            }
        };
        let mut tell = |bytes: &[u8]| drop(said.send(String::from_utf8_lossy(bytes).into_owned()));
        let cancel = CancellationToken::new();
        let (ended, ()) = tokio::join!(run(spec, &mut tell, &cancel), feeding);
        let ended = ended.unwrap();
        let text = ended.text().replace('\r', "");
        assert_eq!(
            (ended.status, text.as_str()),
            (Status::Code(0), "ready\ngot one\ntwo\n"),
            "{is_terminal}"
        );
    }
}

#[tokio::test]
async fn a_command_at_a_terminal_is_stopped_with_all_that_it_started() {
    let bench = Bench::new();
    let script = "sleep 600 & echo $! > child; wait";
    let spec = Spec { ends: Ends::Terminal(None), ..bench.spec(script) };
    let cancel = CancellationToken::new();
    let stop = async {
        while !std::fs::read_to_string(bench.path("child")).is_ok_and(|text| text.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let mut ignore = |_: &[u8]| {};
    let (ended, ()) = tokio::join!(run(spec, &mut ignore, &cancel), stop);
    assert_eq!(ended.unwrap().status, Status::Cancelled);
    wait_gone(bench.pid("child"));
}
