//! What comes next: an ordered table of policies. The first that applies decides; their order is the design.

mod ask;
mod authorise;
mod bad_arguments;
mod check;
mod compact;
mod denied;
mod egress;
mod end;
mod fault;
mod hooks;
mod interrupt;
mod max_steps;
mod max_time;
mod misfit;
mod no_progress;
mod prepare;
mod process;
mod retry;
mod route;
mod run;
mod sample;
mod snapshot;
mod steering;
mod unknown_tool;
mod wait;

use codetether_event::{CallEvent, Event, ToolResult, Verdict};

use crate::{Call, Next, Phase, State, Turn};

/// Looks at the state and either says what comes next or does not apply. Only called while a turn is under way.
type Policy = fn(&State, &Turn) -> Option<Next>;

const POLICIES: &[Policy] = &[
    fault::policy,         // a failure of ours stops the turn
    max_time::policy,      // so does its time
    interrupt::policy,     // what is to stop is cancelled, closed and ended; nothing below starts then
    unknown_tool::policy,  // what can never run is answered at once …
    bad_arguments::policy, //
    denied::policy,        //
    authorise::policy,     // … and what was not judged is judged
    ask::policy,           // whoever is there is asked
    egress::policy,        // also about the hosts that running commands want to reach
    snapshot::policy,      // before what could write runs, the files are remembered
    run::policy,           // what may run runs
    wait::policy,          // while anything is under way, nothing below applies
    retry::policy,         // a failed sample is tried again, or ends the turn
    compact::summed,       // a summary that was asked for takes the place of what it sums up
    steering::policy,      // an answer does not end the turn while the user has said more
    misfit::policy,        // one that does not fit its schema goes back, twice at most
    hooks::stop,           // one without calls ends the turn, unless a hook is against it
    check::stop,           // or the check of its settings is
    end::policy,           // it ends
    hooks::begin,          // a turn begins: a hook may keep the prompt from the model
    check::begin,          // and its check is run before the model is asked, where that is wanted
    route::policy,         // what a small model does not do goes to a larger one
    no_progress::policy,   // going in circles: the model is told, then it ends
    max_steps::policy,     // the number of steps
    compact::policy,       // where the context nears the window, it gives way
    compact::done,         // a turn that only compacts ends when it has
    prepare::policy,       // the prefix for this model and these tools
    process::policy,       // the model hears which processes have ended
    hooks::told,           // what hooks want the model to know
    check::told,           // what the check said before
    sample::policy,        // the next step
];

impl State {
    /// The next move. Pure; it proposes nothing that is under way already.
    #[must_use]
    pub fn decide(&self) -> Next {
        if self.read_only {
            return Next::Rest;
        }
        let Some(turn) = &self.turn else { return self.between_turns() };
        POLICIES.iter().find_map(|policy| policy(self, turn)).unwrap_or(Next::Rest)
    }
}

/// The end of a call that does not run.
fn unstarted(call: &Call, text: String) -> Event {
    let text = crate::child::not_brought(call, text);
    Event::Call(CallEvent::Ended {
        item: call.item,
        result: ToolResult { call: call.call.id.clone(), text, error: true },
        whole: None,
        wrote: Vec::new(),
        known: Vec::new(),
        timing: None,
        after: None,
    })
}

/// Answers the judged calls that will not run, each with the text that its verdict gives.
fn answer_judged(turn: &Turn, text: impl Fn(&Call, &Verdict) -> Option<String>) -> Option<Next> {
    let judged = turn.step.calls.iter().filter(|call| call.phase == Phase::Judged);
    let answers = judged.filter_map(|call| Some(unstarted(call, text(call, call.verdict.as_ref()?)?)));
    append(answers.collect())
}

/// The facts, unless there are none.
fn append(facts: Vec<Event>) -> Option<Next> {
    (!facts.is_empty()).then_some(Next::Append(facts))
}
