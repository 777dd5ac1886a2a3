//! Changing a file of settings: key by key, or in an editor.

use std::process::Command;

use codetether_config::{EditError, SettingsFile, check_file, dotted, parse_key};
use miette::Diagnostic as _;

use crate::commands::config::{Which, shown};
use crate::exit::{Exit, Failure};
use crate::trust::Project;
use crate::{place, printer};

pub(crate) fn set(which: &Which, key: &str, value: &str) -> Result<Exit, Failure> {
    let path = parse_key(key).map_err(failed)?;
    let file = which.file()?;
    file.set(&names(&path), value).map_err(failed)?;
    which.remind()?;
    Ok(Exit::Done)
}

pub(crate) fn unset(which: &Which, key: &str) -> Result<Exit, Failure> {
    let path = parse_key(key).map_err(failed)?;
    let file = which.file()?;
    if file.path().exists() && file.unset(&names(&path)).map_err(failed)? {
        which.remind()?;
        return Ok(Exit::Done);
    }
    Err(Failure::with_help(
        Exit::Failed,
        format!("`{}` is not set in `{}`", dotted(&path), shown(file.path())),
        "`codetether config show --origin` shows where each setting is from",
    ))
}

pub(crate) fn edit(which: &Which) -> Result<Exit, Failure> {
    let file = which.file()?;
    let path = file.path();
    let new = file.create().map_err(failed)?;
    let edited = open_editor(path);
    let is_empty = path.metadata().is_ok_and(|metadata| metadata.len() == 0);
    if new && is_empty {
        codetether_files::remove_file(path)?;
    }
    edited?;
    if path.exists() {
        check_file(path)?;
        which.remind()?;
    }
    Ok(Exit::Done)
}

/// Runs the editor that the environment names, as a shell would, since it may have arguments.
fn open_editor(path: &std::path::Path) -> Result<(), Failure> {
    let named = |name: &str| std::env::var_os(name).filter(|editor| !editor.is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".into());
    let mut script = editor.clone();
    script.push(" \"$@\"");
    let help = "set `EDITOR` to your editor; what it wrote is kept";
    let editor = printer::plain(&editor.to_string_lossy());
    let status = Command::new("sh").arg("-c").arg(&script).arg("sh").arg(path).status().map_err(|error| {
        Failure::with_help(Exit::Failed, format!("cannot start the editor `{editor}`: {error}"), help)
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::with_help(Exit::Failed, format!("the editor `{editor}` failed: {status}"), help))
}

impl Which {
    fn file(&self) -> Result<SettingsFile, Failure> {
        if self.project {
            return Ok(SettingsFile::project(&self.place.root()?));
        }
        place::config_file().map(SettingsFile::user).ok_or_else(|| {
            Failure::with_help(
                Exit::Failed,
                "there is no place for settings: neither `HOME` nor `XDG_CONFIG_HOME` is set",
                "set `HOME` to your home folder",
            )
        })
    }

    /// A change of a project's file is one of what was trusted, whoever made it.
    fn remind(&self) -> Result<(), Failure> {
        if self.project {
            let project = Project::at(&self.place.root()?);
            if project.files().have_power() && !project.trusted() {
                printer::err(
                    "note: the project's own files are not trusted as they are now; `codetether trust add` trusts them\n",
                );
            }
        }
        Ok(())
    }
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// As a failure of a command.
pub(crate) fn failed(error: EditError) -> Failure {
    let exit = match &error {
        EditError::Wrong(_) | EditError::Refused { .. } | EditError::Key { .. } => Exit::Usage,
        EditError::Shape { .. } | EditError::Link { .. } | EditError::Busy { .. } | EditError::File(_) => {
            Exit::Failed
        }
    };
    match error {
        EditError::Wrong(error) => Failure::from(*error),
        error => {
            let message = printer::plain(&error.to_string());
            match error.help() {
                Some(help) => Failure::with_help(exit, message, printer::plain(&help.to_string())),
                None => Failure::new(exit, message),
            }
        }
    }
}
