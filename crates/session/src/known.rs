//! What the model knows of the workspace's files: for each that it read or wrote last, what it held then. It is part of
//! what the model is told, so it goes back with the conversation.

use std::collections::BTreeMap;
use std::sync::Arc;

use codetether_event::{ContentId, KnownFile, Seq};

/// Most files that are remembered; of more, those go that were seen the longest ago.
const MOST: usize = 1_000;

/// Most files that count as in work.
const IN_WORK: usize = 20;

/// The files that the model knows. Cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known(Arc<BTreeMap<String, (Seq, ContentId)>>);

impl Known {
    /// What the file at this path, relative to the root, held when the model saw it last.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<&ContentId> {
        self.0.get(path).map(|(_, content)| content)
    }

    /// The record at `seq` says that the model knows these files.
    pub(crate) fn learn(&mut self, seq: Seq, files: &[KnownFile]) {
        if files.is_empty() {
            return;
        }
        let known = Arc::make_mut(&mut self.0);
        for KnownFile { path, content } in files {
            match content {
                Some(content) => drop(known.insert(path.clone(), (seq, content.clone()))),
                None => drop(known.remove(path)),
            }
        }
        while known.len() > MOST {
            let oldest = known.iter().min_by_key(|(_, (seq, _))| *seq).map(|(path, _)| path.clone());
            oldest.and_then(|path| known.remove(&path));
        }
    }

    /// The conversation goes back to before the record at `to`: what was learnt since is forgotten.
    pub(crate) fn rewind(&mut self, to: Seq) {
        if self.0.values().any(|(seq, _)| *seq >= to) {
            Arc::make_mut(&mut self.0).retain(|_, (seq, _)| *seq < to);
        }
    }

    /// The files that were told before the record at `keep` and not since, the latest first; without one, all of them.
    pub(crate) fn before(&self, keep: Option<Seq>) -> Vec<String> {
        let goes = |seq: &Seq| keep.is_none_or(|keep| *seq < keep);
        let mut files: Vec<_> = self.0.iter().filter(|(_, (seq, _))| goes(seq)).collect();
        files.sort_by_key(|(_, (seq, _))| std::cmp::Reverse(*seq));
        files.into_iter().take(IN_WORK).map(|(path, _)| path.clone()).collect()
    }

    /// What was told before the record at `keep` is not there any more; without one, nothing is.
    pub(crate) fn forget_before(&mut self, keep: Option<Seq>) {
        let stays = |seq: &Seq| keep.is_some_and(|keep| *seq >= keep);
        if self.0.values().any(|(seq, _)| !stays(seq)) {
            Arc::make_mut(&mut self.0).retain(|_, (seq, _)| stays(seq));
        }
    }
}

#[cfg(test)]
mod tests {
    use codetether_event::{Attempt, Event, OnConflict, Op, OpId, Principal, Restore, SessionEvent};
    use codetether_event::{StopReason, Submission, Which};
    use uuid::Uuid;

    use super::*;
    use crate::transcript::Transcript;

    fn content(t: &Transcript, path: &str) -> Option<String> {
        t.state().context.known.content(path).map(ToString::to_string)
    }

    /// A session that read one file and wrote another, at rest.
    fn worked() -> Transcript {
        let mut t = Transcript::new();
        t.settings_mut().snapshots = true;
        t.prompt("go").calls(&[("read", "1")]).allow(0, false).run(0);
        t.knows("a", Some("a1")).knows("b", Some("b1")).end_call(0, "r");
        t.calls(&[("write", "2")]).allow(0, true);
        t.start();
        t.snapshot("s1");
        t.start();
        t.knows("a", Some("a2")).knows("b", None).end_call_after(0, "w", "s2");
        t.sample();
        t.answer_text("done", StopReason::EndTurn).settle();
        t
    }

    #[test]
    fn the_last_that_was_seen_of_a_file_counts() {
        let mut t = worked();
        assert_eq!((content(&t, "a").as_deref(), content(&t, "b")), (Some("a2"), None));
        t.crash(true);
        assert_eq!(content(&t, "a").as_deref(), Some("a2"), "also for another owner");
    }

    #[test]
    fn in_another_folder_nothing_is_known() {
        let mut t = worked();
        t.append(vec![Event::Session(SessionEvent::Adopted {
            attempt: Attempt(1),
            build: "test".into(),
            root: "/elsewhere".into(),
            go_on: false,
        })]);
        assert_eq!(content(&t, "a"), None);
    }

    #[test]
    fn what_the_conversation_forgets_is_not_known() {
        let mut t = worked();
        let (turn, call) = (t.state().files.changes[0].turn, t.state().files.changes[0].call);
        let op = Op::Restore(Restore {
            what: Which::Undo { calls: vec![call] },
            files: Vec::new(),
            conflicts: OnConflict::Keep,
            rewind: Some(turn.0),
        });
        let id = OpId(Uuid::from_u128(7));
        let facts = t.state().accept(&Submission { id, from: Principal::Local, op }).unwrap();
        t.append_for(id, facts);
        t.start();
        t.snapshot("s2");
        let item = t.start_only();
        t.append(vec![Event::Files(codetether_event::FilesEvent::Restored {
            item,
            after: codetether_event::SnapshotId::new("s1"),
            changed: vec!["a".into()],
            kept: Vec::new(),
        })]);
        assert_eq!(content(&t, "a").as_deref(), Some("a2"));
        t.settle();
        assert_eq!(content(&t, "a"), None);
    }

    #[test]
    fn only_so_many_are_remembered_the_last_ones() {
        let mut known = Known::default();
        for n in 0..MOST as u64 + 5 {
            let file = KnownFile { path: format!("f{n}"), content: Some(ContentId::new("x")) };
            known.learn(Seq(n), &[file]);
        }
        assert_eq!((known.0.len(), known.content("f4"), known.content("f5").is_some()), (MOST, None, true));
    }
}
