//! What holds, as TOML or JSON, with secrets masked.

use codetether_config::{Entry, Layer, Settings, dotted, parse_key};
use serde_json::json;

use crate::commands::config::{In, change};
use crate::exit::{Exit, Failure};
use crate::{printer, settings};

/// In the place of what must not be seen.
const MASK: &str = "***";

pub(crate) fn all(place: &In, with_origin: bool, as_json: bool) -> Result<Exit, Failure> {
    let project = place.project()?;
    let settings = settings::load(&project, Vec::new(), Layer::default())?;
    let entries = masked(&settings);
    let text = if as_json {
        let objects: Vec<serde_json::Value> = entries.iter().map(object).collect();
        format!("{}\n", serde_json::Value::Array(objects))
    } else {
        entries.iter().map(|entry| printer::plain(&lines(entry, with_origin))).collect()
    };
    printer::out(&text)?;
    printer::err(&project.left_out(&settings));
    Ok(Exit::Done)
}

pub(crate) fn one(place: &In, key: &str) -> Result<Exit, Failure> {
    let path = parse_key(key).map_err(change::failed)?;
    let project = place.project()?;
    let settings = settings::load(&project, Vec::new(), Layer::default())?;
    let entries = masked(&settings);
    if let Some(entry) = entries.iter().find(|entry| entry.path == path) {
        let Some(value) = &entry.value else {
            let holds = entry.unset.unwrap_or("nothing");
            return Err(Failure::with_help(
                Exit::Failed,
                format!("`{}` is not set; what holds is: {holds}", dotted(&path)),
                "`codetether config set` sets it",
            ));
        };
        // A text as it is, for scripts.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        printer::out(&format!("{text}\n"))?;
        return Ok(Exit::Done);
    }
    let inside: Vec<&Entry> =
        entries.iter().filter(|entry| entry.path.starts_with(&path) && entry.value.is_some()).collect();
    if !inside.is_empty() {
        printer::out(&inside.iter().map(|entry| lines(entry, false)).collect::<String>())?;
        return Ok(Exit::Done);
    }
    let near = entries.iter().map(Entry::key).find(|known| strsim::jaro(known, key) > 0.85);
    let help = near.map_or_else(
        || "`codetether config show` shows every setting".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Failure::with_help(Exit::Usage, format!("there is no setting `{}`", dotted(&path)), help))
}

/// A setting as TOML.
fn lines(entry: &Entry, with_origin: bool) -> String {
    let key = entry.key();
    let Some(value) = &entry.value else {
        return entry.unset.map(|unset| format!("# {key}: {unset}\n")).unwrap_or_default();
    };
    match (value.as_array(), &entry.origins[..]) {
        (Some(items), origins)
            if with_origin && !items.is_empty() && items.len() == origins.len() && is_rules(entry) =>
        {
            let item = |(item, origin): (_, &_)| format!("    {item},  # {origin}\n");
            let items: String = items.iter().zip(origins).map(item).collect();
            format!("{key} = [\n{items}]\n")
        }
        (_, [origin, ..]) if with_origin => format!("{key} = {value}  # {origin}\n"),
        _ => format!("{key} = {value}\n"),
    }
}

/// Whether each item of the list has an origin of its own.
fn is_rules(entry: &Entry) -> bool {
    let is_hooks = entry.path.first().is_some_and(|name| name == "hooks");
    is_hooks || entry.path.last().is_some_and(|name| matches!(name.as_str(), "allow" | "ask" | "deny"))
}

fn object(entry: &Entry) -> serde_json::Value {
    let origin = |origin: &codetether_config::Origin| {
        json!({
            "layer": origin.layer,
            "file": origin.file.as_ref().map(|file| file.to_string_lossy().into_owned()),
            "line": origin.line,
            "name": origin.name,
        })
    };
    json!({
        "key": entry.key(),
        "value": entry.value,
        "origins": entry.origins.iter().map(origin).collect::<Vec<_>>(),
    })
}

/// Every setting, without what is secret.
fn masked(settings: &Settings) -> Vec<Entry> {
    let mut entries = settings.entries();
    for entry in &mut entries {
        let named = entry.path.iter().map(String::as_str).collect::<Vec<_>>();
        let secret = match named[..] {
            ["providers", _, "headers", name] => codetether_sandbox::is_secret_name(name),
            _ => false,
        };
        let Some(text) = entry.value.as_ref().and_then(|value| value.as_str()) else { continue };
        let shown = if secret { MASK.to_owned() } else { without_user(text) };
        if shown != text {
            entry.value = Some(shown.into());
        }
    }
    entries
}

/// An address without the user and password in it, and without those of its parameters that are secret.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A password that is written wrongly may hold any character: nothing before the last `@` is shown.
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => rest.to_owned(),
    };
    let Some((place, parameters)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if codetether_sandbox::is_secret_name(name) => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    };
    let parameters: Vec<String> = parameters.split('&').map(parameter).collect();
    format!("{scheme}://{place}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_show_no_passwords() {
        for (text, shown) in [
            ("http://h/v1", "http://h/v1"),
            ("https://me:p@ss/w@h/v1", "https://***@h/v1"),
            ("https://h/v1?api_key=x&a=b", "https://h/v1?api_key=***&a=b"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_user(text), shown);
        }
    }
}
