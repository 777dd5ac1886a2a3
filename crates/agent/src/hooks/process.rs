//! One run of one hook: confined and supervised like any command, told what there is to tell as its input, recorded.

use std::ffi::OsString;
use std::pin::pin;

use codetether_event::SessionId;
use codetether_sandbox::{Ends, Entry, Errors, Marker, Spec, Status, Streams};
use codetether_tool::Cancel;

use crate::heard;
use crate::hooks::answer::Answer;
use crate::hooks::{Hook, Hooks, Interrupted};
use crate::host::MARKER;
use crate::shown::Shown;

/// Bytes of standard output, and of standard error, that a hook may write.
const MOST: usize = 64 << 10;

/// Where the project is, by the name that hooks written for other agents know.
const PROJECT: &str = "CLAUDE_PROJECT_DIR";

/// What came of it.
pub(crate) enum Ran {
    /// It ended, with this answer.
    Ended { warnings: Vec<String>, answer: Answer },
    /// It could not be run, or said nothing that counts.
    Failed(String),
}

pub(crate) async fn run(
    hooks: &Hooks,
    hook: &Hook,
    number: usize,
    input: &str,
    cancel: &Cancel,
) -> Result<Ran, Interrupted> {
    let mut project = OsString::from(format!("{PROJECT}="));
    project.push(hooks.root.path());
    let argv = vec!["env".into(), project, "bash".into(), "-c".into(), hook.command.clone().into()];
    let mut entry = Entry::begun(hooks.root.path(), &argv);
    entry.session = hooks.session.as_ref().map(SessionId::to_string);
    entry.call = Some(format!("{} {}", hooks.item, hook.point));
    let egress = hooks.sandbox.as_deref().and_then(|sandbox| sandbox.egress());
    let overheard = egress.map(|egress| egress.overhear(hooks.item));
    let outcome = ran(hooks, hook, (argv, number), input, cancel, &mut entry).await;
    for (what, _) in overheard.map(|overheard| overheard.notes()).unwrap_or_default() {
        entry.denied(&what);
    }
    let mut problem = None;
    if let Some(audit) = hooks.audit.clone() {
        problem = heard::record(audit, entry).await.err();
    }
    match outcome? {
        Ran::Ended { mut warnings, answer } => {
            warnings.extend(problem);
            Ok(Ran::Ended { warnings, answer })
        }
        failed @ Ran::Failed(_) => Ok(failed),
    }
}

async fn ran(
    hooks: &Hooks,
    hook: &Hook,
    (argv, number): (Vec<OsString>, usize),
    input: &str,
    cancel: &Cancel,
    entry: &mut Entry,
) -> Result<Ran, Interrupted> {
    let not_run = |entry: &mut Entry, why: String| {
        entry.denied(&why);
        Ok(Ran::Failed(format!("it was not run: {why}")))
    };
    let mut confined = None;
    if let Some(sandbox) = hooks.sandbox.clone() {
        let policy = sandbox.policy(hooks.mode);
        entry.confined(&policy, policy.tier);
        let mode = hooks.mode;
        let kept = tokio::task::spawn_blocking(move || sandbox.kept(mode)).await;
        match kept.map_err(|error| error.to_string()).and_then(|kept| kept) {
            Ok((kept, _)) => confined = Some(kept),
            Err(why) => return not_run(entry, why),
        }
    }
    let (streams, mut errors) = match Streams::new(input.as_bytes(), MOST) {
        Ok(streams) => streams,
        Err(error) => return not_run(entry, format!("it cannot be told anything: {error}")),
    };
    if let Err(error) = codetether_files::create_dir_private(&hooks.spool) {
        return not_run(entry, error.to_string());
    }
    let spec = Spec {
        argv,
        dir: hooks.root.path().to_owned(),
        env: hooks.environment.to_vec(),
        marker: Some(Marker { name: MARKER.into(), value: hooks.marker.clone() }),
        time: hook.time,
        keep: MOST,
        spool: hooks.spool.join(format!("hook-{}-{}-{number}", hooks.item, hook.point)),
        spool_max: 0,
        confined,
        ends: Ends::Apart(streams),
        filter: Some(Box::new(Shown::new(&hooks.redactor, false))),
    };
    let mut show = |_: &[u8]| {};
    let ended = {
        let mut running = pin!(codetether_sandbox::run(spec, &mut show, cancel));
        loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = errors.read(), if errors.is_open() => {}
            }
        }
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return not_run(entry, error.to_string()),
    };
    entry.ended(ended.status, ended.took);
    if let Some(whole) = &ended.whole {
        // It is empty; what cannot be removed is removed with the session.
        let _ = codetether_files::remove_file(whole);
    }
    let errors = said(hooks, errors);
    let too_long = ended.missing() > 0 || ended.whole.is_some();
    Ok(match ended.status {
        Status::Cancelled => return Err(Interrupted),
        Status::TimedOut => {
            let seconds = hook.time.as_millis().div_ceil(1000);
            Ran::Failed(format!("it was ended after {seconds} s, its limit of time"))
        }
        Status::Signal(signal) => {
            Ran::Failed(format!("it was ended by signal {signal}{}", first_line(&errors)))
        }
        Status::Code(2) => Ran::Ended { warnings: ended.notes.clone(), answer: Answer::against(&errors) },
        Status::Code(0) if too_long => {
            Ran::Failed(format!("its output has {} bytes: {} KiB are the most", ended.total, MOST >> 10))
        }
        Status::Code(0) => match Answer::read(hook.point, &ended.text()) {
            Ok(answer) => Ran::Ended { warnings: ended.notes.clone(), answer },
            Err(problem) => Ran::Failed(problem),
        },
        Status::Code(code) => Ran::Failed(format!("it ended with exit code {code}{}", first_line(&errors))),
    })
}

/// What it wrote to standard error, without known secrets.
fn said(hooks: &Hooks, errors: Errors) -> String {
    let (bytes, more) = errors.end();
    let text = String::from_utf8_lossy(&bytes);
    let mut text = hooks.redactor.redact(&text).into_owned();
    if more {
        text.push_str(&format!("\n[… cut after {} KiB …]", MOST >> 10));
    }
    text
}

fn first_line(errors: &str) -> String {
    let line = errors.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}
