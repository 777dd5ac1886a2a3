//! A call whose arguments do not fit is answered with what is wrong; the tool never sees them.

use codetether_event::{StopReason, Verdict};

use super::answer_judged;
use crate::{Next, State, Turn};

/// Before the problems of arguments that may be cut.
const CUT: &str =
    "your answer was cut at its output limit, so these arguments are not whole; make the call smaller\n";

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    answer_judged(turn, |call, verdict| {
        let Verdict::InvalidArguments { problems } = verdict else { return None };
        let cut = if turn.answered == Some(StopReason::MaxOutput) { CUT } else { "" };
        Some(format!("{cut}not run: the arguments of `{}` do not fit: {problems}", call.call.name))
    })
}

#[cfg(test)]
mod tests {
    use codetether_event::{StopReason, Verdict};

    use crate::transcript::Transcript;

    #[test]
    fn the_model_hears_what_is_wrong() {
        let mut t = Transcript::new();
        let problems = || "`path` is missing".to_owned();
        t.prompt("go").calls(&[("read", "{}")]).judge(0, Verdict::InvalidArguments { problems: problems() });
        t.settle();
        assert_eq!(t.last_results(), ["not run: the arguments of `read` do not fit: `path` is missing"]);
    }

    #[test]
    fn arguments_cut_at_the_output_limit_are_called_that() {
        let mut t = Transcript::new();
        t.prompt("go").calls_stopped(&[("write", r#"{"path":"a"#)], StopReason::MaxOutput);
        t.judge(0, Verdict::InvalidArguments { problems: "it ends inside a string".into() });
        t.settle();
        assert!(t.last_results()[0].starts_with("your answer was cut at its output limit"));
    }
}
