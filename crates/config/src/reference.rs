//! What is said about settings from their definition: the JSON Schema for editors, and the reference page. Both are
//! kept in `docs/`.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema as _, Schema};
use serde_json::Value as Json;

use crate::Layer;
use crate::keys::{Key, ProjectMay, Shape, Table};
use crate::settings::as_toml;

/// The JSON Schema of a settings file, pretty, with a new line at its end.
#[must_use]
pub fn schema() -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Layer>();
    RecursiveTransform(without_null).transform(&mut schema);
    RecursiveTransform(one_paragraph).transform(&mut schema);
    schema.insert("title".into(), "Settings of codetether".into());
    defaults(&mut schema, Layer::KEYS, &as_toml(&Layer::defaults()));
    let mut text =
        serde_json::to_string_pretty(&schema).unwrap_or_else(|_| Layer::schema_name().into_owned());
    text.push('\n');
    text
}

/// TOML has no null: what is not set is not there.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Json::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Json::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Json::Array(mut options)) = object.remove("anyOf") {
        options.retain(|option| option.get("type").is_none_or(|kind| kind != "null"));
        match options.as_slice() {
            [Json::Object(only)] => {
                for (key, value) in only {
                    object.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            _ => drop(object.insert("anyOf".into(), Json::Array(options))),
        }
    }
    object.retain(|key, value| {
        !(key == "default" && (value.is_null() || *value == Json::Object(<_>::default())))
    });
}

/// Lines of the source are no lines of a description.
fn one_paragraph(schema: &mut Schema) {
    if let Some(Json::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

fn defaults(schema: &mut Schema, keys: &[Key], table: &toml::Table) {
    for key in keys {
        let Some(property) = schema.pointer_mut(&format!("/properties/{}", key.name)) else { continue };
        let Ok(property) = <&mut Schema>::try_from(property) else { continue };
        let default = table.get(key.name);
        match (key.shape, default) {
            (Shape::Table(keys), Some(toml::Value::Table(table))) => defaults(property, keys, table),
            (Shape::Tables(keys), _) => {
                let written = defaults_of(keys);
                let each = property.pointer_mut("/additionalProperties");
                if let Some(Ok(each)) = each.map(<&mut Schema>::try_from) {
                    defaults(each, keys, &written);
                }
            }
            (_, Some(default)) => {
                if let Ok(default) = serde_json::to_value(default) {
                    property.insert("default".into(), default);
                }
            }
            _ => {}
        }
    }
}

/// The defaults of tables by name, found by their keys.
fn defaults_of(keys: &[Key]) -> toml::Table {
    let written = if std::ptr::eq(keys, crate::Provider::KEYS) {
        toml::Table::try_from(crate::Provider::defaults()).ok()
    } else if std::ptr::eq(keys, crate::Hook::KEYS) {
        toml::Table::try_from(crate::Hook::defaults()).ok()
    } else {
        None
    };
    written.unwrap_or_default()
}

/// The reference page, as Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(HEAD);
    let mut variables = String::new();
    for key in Layer::KEYS {
        if let Some(variable) = key.variable {
            let _ = writeln!(variables, "| `{variable}` | `{}` |", key.name);
        }
    }
    page.push_str("## Keys\n\n");
    keys(&mut page, "", Layer::KEYS, &as_toml(&Layer::defaults()), ProjectMay::Nothing);
    page.push_str("## Environment variables\n\n| variable | key |\n|---|---|\n");
    page.push_str(&variables);
    page.push_str(TAIL);
    page
}

fn keys(page: &mut String, before: &str, keys: &[Key], defaults: &toml::Table, table: ProjectMay) {
    for key in keys {
        let name = format!("{before}{}", key.name);
        let may = if key.project == ProjectMay::AsTheTable { table } else { key.project };
        let doc: String = key.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let value = |kind: &str| {
            let default = defaults.get(key.name).map(|value| format!("`{value}`"));
            let default = default.or(key.unset.map(str::to_owned)).unwrap_or_else(|| "none".into());
            let project = match may {
                ProjectMay::Narrow => "can narrow it",
                ProjectMay::SetWhenTrusted => "can set it once you trust the folder",
                ProjectMay::Nothing | ProjectMay::AsTheTable => "cannot set it",
            };
            let only = if key.user_only { " Only your own file can set it." } else { "" };
            format!("{kind}. Default: {default}. A project {project}.{only}")
        };
        match key.shape {
            Shape::Value(kind) => {
                let _ = write!(page, "### `{name}`\n\n{doc}\n\n{}\n\n", value(&capital(kind)));
            }
            Shape::Rules => {
                let _ = write!(page, "### `{name}`\n\n{doc}\n\n{}\n\n", value("A list of rules"));
            }
            Shape::Texts => {
                let _ = write!(page, "### `{name}.NAME`\n\n{doc}\n\n{}\n\n", value("Text"));
            }
            Shape::Lists(inner) => {
                let _ = write!(
                    page,
                    "### `[[{name}.POINT]]`\n\n{doc}\n\n{}\n\n",
                    value("Lists of tables by name")
                );
                self::keys(page, &format!("{name}.POINT."), inner, &defaults_of(inner), may);
            }
            Shape::Table(inner) => {
                let _ = write!(page, "### `[{name}]`\n\n{doc}\n\n");
                let table = defaults.get(key.name).and_then(toml::Value::as_table).cloned();
                self::keys(page, &format!("{name}."), inner, &table.unwrap_or_default(), may);
            }
            Shape::Tables(inner) => {
                let each = match key.name {
                    "folders" => format!("{name}.\"/PATH\""),
                    "models" => format!("{name}.\"PROVIDER/MODEL\""),
                    _ => format!("{name}.NAME"),
                };
                let _ = write!(page, "### `[{each}]`\n\n{doc}\n\n{}\n\n", value("Tables by name"));
                self::keys(page, &format!("{each}."), inner, &defaults_of(inner), may);
            }
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

const HEAD: &str = "<!-- Made from the types: run the tests of codetether-config with CODETETHER_BLESS=1 to renew it. -->\n\
# Settings\n\n\
Settings are TOML. Each layer stands over the ones before it:\n\n\
1. defaults\n\
2. the machine's file: `codetether/config.toml` in the first folder of `$XDG_CONFIG_DIRS` that has one, else in `/etc`\n\
3. your own file: `$XDG_CONFIG_HOME/codetether/config.toml`, which is `~/.config/codetether/config.toml` where that is\n   not set\n\
4. the table `[folders.\"/PATH\"]` for the folder in your own file\n\
5. the project's own file, `.codetether/config.toml` in its folder: it can narrow what the layers above this line allow,\n   and set a few keys once you trust the folder (`codetether trust`)\n\
6. environment variables\n\
7. the command line: `-c key=value`, then the other flags\n\n\
Lists of permission rules add up over all layers. An unknown key, a wrong type and a key that is set twice are errors;\n\
all of them are shown at once, with their places.\n\n\
| command | what it does |\n\
|---|---|\n\
| `codetether config show [--origin] [--json]` | what holds here, and where each value is from |\n\
| `codetether config get KEY` | one value |\n\
| `codetether config set KEY VALUE [--project]` | set a key; comments and order stay |\n\
| `codetether config unset KEY [--project]` | remove a key |\n\
| `codetether config edit [--project]` | open the file in your editor, and check it afterwards |\n\
| `codetether config check [FILE]` | say everything that is wrong |\n\
| `codetether config path` | where the files are |\n\
| `codetether config schema` | the JSON Schema ([settings.schema.json](settings.schema.json)), for editors |\n\n";

const TAIL: &str = "\nEvery other variable whose name begins with `CODETETHER_` is an error.\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a file in `docs/` says what the definition says; renews it if asked to.
    fn kept(name: &str, made: &str) {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("CODETETHER_BLESS").is_some() {
            codetether_files::write_atomic(
                &path,
                made.as_bytes(),
                &codetether_files::WriteOptions::default(),
            )
            .unwrap();
        }
        let kept = codetether_files::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "docs/{name} is out of date: run the tests with CODETETHER_BLESS=1, look at the change and commit it"
        );
    }

    #[test]
    fn the_reference_in_the_docs_is_what_the_definition_says() {
        kept("settings.md", &page());
    }

    #[test]
    fn the_schema_in_the_docs_is_what_the_definition_says() {
        kept("settings.schema.json", &schema());
    }
}
