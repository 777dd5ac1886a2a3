//! Wishes become facts, or are refused with a reason.

use codetether_event::{
    Answer, AskEvent, AskKind, ContextEvent, Event, FilesEvent, InterruptReason, Mode, Op, Principal,
    Restore, SessionEvent, Submission, TurnEvent, TurnSettings,
};

use crate::State;

/// Why a wish was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A turn is under way already.
    Busy,
    /// No turn is under way.
    Idle,
    /// That ask is not open: it was answered or withdrawn, or never was.
    NoSuchAsk,
    /// That is no answer to what is asked.
    Misanswered,
    /// Nothing could give way to a summary.
    NothingToCompact,
    /// Too much was summed up since for the conversation to go back there.
    TooFarBack,
    /// Those changes do not stand (any more), or nothing was taken back.
    NothingToRestore,
    /// No turn and no step of the conversation began there.
    NoSuchStep,
    /// Only the local user may do that.
    NotYours,
    /// A newer version wrote to this session; this one can only read it.
    ReadOnly,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Busy => "a turn is under way already: steer it, or interrupt it first",
            Self::Idle => "no turn is under way",
            Self::NoSuchAsk => "that question is not open (any more)",
            Self::Misanswered => "that does not answer the question: choose of its options, or say it in words",
            Self::NothingToCompact => {
                "there is nothing to compact: what could give way is too little, or the model has not answered since the \
                 last time"
            }
            Self::TooFarBack => {
                "the conversation was compacted since, and what was before is no longer at hand: take back the files \
                 alone (without `--conversation`), or begin a session from there with `codetether session fork --at`"
            }
            Self::NothingToRestore => "there is nothing to take back, or to do again",
            Self::NoSuchStep => "no turn or step of the conversation began there",
            Self::NotYours => "only the local user may do that",
            Self::ReadOnly => {
                "a newer version of codetether wrote to this session; this one can only read it"
            }
        })
    }
}

impl std::error::Error for Refused {}

impl State {
    /// The facts that a wish brings about; none when it was taken in before.
    ///
    /// # Errors
    /// [`Refused`] when it does not fit the state, or comes from someone without the right to it.
    pub fn accept(&self, submission: &Submission) -> Result<Vec<Event>, Refused> {
        if self.seen.contains(&submission.id) {
            return Ok(Vec::new());
        }
        if self.read_only {
            return Err(Refused::ReadOnly);
        }
        let by = submission.from.clone();
        let fact = match &submission.op {
            // What runs without asking, and who is asked, is the local user's to say.
            Op::Prompt { settings, .. } if widens(settings) && by != Principal::Local => {
                return Err(Refused::NotYours);
            }
            Op::Attach { .. } if by != Principal::Local => return Err(Refused::NotYours),
            Op::Prompt { input, settings } => match self.turn {
                Some(_) => return Err(Refused::Busy),
                None if self.files.wanted.is_some() => return Err(Refused::Busy),
                None => {
                    Event::Turn(TurnEvent::Started { input: input.clone(), by, settings: settings.clone() })
                }
            },
            Op::Steer { input } => match self.turn {
                Some(_) => Event::Turn(TurnEvent::Steered { input: input.clone(), by }),
                None => return Err(Refused::Idle),
            },
            Op::Interrupt => match &self.turn {
                Some(turn) if turn.interrupted.is_some() => return Ok(Vec::new()),
                Some(_) => Event::Turn(TurnEvent::Interrupted { reason: InterruptReason::Asked(by) }),
                None => return Err(Refused::Idle),
            },
            Op::Answer { ask, answer } => {
                let mut asks = self.turn.iter().flat_map(|turn| &turn.asks);
                let open = asks.find(|open| open.ask == *ask).ok_or(Refused::NoSuchAsk)?;
                may_answer(&open.kind, answer, &by)?;
                Event::Ask(AskEvent::Answered { ask: *ask, answer: answer.clone(), by })
            }
            Op::Compact { settings } => match self.compacting(settings.as_deref(), by)? {
                Some(fact) => fact,
                None => return Ok(Vec::new()),
            },
            Op::Window { .. } if by != Principal::Local => return Err(Refused::NotYours),
            Op::Window { model, tokens } if self.windows.get(model) == Some(tokens) || *tokens == 0 => {
                return Ok(Vec::new());
            }
            Op::Window { model, tokens } => {
                Event::Context(ContextEvent::Window { model: model.clone(), tokens: *tokens })
            }
            Op::Restore(_) | Op::Rewind { .. } if by != Principal::Local => return Err(Refused::NotYours),
            Op::Restore(_) | Op::Rewind { .. } if self.turn.is_some() || self.files.wanted.is_some() => {
                return Err(Refused::Busy);
            }
            Op::Restore(wish) if !self.files.can(&wish.what) => return Err(Refused::NothingToRestore),
            Op::Restore(Restore { rewind: Some(to), .. }) | Op::Rewind { to }
                if self.context.is_too_far_back(*to) =>
            {
                return Err(Refused::TooFarBack);
            }
            Op::Restore(Restore { rewind: Some(to), .. }) | Op::Rewind { to } if !self.context.began(*to) => {
                return Err(Refused::NoSuchStep);
            }
            Op::Restore(wish) => Event::Files(FilesEvent::Asked { wish: wish.clone(), by }),
            Op::Rewind { to } => Event::Context(ContextEvent::Rewound { to: *to }),
            Op::Attach { audience } => Event::Session(SessionEvent::Attached { audience: *audience }),
            Op::Detach => Event::Session(SessionEvent::Detached),
            Op::Rename { title } => Event::Session(SessionEvent::Renamed { title: title.clone() }),
        };
        Ok(vec![fact])
    }
}

impl State {
    /// What asking for a summary brings about; nothing where it was asked for already.
    fn compacting(&self, settings: Option<&TurnSettings>, by: Principal) -> Result<Option<Event>, Refused> {
        let fact = match (&self.turn, settings) {
            (Some(turn), _) if turn.interrupted.is_some() => return Err(Refused::Idle),
            (Some(_), _) if self.context.is_to_give_way() => return Ok(None),
            (Some(_), _) => Event::Context(ContextEvent::CompactionAsked { by }),
            (None, None) => return Err(Refused::Idle),
            (None, Some(settings)) if widens(settings) && by != Principal::Local => {
                return Err(Refused::NotYours);
            }
            (None, Some(_)) if self.files.wanted.is_some() => return Err(Refused::Busy),
            (None, Some(settings)) => {
                Event::Turn(TurnEvent::Compacting { by, settings: Box::new(settings.clone()) })
            }
        };
        if self.can_compact() { Ok(Some(fact)) } else { Err(Refused::NothingToCompact) }
    }
}

/// What is said in words, or chosen, answers a question and never a permission; only the local user permits.
fn may_answer(kind: &AskKind, answer: &Answer, by: &Principal) -> Result<(), Refused> {
    match (kind, answer, by) {
        (_, Answer::Deny { .. }, _) => Ok(()),
        (AskKind::Question(question), Answer::Chosen { options, text }, _)
            if question.is_answered_by(options, text.as_deref()) =>
        {
            Ok(())
        }
        (AskKind::Question(_), ..) | (_, Answer::Chosen { .. }, _) => Err(Refused::Misanswered),
        (_, _, Principal::Remote(_)) => Err(Refused::NotYours),
        (_, _, Principal::Local) => Ok(()),
    }
}

fn widens(settings: &TurnSettings) -> bool {
    settings.mode > Mode::Ask || !settings.allow.is_empty()
}

#[cfg(test)]
mod tests {
    use codetether_event::{Input, OpId, UnixMillis};
    use uuid::Uuid;

    use super::*;
    use crate::transcript::Transcript;

    fn submission(n: u128, from: Principal, op: Op) -> Submission {
        Submission { id: OpId(Uuid::from_u128(n)), from, op }
    }

    #[test]
    fn the_same_operation_is_taken_in_once() {
        let mut t = Transcript::new();
        let op = submission(7, Principal::Local, Op::Rename { title: "x".into() });
        let facts = t.state().accept(&op).unwrap();
        assert_eq!(facts.len(), 1);
        t.append_for(op.id, facts);
        assert_eq!(t.state().accept(&op), Ok(Vec::new()));
    }

    #[test]
    fn a_prompt_waits_for_rest_and_steering_for_a_turn() {
        let mut t = Transcript::new();
        let steer = submission(1, Principal::Local, Op::Steer { input: Input::text("left") });
        assert_eq!(t.state().accept(&steer), Err(Refused::Idle));
        t.prompt("go");
        let prompt = Op::Prompt { input: Input::text("again"), settings: Box::new(Transcript::settings()) };
        assert_eq!(t.state().accept(&submission(2, Principal::Local, prompt)), Err(Refused::Busy));
        assert_eq!(t.state().accept(&steer).map(|facts| facts.len()), Ok(1));
    }

    #[test]
    fn a_remote_caller_cannot_allow_but_may_refuse() {
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", r#"{"command":"rm x"}"#)]).ask_at(UnixMillis(50));
        let remote = || Principal::Remote("peer".into());
        for answer in [Answer::Allow, Answer::AllowSession, Answer::AllowAlways] {
            let op = submission(3, remote(), Op::Answer { ask, answer });
            assert_eq!(t.state().accept(&op), Err(Refused::NotYours));
        }
        let wide = codetether_event::TurnSettings { mode: Mode::Bypass, ..Transcript::settings() };
        let ops = [
            Op::Attach { audience: codetether_event::Audience::Terminal },
            Op::Prompt { input: Input::text("x"), settings: Box::new(wide) },
        ];
        for op in ops {
            assert_eq!(t.state().accept(&submission(5, remote(), op)), Err(Refused::NotYours));
        }
        let no = submission(4, remote(), Op::Answer { ask, answer: Answer::Deny { reason: None } });
        assert_eq!(t.state().accept(&no).map(|facts| facts.len()), Ok(1));
    }

    #[test]
    fn a_text_answers_a_question_and_never_a_permission() {
        let chosen = |options: &[&str], text: Option<&str>| Answer::Chosen {
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            text: text.map(str::to_owned),
        };
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("bash", "{}")]).ask_at(UnixMillis(50));
        let say = |t: &Transcript, ask, answer, from| {
            t.state().accept(&submission(9, from, Op::Answer { ask, answer })).map(|facts| facts.len())
        };
        assert_eq!(say(&t, ask, chosen(&[], Some("yes")), Principal::Local), Err(Refused::Misanswered));
        let mut t = Transcript::new();
        let ask = t.prompt("go").calls(&[("question", "{}")]).question(false);
        for from in [Principal::Local, Principal::Remote("peer".into())] {
            for good in [chosen(&["red"], None), chosen(&[], Some("blue")), Answer::Deny { reason: None }] {
                assert_eq!(say(&t, ask, good, from.clone()), Ok(1));
            }
            for bad in [
                chosen(&[], None),
                chosen(&[], Some(" ")),
                chosen(&["blue"], None),
                chosen(&["red", "green"], None),
                Answer::Allow,
            ] {
                assert_eq!(say(&t, ask, bad, from.clone()), Err(Refused::Misanswered));
            }
        }
        t.answer(ask, chosen(&["red"], None));
        let second = say(&t, ask, chosen(&["green"], None), Principal::Local);
        assert_eq!(second, Err(Refused::NoSuchAsk), "the first answer wins");
    }
}
