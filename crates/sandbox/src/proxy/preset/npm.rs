//! The hosts of npm: `registry` and `@SCOPE:registry` of the user's `.npmrc`, the machine's `npmrc` and the
//! environment. npm asks the registry's host for packages too, so there are no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Found, Place, PresetError, in_file, in_variable};

/// A value, and where it stands.
type Settings = BTreeMap<String, (String, String)>;

pub(super) fn find(place: &Place<'_>, found: &mut Found) -> Result<(), PresetError> {
    let mut settings = Settings::new();
    let user =
        variable(place, "userconfig").map_or_else(|| place.home.join(".npmrc"), |(value, _)| value.into());
    let mut of_user = Settings::new();
    read(place, &user, found, &mut of_user)?;
    for file in global(place, &of_user) {
        read(place, &file, found, &mut settings)?;
    }
    settings.extend(of_user);
    if let Some(set) = variable(place, "registry") {
        settings.insert("registry".into(), set);
    }
    match settings.remove("registry") {
        Some((address, at)) => found.address(&address, &at)?,
        None => found.default_host("registry.npmjs.org"),
    }
    settings.remove("prefix");
    for (address, at) in settings.into_values() {
        found.address(&address, &at)?;
    }
    Ok(())
}

/// The machine's files, those that count more later. Where node stands is not known here, so its usual places are
/// looked at.
fn global(place: &Place<'_>, user: &Settings) -> Vec<PathBuf> {
    if let Some((file, _)) = variable(place, "globalconfig") {
        return vec![file.into()];
    }
    let prefix = variable(place, "prefix").or_else(|| user.get("prefix").cloned());
    match prefix {
        Some((prefix, _)) => vec![Path::new(&prefix).join("etc/npmrc")],
        None => ["etc/npmrc", "usr/etc/npmrc", "usr/local/etc/npmrc"].map(|file| place.system(file)).into(),
    }
}

/// `npm_config_NAME`, in any spelling that npm takes.
fn variable(place: &Place<'_>, name: &str) -> Option<(String, String)> {
    [format!("npm_config_{name}"), format!("NPM_CONFIG_{}", name.to_uppercase())]
        .into_iter()
        .find_map(|variable| place.set(&variable).map(|value| (value, in_variable(&variable))))
}

/// The keys of an `npmrc` that say where to go. What stands below a `[section]` is not npm's.
fn read(place: &Place<'_>, file: &Path, found: &Found, settings: &mut Settings) -> Result<(), PresetError> {
    let text = found.read(file)?.unwrap_or_default();
    for line in text.lines().map(str::trim).take_while(|line| !line.starts_with('[')) {
        if line.starts_with([';', '#']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (unquoted(key.trim()), unquoted(value.trim()));
        if key == "registry" || key == "prefix" || (key.starts_with('@') && key.ends_with(":registry")) {
            settings.insert(key.to_owned(), (expanded(value, place), in_file(key, file)));
        }
    }
    if let Some((prefix, _)) = settings.get_mut("prefix")
        && let Some(rest) = prefix.strip_prefix("~/")
    {
        *prefix = place.home.join(rest).display().to_string();
    }
    Ok(())
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

/// With `${NAME}` replaced. One that is not set stays, as with npm.
fn expanded(value: &str, place: &Place<'_>) -> String {
    let mut whole = String::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, behind)) = behind.split_once('}') else { break };
        whole.push_str(before);
        match (place.variable)(name.trim_end_matches('?')) {
            Some(value) => whole.push_str(&value),
            None if name.ends_with('?') => {}
            None => whole.push_str(&format!("${{{name}}}")),
        }
        rest = behind;
    }
    whole + rest
}
