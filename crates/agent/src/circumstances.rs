//! What holds while calls are judged and run: the turn's settings, the rules in force, and where paths lead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_event::{Confinement, ItemId, Touches, TurnSettings};
use codetether_files::Root;
use codetether_permission::{Decision, Judgement, List, Matcher, Place, Rules, Stance, judge};
use codetether_session::{Process, State};
use codetether_tool::{Hidden, Hosts};

/// What holds while calls are judged and run.
#[derive(Clone)]
pub(crate) struct Circumstances {
    pub(crate) settings: TurnSettings,
    rules: Arc<Rules>,
    root: Arc<Root>,
    home: Option<PathBuf>,
    /// What runs in the background.
    processes: BTreeMap<ItemId, Process>,
}

/// The rules that were read last, since most turns have those of the one before.
#[derive(Default)]
pub(crate) struct ReadRules {
    texts: Vec<(List, String)>,
    rules: Option<Arc<Rules>>,
}

impl ReadRules {
    /// # Errors
    /// When a rule is none: a fault of ours, since they were checked where they came from.
    fn read(&mut self, texts: Vec<(List, String)>) -> Result<Arc<Rules>, String> {
        if let Some(rules) = self.rules.as_ref().filter(|_| self.texts == texts) {
            return Ok(rules.clone());
        }
        let rules = Rules::parse(texts.iter().map(|(list, rule)| (*list, rule.as_str())));
        let rules = Arc::new(rules.map_err(|error| error.to_string())?);
        (self.texts, self.rules) = (texts, Some(rules.clone()));
        Ok(rules)
    }
}

impl Circumstances {
    /// # Errors
    /// When a rule is none: a fault of ours, since they were checked where they came from.
    pub(crate) fn new(
        settings: TurnSettings,
        state: &State,
        root: Arc<Root>,
        home: Option<PathBuf>,
        read: &mut ReadRules,
    ) -> Result<Self, String> {
        let of =
            |list, rules: &[String]| rules.iter().map(move |rule| (list, rule.clone())).collect::<Vec<_>>();
        // What was granted under the rules of another version may be none in this one: then it is asked about anew.
        let granted = state.grants.iter().filter(|rule| codetether_permission::Rule::parse(rule).is_ok());
        let mut texts = of(List::Deny, &settings.deny);
        texts.extend(of(List::Ask, &settings.ask));
        texts.extend(of(List::Allow, &settings.allow));
        texts.extend(granted.map(|rule| (List::Allow, rule.clone())));
        let processes = state.processes.running.clone();
        Ok(Self { rules: read.read(texts)?, settings, root, home, processes })
    }

    /// Says what the process runs that is typed into; an error for the model when there is none.
    pub(crate) fn know(&self, touches: &mut Touches) -> Result<(), String> {
        let Some(typed) = &mut touches.typed else { return Ok(()) };
        let process = typed.process.parse().ok().and_then(|item: ItemId| self.processes.get(&item));
        let process = process.ok_or_else(|| {
            format!("no process `{}` runs; `process` with `list` shows those that there are", typed.process)
        })?;
        typed.command.clone_from(&process.command);
        typed.confined = process.confined;
        Ok(())
    }

    /// The verdict on a call that touches this. Follows links, so it reads the disk.
    pub(crate) fn judge(&self, tool: &str, touches: &Touches) -> Judgement {
        let place = Place { root: self.root.path(), home: self.home.as_deref(), follow: &followed };
        let confined = self.settings.confinement == Confinement::Namespaces;
        judge(Stance { mode: self.settings.mode, confined }, &self.rules, tool, touches, &place)
    }

    /// Whether a call of the model's could read this file unasked.
    pub(crate) fn may_read(&self, path: &str) -> bool {
        let touches = Touches { reads: vec![path.to_owned()], ..Touches::default() };
        self.judge("read", &touches).decision == Decision::Allow
    }

    /// Where this tool may go without anyone being asked.
    pub(crate) fn hosts(&self, tool: &str) -> Hosts {
        let (this, tool) = (self.clone(), tool.to_owned());
        Hosts::by(move |host| {
            let touches = Touches { hosts: vec![host.to_owned()], ..Touches::default() };
            this.judge(&tool, &touches).decision == Decision::Allow
        })
    }

    /// Whether a matcher is for a call that touches this. Follows links, so it reads the disk.
    pub(crate) fn matches(&self, matcher: &Matcher, tool: &str, touches: &Touches) -> bool {
        let place = Place { root: self.root.path(), home: self.home.as_deref(), follow: &followed };
        matcher.matches(tool, touches, &place)
    }

    /// What a search of this tool passes over. A search follows no link, so that a path is where it leads.
    pub(crate) fn hidden(&self, tool: &str) -> Hidden {
        if !self.rules.hides_any() {
            return Hidden::default();
        }
        let (this, tool) = (self.clone(), tool.to_owned());
        Hidden::by(move |path| {
            let follow = |path: &Path| path.to_owned();
            let place = Place { root: this.root.path(), home: this.home.as_deref(), follow: &follow };
            this.rules.hides(&tool, path, &place)
        })
    }
}

/// Links that are followed one after the other.
const LINKS: u32 = 40;

/// Where an absolute path leads with every link followed, also one that leads to nothing yet; the path itself where
/// that cannot be told, which whoever opens it will find out.
#[must_use]
pub fn followed(path: &Path) -> PathBuf {
    follow(path.to_owned(), LINKS).unwrap_or_else(|| path.to_owned())
}

fn follow(whole: PathBuf, links: u32) -> Option<PathBuf> {
    let there = whole.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok())?;
    let rest = whole.strip_prefix(there).ok()?;
    match there.canonicalize() {
        Ok(real) if rest.as_os_str().is_empty() => Some(real),
        Ok(real) => Some(real.join(rest)),
        Err(_) => {
            // A link that leads to nothing: its target is what would be made.
            let target = there.read_link().ok()?;
            let parent = there.parent()?.canonicalize().ok()?;
            follow(parent.join(target).join(rest), links.checked_sub(1)?)
        }
    }
}
