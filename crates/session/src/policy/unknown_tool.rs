//! A call of a tool that does not exist is answered with the names that do.

use codetether_event::Verdict;

use super::{append, unstarted};
use crate::{Next, Phase, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    let judged = turn.step.calls.iter().filter(|call| call.phase == Phase::Judged);
    append(
        judged
            .filter_map(|call| match &call.verdict {
                Some(Verdict::UnknownTool { offered }) => {
                    let names: Vec<_> = offered.iter().map(|name| format!("`{name}`")).collect();
                    let text =
                        format!("there is no tool `{}`; there is {}", call.call.name, names.join(", "));
                    Some(unstarted(call, text))
                }
                _ => None,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use codetether_event::{ToolName, Verdict};

    use crate::transcript::Transcript;

    #[test]
    fn the_model_hears_which_tools_there_are() {
        let mut t = Transcript::new();
        let offered = vec![ToolName::new("read"), ToolName::new("list")];
        t.prompt("go").calls(&[("raed", "{}")]).judge(0, Verdict::UnknownTool { offered });
        t.settle();
        assert_eq!(t.last_results(), ["there is no tool `raed`; there is `read`, `list`"]);
    }
}
