//! The hosts of cargo: `config.toml` in `CARGO_HOME` (with what it includes), and the variables that count as much.
//! Dependencies by git are not among them: their hosts take pushes too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value;

use super::{Found, Place, PresetError, in_file, in_variable};

/// How deep configurations may include others.
const DEPTH: usize = 4;
/// How many of the indexes that cargo keeps are looked into.
const INDEXES: usize = 64;

/// An address, and where it stands.
type Placed = (String, String);

#[derive(Default)]
struct Config {
    /// `source.NAME.replace-with`.
    replaced: BTreeMap<String, String>,
    /// `source.NAME.registry`.
    sources: BTreeMap<String, Placed>,
    /// `registries.NAME.index`.
    registries: BTreeMap<String, Placed>,
    /// `registries.crates-io.protocol` is `git`.
    has_git_index: bool,
}

pub(super) fn find(place: &Place<'_>, found: &mut Found) -> Result<(), PresetError> {
    let home = place.set("CARGO_HOME").map_or_else(|| place.home.join(".cargo"), PathBuf::from);
    let mut config = Config::default();
    // The older name counts where both are there.
    let files = ["config", "config.toml"].map(|name| home.join(name));
    if let Some(file) = files.iter().find(|file| file.is_file()) {
        config.read(file, found, DEPTH)?;
    }
    for name in config.registries.keys().cloned().collect::<Vec<_>>() {
        let variable = format!("CARGO_REGISTRIES_{}_INDEX", name.to_uppercase().replace('-', "_"));
        if let Some(address) = place.set(&variable) {
            config.registries.insert(name, (address, in_variable(&variable)));
        }
    }
    if place.set("CARGO_REGISTRIES_CRATES_IO_PROTOCOL").is_some_and(|protocol| protocol == "git") {
        config.has_git_index = true;
    }
    let addresses = config.addresses(found);
    for (address, at) in &addresses {
        // `sparse+https://…`, `registry+https://…`
        let plain = address.split_once('+').map_or(address.as_str(), |(_, plain)| plain);
        found.address(plain, at)?;
        downloads(&home, plain, found)?;
    }
    Ok(())
}

impl Config {
    fn read(&mut self, file: &Path, found: &Found, depth: usize) -> Result<(), PresetError> {
        let Some(text) = found.read(file)? else { return Ok(()) };
        // Without the excerpt, which may show a token.
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| found.wrong(file, error.message()))?;
        for included in includes(&table) {
            if depth == 0 {
                return Err(found.wrong(file, "it includes others too deeply"));
            }
            let folder = file.parent().unwrap_or(Path::new("/"));
            self.read(&folder.join(included), found, depth - 1)?;
        }
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        for (name, source) in table.get("source").and_then(Value::as_table).into_iter().flatten() {
            if let Some(with) = text(source, "replace-with") {
                self.replaced.insert(name.clone(), with);
            }
            if let Some(address) = text(source, "registry") {
                let at = in_file(&format!("source.{name}.registry"), file);
                self.sources.insert(name.clone(), (address, at));
            }
        }
        for (name, registry) in table.get("registries").and_then(Value::as_table).into_iter().flatten() {
            if let Some(address) = text(registry, "index") {
                let at = in_file(&format!("registries.{name}.index"), file);
                self.registries.insert(name.clone(), (address, at));
            }
            if name == "crates-io" && text(registry, "protocol").is_some_and(|protocol| protocol == "git") {
                self.has_git_index = true;
            }
        }
        Ok(())
    }

    /// Where cargo would go. crates.io counts unless something else takes its place.
    fn addresses(&self, found: &mut Found) -> Vec<Placed> {
        let mut addresses: Vec<Placed> = self.registries.values().cloned().collect();
        let mut name = "crates-io";
        // Each step is another source, or they go in a circle, which cargo refuses.
        for _ in 0..=self.replaced.len() {
            match self.replaced.get(name) {
                Some(with) => name = with,
                None => break,
            }
        }
        match self.sources.get(name).or_else(|| self.registries.get(name)) {
            Some(placed) => addresses.push(placed.clone()),
            None if name == "crates-io" => {
                found.default_host("index.crates.io");
                found.default_host("static.crates.io");
                if self.has_git_index {
                    found.default_host("github.com");
                }
            }
            // A folder of the disk.
            None => {}
        }
        addresses
    }
}

/// `include = "a.toml"`, a list of those, or of tables with a `path`.
fn includes(table: &toml::Table) -> Vec<String> {
    let path = |value: &Value| {
        value.as_str().or_else(|| value.get("path").and_then(Value::as_str)).map(str::to_owned)
    };
    match table.get("include") {
        Some(Value::Array(list)) => list.iter().filter_map(path).collect(),
        Some(one) => path(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A sparse index says where its crates are downloaded from, in a file that cargo keeps. Where cargo has never asked
/// this index, its own host is all that is known.
fn downloads(home: &Path, index: &str, found: &mut Found) -> Result<(), PresetError> {
    let host = url::Url::parse(index).ok().and_then(|url| url.host_str().map(str::to_owned));
    let Some(host) = host else { return Ok(()) };
    let folders = std::fs::read_dir(home.join("registry/index")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = folders
        .filter(|entry| {
            // `HOST-HASH`
            let name = entry.file_name();
            name.to_str().and_then(|name| name.rsplit_once('-')).is_some_and(|(name, _)| name == host)
        })
        .take(INDEXES)
        .map(|entry| entry.path().join("config.json"))
        .collect();
    files.sort();
    for file in files {
        let Some(text) = found.read(&file)? else { continue };
        if let Some(address) = download_address(&text) {
            found.referred(&address, &in_file("dl", &file));
        }
    }
    Ok(())
}

/// The value of `dl`, which may hold `{crate}` and the like behind the host.
fn download_address(json: &str) -> Option<String> {
    let (_, rest) = json.split_once("\"dl\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (address, _) = rest.split_once('"')?;
    let end = address.find('{').unwrap_or(address.len());
    Some(address.get(..end)?.replace("\\/", "/"))
}
