//! Sessions written out, and forked.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The beginning of its id; this folder's last one where none is given.
    #[arg(default_value = "last")]
    pub(crate) id: String,

    /// As what.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(crate) format: ExportFormat,

    /// Write it to this file, which only you can read, instead of standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Every record, a line of JSON each.
    Jsonl,
    /// One JSON document: every record, and the contents that they refer to.
    Json,
    /// What was said and done, as Markdown.
    Markdown,
    /// The same as one page of HTML that needs nothing else.
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct ForkArgs {
    /// The beginning of its id; this folder's last one where none is given.
    #[arg(default_value = "last")]
    pub(crate) id: String,

    /// The last step that both share: the past up to its results. All of it where none is given. `session show` tells
    /// the steps.
    #[arg(long, value_name = "STEP")]
    pub(crate) at: Option<String>,
}
