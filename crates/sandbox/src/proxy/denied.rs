//! What was denied, told to whoever answers for the user: each thing once in a while, never more than someone can
//! read, and what was left out is counted.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codetether_net::AddressKind;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::host::{Host, Target};
use super::rule::{Origin, Rule};

/// The same thing is told again after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// So many are told in a row, then one every so often.
const BURST: u32 = 32;
const EVERY: Duration = Duration::from_secs(2);
/// How many are remembered.
const MOST: usize = 1024;

/// A connection or a request that was denied, or waits to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Where it wanted to go, if it said so in a way that can be understood.
    pub target: Option<Target>,
    /// What stopped it.
    pub why: Why,
    /// The rule that would allow it: for [`super::Allow::add`], `add_once`, or the settings. None where no rule can.
    pub rule: Option<Rule>,
    /// It waits for an answer, so one that comes soon is in time.
    pub is_waiting: bool,
    /// How many others were not told since the last one that was.
    pub missed: u64,
}

/// What stopped a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Why {
    /// No rule names the host.
    NoRule,
    /// Rules name the host at other ports.
    OtherPort,
    /// The user said no.
    Refused,
    /// The host is, or leads to, an address that it must not have.
    Address(IpAddr, AddressKind),
    /// It could not be understood, or could be in two ways.
    Malformed(String),
}

impl Denied {
    pub(super) fn malformed(reason: impl fmt::Display) -> Self {
        Self {
            target: None,
            why: Why::Malformed(reason.to_string()),
            rule: None,
            is_waiting: false,
            missed: 0,
        }
    }

    /// With the rule that would allow it.
    pub(super) fn of(target: Target, why: Why) -> Self {
        let kind = match (&why, &target.host) {
            (Why::Address(_, kind), _) => Some(*kind),
            (_, Host::Ip(ip)) => Some(codetether_net::address_kind(*ip)),
            (_, Host::Name(_)) => None,
        };
        let is_one_label = matches!(&target.host, Host::Name(name) if !name.contains('.'));
        let is_private = match (&why, kind) {
            (Why::Refused | Why::Malformed(_), _) => None,
            (_, None) => Some(is_one_label),
            (_, Some(kind)) if kind.is_outside() => Some(false),
            (_, Some(kind)) => kind.is_internal().then_some(true),
        };
        let rule = is_private.map(|is_private| Rule::exact(&target, is_private, Origin::Approved));
        Self { target: Some(target), why, rule, is_waiting: false, missed: 0 }
    }
}

impl Denied {
    /// One line: what was denied, by what, and what would allow it, in the words that `cure` has for a rule.
    #[must_use]
    pub fn told(&self, cure: impl Fn(&Rule) -> String) -> String {
        let target = match &self.target {
            Some(target) => format!("`{target}`"),
            None => "this request".to_owned(),
        };
        let why = &self.why;
        match (why, &self.rule) {
            (Why::Malformed(_), _) => format!("the sandbox's proxy refuses {target}: {why}"),
            (Why::Refused, _) => format!("{target} is not allowed by the sandbox: {why}"),
            (_, Some(rule)) => {
                format!("{target} is not allowed by the sandbox: {why}; {} would allow it", cure(rule))
            }
            (_, None) => format!("{target} is not allowed by the sandbox: {why}; no rule can allow it"),
        }
    }
}

/// For whoever was denied: it does not know where rules are written.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(|rule| format!("the rule `{rule}`")))
    }
}

/// In words.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no rule names it"),
            Self::OtherPort => f.write_str("its rules name other ports"),
            Self::Refused => f.write_str("the user said no"),
            Self::Address(ip, kind) => write!(f, "it leads to {ip}, which is {}", kind.words()),
            Self::Malformed(reason) => f.write_str(reason),
        }
    }
}

/// Tells what was denied.
pub(super) struct Reporter {
    to: mpsc::Sender<Denied>,
    state: Mutex<State>,
}

struct State {
    told: HashMap<(Option<Target>, Why, bool), Instant>,
    /// How often it was to be told anew.
    anew: u64,
    missed: u64,
    /// How many may be told now, and since when that is so.
    tokens: u32,
    since: Instant,
}

impl Reporter {
    pub(super) fn new(to: mpsc::Sender<Denied>) -> Self {
        let state = State { told: HashMap::new(), anew: 0, missed: 0, tokens: BURST, since: Instant::now() };
        Self { to, state: Mutex::new(state) }
    }

    /// Tells it, unless it was told lately. Never waits.
    pub(super) fn tell(&self, mut denied: Denied) {
        let now = Instant::now();
        let mut state = self.state();
        let key = (denied.target.clone(), denied.why.clone(), denied.is_waiting);
        if state.told.get(&key).is_some_and(|told| now.duration_since(*told) < AGAIN) {
            return;
        }
        if state.told.len() >= MOST {
            state.told.retain(|_, told| now.duration_since(*told) < AGAIN);
        }
        denied.missed = state.missed;
        if state.told.len() < MOST && state.take_token(now) && self.to.try_send(denied).is_ok() {
            state.missed = 0;
            state.told.insert(key, now);
        } else {
            state.missed += 1;
        }
    }

    /// Forgets what was told when this is another number than the last time.
    pub(super) fn renew(&self, anew: u64) {
        let mut state = self.state();
        if state.anew != anew {
            state.anew = anew;
            state.told.clear();
        }
    }

    /// The next one like this is told again: the answer to the last one is used up.
    pub(super) fn forget(&self, target: &Target) {
        self.state().told.retain(|(told, ..), _| told.as_ref() != Some(target));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_token(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.since).as_millis() / EVERY.as_millis();
        let passed = u32::try_from(passed).unwrap_or(BURST).min(BURST);
        if passed > 0 {
            self.tokens = (self.tokens + passed).min(BURST);
            self.since = now;
        }
        let has_one = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::authority;
    use super::*;

    fn denied(text: &str) -> Denied {
        let (host, port) = authority(text).unwrap();
        Denied::of(Target { host, port: port.unwrap() }, Why::NoRule)
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_thing_is_told_once_a_minute_or_when_its_answer_is_used_up() {
        let (to, mut told) = mpsc::channel(8);
        let reporter = Reporter::new(to);
        let (a, b) = (denied("a.example:443"), denied("b.example:443"));
        for it in [&a, &a, &b, &a] {
            reporter.tell(it.clone());
        }
        assert_eq!((told.try_recv(), told.try_recv()), (Ok(a.clone()), Ok(b)));
        assert!(told.try_recv().is_err());
        reporter.forget(a.target.as_ref().unwrap());
        reporter.tell(a.clone());
        assert_eq!(told.try_recv(), Ok(a.clone()));
        tokio::time::advance(AGAIN).await;
        reporter.tell(a.clone());
        assert_eq!(told.try_recv(), Ok(a.clone()));
        for anew in [1, 1] {
            reporter.renew(anew);
            reporter.tell(a.clone());
        }
        assert_eq!((told.try_recv(), told.try_recv().ok()), (Ok(a), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_held_back_and_counted() {
        let (to, mut told) = mpsc::channel(100);
        let reporter = Reporter::new(to);
        for n in 0..1000 {
            reporter.tell(denied(&format!("h{n}.example:443")));
        }
        let mut got = 0;
        while told.try_recv().is_ok() {
            got += 1;
        }
        assert_eq!(got, BURST);
        tokio::time::advance(EVERY).await;
        reporter.tell(denied("last.example:443"));
        assert_eq!(told.try_recv().unwrap().missed, 1000 - u64::from(BURST));
    }

    #[tokio::test]
    async fn who_does_not_listen_holds_nothing_up() {
        let (to, mut told) = mpsc::channel(1);
        let reporter = Reporter::new(to);
        for host in ["a.example:443", "b.example:443"] {
            reporter.tell(denied(host));
        }
        assert_eq!(told.try_recv().unwrap(), denied("a.example:443"));
        reporter.tell(denied("b.example:443"));
        assert_eq!(told.try_recv().unwrap(), Denied { missed: 1, ..denied("b.example:443") });
    }

    #[test]
    fn who_was_denied_hears_the_rule_and_no_flag() {
        assert_eq!(
            denied("a.example:443").to_string(),
            "`a.example:443` is not allowed by the sandbox: no rule names it; the rule `a.example` would allow it"
        );
    }

    #[test]
    fn the_line_names_what_would_allow_it() {
        let table = [
            (
                "a.example:443",
                "`a.example:443` is not allowed by the sandbox: no rule names it; `--net allow:a.example` would allow it",
            ),
            (
                "a.example:22",
                "`a.example:22` is not allowed by the sandbox: no rule names it; `--net allow:a.example:22` would allow it",
            ),
            (
                "mirror:443",
                "`mirror:443` is not allowed by the sandbox: no rule names it; `--net allow:mirror:443/private` would allow it",
            ),
            (
                "1.1.1.1:443",
                "`1.1.1.1:443` is not allowed by the sandbox: no rule names it; `--net allow:1.1.1.1` would allow it",
            ),
            (
                "[::1]:80",
                "`[::1]:80` is not allowed by the sandbox: no rule names it; `--net allow:[::1]:80/private` would allow it",
            ),
            (
                "169.254.169.254:80",
                "`169.254.169.254:80` is not allowed by the sandbox: no rule names it; no rule can allow it",
            ),
        ];
        for (target, line) in table {
            let denied = denied(target);
            assert_eq!(denied.told(|rule| format!("`{}`", rule.flag())), line);
            if let Some(rule) = denied.rule {
                let read = Rule::parse(&rule.to_string(), Origin::Approved).unwrap();
                assert!(read.names(denied.target.as_ref().unwrap()), "{rule}");
            }
        }
    }
}
