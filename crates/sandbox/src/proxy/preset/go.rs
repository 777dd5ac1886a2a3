//! The hosts of go: the list in `GOPROXY` and the database in `GOSUMDB`, from the environment, else from the file that
//! `go env -w` writes. `direct` gives no host: which one it is, each module says, so those are asked about.

use std::path::PathBuf;

use super::{Found, Place, PresetError, in_file, in_variable};

pub(super) fn find(place: &Place<'_>, found: &mut Found) -> Result<(), PresetError> {
    let file = match place.set("GOENV") {
        Some(off) if off == "off" => None,
        Some(file) => Some(PathBuf::from(file)),
        None => Some(place.config().join("go/env")),
    };
    let text = match &file {
        Some(file) => found.read(file)?.unwrap_or_default(),
        None => String::new(),
    };
    let setting = |name: &str| {
        if let Some(value) = place.set(name) {
            return Some((value, in_variable(name)));
        }
        let line = |line: &str| {
            line.split_once('=').filter(|(key, _)| key.trim() == name).map(|(_, v)| v.trim().to_owned())
        };
        let value = text.lines().filter_map(line).next_back().filter(|value| !value.is_empty())?;
        let file = file.as_deref()?;
        Some((value, in_file(name, file)))
    };
    match setting("GOPROXY") {
        None => found.default_host("proxy.golang.org"),
        Some((list, at)) => {
            for address in list.split([',', '|']).map(str::trim) {
                match address {
                    // Nothing behind this is asked.
                    "off" => break,
                    "https://proxy.golang.org" => found.default_host("proxy.golang.org"),
                    address => found.address(address, &at)?,
                }
            }
        }
    }
    match setting("GOSUMDB") {
        None => found.default_host("sum.golang.org"),
        Some((off, _)) if off == "off" => {}
        Some((database, at)) => {
            // `NAME`, `NAME+KEY` or `NAME+KEY URL`
            let mut words = database.split_whitespace();
            let name = words.next().and_then(|word| word.split('+').next()).unwrap_or_default();
            match words.next() {
                Some(address) => found.address(address, &at)?,
                None if name == "sum.golang.org" => found.default_host("sum.golang.org"),
                // Go's own mirror for China, known by name.
                None if name == "sum.golang.google.cn" => found.default_host("sum.golang.google.cn"),
                None => found.address(&format!("https://{name}"), &at)?,
            }
        }
    }
    Ok(())
}
