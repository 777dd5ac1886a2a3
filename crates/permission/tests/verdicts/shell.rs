//! bash itself as judge: random texts are judged, and those that are allowed are run, with a path on which the one
//! command that is not allowed leaves a mark.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use codetether_event::Mode;
use codetether_permission::Decision;
use proptest::prelude::*;

use crate::{on_shell, rules};

/// Pieces that shells trip over. No path is among them: what is allowed is run, and may write.
const PIECES: &[&str] = &[
    "bad",
    "ok",
    "ok",
    " ",
    " ",
    " ",
    ";",
    "\n",
    "|",
    "&",
    "&&",
    "||",
    "(",
    ")",
    "{",
    "}",
    " { ",
    "; }",
    "$(",
    ")",
    "`",
    "\"",
    "'",
    "\\",
    "$",
    "${",
    "}",
    "$x",
    "x=",
    "x=bad",
    "=",
    "<",
    ">",
    "<<",
    "<<<",
    "<<E\n",
    "\nE\n",
    "E",
    "#",
    " #",
    "!",
    "*",
    "?",
    "[",
    "]",
    "[[",
    "]]",
    "((",
    "))",
    "$((",
    "~",
    "if ",
    "then ",
    "fi",
    "else ",
    "for i in ",
    "do ",
    "done",
    "while ",
    "case x in ",
    "x)",
    ";;",
    "esac",
    "function ",
    "f()",
    "f ",
    "eval ",
    "exec ",
    "env ",
    "command ",
    "time ",
    "bash -c ",
    "trap ",
    " EXIT",
    "{bad,ok}",
    "b",
    "ad",
    "$'",
    "$\"",
    "\\x62",
    "\\\n",
    "-c",
    "-",
    "--",
    "coproc ",
    "a[0]=",
    "a=(",
    "&>",
    ">&",
    "2>",
    "{x}>",
    "@",
    "+=",
    ":",
    "true",
    "[ ",
    " ]",
    "<(",
    ">(",
    "select ",
    "until ",
    "in ",
    "$[",
    "]",
    "\t",
    "let ",
    "alias ok=bad",
    "source ",
];

/// Runs the program; the first program, this or one before it, that has left a mark by now. (One that is started in the
/// background may leave its mark late.)
fn bash(dir: &Path, program: &str) -> Option<String> {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    std::fs::write(dir.join(format!("program-{run}")), program).unwrap();
    // What another program has written is no part of this one.
    let work = dir.join(format!("work-{run}"));
    std::fs::create_dir(&work).unwrap();
    // The deadline is for programs that wait or loop for ever; none is for the verdict.
    let mut child = Command::new("timeout")
        .args(["-k", "1", "2", "bash", "--norc", "--noprofile", "-c", program])
        .current_dir(&work)
        .env_clear()
        .env("PATH", dir.join("bin"))
        .env("MARK", dir.join("marks").join(run.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let _ = std::fs::remove_dir_all(&work);
    let mark = std::fs::read_dir(dir.join("marks")).unwrap().next()?.unwrap().file_name();
    let _ = std::fs::remove_file(dir.join("marks").join(&mark));
    let of = format!("program-{}", mark.to_string_lossy());
    Some(std::fs::read_to_string(dir.join(of)).unwrap())
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["bin", "marks"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let script = |name: &str, body: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("bad", ": > \"$MARK\"");
    script("ok", "echo bad");
    for tool in ["bash", "env", "timeout", "cat"] {
        let found = ["/usr/bin", "/bin"]
            .iter()
            .map(|dir| Path::new(dir).join(tool))
            .find(|path| path.exists())
            .unwrap();
        std::os::unix::fs::symlink(found, dir.path().join("bin").join(tool)).unwrap();
    }
    dir
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(3_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_allowed_never_runs_what_is_denied(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..9)) {
        let program = pieces.concat();
        let listed = rules(&["deny bash(bad *)", "allow bash(ok *)", "allow bash(bash *)", "allow bash(cat *)", "allow edit(**)"]);
        let bypass = on_shell(Mode::Bypass, &rules(&["deny bash(bad *)"]), &program).decision == Decision::Allow;
        let ask = on_shell(Mode::Ask, &listed, &program).decision == Decision::Allow;
        if program.contains("bad") && (bypass || ask) {
            thread_local! { static DIR: tempfile::TempDir = folder(); }
            let ran = DIR.with(|dir| bash(dir.path(), &program));
            prop_assert_eq!(ran, None, "it was allowed and ran it; the last one was {:?}", program);
        }
    }
}

#[test]
fn the_judge_can_tell_that_it_ran() {
    let dir = folder();
    for program in ["bad", "x=$(bad)", "source bad"] {
        assert_eq!(bash(dir.path(), program), Some(program.to_owned()));
    }
    assert_eq!(bash(dir.path(), "ok bad"), None);
}
