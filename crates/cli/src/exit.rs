//! How the program ends: exit codes, and errors shown to a person.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use miette::{Diagnostic, Report};

/// Exit codes of `run`; other commands use those that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the settings are wrong.
    Usage = 2,
    /// An answer cannot be held to the schema.
    Unheld = 3,
    /// A limit was reached.
    Limit = 4,
    /// The provider failed.
    Provider = 5,
    /// The answer did not fit the schema that was asked for.
    Misfit = 6,
    /// Permission refused something on the way.
    Refused = 7,
    /// The check of the work fails.
    Check = 8,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    report: Report,
    /// Whether there is nobody to tell.
    quiet: bool,
}

/// An error in our words: what, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Problem {
    exit: Exit,
    message: String,
    help: Option<String>,
}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let kind = match self.exit {
            Exit::Done | Exit::Failed => "failed",
            Exit::Usage => "usage",
            Exit::Unheld => "unheld",
            Exit::Limit => "limit",
            Exit::Provider => "provider",
            Exit::Misfit => "misfit",
            Exit::Refused => "refused",
            Exit::Check => "check",
            Exit::Interrupted => "interrupted",
        };
        Some(Box::new(format!("codetether::{kind}")))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

/// An error in the use of something, to a person who tries again at once.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Slip {
    message: String,
    help: Option<String>,
}

impl Diagnostic for Slip {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            report: Report::new(Problem { exit, message: message.into(), help: None }),
            quiet: false,
        }
    }

    pub(crate) fn with_help(exit: Exit, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit,
            report: Report::new(Problem { exit, message: message.into(), help: Some(help.into()) }),
            quiet: false,
        }
    }

    /// Nobody reads standard output any more; that needs no words.
    pub(crate) fn unread() -> Self {
        Self { quiet: true, ..Self::new(Exit::Failed, "nobody reads standard output any more") }
    }

    /// The message alone.
    pub(crate) fn message(&self) -> String {
        self.report.to_string()
    }

    /// What to do next, where that is known.
    pub(crate) fn help(&self) -> Option<String> {
        self.report.help().map(|help| help.to_string())
    }

    /// The error as it is shown, for those who go on after it. A slip needs no code.
    pub(crate) fn shown(&self) -> String {
        match self.report.downcast_ref::<Problem>() {
            Some(Problem { exit: Exit::Usage, message, help }) => {
                let slip = Report::new(Slip { message: message.clone(), help: help.clone() });
                format!("{slip:?}\n")
            }
            _ => format!("{:?}\n", self.report),
        }
    }

    /// Shows the error on standard error.
    pub(crate) fn report(self) -> ExitCode {
        if self.quiet {
            return self.exit.into();
        }
        // Nobody is left to tell when this fails too.
        let _ = writeln!(std::io::stderr(), "{:?}", self.report);
        self.exit.into()
    }
}

impl From<codetether_config::ConfigError> for Failure {
    fn from(error: codetether_config::ConfigError) -> Self {
        Self { exit: Exit::Usage, report: Report::new(error), quiet: false }
    }
}

impl From<codetether_files::Error> for Failure {
    fn from(error: codetether_files::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<codetether_journal::Error> for Failure {
    fn from(error: codetether_journal::Error) -> Self {
        match error.help() {
            Some(help) => Self::with_help(Exit::Failed, error.to_string(), help),
            None => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

impl From<codetether_ledger::Error> for Failure {
    fn from(error: codetether_ledger::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<codetether_agent::RunError> for Failure {
    fn from(error: codetether_agent::RunError) -> Self {
        match error {
            codetether_agent::RunError::Journal(error) => error.into(),
            error => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

/// How errors are shown: with no line broken, so that ids and commands in them can be copied. Before the first error.
pub(crate) fn prepare() {
    // Only this sets it.
    let _ =
        miette::set_hook(Box::new(|_| Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).build())));
}

/// Shows what clap has to say: help and version on standard output, errors on standard error.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    let _ = error.print();
    exit.into()
}
