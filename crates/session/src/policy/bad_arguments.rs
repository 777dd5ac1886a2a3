//! A call whose arguments do not fit is answered with what is wrong; the tool never sees them.

use codetether_event::{StopReason, Verdict};

use super::{append, unstarted};
use crate::{Next, Phase, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let judged = turn.step.calls.iter().filter(|call| call.phase == Phase::Judged);
    append(
        judged
            .filter_map(|call| match &call.verdict {
                Some(Verdict::InvalidArguments { problems }) => {
                    let cut = match turn.answered {
                        Some(StopReason::MaxOutput) => {
                            "your answer was cut at its output limit, so these arguments are not whole; \
                             make the call smaller\n"
                        }
                        _ => "",
                    };
                    let text =
                        format!("{cut}not run: the arguments of `{}` do not fit: {problems}", call.call.name);
                    Some(unstarted(call, text))
                }
                _ => None,
            })
            .collect(),
    )
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
