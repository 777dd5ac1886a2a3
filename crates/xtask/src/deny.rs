//! The judgement of dependencies by `cargo-deny`: bans, licences and sources always, advisories where there is a
//! database of them on this machine (or the network, when asked for). Where there is none, that is said in plain sight.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::At as _;
use crate::{Failure, places, process, tools};

/// Names a `.tar.gz` of the RustSec database, or is `live` to fetch today's over the network.
const VARIABLE: &str = "CODETETHER_ADVISORY_DB";

/// Where the database lies for those who keep one beside the repository.
const BESIDE: &str = "../shared/data/advisory-db";

/// The name under which `cargo-deny` looks for its usual database.
const DATABASE_FOLDER: &str = "advisory-db-3157b0e258782691";

/// Checks everything there is to check. Gives one line about advisories for the end of a report.
pub(crate) fn run() -> Result<String, Failure> {
    let deny = tools::DENY.get()?;
    process::run(process::cargo().args(["fetch", "--quiet"]))?;
    let check = |options: &[&OsStr], what: &[&str]| {
        let mut command = Command::new(&deny);
        command.current_dir(places::root()).arg("--workspace").args(options);
        process::run(command.args(["check", "--hide-inclusion-graph"]).args(what))
    };
    let offline = OsStr::new("--offline");
    check(&[offline], &["bans", "licenses", "sources"])?;
    match database()? {
        Database::None => Ok("advisories: skipped (no database)".into()),
        Database::Live => {
            check(&[], &["advisories"])?;
            Ok("advisories: checked against today's database".into())
        }
        Database::Archive(archive) => {
            let config = with_database(&archive)?;
            check(&[offline, "--config".as_ref(), config.as_os_str()], &["advisories"])?;
            let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(format!("advisories: checked against {name}"))
        }
    }
}

#[derive(Debug, PartialEq)]
enum Database {
    None,
    Live,
    Archive(PathBuf),
}

fn database() -> Result<Database, Failure> {
    find_database(env::var(VARIABLE).ok().as_deref(), &places::root().join(BESIDE))
}

fn find_database(given: Option<&str>, beside: &Path) -> Result<Database, Failure> {
    match given.filter(|given| !given.is_empty()) {
        Some("live") => Ok(Database::Live),
        Some(path) if Path::new(path).is_file() => Ok(Database::Archive(path.into())),
        Some(path) => Err(Failure::Wrong(format!("`{VARIABLE}` names `{path}`, which is not a file"))),
        None => {
            let entries = fs::read_dir(beside).into_iter().flatten().flatten();
            let archives = entries.map(|entry| entry.path());
            // Their names end in the date: the last is the newest.
            let newest = archives.filter(|path| path.to_string_lossy().ends_with(".tar.gz")).max();
            Ok(newest.map_or(Database::None, Database::Archive))
        }
    }
}

/// Unpacks the database once, in the form in which `cargo-deny` takes one, and gives the path of a configuration that
/// names it: that of the repository otherwise.
fn with_database(archive: &Path) -> Result<PathBuf, Failure> {
    let length = fs::metadata(archive).at("read", archive)?.len();
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let folder = places::cache()?.join(format!("advisories/{name}-{length}"));
    let held = places::hold_setup()?;
    let ready = folder.join("ready");
    if !ready.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder).at("remove", &folder)?;
        }
        let repository = folder.join(DATABASE_FOLDER);
        fs::create_dir_all(&repository).at("create", &repository)?;
        process::run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&repository))?;
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            // Nobody's settings: no hooks, no signing.
            command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
            command.arg("-C").arg(&repository).args(arguments);
            process::run(&mut command)
        };
        git(&["init", "--quiet"])?;
        git(&["add", "--all"])?;
        let author = ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"];
        git(&[&author[..], &["commit", "--quiet", "--message", "advisories"]].concat())?;
        fs::write(&ready, "").at("write", &ready)?;
    }
    drop(held);
    let source = places::root().join("deny.toml");
    let text = fs::read_to_string(&source).at("read", &source)?;
    let config = folder.join("deny.toml");
    fs::write(&config, naming_database(&text, &folder)?).at("write", &config)?;
    Ok(config)
}

/// The configuration with the folder of databases in it, and a year's patience with their age.
fn naming_database(config: &str, folder: &Path) -> Result<String, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Wrong(format!("cannot use deny.toml: {error}"));
    let mut config: toml::Table = config.parse().map_err(|error: toml::de::Error| wrong(&error))?;
    let advisories = config.entry("advisories").or_insert_with(|| toml::Table::new().into());
    let advisories = advisories.as_table_mut().ok_or_else(|| wrong(&"`advisories` is not a table"))?;
    advisories.insert("db-path".into(), folder.to_string_lossy().into_owned().into());
    advisories.insert("maximum-db-staleness".into(), "P365D".into());
    toml::to_string(&config).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_archive_beside_the_repository_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["advisories-2026-01-02.tar.gz", "advisories-2026-08-21.tar.gz", "README.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let newest = folder.path().join("advisories-2026-08-21.tar.gz");
        assert_eq!(find_database(None, folder.path()).unwrap(), Database::Archive(newest));
    }

    #[test]
    fn without_a_database_there_is_none_and_a_wrong_name_is_an_error() {
        let nowhere = Path::new("/nonexistent");
        assert_eq!(find_database(None, nowhere).unwrap(), Database::None);
        assert_eq!(find_database(Some("live"), nowhere).unwrap(), Database::Live);
        assert!(find_database(Some("/nonexistent/db.tar.gz"), nowhere).is_err());
    }

    #[test]
    fn the_database_is_named_beside_what_the_configuration_says() {
        let config = "[advisories]\nyanked = \"deny\"\n\n[bans]\nwildcards = \"deny\"\n";
        let named: toml::Table = naming_database(config, Path::new("/db")).unwrap().parse().unwrap();
        let wanted: toml::Table = "[advisories]\nyanked = \"deny\"\ndb-path = \"/db\"\n\
            maximum-db-staleness = \"P365D\"\n[bans]\nwildcards = \"deny\"\n"
            .parse()
            .unwrap();
        assert_eq!(named, wanted);
    }
}
