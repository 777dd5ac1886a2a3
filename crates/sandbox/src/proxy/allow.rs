//! Who may be reached, now: the rules, shared by the proxy and by whoever answers for the user, who may add to them
//! while the proxy runs. Never takes back what was allowed: a tunnel that is open stays open.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codetether_net::Addresses;
use tokio::sync::watch;

use super::host::Target;
use super::preset::{self, Preset, PresetError};
use super::rule::{Origin, Rule, RuleError};

/// How many rules, answers for one connection, and refusals there may be; each.
const MOST: usize = 1024;

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// One is none.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A preset cannot be read.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// More than the proxy keeps.
    #[error("cannot allow more than {MOST} hosts; use `*.SUFFIX` for some of them")]
    TooMany,
}

/// The rules in force. Clones are the same rules.
#[derive(Debug, Clone)]
pub struct Allow {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// Each allows one connection to this target, as the rule says, and is gone.
    once: Vec<(Target, Rule)>,
    /// What someone said no to.
    refused: HashSet<Target>,
    /// Nobody is there who could allow more.
    is_unattended: bool,
    /// How often what was denied was to be told anew.
    told_anew: u64,
}

/// What the rules say about a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be reached by this rule.
    Allowed(Rule),
    /// No rule names the host.
    NoRule,
    /// Rules name the host, but at other ports.
    OtherPort,
    /// Someone was asked and said no.
    Refused,
}

impl Allow {
    /// These rules.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(rules: Vec<Rule>) -> Result<Self, AllowError> {
        if rules.len() > MOST {
            return Err(AllowError::TooMany);
        }
        let state = Arc::new(Mutex::new(State { rules, ..State::default() }));
        Ok(Self { state, changed: watch::Sender::new(()) })
    }

    /// Reads rules and names of presets, which take their hosts from the user's configuration at this place.
    ///
    /// # Errors
    /// When one is neither, or a preset's configuration cannot be read.
    pub fn parse<S: AsRef<str>>(entries: &[S], place: &preset::Place<'_>) -> Result<Self, AllowError> {
        let mut rules: Vec<Rule> = Vec::new();
        for entry in entries {
            match Preset::named(entry.as_ref()) {
                Some(preset) => rules.extend(preset.rules(place)?),
                None => rules.push(Rule::parse(entry.as_ref(), Origin::Given)?),
            }
        }
        Self::new(rules)
    }

    /// What they say, using nothing up.
    #[must_use]
    pub fn explain(&self, target: &Target) -> Verdict {
        self.state().verdict(target)
    }

    /// The rules, in the order in which they came.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        self.state().rules.clone()
    }

    /// From now on this may be reached.
    ///
    /// # Errors
    /// When there are too many rules.
    pub fn add(&self, rule: Rule) -> Result<(), AllowError> {
        self.change(|state| push(&mut state.rules, rule))
    }

    /// The next connection to this target may be made, as the rule says, and no other.
    ///
    /// # Errors
    /// When too many of these are unused.
    pub fn add_once(&self, target: Target, rule: Rule) -> Result<(), AllowError> {
        self.change(|state| push(&mut state.once, (target, rule)))
    }

    /// Takes back what was allowed once and not used.
    pub fn forget_leave(&self) {
        self.state().once.clear();
    }

    /// Who waits for an answer about this gets a no, and nobody is asked again.
    ///
    /// # Errors
    /// When too many were refused.
    pub fn refuse(&self, target: Target) -> Result<(), AllowError> {
        self.change(|state| {
            if state.refused.len() >= MOST {
                return Err(AllowError::TooMany);
            }
            state.refused.insert(target);
            Ok(())
        })
    }

    /// Takes back what was allowed once and not used, and asks anew about what was refused.
    pub fn forget_answers(&self) {
        let mut state = self.state();
        state.once.clear();
        state.refused.clear();
    }

    /// From now on what is denied is told again, even if it was a moment ago: to another command it is news.
    pub fn tell_anew(&self) {
        self.state().told_anew += 1;
    }

    /// The same, and who waits asks again: the question about it was withdrawn.
    pub fn ask_anew(&self) {
        self.tell_anew();
        self.wake();
    }

    /// How often that was said.
    pub(super) fn told_anew(&self) -> u64 {
        self.state().told_anew
    }

    /// Whether someone is there who may allow more. While nobody is, nothing waits; where nothing is said, someone is.
    pub fn attend(&self, is_attended: bool) {
        self.state().is_unattended = !is_attended;
        self.wake();
    }

    /// Whether an answer may come.
    pub(super) fn is_attended(&self) -> bool {
        !self.state().is_unattended
    }

    /// Takes leave for one connection.
    pub(super) fn claim(&self, target: &Target) -> Claim {
        let mut state = self.state();
        if let Some(at) = state.once.iter().position(|(named, rule)| named == target && rule.names(target)) {
            return Claim::Once(state.once.remove(at).1);
        }
        match state.verdict(target) {
            Verdict::Allowed(rule) => Claim::Rule(rule),
            no => Claim::No(no),
        }
    }

    /// Has everyone who waits ask again.
    pub(super) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Tells of every change from now on.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), AllowError>) -> Result<(), AllowError> {
        change(&mut self.state())?;
        self.wake();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for a connection, or none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A rule allows it.
    Rule(Rule),
    /// It was allowed this once; the leave is used up.
    Once(Rule),
    /// It is not allowed.
    No(Verdict),
}

impl State {
    fn verdict(&self, target: &Target) -> Verdict {
        let named = |rule: &&Rule| rule.names(target);
        // A rule that leads inside leads outside too, so where both name a target the wider one counts.
        let widest = self
            .rules
            .iter()
            .filter(named)
            .find(|rule| rule.addresses() == Addresses::Internal)
            .or_else(|| self.rules.iter().find(named));
        if let Some(rule) = widest {
            return Verdict::Allowed(rule.clone());
        }
        if self.refused.contains(target) {
            return Verdict::Refused;
        }
        let is_named = self.rules.iter().any(|rule| rule.names_host(&target.host));
        if is_named { Verdict::OtherPort } else { Verdict::NoRule }
    }
}

fn push<T>(rules: &mut Vec<T>, rule: T) -> Result<(), AllowError> {
    if rules.len() >= MOST {
        return Err(AllowError::TooMany);
    }
    rules.push(rule);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::host::authority;
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text, Origin::Given).unwrap()
    }

    fn target(text: &str) -> Target {
        let (host, port) = authority(text).unwrap();
        Target { host, port: port.unwrap() }
    }

    #[test]
    fn the_verdict_names_the_rule_and_the_wider_one_counts() {
        let allow = Allow::new(vec![rule("*.example.org"), rule("a.example.org:443/private")]).unwrap();
        assert_eq!(allow.explain(&target("b.example.org:443")), Verdict::Allowed(rule("*.example.org")));
        assert_eq!(
            allow.explain(&target("a.example.org:443")),
            Verdict::Allowed(rule("a.example.org:443/private"))
        );
        assert_eq!(allow.explain(&target("b.example.org:22")), Verdict::OtherPort);
        assert_eq!(allow.explain(&target("example.org:443")), Verdict::NoRule);
    }

    #[test]
    fn leave_for_once_is_used_up_and_comes_before_the_rules() {
        let allow = Allow::new(Vec::new()).unwrap();
        let to = target("a.example:443");
        assert_eq!(allow.claim(&to), Claim::No(Verdict::NoRule));
        allow.add_once(to.clone(), rule("a.example")).unwrap();
        assert_eq!(
            allow.claim(&target("a.example:80")),
            Claim::No(Verdict::NoRule),
            "it was asked about one port"
        );
        assert_eq!(allow.explain(&to), Verdict::NoRule, "explaining is not claiming");
        assert_eq!(allow.claim(&to), Claim::Once(rule("a.example")));
        assert_eq!(allow.claim(&to), Claim::No(Verdict::NoRule));
        allow.refuse(to.clone()).unwrap();
        assert_eq!(allow.claim(&to), Claim::No(Verdict::Refused));
        allow.add(rule("a.example")).unwrap();
        assert_eq!(allow.claim(&to), Claim::Rule(rule("a.example")), "a later yes counts");
    }

    #[test]
    fn answers_can_be_forgotten_and_rules_stay() {
        let allow = Allow::new(vec![rule("b.example")]).unwrap();
        let to = target("a.example:443");
        for forget in [Allow::forget_answers, Allow::forget_leave] {
            allow.add_once(to.clone(), rule("a.example")).unwrap();
            forget(&allow);
            assert_eq!(allow.claim(&to), Claim::No(Verdict::NoRule));
        }
        allow.add_once(to.clone(), rule("a.example")).unwrap();
        allow.forget_answers();
        assert_eq!(allow.claim(&to), Claim::No(Verdict::NoRule));
        allow.refuse(to.clone()).unwrap();
        allow.forget_answers();
        assert_eq!(allow.claim(&to), Claim::No(Verdict::NoRule));
        assert_eq!(allow.rules(), [rule("b.example")]);
    }

    #[test]
    fn the_number_of_rules_is_bounded() {
        let allow = Allow::new(vec![rule("a.example"); MOST]).unwrap();
        assert!(matches!(allow.add(rule("b.example")), Err(AllowError::TooMany)));
        assert!(matches!(Allow::new(vec![rule("a.example"); MOST + 1]), Err(AllowError::TooMany)));
    }
}
