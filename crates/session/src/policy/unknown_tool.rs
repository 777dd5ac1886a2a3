//! A call of a tool that does not exist is answered with the names that do.

use codetether_event::Verdict;

use super::answer_judged;
use crate::{Next, State, Turn};

pub(super) fn policy(_: &State, turn: &Turn) -> Option<Next> {
    answer_judged(turn, |call, verdict| {
        let Verdict::UnknownTool { offered } = verdict else { return None };
        let names: Vec<_> = offered.iter().map(|name| format!("`{name}`")).collect();
        Some(format!("there is no tool `{}`; there is {}", call.call.name, names.join(", ")))
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
