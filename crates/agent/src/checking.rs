//! The runner's side of a turn's check: judged like any command, run like a hook is, and what came of it is a fact.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codetether_event::{
    Check, CheckPoint, CheckStatus, Event, ItemEvent, ItemId, Mode, NoteEvent, SessionId, Timing, Touches,
    TurnEvent,
};
use codetether_files::Root;
use codetether_permission::Decision;
use codetether_sandbox::{Audit, Ends, Entry, Marker, Spec, Status};
use codetether_secret::Redactor;
use codetether_tool::Cancel;

use crate::circumstances::Circumstances;
use crate::confine::Sandbox;
use crate::heard;
use crate::hooking;
use crate::host::MARKER;
use crate::live::{End, Live, millis};
use crate::shown::Shown;

/// Bytes of what a check writes that are kept: half from the start, half from the end.
const KEPT: usize = 16_000;

/// The tool as whose command a check is judged.
const SHELL: &str = "bash";

/// What it takes to run a check, for one item.
struct Checker {
    check: Check,
    item: ItemId,
    point: CheckPoint,
    circumstances: Result<Circumstances, String>,
    root: Arc<Root>,
    environment: Arc<Vec<(OsString, OsString)>>,
    spool: PathBuf,
    redactor: Arc<Redactor>,
    audit: Option<Audit>,
    session: Option<SessionId>,
    sandbox: Option<(Arc<Sandbox>, Mode)>,
    marker: String,
}

/// What a check said.
struct Ran {
    status: CheckStatus,
    output: String,
    left_out: u64,
}

impl Ran {
    fn not(why: String) -> Self {
        Self { status: CheckStatus::NotRun { why }, output: String::new(), left_out: 0 }
    }
}

impl Live {
    /// Runs the check of the turn's settings.
    pub(crate) fn check(&mut self, item: ItemId, point: CheckPoint) {
        let circumstances = self.circumstances().unwrap_or_else(|| Err("no turn is under way".to_owned()));
        let settings = self.state.turn.as_ref().map(|turn| &turn.settings);
        let Some((check, mode, confined)) = settings.and_then(|settings| {
            Some((settings.check.clone()?, settings.mode, !settings.confinement.is_none()))
        }) else {
            return;
        };
        let checker = Checker {
            check,
            item,
            point,
            circumstances,
            root: self.gate.root.clone(),
            environment: self.environment.clone(),
            spool: self.spool.clone(),
            redactor: self.gate.redactor.clone(),
            audit: self.audit.clone(),
            session: self.state.session,
            sandbox: self.sandbox.clone().filter(|_| confined).map(|sandbox| (sandbox, mode)),
            marker: hooking::marker(&self.state, item),
        };
        let cancel = self.cancel_for(item);
        self.effects.spawn(async move { End::of(item, checker.run(&cancel).await) });
    }
}

impl Checker {
    /// Judges it, runs it, and gives the facts that follow.
    async fn run(self, cancel: &Cancel) -> Vec<Event> {
        let started = Instant::now();
        let mut notes = Vec::new();
        let ran = match self.denied() {
            Some(why) => Some(Ran::not(why)),
            None => self.ran(cancel, &mut notes).await,
        };
        let Self { check: Check { command, .. }, item, point, .. } = self;
        let Some(Ran { status, output, left_out }) = ran else {
            return vec![Event::Item(ItemEvent::Failed { item, error: "interrupted".to_owned() })];
        };
        let timing = Timing { first_ms: None, total_ms: millis(started.elapsed()) };
        let passed = status.passed();
        let checked = TurnEvent::Checked { item, point, command, status, passed, output, left_out, timing };
        let notes = notes.into_iter().map(|text| Event::Note(NoteEvent::Warned { text }));
        notes.chain([Event::Turn(checked)]).collect()
    }

    /// Why it may not run. What would be asked about may: whoever set the check has said that it is to run.
    fn denied(&self) -> Option<String> {
        let circumstances = match &self.circumstances {
            Ok(circumstances) => circumstances,
            Err(problem) => return Some(problem.clone()),
        };
        let touches = Touches { commands: vec![self.check.command.clone()], ..Touches::default() };
        let judged = circumstances.judge(SHELL, &touches);
        (judged.decision == Decision::Deny).then(|| format!("denied by {}", judged.by()))
    }

    /// Nothing where it was told to stop.
    async fn ran(&self, cancel: &Cancel, notes: &mut Vec<String>) -> Option<Ran> {
        let argv: Vec<OsString> = vec![SHELL.into(), "-c".into(), self.check.command.clone().into()];
        let mut entry = Entry::begun(self.root.path(), &argv);
        entry.session = self.session.as_ref().map(SessionId::to_string);
        entry.call = Some(format!("{} check", self.item));
        let egress = self.sandbox.as_ref().and_then(|(sandbox, _)| sandbox.egress());
        let overheard = egress.map(|egress| egress.overhear(self.item));
        let mut ran = match self.supervised(argv, cancel, &mut entry).await {
            Ok(ran) => ran,
            Err(why) => {
                entry.denied(&why);
                Some(Ran::not(why))
            }
        };
        for (what, note) in overheard.map(|overheard| overheard.notes()).unwrap_or_default() {
            entry.denied(&what);
            if let Some(ran) = &mut ran {
                ran.output.push_str(&format!("\n[{note}]"));
            }
        }
        if let Some(audit) = self.audit.clone() {
            notes.extend(heard::record(audit, entry).await.err());
        }
        ran
    }

    async fn supervised(
        &self,
        argv: Vec<OsString>,
        cancel: &Cancel,
        entry: &mut Entry,
    ) -> Result<Option<Ran>, String> {
        let mut confined = None;
        if let Some((sandbox, mode)) = self.sandbox.clone() {
            let policy = sandbox.policy(mode);
            entry.confined(&policy, policy.tier);
            let kept = tokio::task::spawn_blocking(move || sandbox.kept(mode)).await;
            confined = Some(kept.map_err(|error| error.to_string()).and_then(|kept| kept)?.0);
        }
        codetether_files::create_dir_private(&self.spool).map_err(|error| error.to_string())?;
        let spec = Spec {
            argv,
            dir: self.root.path().to_owned(),
            env: self.environment.to_vec(),
            marker: Some(Marker { name: MARKER.into(), value: self.marker.clone() }),
            time: Duration::from_millis(self.check.time_ms),
            keep: KEPT,
            spool: self.spool.join(format!("check-{}", self.item)),
            spool_max: 0,
            confined,
            ends: Ends::Nothing,
            filter: Some(Box::new(Shown::new(&self.redactor, false))),
        };
        let ended =
            codetether_sandbox::run(spec, &mut |_| {}, cancel).await.map_err(|error| error.to_string())?;
        entry.ended(ended.status, ended.took);
        if let Some(whole) = &ended.whole {
            // It is empty; what cannot be removed is removed with the session.
            let _ = codetether_files::remove_file(whole);
        }
        let status = match ended.status {
            Status::Cancelled => return Ok(None),
            Status::Code(code) => CheckStatus::Exited { code },
            Status::Signal(signal) => CheckStatus::Killed { signal },
            Status::TimedOut => CheckStatus::TimedOut,
        };
        let mut output = ended.text();
        for note in ended.notes.iter().chain(&ended.unkilled) {
            output.push_str(&format!("\n[sandbox: {note}]"));
        }
        Ok(Some(Ran { status, output, left_out: ended.missing() }))
    }
}
