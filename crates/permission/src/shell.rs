//! What a shell program would run, read and write, as far as reading it tells. A program is parsed (tree-sitter), its
//! words are read a second time by rules of our own, and what the two do not agree on, or what only running would
//! tell, is *unclear*: it is asked about. Runs nothing, and reads no file.

mod carriers;
mod dialect;
mod dirs;
mod lexer;
mod parse;
mod variables;
mod walk;
mod word;

use crate::place::Place;
pub(crate) use crate::shell::carriers::{SYSTEM, base, find_starts};
pub(crate) use crate::shell::dirs::Dirs;
pub(crate) use crate::shell::word::{Word, line};

/// Longest program that is read; a longer one is unclear.
pub(crate) const LONGEST: usize = 64 << 10;
/// How deep programs within programs are followed.
const DEEPEST: usize = 80;

/// What a program would do.
#[derive(Debug, Default)]
pub(crate) struct Analysis {
    /// Its simple commands, also those that other commands run.
    pub(crate) commands: Vec<Simple>,
    /// Files that its redirections open.
    pub(crate) files: Vec<Access>,
    /// Assignments that stay or go with a command.
    pub(crate) assignments: Vec<String>,
    /// What cannot be told.
    pub(crate) unclear: Vec<Unknown>,
}

/// A simple command.
#[derive(Debug, Clone)]
pub(crate) struct Simple {
    /// Its words, quotes and escapes undone; first the assignments before it that change what runs.
    pub(crate) words: Vec<Word>,
    /// How many of the words are assignments.
    pub(crate) assigned: usize,
    /// The folders that it may run in.
    pub(crate) dirs: Dirs,
    /// What it is to the verdict.
    pub(crate) role: Role,
    /// The commands that it is run by, nearest first: their words, and where this one begins among them.
    pub(crate) outer: Vec<(Vec<Word>, usize)>,
}

/// What a simple command is to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It runs a program.
    Plain,
    /// It only runs what is judged by itself, such as `env` or `bash -c`.
    Carrier,
    /// It may run what is judged here only for what is denied; the command that does has a `Plain` role.
    Suspect,
    /// It runs nothing and changes nothing outside the shell.
    Inert,
}

/// A file that a redirection opens.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) target: Word,
    pub(crate) dirs: Dirs,
    pub(crate) write: bool,
}

/// What cannot be told, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) part: String,
    pub(crate) why: &'static str,
}

/// Reads a program.
pub(crate) fn analyse(source: &str, place: &Place<'_>) -> Analysis {
    let mut analysis = Analysis::default();
    let from = walk::From { dirs: &Dirs::root(), given: false };
    walk::program(source, place, from, DEEPEST, &mut analysis);
    analysis
}
