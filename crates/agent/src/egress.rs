//! The way out of a session's sandbox: a proxy that is served by a task of its own, from the first command on. What it
//! denies becomes a fact and a note for the model, and what someone answers comes into force. Never decides whether
//! anyone is asked.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codetether_event::{
    Answer, AskEvent, AskKind, EgressEvent, Event, ItemId, NoteEvent, SessionEvent, TurnEvent,
};
use codetether_net::Dialler;
use codetether_sandbox::proxy::{Allow, Denied, Limits, Origin, Rule, Target, Why, authority, serve};
use codetether_session::{Phase, State};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::parts::RuleFile;

/// How long a connection waits for an answer, less than a command runs that names no time of its own.
const WAIT: Duration = Duration::from_secs(90);
/// Denials that may wait to be told.
const TOLD: usize = 64;
/// Most hosts that the model hears of after one command.
const NOTES: usize = 8;

/// Where commands may go, and where rules go that were allowed for good.
#[derive(Clone)]
pub struct WayOut {
    /// Reads the rules and makes what dials: once, before the first command. An error says what is wrong.
    pub open: Arc<OpenWayOut>,
    /// The file of the user's with the rules; without it, what someone allows lasts as long as the session.
    pub file: Option<RuleFile>,
}

/// Reads the rules and makes what dials.
pub type OpenWayOut = dyn Fn() -> Result<(Allow, Dialler), String> + Send + Sync;

/// A session's way out. Dropped, it ends what it serves.
pub(crate) struct Egress {
    way_out: WayOut,
    shared: Arc<Shared>,
    serving: Mutex<JoinSet<()>>,
}

/// What is shared with the task that tells.
struct Shared {
    facts: mpsc::Sender<Event>,
    file: Option<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    opened: Option<(Allow, Dialler)>,
    /// Allowed for the session, as they are written.
    granted: Vec<String>,
    is_attended: bool,
    /// How many hooks run, which nobody is asked about.
    quiet: u32,
    denials: Option<mpsc::Receiver<Denied>>,
    /// The commands that run, in the order in which they were started.
    runs: BTreeMap<u64, Run>,
    started: u64,
    last: Option<ItemId>,
    /// Why the user said no.
    reasons: HashMap<String, String>,
    /// How many denials could not be told.
    missed: u64,
}

/// A command that runs.
struct Run {
    call: ItemId,
    notes: Vec<(Option<Target>, String)>,
    more: u64,
}

impl Egress {
    /// With the rules that were allowed for the session; facts go to `facts`.
    pub(crate) fn new(way_out: WayOut, granted: Vec<String>, facts: mpsc::Sender<Event>) -> Self {
        let file = way_out.file.as_ref().map(|file| file.path.clone());
        let inner = Mutex::new(Inner { granted, ..Inner::default() });
        Self { way_out, shared: Arc::new(Shared { facts, file, inner }), serving: Mutex::default() }
    }

    /// Where rules go that were allowed for good.
    pub(crate) fn file(&self) -> Option<&RuleFile> {
        self.way_out.file.as_ref()
    }

    /// What was allowed since the session began, as rules.
    pub(crate) fn granted(&self) -> Vec<String> {
        self.shared.lock().granted.clone()
    }

    /// Leads what comes in there, if it is open, instead of what did so far. Reads files the first time.
    ///
    /// # Errors
    /// When the rules cannot be read.
    pub(crate) fn lead(&self, listener: Option<TcpListener>) -> Result<(), String> {
        // Dropped, it ends.
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = JoinSet::new();
        let Some(listener) = listener else { return Ok(()) };
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        let mut inner = self.shared.lock();
        let (allow, dialler) = match &inner.opened {
            Some(opened) => opened.clone(),
            None => {
                let (allow, dialler) = (self.way_out.open)()?;
                for rule in &inner.granted {
                    // What another version wrote may be no rule in this one: then it is asked about anew.
                    if let Ok(rule) = Rule::parse(rule, Origin::Approved) {
                        allow.add(rule).map_err(|error| error.to_string())?;
                    }
                }
                allow.attend(inner.is_attended && inner.quiet == 0);
                inner.opened.insert((allow, dialler)).clone()
            }
        };
        let (events, denials) = mpsc::channel(TOLD);
        inner.denials = Some(denials);
        drop(inner);
        let mut serving = JoinSet::new();
        let limits = Limits { wait: Some(WAIT), ..Limits::default() };
        serving.spawn_on(
            async move {
                // Without it the command's connections are refused, which it hears by itself.
                let _ = serve(listener, allow, events, dialler, limits, CancellationToken::new()).await;
            },
            &runtime,
        );
        let shared = Arc::clone(&self.shared);
        serving.spawn_on(
            async move {
                while let Some(denied) = poll_fn(|cx| shared.lock().poll_denied(cx)).await {
                    shared.tell(&denied);
                }
            },
            &runtime,
        );
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = serving;
        Ok(())
    }

    /// A command of this call starts.
    pub(crate) fn listen(&self, call: ItemId) -> Listening {
        let mut inner = self.shared.lock();
        inner.started += 1;
        let number = inner.started;
        inner.last = Some(call);
        inner.opened.iter().for_each(|(allow, _)| allow.tell_anew());
        inner.runs.insert(number, Run { call, notes: Vec::new(), more: 0 });
        Listening { number, shared: Arc::clone(&self.shared) }
    }

    /// A hook of this item starts. What it may not reach is refused at once.
    pub(crate) fn overhear(&self, item: ItemId) -> Overhearing {
        let listening = self.listen(item);
        let mut inner = self.shared.lock();
        inner.quiet = inner.quiet.saturating_add(1);
        inner.attend();
        Overhearing { listening, _quiet: Quiet(Arc::clone(&self.shared)) }
    }

    /// A fact was written, which the state does not hold yet: who is there, what was answered.
    pub(crate) fn see(&self, state: &State, event: &Event) {
        match event {
            Event::Session(SessionEvent::Attached { .. }) => self.attend(true),
            Event::Session(SessionEvent::Detached | SessionEvent::Adopted { .. }) => self.attend(false),
            Event::Turn(TurnEvent::Started { .. } | TurnEvent::Compacting { .. }) => {
                let mut inner = self.shared.lock();
                inner.reasons.clear();
                inner.opened.iter().for_each(|(allow, _)| allow.forget_answers());
            }
            Event::Ask(AskEvent::Answered { ask, answer, .. }) => {
                let open = state.turn.iter().flat_map(|turn| &turn.asks).find(|open| open.ask == *ask);
                let Some(AskKind::Egress { target, rule, .. }) = open.map(|open| &open.kind) else { return };
                if let Err(problem) = self.shared.lock().answered(target, rule, answer) {
                    let text = format!("the answer about `{target}` has no effect: {problem}");
                    // Nobody is there to hear it when this fails.
                    let _ = self.shared.facts.try_send(Event::Note(NoteEvent::Warned { text }));
                }
            }
            // Of the calls that run, one that is left may have waited for it.
            Event::Ask(AskEvent::Withdrawn { ask }) => {
                let Some(turn) = state.turn.as_ref().filter(|turn| turn.interrupted.is_none()) else {
                    return;
                };
                let Some(open) = turn.asks.iter().find(|open| open.ask == *ask) else { return };
                let runs = turn.call(open.item).is_some_and(|call| call.phase == Phase::Running);
                if matches!(open.kind, AskKind::Egress { .. }) && !runs {
                    self.shared.lock().opened.iter().for_each(|(allow, _)| allow.ask_anew());
                }
            }
            _ => {}
        }
    }

    fn attend(&self, is_attended: bool) {
        let mut inner = self.shared.lock();
        inner.is_attended = is_attended;
        inner.attend();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here is left half done by a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a fact of a denial, and notes for the commands that run.
    fn tell(&self, denied: &Denied) {
        let mut inner = self.lock();
        let target = denied.target.as_ref().map(ToString::to_string);
        let reason = target.as_ref().and_then(|target| inner.reasons.get(target).cloned());
        let note = note(denied, reason.as_deref());
        for run in inner.runs.values_mut() {
            run.note(denied, note.clone());
        }
        let first = inner.runs.values().next().map(|run| run.call);
        let Some(item) = first.or(inner.last) else { return };
        let missed = inner.missed.saturating_add(denied.missed);
        let fact = EgressEvent::Denied {
            item,
            target,
            why: denied.why.to_string(),
            rule: denied.rule.as_ref().map(ToString::to_string),
            waits: denied.is_waiting,
            file: self.file.clone().filter(|_| denied.is_waiting),
            missed,
        };
        inner.missed = match self.facts.try_send(Event::Egress(fact)) {
            Err(TrySendError::Full(_)) => missed.saturating_add(1),
            Ok(()) | Err(TrySendError::Closed(_)) => 0,
        };
    }
}

impl Inner {
    fn poll_denied(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Denied>> {
        match &mut self.denials {
            Some(denials) => denials.poll_recv(cx),
            None => std::task::Poll::Ready(None),
        }
    }

    /// Whether someone is there to be asked, and there is something to ask about.
    fn attend(&self) {
        let is_attended = self.is_attended && self.quiet == 0;
        self.opened.iter().for_each(|(allow, _)| allow.attend(is_attended));
    }

    /// Puts an answer into force.
    fn answered(&mut self, target: &str, rule: &str, answer: &Answer) -> Result<(), String> {
        let (host, port) = authority(target).map_err(|error| error.to_string())?;
        let target = Target { host, port: port.ok_or("it has no port")? };
        let Some((allow, _)) = &self.opened else { return Ok(()) };
        let parsed = Rule::parse(rule, Origin::Approved).map_err(|error| error.to_string())?;
        match answer {
            Answer::Allow => allow.add_once(target.clone(), parsed),
            Answer::AllowSession | Answer::AllowAlways => {
                self.granted.push(rule.to_owned());
                allow.add(parsed)
            }
            // That is no permission.
            Answer::Chosen { .. } => return allow.refuse(target).map_err(|error| error.to_string()),
            Answer::Deny { reason } => {
                self.reasons.extend(reason.clone().map(|reason| (target.to_string(), reason)));
                return allow.refuse(target).map_err(|error| error.to_string());
            }
        }
        .map_err(|error| error.to_string())?;
        for run in self.runs.values_mut() {
            run.notes.retain(|(about, _)| about.as_ref() != Some(&target));
        }
        Ok(())
    }
}

impl Run {
    /// Adds a note; what is said later of the same target takes the place of what was said before.
    fn note(&mut self, denied: &Denied, note: String) {
        self.more = self.more.saturating_add(denied.missed);
        let same = |(target, text): &&mut (Option<Target>, String)| match &denied.target {
            Some(_) => *target == denied.target,
            None => *text == note,
        };
        if let Some((_, text)) = self.notes.iter_mut().find(same) {
            *text = note;
        } else if self.notes.len() < NOTES {
            self.notes.push((denied.target.clone(), note));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// What the model hears of a denial.
fn note(denied: &Denied, reason: Option<&str>) -> String {
    let told = denied.told(|rule| format!("`{rule}` in the user's setting `sandbox.net`"));
    match (&denied.why, reason) {
        (Why::Refused, Some(reason)) => format!("{told}: {reason}"),
        _ if denied.rule.is_some() => format!("{told}. Ask the user for it instead of trying again"),
        _ => told,
    }
}

/// While this lives, a hook runs.
pub(crate) struct Overhearing {
    listening: Listening,
    _quiet: Quiet,
}

impl Overhearing {
    /// As [`Listening::notes`].
    pub(crate) fn notes(self) -> Vec<(String, String)> {
        self.listening.notes()
    }
}

struct Quiet(Arc<Shared>);

impl Drop for Quiet {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.quiet = inner.quiet.saturating_sub(1);
        inner.attend();
    }
}

/// While this lives, a command runs, and what it could not reach is noted.
pub(crate) struct Listening {
    number: u64,
    shared: Arc<Shared>,
}

impl Listening {
    /// What the command could not reach: for the record, and a line for the model.
    pub(crate) fn notes(self) -> Vec<(String, String)> {
        // What was denied before the command ended may not have been told yet.
        loop {
            let next = self.shared.lock().denials.as_mut().and_then(|denials| denials.try_recv().ok());
            let Some(denied) = next else { break };
            self.shared.tell(&denied);
        }
        let Some(run) = self.shared.lock().runs.remove(&self.number) else { return Vec::new() };
        let what = |target: Option<Target>| match target {
            Some(target) => format!("reach {target}"),
            None => "reach what cannot be told".to_owned(),
        };
        let mut notes: Vec<_> = run.notes.into_iter().map(|(target, note)| (what(target), note)).collect();
        if run.more > 0 {
            let more = format!("{} more connections", run.more);
            notes.push((format!("reach by {more}"), format!("{more} were not allowed by the sandbox")));
        }
        notes
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.runs.remove(&self.number);
        // A yes was for what asked, and that has ended.
        if let Some((allow, _)) = inner.opened.as_ref().filter(|_| inner.runs.is_empty()) {
            allow.forget_leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use codetether_event::Seq;
    use codetether_net::Upstream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    fn egress(granted: &[&str]) -> (Egress, mpsc::Receiver<Event>) {
        let (facts, told) = mpsc::channel(64);
        let open =
            || Ok((Allow::new(Vec::new()).map_err(|e| e.to_string())?, Dialler::new(Upstream::none())));
        let granted = granted.iter().map(|&rule| rule.to_owned()).collect();
        (Egress::new(WayOut { open: Arc::new(open), file: None }, granted, facts), told)
    }

    /// A server that says nothing, and the way out to it.
    fn led(egress: &Egress) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        egress.lead(Some(listener)).unwrap();
        address
    }

    /// The status with which a tunnel to there is answered.
    async fn status(proxy: SocketAddr, target: &str) -> String {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        stream.write_all(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        String::from_utf8(head[9..].to_vec()).unwrap()
    }

    fn call(number: u64) -> ItemId {
        ItemId::at(Seq(number))
    }

    #[tokio::test]
    async fn each_host_is_noted_once_for_each_command_and_their_number_is_bounded() {
        let (egress, mut told) = egress(&[]);
        let proxy = led(&egress);
        let first = egress.listen(call(1));
        for n in (0..12).chain([0]) {
            assert_eq!(status(proxy, &format!("h{n}.example:443")).await, "403");
        }
        let (denied, notes): (Vec<String>, Vec<String>) = first.notes().into_iter().unzip();
        assert_eq!((denied.len(), denied[0].as_str()), (NOTES + 1, "reach h0.example:443"));
        assert_eq!(
            notes[0],
            "`h0.example:443` is not allowed by the sandbox: no rule names it; `h0.example` in the user's setting \
             `sandbox.net` would allow it. Ask the user for it instead of trying again"
        );
        assert_eq!(notes[NOTES], "4 more connections were not allowed by the sandbox");
        let second = egress.listen(call(2));
        let beside = egress.listen(call(3));
        assert_eq!(status(proxy, "h0.example:443").await, "403");
        assert_eq!((second.notes().len(), beside.notes().len()), (1, 1), "either may have asked");
        assert!(egress.listen(call(4)).notes().is_empty());
        let mut items = Vec::new();
        while let Ok(Event::Egress(EgressEvent::Denied { item, waits: false, .. })) = told.try_recv() {
            items.push(item);
        }
        assert_eq!(items, [vec![call(1); 12], vec![call(2)]].concat());
    }

    #[tokio::test]
    async fn an_answer_comes_into_force_and_the_sessions_hold_when_the_sandbox_is_renewed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap().to_string();
        let rule = format!("{target}/private");
        let (egress, _told) = egress(&[]);
        let proxy = led(&egress);
        let answer = |answer: Answer| egress.shared.lock().answered(&target, &rule, &answer);
        let listening = egress.listen(call(1));
        assert_eq!(status(proxy, &target).await, "403");
        answer(Answer::Allow).unwrap();
        assert_eq!(status(proxy, &target).await, "200");
        assert!(listening.notes().is_empty(), "it was reached in the end");
        assert_eq!(status(proxy, &target).await, "403");

        let listening = egress.listen(call(2));
        answer(Answer::Deny { reason: Some("not this one".into()) }).unwrap();
        assert_eq!(status(proxy, &target).await, "403");
        let note = format!("`{target}` is not allowed by the sandbox: the user said no: not this one");
        assert_eq!(listening.notes(), [(format!("reach {target}"), note)]);

        answer(Answer::AllowSession).unwrap();
        let renewed = led(&egress);
        assert_eq!(status(renewed, &target).await, "200");
        assert_eq!(egress.granted(), [rule.as_str()]);
        egress.lead(None).unwrap();
        // The task ends when the runtime comes to it.
        while TcpStream::connect(renewed).await.is_ok() {
            tokio::task::yield_now().await;
        }

        let (resumed, _told) = self::egress(&[&rule, "no rule"]);
        assert_eq!(status(led(&resumed), &target).await, "200");
    }

    #[tokio::test]
    async fn what_waits_is_answered_and_nothing_waits_when_everyone_has_left() {
        let (egress, mut told) = egress(&[]);
        egress.attend(true);
        let proxy = led(&egress);
        let listening = egress.listen(call(1));
        let waiting = tokio::spawn(status(proxy, "a.example:443"));
        let fact = told.recv().await.unwrap();
        assert!(matches!(fact, Event::Egress(EgressEvent::Denied { waits: true, .. })), "{fact:?}");
        // The call that was asked about has ended, and another waits.
        drop(listening);
        let _left = egress.listen(call(2));
        egress.shared.lock().opened.as_ref().unwrap().0.ask_anew();
        let fact = told.recv().await.unwrap();
        assert!(
            matches!(fact, Event::Egress(EgressEvent::Denied { item, waits: true, .. }) if item == call(2)),
            "{fact:?}"
        );
        egress.attend(false);
        assert_eq!(waiting.await.unwrap(), "403");
    }

    #[tokio::test]
    async fn rules_that_cannot_be_read_lead_nowhere() {
        let (facts, _told) = mpsc::channel(1);
        let way_out = WayOut { open: Arc::new(|| Err("the registry's file is broken".into())), file: None };
        let egress = Egress::new(way_out, Vec::new(), facts);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(egress.lead(Some(listener)), Err("the registry's file is broken".into()));
    }
}
