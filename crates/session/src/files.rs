//! What became of the workspace's files: which calls changed them, what was taken back, and what is to be. Never rewinds
//! with the conversation. Outside a turn, it says what comes next.

use codetether_event::{
    CallEvent, ContextEvent, ContextSource, Event, FilesEvent, ItemId, Message, Restore, Seq, SnapshotId,
    TurnId, Which,
};

use crate::{Effect, Next, State};

/// Files that the model is told the names of.
const NAMED: usize = 20;

/// What became of the workspace's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// The calls whose changes stand, in order. One that changed nothing is not among them.
    pub changes: Vec<Change>,
    /// What was taken back and can be done again, the last at the end.
    pub undone: Vec<Undone>,
    /// What someone wants done.
    pub wanted: Option<Wanted>,
    /// What was restored that the model does not know of.
    untold: Vec<String>,
    /// Where the conversation is to go back to.
    rewind: Option<Seq>,
}

/// What a call changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The call.
    pub call: ItemId,
    /// The turn that it belongs to.
    pub turn: TurnId,
    /// The files before it.
    pub before: SnapshotId,
    /// The files after it; unknown while it runs, and where it had no end.
    pub after: Option<SnapshotId>,
}

/// Changes that were taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The calls; none where only some of their files went back.
    pub changes: Vec<Change>,
    /// The files before that.
    pub before: SnapshotId,
    /// The files after it.
    pub after: SnapshotId,
}

/// A wish, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The wish.
    pub wish: Restore,
    /// The snapshot under way.
    pub snapshotting: Option<ItemId>,
    /// The files before it.
    pub before: Option<SnapshotId>,
    /// Whether it was begun.
    pub begun: bool,
    /// Whether it is under way.
    pub restoring: Option<ItemId>,
}

/// Two snapshots: what changed from one to the other is to be put back. Without a second, it is the files as they are.
pub type Pair = (SnapshotId, Option<SnapshotId>);

impl Files {
    pub(crate) fn call_event(&mut self, event: &CallEvent, turn: TurnId) {
        match event {
            CallEvent::Started { item, before: Some(before), .. } => {
                self.undone.clear();
                let change = Change { call: *item, turn, before: before.clone(), after: None };
                self.changes.push(change);
            }
            CallEvent::Ended { item, after: Some(after), .. } => {
                if let Some(change) = self.changes.iter_mut().find(|change| change.call == *item) {
                    change.after = Some(after.clone());
                }
                self.changes.retain(|change| change.after.as_ref() != Some(&change.before));
            }
            _ => {}
        }
    }

    pub(crate) fn event(&mut self, event: &FilesEvent) {
        if let FilesEvent::Asked { wish, .. } = event {
            self.wanted = Some(Wanted {
                wish: wish.clone(),
                snapshotting: None,
                before: None,
                begun: false,
                restoring: None,
            });
            return;
        }
        let Some(wanted) = &mut self.wanted else { return };
        match event {
            FilesEvent::Snapshot { item, id } if wanted.snapshotting == Some(*item) => {
                wanted.snapshotting = None;
                wanted.before = Some(id.clone());
            }
            FilesEvent::Restoring { item, before } => {
                wanted.before = Some(before.clone());
                (wanted.begun, wanted.restoring) = (true, Some(*item));
            }
            FilesEvent::Restored { after, changed, .. } => {
                let Some(Wanted { wish, before: Some(before), .. }) = self.wanted.take() else { return };
                self.restored(&wish, before, after.clone(), changed);
            }
            FilesEvent::Asked { .. } | FilesEvent::Snapshot { .. } => {}
        }
    }

    fn restored(&mut self, wish: &Restore, before: SnapshotId, after: SnapshotId, changed: &[String]) {
        match &wish.what {
            Which::Undo { calls } => {
                let goes = |change: &Change| wish.files.is_empty() && calls.contains(&change.call);
                let (changes, stand) = std::mem::take(&mut self.changes).into_iter().partition(goes);
                self.changes = stand;
                self.undone.push(Undone { changes, before, after });
            }
            Which::Redo => {
                self.changes.extend(self.undone.pop().into_iter().flat_map(|undone| undone.changes));
                self.changes.sort_by_key(|change| change.call);
            }
        }
        match wish.rewind {
            Some(to) => self.rewind = Some(to),
            None => self.untold = changed.to_vec(),
        }
    }

    /// A snapshot for a wish has begun.
    pub(crate) fn snapshotting(&mut self, item: ItemId) {
        if let Some(wanted) = &mut self.wanted {
            wanted.snapshotting = Some(item);
        }
    }

    /// What was to be done for a wish failed.
    pub(crate) fn failed(&mut self, item: ItemId) {
        self.wanted.take_if(|wanted| wanted.snapshotting == Some(item) || wanted.restoring == Some(item));
    }

    /// Another owner: what was begun is done to its end, what was only asked for is dropped.
    pub(crate) fn adopted(&mut self) {
        self.wanted.take_if(|wanted| !wanted.begun);
        if let Some(wanted) = &mut self.wanted {
            (wanted.snapshotting, wanted.restoring) = (None, None);
        }
    }

    pub(crate) fn context_event(&mut self, event: &ContextEvent) {
        match event {
            ContextEvent::Rewound { .. } => self.rewind = None,
            ContextEvent::Added { source: ContextSource::Restored, .. } => self.untold.clear(),
            _ => {}
        }
    }

    /// Whether a call of which the files before it are known has no end.
    #[must_use]
    pub fn is_open(&self, call: ItemId) -> bool {
        self.changes.iter().any(|change| change.call == call && change.after.is_none())
    }

    /// The files before a call, where they are known and it may have changed them.
    pub(crate) fn before(&self, call: ItemId) -> Option<&SnapshotId> {
        self.changes.iter().find(|change| change.call == call).map(|change| &change.before)
    }

    /// Whether the wish can be carried out.
    pub(crate) fn can(&self, what: &Which) -> bool {
        match what {
            Which::Undo { calls } => {
                let stands = |call: &ItemId| self.changes.iter().any(|change| change.call == *call);
                !calls.is_empty() && calls.iter().all(stands)
            }
            Which::Redo => !self.undone.is_empty(),
        }
    }

    /// What is to be put back for a wish, the earliest change first.
    #[must_use]
    pub fn pairs(&self, what: &Which) -> Vec<Pair> {
        match what {
            Which::Undo { calls } => {
                let asked = self.changes.iter().filter(|change| calls.contains(&change.call));
                asked.map(|change| (change.before.clone(), change.after.clone())).collect()
            }
            // The other way round.
            Which::Redo => self
                .undone
                .last()
                .map(|undone| (undone.before.clone(), Some(undone.after.clone())))
                .into_iter()
                .collect(),
        }
    }
}

impl State {
    /// What comes next while no turn is under way.
    pub(crate) fn between_turns(&self) -> Next {
        if let Some(to) = self.files.rewind {
            return Next::Append(vec![Event::Context(ContextEvent::Rewound { to })]);
        }
        if !self.files.untold.is_empty() {
            let message = Message::user(told(&self.files.untold));
            let source = ContextSource::Restored;
            return Next::Append(vec![Event::Context(ContextEvent::Added { message, source })]);
        }
        let Some(wanted) = &self.files.wanted else { return Next::Rest };
        if wanted.snapshotting.is_some() || wanted.restoring.is_some() {
            return Next::Wait { until: None };
        }
        let item = ItemId::at(self.next);
        Next::Start(vec![match &wanted.before {
            None => Effect::Snapshot { item },
            Some(before) => Effect::Restore {
                item,
                before: before.clone(),
                pairs: self.files.pairs(&wanted.wish.what),
                files: wanted.wish.files.clone(),
                conflicts: wanted.wish.conflicts,
            },
        }])
    }
}

/// What the model is told of files that went back.
fn told(files: &[String]) -> String {
    let mut names = files.iter().take(NAMED).cloned().collect::<Vec<_>>().join("\n");
    if files.len() > NAMED {
        names += &format!("\n… and {} more", files.len() - NAMED);
    }
    format!(
        "<files>\nthe user took changes of these files back, or did them again; read them before you go on:\n{names}\n</files>"
    )
}

#[cfg(test)]
mod tests {
    use codetether_event::{OnConflict, Op};
    use codetether_event::{OpId, Outcome, Principal, StopReason, Submission};
    use uuid::Uuid;

    use super::*;
    use crate::Refused;
    use crate::transcript::Transcript;

    /// A session in which two calls of two steps changed files, now at rest.
    fn two_changes() -> (Transcript, Vec<ItemId>) {
        let mut t = Transcript::new();
        t.settings_mut().snapshots = true;
        t.prompt("go");
        let mut calls = Vec::new();
        for (before, after) in [("s1", "s2"), ("s2", "s3")] {
            t.calls(&[("write", "1")]).allow(0, true);
            calls.push(t.item(0));
            t.start();
            t.snapshot(before);
            t.start();
            t.end_call_after(0, "w", after);
        }
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        assert_eq!(t.state().last, Some(Outcome::Completed));
        (t, calls)
    }

    fn wish(what: Which) -> Restore {
        Restore { what, files: Vec::new(), conflicts: OnConflict::Keep, rewind: None }
    }

    fn ask(t: &mut Transcript, wish: Restore) -> Result<(), Refused> {
        let id = OpId(Uuid::from_u128(u128::from(t.state().next.0)));
        let facts = t.state().accept(&Submission { id, from: Principal::Local, op: Op::Restore(wish) })?;
        t.append_for(id, facts);
        Ok(())
    }

    fn pairs(t: &Transcript) -> Vec<(String, Option<String>)> {
        let Next::Start(effects) = t.decide() else { panic!("{:?}", t.decide()) };
        let [Effect::Restore { pairs, .. }] = &effects[..] else { panic!("{effects:?}") };
        pairs.iter().map(|(from, to)| (from.to_string(), to.as_ref().map(ToString::to_string))).collect()
    }

    fn restored(t: &mut Transcript, item: ItemId, after: &str, changed: &[&str]) {
        t.append(vec![Event::Files(FilesEvent::Restored {
            item,
            after: SnapshotId::new(after),
            changed: changed.iter().map(|path| (*path).to_owned()).collect(),
            kept: Vec::new(),
        })]);
    }

    #[test]
    fn what_is_taken_back_can_be_done_again() {
        let (mut t, calls) = two_changes();
        ask(&mut t, wish(Which::Undo { calls: vec![calls[1]] })).unwrap();
        assert!(
            matches!(&t.start()[..], [Effect::Snapshot { .. }]),
            "what the user has now is remembered first"
        );
        t.snapshot("s3");
        assert_eq!(pairs(&t), [("s2".into(), Some("s3".into()))]);
        let item = t.start_only();
        assert_eq!(t.decide(), Next::Wait { until: None });
        restored(&mut t, item, "s2", &["a"]);
        assert_eq!(t.state().files.changes.len(), 1);
        t.settle();
        assert!(t.last_text().contains("\na\n"), "the model hears of it: {}", t.last_text());
        assert_eq!(t.decide(), Next::Rest);

        ask(&mut t, wish(Which::Redo)).unwrap();
        t.start();
        t.snapshot("s2");
        assert_eq!(pairs(&t), [("s3".into(), Some("s2".into()))], "the other way round");
        let item = t.start_only();
        restored(&mut t, item, "s3", &["a"]);
        assert_eq!(t.state().files.changes.iter().map(|change| change.call).collect::<Vec<_>>(), calls);
        t.settle();
        assert_eq!(ask(&mut t, wish(Which::Redo)), Err(Refused::NothingToRestore));
    }

    #[test]
    fn what_was_begun_is_done_to_its_end_after_a_crash_and_what_was_not_is_dropped() {
        let (mut t, calls) = two_changes();
        ask(&mut t, wish(Which::Undo { calls: calls.clone() })).unwrap();
        t.start();
        t.crash(false);
        assert_eq!(t.decide(), Next::Rest);

        ask(&mut t, wish(Which::Undo { calls })).unwrap();
        t.start();
        t.snapshot("s3");
        t.start();
        t.crash(false);
        assert_eq!(pairs(&t), [("s1".into(), Some("s2".into())), ("s2".into(), Some("s3".into()))]);
    }

    #[test]
    fn the_conversation_may_go_back_as_well() {
        let (mut t, calls) = two_changes();
        let turn = t.state().files.changes[0].turn;
        ask(&mut t, Restore { rewind: Some(turn.0), ..wish(Which::Undo { calls }) }).unwrap();
        t.start();
        t.snapshot("s3");
        let item = t.start_only();
        restored(&mut t, item, "s1", &["a"]);
        t.settle();
        assert_eq!(t.state().context.messages, []);
        assert_eq!(t.state().context.epoch, None, "what follows has a prefix of its own");
        let nowhere = Restore { rewind: Some(Seq(1)), ..wish(Which::Redo) };
        assert_eq!(ask(&mut t, nowhere), Err(Refused::NoSuchStep));
    }

    #[test]
    fn a_call_that_was_running_in_a_crash_can_be_taken_back() {
        let mut t = Transcript::new();
        t.settings_mut().snapshots = true;
        t.prompt("go").calls(&[("write", "1")]).allow(0, true);
        t.start();
        t.snapshot("s1");
        t.start();
        t.crash(false);
        let change = &t.state().files.changes[0];
        assert_eq!(change.after.as_ref().map(SnapshotId::as_str), Some("recovered"));
    }

    #[test]
    fn nothing_is_taken_back_in_the_middle_of_a_turn_nor_for_a_stranger() {
        let (mut t, calls) = two_changes();
        let op = Op::Restore(wish(Which::Undo { calls: calls.clone() }));
        let remote = Submission { id: OpId(Uuid::from_u128(9)), from: Principal::Remote("peer".into()), op };
        assert_eq!(t.state().accept(&remote), Err(Refused::NotYours));
        t.prompt("more");
        assert_eq!(ask(&mut t, wish(Which::Undo { calls })), Err(Refused::Busy));
    }
}
