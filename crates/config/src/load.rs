//! Putting the layers together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codetether_event::{Effort, Mode, ModelId, Retry, ToolName, TurnSettings};
use codetether_files::{Root, RootError};
use codetether_permission::Rule;

use crate::diagnostic::{Kind, near};
use crate::{ConfigError, Layer, Narrowing, Provider};

/// Where a project's own settings are, relative to its root.
pub const PROJECT_FILE: &str = ".codetether/config.toml";

/// The variables that are settings, and the keys that they set.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("CODETETHER_MODEL", "model"),
    ("CODETETHER_MODE", "mode"),
    ("CODETETHER_EFFORT", "effort"),
    ("CODETETHER_MAX_OUTPUT", "max_output"),
    ("CODETETHER_MAX_STEPS", "max_steps"),
    ("CODETETHER_MAX_TIME", "max_time"),
];

/// Carried by processes that an agent starts; no setting.
const MARKER: &str = "CODETETHER_CALL";

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The user's file; need not exist.
    pub user: Option<PathBuf>,
    /// The project's root; its own file, [`PROJECT_FILE`] below it, need not exist.
    pub project: Option<PathBuf>,
    /// Environment variables that begin with `CODETETHER_`.
    pub environment: Vec<(String, String)>,
    /// `-c key=value`, in order.
    pub overrides: Vec<String>,
    /// Flags of their own, which outrank all else.
    pub flags: Layer,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The model, if one was chosen.
    pub model: Option<ModelId>,
    /// What may happen without asking.
    pub mode: Mode,
    /// How hard a reasoning model thinks.
    pub effort: Option<Effort>,
    /// Most tokens of one answer.
    pub max_output: Option<u32>,
    /// Most answers asked for in a turn.
    pub max_steps: u32,
    /// Longest time of a turn, in milliseconds.
    pub max_time_ms: Option<u64>,
    /// The tools offered; all when absent.
    pub tools: Option<Vec<ToolName>>,
    /// Permission rules that allow.
    pub allow: Vec<String>,
    /// Permission rules that deny.
    pub deny: Vec<String>,
    /// How failed requests are tried again.
    pub retry: Retry,
    /// Endpoints by name.
    pub providers: BTreeMap<String, Provider>,
}

impl Settings {
    /// What holds during a turn with this model.
    #[must_use]
    pub fn turn(&self, model: ModelId) -> TurnSettings {
        TurnSettings {
            model,
            mode: self.mode,
            effort: self.effort,
            max_output: self.max_output,
            max_steps: self.max_steps,
            max_time_ms: self.max_time_ms,
            tools: self.tools.clone(),
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            retry: self.retry,
        }
    }
}

/// Puts the layers together.
///
/// # Errors
/// The first source that cannot be read or says what it may not.
pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
    let mut merged = Layer::default();
    if let Some(text) = read(sources.user.as_deref())? {
        let name =
            sources.user.as_deref().map(Path::display).map(|path| path.to_string()).unwrap_or_default();
        over(&mut merged, user_layer(&name, &text, Kind::User)?);
    }
    over(&mut merged, environment_layer(&sources.environment)?);
    for text in &sources.overrides {
        over(&mut merged, override_layer(text)?);
    }
    check(&sources.flags, "flags", None)?;
    over(&mut merged, sources.flags.clone());
    let mut project = Narrowing::default();
    if let Some(text) = read_project(sources.project.as_deref())? {
        project = toml::from_str(&text)
            .map_err(|error| ConfigError::from_toml(&error, Kind::Project, PROJECT_FILE, &text))?;
        check_rules(&project.deny, PROJECT_FILE, Some(&text))?;
    }
    Ok(narrow(finish(merged), project))
}

/// The text of a settings file; `None` when there is no such file.
fn read(path: Option<&Path>) -> Result<Option<String>, ConfigError> {
    let Some(path) = path else { return Ok(None) };
    match codetether_files::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The text of a project's file: at most a mebibyte, and never of a file that a link out of the project leads to.
fn read_project(root: Option<&Path>) -> Result<Option<String>, ConfigError> {
    let Some(root) = root else { return Ok(None) };
    match Root::open(root)?.read(PROJECT_FILE, 1 << 20) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(RootError::NotFound { .. } | RootError::NotADirectory { .. }) => Ok(None),
        Err(error) => Err(ConfigError::Project(error)),
    }
}

fn user_layer(name: &str, text: &str, kind: Kind) -> Result<Layer, ConfigError> {
    let layer: Layer =
        toml::from_str(text).map_err(|error| ConfigError::from_toml(&error, kind, name, text))?;
    check(&layer, name, Some(text))?;
    Ok(layer)
}

/// What a layer's types cannot check.
fn check(layer: &Layer, name: &str, text: Option<&str>) -> Result<(), ConfigError> {
    check_rules(layer.allow.iter().chain(&layer.deny), name, text)?;
    match layer.model.as_deref().map(|model| (model, check_model(model))) {
        Some((model, Err(help))) => {
            let message = format!("`{model}` is not a model");
            Err(ConfigError::at(name, text.unwrap_or(model), model, message, Some(help)))
        }
        _ => Ok(()),
    }
}

fn check_rules<'a>(
    rules: impl IntoIterator<Item = &'a String>,
    name: &str,
    text: Option<&str>,
) -> Result<(), ConfigError> {
    for rule in rules {
        if let Err(error) = Rule::parse(rule) {
            return Err(ConfigError::at(name, text.unwrap_or(rule), rule, error.to_string(), None));
        }
    }
    Ok(())
}

fn check_model(model: &str) -> Result<(), String> {
    match model.split_once('/') {
        Some((provider, name)) if !provider.is_empty() && !name.is_empty() => Ok(()),
        _ => Err("write it as `provider/model`, such as `openai/gpt-5`".into()),
    }
}

fn environment_layer(variables: &[(String, String)]) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    for (name, value) in variables.iter().filter(|(name, _)| name != MARKER) {
        let Some((_, key)) = ENVIRONMENT.iter().find(|(known, _)| known == name) else {
            let help = match near(name, ENVIRONMENT.iter().map(|(known, _)| *known)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "unset it; every other setting goes into the settings file or a flag".into(),
            };
            let message = format!("unknown variable `{name}`");
            return Err(ConfigError::at(
                "environment",
                &format!("{name}={value}"),
                name,
                message,
                Some(help),
            ));
        };
        over(&mut layer, assignment(key, value, name, Kind::Environment)?);
    }
    Ok(layer)
}

fn override_layer(text: &str) -> Result<Layer, ConfigError> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            assignment(key.trim(), value.trim(), "-c", Kind::Flag)
        }
        _ => Err(ConfigError::at(
            "-c",
            text,
            text,
            format!("`{text}` sets nothing"),
            Some("write `-c key=value`, such as `-c max_steps=20`".into()),
        )),
    }
}

/// `key = value` as TOML; a value that is no TOML is taken as text, so that quotes are not needed.
fn assignment(key: &str, value: &str, name: &str, kind: Kind) -> Result<Layer, ConfigError> {
    let as_is = format!("{key} = {value}");
    let quoted = format!("{key} = {}", toml::Value::String(value.to_owned()));
    // One key and no more, whatever the value holds.
    let is_toml = !value.contains('\n') && toml::from_str::<toml::Table>(&as_is).is_ok();
    user_layer(name, if is_toml { &as_is } else { &quoted }, kind)
}

/// Lays `top` over `base`: what it sets wins; rules add up; endpoints merge by name and key.
fn over(base: &mut Layer, top: Layer) {
    macro_rules! take {
        ($base:expr, $top:expr, $($field:ident),+) => { $( if $top.$field.is_some() { $base.$field = $top.$field; } )+ };
    }
    take!(base, top, model, mode, effort, max_output, max_steps, max_time, tools);
    take!(base.retry, top.retry, max_tries, base_ms, max_time);
    base.allow.extend(top.allow);
    base.deny.extend(top.deny);
    for (name, provider) in top.providers {
        let merged = base.providers.entry(name).or_default();
        take!(merged, provider, base_url, key_env, tool_calls, idle_timeout, total_timeout);
        merged.headers.extend(provider.headers);
    }
}

fn finish(layer: Layer) -> Settings {
    let retry = Retry::default();
    Settings {
        model: layer.model.map(ModelId::new),
        mode: layer.mode.unwrap_or(Mode::Ask),
        effort: layer.effort,
        max_output: layer.max_output,
        max_steps: layer.max_steps.unwrap_or(100),
        max_time_ms: layer.max_time.map(crate::Seconds::millis),
        tools: layer.tools.map(names),
        allow: layer.allow,
        deny: layer.deny,
        retry: Retry {
            max_tries: layer.retry.max_tries.unwrap_or(retry.max_tries),
            base_ms: layer.retry.base_ms.unwrap_or(retry.base_ms),
            max_total_ms: layer.retry.max_time.map_or(retry.max_total_ms, crate::Seconds::millis),
        },
        providers: layer.providers,
    }
}

fn names(tools: Vec<String>) -> Vec<ToolName> {
    tools.into_iter().map(ToolName::new).collect()
}

fn narrow(mut settings: Settings, project: Narrowing) -> Settings {
    fn lower<T: Ord>(ours: Option<T>, theirs: Option<T>) -> Option<T> {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        }
    }
    settings.deny.extend(project.deny);
    settings.max_output = lower(settings.max_output, project.max_output);
    settings.max_steps = settings.max_steps.min(project.max_steps.unwrap_or(u32::MAX));
    settings.max_time_ms = lower(settings.max_time_ms, project.max_time.map(crate::Seconds::millis));
    settings.tools = match (settings.tools, project.tools.map(names)) {
        (Some(ours), Some(theirs)) => Some(ours.into_iter().filter(|tool| theirs.contains(tool)).collect()),
        (ours, theirs) => ours.or(theirs),
    };
    settings
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic;

    use super::*;

    /// The folder must be kept as long as the sources are read.
    fn sources(user: &str, project: &str) -> (tempfile::TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        let (user_path, project_path) = (dir.path().join("config.toml"), dir.path().join(PROJECT_FILE));
        codetether_files::create_dir_all(project_path.parent().unwrap()).unwrap();
        let options = codetether_files::WriteOptions::default();
        codetether_files::write_atomic(&user_path, user.as_bytes(), &options).unwrap();
        codetether_files::write_atomic(&project_path, project.as_bytes(), &options).unwrap();
        let sources =
            Sources { user: Some(user_path), project: Some(dir.path().to_owned()), ..Sources::default() };
        (dir, sources)
    }

    fn load_from(user: &str, project: &str) -> Result<Settings, ConfigError> {
        let (_keep, sources) = sources(user, project);
        load(&sources)
    }

    /// Message, help, and the text that is pointed at.
    fn problem(user: &str, project: &str) -> String {
        let error = load_from(user, project).unwrap_err();
        let help = error.help().map(|help| help.to_string()).unwrap_or_default();
        let ConfigError::Wrong(wrong) = &error else { return error.to_string() };
        format!("{error}\nat: {}\nhelp: {help}", wrong.part().unwrap_or("-"))
    }

    #[test]
    fn later_layers_win_and_rules_add_up() {
        let user =
            "model = \"a/b\"\nmax_steps = 7\nallow = [\"bash(ls)\"]\n[providers.x]\nbase_url = \"http://h\"";
        let (_keep, mut sources) = sources(user, "");
        sources.environment =
            vec![("CODETETHER_MODEL".into(), "c/d".into()), ("CODETETHER_CALL".into(), "x".into())];
        sources.overrides =
            vec!["max_steps=9".into(), "allow=[\"edit\"]".into(), "providers.x.key_env=X_KEY".into()];
        sources.flags.mode = Some(Mode::Plan);
        let settings = load(&sources).unwrap();
        assert_eq!(settings.model, Some(ModelId::new("c/d")));
        assert_eq!((settings.max_steps, settings.mode), (9, Mode::Plan));
        assert_eq!(settings.allow, ["bash(ls)", "edit"]);
        let provider = &settings.providers["x"];
        assert_eq!(provider.base_url.as_deref(), Some("http://h"));
        assert_eq!(provider.key_env.as_deref(), Some("X_KEY"));
    }

    #[test]
    fn a_project_can_only_narrow() {
        let user = "max_steps = 10\nmax_time = \"1h\"\ntools = [\"read\", \"bash\"]\ndeny = [\"write\"]";
        let project = "max_steps = 50\nmax_time = 60\nmax_output = 100\ntools = [\"bash\", \"edit\"]\ndeny = [\"edit\"]";
        let settings = load_from(user, project).unwrap();
        assert_eq!(settings.max_steps, 10);
        assert_eq!(settings.max_time_ms, Some(60_000));
        assert_eq!(settings.max_output, Some(100));
        assert_eq!(settings.tools, Some(vec![ToolName::new("bash")]));
        assert_eq!(settings.deny, ["write", "edit"]);
    }

    #[test]
    fn a_project_cannot_give_itself_power() {
        for key in [
            "model = \"a/b\"",
            "mode = \"bypass\"",
            "allow = [\"bash\"]",
            "[providers.x]\nbase_url = \"http://h\"",
        ] {
            let text = problem("", key);
            assert!(text.contains("a project's own file cannot set"), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_pointed_at_with_the_one_that_was_meant() {
        insta::assert_snapshot!(problem("modle = \"a/b\"", ""), @r"
        cannot read the settings: unknown key `modle`
        at: modle
        help: did you mean `model`?
        ");
        insta::assert_snapshot!(problem("[providers.x]\nurl = \"h\"", ""), @r"
        cannot read the settings: unknown key `url`
        at: url
        help: known here: `base_url`, `key_env`, `tool_calls`, `headers`, `idle_timeout`, `total_timeout`
        ");
    }

    #[test]
    fn wrong_values_are_pointed_at() {
        insta::assert_snapshot!(problem("model = \"gpt\"", ""), @r"
        cannot read the settings: `gpt` is not a model
        at: gpt
        help: write it as `provider/model`, such as `openai/gpt-5`
        ");
        insta::assert_snapshot!(problem("deny = [\"bash(\"]", ""), @r"
        cannot read the settings: `bash(` is not a rule: write `tool` or `tool(pattern)`, such as `bash(cargo test)` or `edit(src/**)`
        at: bash(
        help:
        ");
        let text = problem("mode = \"yolo\"", "");
        assert!(text.contains("unknown variant `yolo`") && text.contains("at: \"yolo\""), "{text}");
        let text = problem("max_time = \"soon\"", "");
        assert!(text.contains("`soon` is not a duration"), "{text}");
    }

    #[test]
    fn a_hostile_project_can_neither_act_on_the_terminal_nor_lead_out() {
        let text = problem("", "\"\\u001b]52;c;x\\u0007\" = 1");
        assert!(text.contains("unknown key `?]52;c;x?`"), "{text:?}");
        let text = problem("", "\u{202e}x = 1");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        for target in ["/dev/zero", "/etc/passwd"] {
            let (dir, sources) = sources("", "");
            let path = dir.path().join(PROJECT_FILE);
            codetether_files::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
            assert!(matches!(load(&sources), Err(ConfigError::Project(_))), "{target}");
        }
    }

    #[test]
    fn a_variable_sets_its_own_key_and_no_other() {
        let environment = vec![("CODETETHER_MODEL".into(), "\"a/b\"\nmode = \"bypass\"".into())];
        assert_eq!(load(&Sources { environment, ..Sources::default() }).unwrap().mode, Mode::Ask);
    }

    #[test]
    fn unknown_variables_and_empty_overrides_are_errors() {
        let sources =
            Sources { environment: vec![("CODETETHER_MODLE".into(), "x".into())], ..Sources::default() };
        assert!(load(&sources).unwrap_err().help().unwrap().to_string().contains("CODETETHER_MODEL"));
        let flags = Layer { allow: vec!["bash(".into()], ..Layer::default() };
        assert!(
            load(&Sources { flags, ..Sources::default() }).unwrap_err().to_string().contains("is not a rule")
        );
        let sources = Sources { overrides: vec!["max_steps".into()], ..Sources::default() };
        assert!(load(&sources).unwrap_err().to_string().contains("sets nothing"));
    }

    #[test]
    fn every_key_has_an_effect() {
        let base = load_from("", "").unwrap();
        let keys = [
            "model = \"a/b\"",
            "mode = \"plan\"",
            "effort = \"high\"",
            "max_output = 5",
            "max_steps = 5",
            "max_time = 5",
            "tools = []",
            "allow = [\"read\"]",
            "deny = [\"read\"]",
            "[retry]\nmax_tries = 1",
            "[retry]\nbase_ms = 1",
            "[retry]\nmax_time = 1",
            "[providers.x]\nbase_url = \"h\"",
        ];
        for key in keys {
            assert_ne!(load_from(key, "").unwrap(), base, "{key}");
        }
    }
}
