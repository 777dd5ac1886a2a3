//! `codetether config …`: the settings that hold and where they are from, and changing them.

pub(crate) mod change;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use codetether_config::{Layer, LayerName, PROJECT_FILE, check_file};

use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{place, printer, settings};

/// The folder that a command is about.
#[derive(Debug, Args)]
pub(crate) struct In {
    /// As if working in this folder.
    #[arg(short = 'C', long = "dir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// The file that a command changes.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The project's own file instead of yours.
    #[arg(long)]
    project: bool,
    #[command(flatten)]
    place: In,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the settings that hold; secrets are masked.
    Show {
        /// With the layer, file and line that each is from.
        #[arg(long)]
        origin: bool,
        /// As one JSON array, with origins.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: In,
    },
    /// Print the value of one setting, or of all those in a table.
    Get {
        /// The key, with dots, such as `retry.max_tries`.
        key: String,
        #[command(flatten)]
        place: In,
    },
    /// Set a setting in a file. Comments and order stay.
    Set {
        /// The key, with dots, such as `retry.max_tries`; a name with dots in it needs quotes.
        key: String,
        /// The value; lists and tables as TOML.
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        which: Which,
    },
    /// Remove a setting from a file.
    Unset {
        /// The key, with dots.
        key: String,
        #[command(flatten)]
        which: Which,
    },
    /// Open a file in the editor that `VISUAL` or `EDITOR` names, and check it afterwards.
    Edit {
        #[command(flatten)]
        which: Which,
    },
    /// Say everything that is wrong with the settings here, or with one file.
    Check {
        /// The file, checked as a project's own if it is in a folder `.codetether`.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: In,
    },
    /// Print the JSON Schema of settings, for editors.
    Schema,
    /// Print where the files of settings are.
    Path {
        #[command(flatten)]
        place: In,
    },
}

pub(crate) fn run(command: ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show { origin, json, place } => show::all(&place, origin, json),
        ConfigCommand::Get { key, place } => show::one(&place, &key),
        ConfigCommand::Set { key, value, which } => change::set(&which, &key, &value),
        ConfigCommand::Unset { key, which } => change::unset(&which, &key),
        ConfigCommand::Edit { which } => change::edit(&which),
        ConfigCommand::Check { file: Some(file), .. } => {
            let layer = check_file(&file)?;
            printer::out(&format!("no problems in {}\n", line(layer, &file)))?;
            Ok(Exit::Done)
        }
        ConfigCommand::Check { file: None, place } => check(&place),
        ConfigCommand::Schema => {
            printer::out(&codetether_config::schema())?;
            Ok(Exit::Done)
        }
        ConfigCommand::Path { place } => path(&place),
    }
}

impl In {
    /// The folder, absolute and free of links.
    fn root(&self) -> Result<PathBuf, Failure> {
        let dir = self.dir.as_deref().unwrap_or(Path::new("."));
        dir.canonicalize().map_err(|error| {
            Failure::with_help(
                Exit::Usage,
                format!("cannot find `{}`: {error}", dir.display()),
                "name a folder that exists",
            )
        })
    }

    fn project(&self) -> Result<Project, Failure> {
        Ok(Project::at(&self.root()?))
    }
}

fn check(place: &In) -> Result<Exit, Failure> {
    let project = place.project()?;
    let settings = settings::load(&project, Vec::new(), Layer::default())?;
    let mut text = String::from("no problems\n");
    for (layer, file) in &settings.read {
        text.push_str(&format!("read {}\n", line(*layer, file)));
    }
    if settings.read.is_empty() {
        text.push_str("there is no file of settings yet\n");
    }
    printer::out(&text)?;
    printer::err(&project.left_out(&settings));
    Ok(Exit::Done)
}

fn path(place: &In) -> Result<Exit, Failure> {
    let root = place.root()?;
    let files = [
        (LayerName::System, Some(settings::system_file())),
        (LayerName::User, place::config_file()),
        (LayerName::Project, Some(root.join(PROJECT_FILE))),
    ];
    let mut text = String::new();
    for (layer, file) in files {
        let Some(file) = file else {
            text.push_str("user     nowhere: neither `HOME` nor `XDG_CONFIG_HOME` is set\n");
            continue;
        };
        let there = if file.exists() { "there" } else { "not there" };
        text.push_str(&format!("{:<8} {:<9} {}\n", layer.as_str(), there, shown(&file)));
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn line(layer: LayerName, file: &Path) -> String {
    format!("{} ({})", shown(file), layer.as_str())
}

fn shown(file: &Path) -> String {
    printer::plain(&file.display().to_string()).replace('\n', " ")
}
