//! Kinds of agents that a child can be: what it is told of its part, and what it may do less than its parent.

use codetether_event::{Mode, ModelId, ToolName};

/// Finds a kind of agent by its name; an error says what there is.
pub type AgentNamed = dyn Fn(&str) -> Result<Agent, String> + Send + Sync;

/// A kind of agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// What it is told before its task.
    pub instructions: String,
    /// The widest mode that it works in; that of its parent when absent, or where that is narrower.
    pub mode: Option<Mode>,
    /// The tools it is offered, of those that its parent has; all of them when absent.
    pub tools: Option<Vec<ToolName>>,
    /// The model that is asked; that of its parent when absent.
    pub model: Option<ModelId>,
    /// Most steps.
    pub max_steps: Option<u32>,
}

/// The kind that a child is when none is named.
pub(crate) const USUAL: &str = "general";

const GENERAL: &str = "You are a child agent: another agent has given you the task below and sees nothing of your work but your \
                       last message. Do the whole task. End with a message that holds what it needs to know: results, \
                       places as `path:line`, what you changed, and what you could not do.";

const EXPLORE: &str = "You are a child agent that explores: another agent has given you the question below and sees nothing of \
                       your work but your last message. Find out, and change nothing. Search before you read, and read no \
                       more than you need. End with the answer: facts, each with its place as `path:line`, and what you \
                       did not find.";

/// The kinds that are always there.
///
/// # Errors
/// Which there are, where there is none of that name.
pub fn built_in(name: &str) -> Result<Agent, String> {
    let agent = |instructions: &str, mode| Agent {
        name: name.to_owned(),
        instructions: instructions.to_owned(),
        mode,
        ..Agent::default()
    };
    match name {
        USUAL => Ok(agent(GENERAL, None)),
        "explore" => Ok(agent(EXPLORE, Some(Mode::Plan))),
        _ => Err(format!("there is no agent `{name}`; there is `explore`, `general`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_not_there_is_told_with_those_that_are() {
        assert_eq!(built_in("explore").unwrap().mode, Some(Mode::Plan));
        assert_eq!(built_in("general").unwrap().mode, None);
        assert!(built_in("Explore").unwrap_err().contains("there is `explore`, `general`"));
    }
}
