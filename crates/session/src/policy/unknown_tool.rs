//! A call of a tool that does not exist is answered with the names that do.

use codetether_event::Verdict;

use super::answer_judged;
use crate::{Next, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    answer_judged(turn, |call, verdict| {
        let Verdict::UnknownTool { offered } = verdict else { return None };
        let names: Vec<_> = offered.iter().map(|name| format!("`{name}`")).collect();
        let (name, names) = (&call.call.name, names.join(", "));
        Some(match (call.call.wrapped.is_some(), names.as_str()) {
            (false, _) => format!("there is no tool `{name}`; there is {names}"),
            (true, "") => format!("there is no tool `{name}`; `tool_search` finds what there is"),
            (true, _) => {
                format!(
                    "there is no tool `{name}`; near it is {names}, and `tool_search` finds what there is"
                )
            }
        })
    })
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
