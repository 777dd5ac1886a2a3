//! What people define in markdown: agents, skills and slash commands. What is built in, then the user's own, then the
//! project's, from the top of its repository down to the folder: the last of a name counts. Skills and commands that were
//! written for other agents' programs are taken as they are. Nothing of a project is here before the user trusts its
//! files, and then exactly the bytes that were trusted. Runs nothing.

mod agents;
mod commands;
mod front;
mod places;
mod skills;

pub use agents::{Agent, BUILD, OutputSchema, agent, agents};
pub use commands::{Command, CommandError, Expanded, command, commands, complete, expand};
pub use places::{Defined, FindError, Kind, Level, Place, Places, left_out};
pub use skills::{Skill, SkillFiles, Told, skill, skills, told};

#[cfg(test)]
mod tests;
