//! The settings in force, and where each of them comes from. Reads nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use codetether_event::{
    Confinement, Effort, HookPoint, Manner, Mode, ModelId, ResponseFormat, Retry, Temperature, ToolName,
    TurnSettings,
};
use codetether_permission::List;

use crate::defined::{Agent, BUILD, Level};
use crate::keys::{Key, Shape, Table};
use crate::layer::{MAX_STEPS, MODE, MODE_ELSEWHERE};
use crate::read::{KeyPath, LayerName, Origin};
use crate::{
    CheckLayer, ContextLayer, Layer, Limits, ModelSettings, Privacy, Provider, SandboxLayer, SourcedHook,
    TiersLayer, UndoLayer, WebLayer,
};

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The model, if one was chosen.
    pub model: Option<ModelId>,
    /// The agent, if one was chosen.
    pub agent: Option<String>,
    /// What may happen without asking, where commands are confined in namespaces.
    pub(crate) mode: Mode,
    /// The most that the agent lets happen without asking.
    ceiling: Option<Mode>,
    /// How hard a reasoning model thinks.
    pub effort: Option<Effort>,
    /// Most tokens of one answer.
    pub max_output: Option<u32>,
    /// How much of an answer is left to chance.
    pub temperature: Option<Temperature>,
    /// Most answers asked for in a turn.
    pub max_steps: u32,
    /// Longest time of a turn, in milliseconds.
    pub max_time_ms: Option<u64>,
    /// Models that go on where one before failed for good, in order.
    pub fallback: Vec<ModelId>,
    /// The models by size.
    pub tiers: TiersLayer,
    /// Where models may be asked.
    pub privacy: Privacy,
    /// Whether an agent or a command named the model.
    pub is_model_named: bool,
    /// What may be spent.
    pub limits: Limits,
    /// What commands are confined in.
    pub sandbox: SandboxLayer,
    /// What is remembered of files.
    pub undo: UndoLayer,
    /// What the model is told.
    pub context: ContextLayer,
    /// What `web_fetch` may reach.
    pub web: WebLayer,
    /// The tools offered; all when absent.
    pub tools: Option<Vec<ToolName>>,
    /// The permission rules of all layers, the lowest layer's first, with where each is from.
    pub rules: Vec<SourcedRule>,
    /// The hooks of all layers, the lowest layer's first, with where each is from and whether it is in force.
    pub hooks: Vec<SourcedHook>,
    /// What tells whether the work is right.
    pub check: CheckLayer,
    /// How failed requests are tried again.
    pub retry: Retry,
    /// Endpoints by name.
    pub providers: BTreeMap<String, Provider>,
    /// What the user says of models, by `provider/model`.
    pub models: BTreeMap<String, ModelSettings>,
    /// Where keys are kept for several machines.
    pub vault: crate::Vault,
    /// What a project's file says that does not hold.
    pub left_out: Vec<LeftOut>,
    /// The files that were read.
    pub read: Vec<(LayerName, PathBuf)>,
    /// All of it as it would be written.
    pub(crate) layer: Layer,
    /// Where each value is from; defaults are not in it.
    pub(crate) origins: BTreeMap<KeyPath, Origin>,
}

/// A permission rule and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedRule {
    /// What it does.
    pub list: List,
    /// Its text.
    pub rule: String,
    /// Where it is from.
    pub origin: Origin,
}

/// A key of a project's file that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The key.
    pub key: &'static str,
    /// Why.
    pub why: Why,
}

/// Why a key of a project's file does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The folder is not trusted.
    Untrusted,
    /// It would widen what the user's own settings say; trust does not change that.
    Wider,
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The names of its tables and its own.
    pub path: Vec<String>,
    /// Its value; `None` where nothing is set.
    pub value: Option<toml::Value>,
    /// What holds where nothing is set.
    pub unset: Option<&'static str>,
    /// Where it is from: one, but for a list of rules, where it is one for each.
    pub origins: Vec<Origin>,
}

impl Entry {
    /// The key as it is written, with dots.
    #[must_use]
    pub fn key(&self) -> String {
        dotted(&self.path)
    }
}

/// A key with dots, and quotes where a name needs them.
#[must_use]
pub fn dotted(path: &[String]) -> String {
    path.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(".")
}

fn quoted(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml::Value::String(name.to_owned()).to_string()
    }
}

impl Settings {
    pub(crate) fn new(
        layer: Layer,
        rules: Vec<SourcedRule>,
        origins: BTreeMap<KeyPath, Origin>,
        left_out: Vec<LeftOut>,
        read: Vec<(LayerName, PathBuf)>,
    ) -> Self {
        let retry = Retry::default();
        Self {
            model: layer.model.as_ref().map(crate::Model::id),
            agent: layer.agent.clone(),
            mode: layer.mode.unwrap_or(MODE),
            ceiling: None,
            effort: layer.effort,
            max_output: layer.max_output,
            temperature: layer.temperature,
            max_steps: layer.max_steps.unwrap_or(MAX_STEPS),
            max_time_ms: layer.max_time.map(crate::Seconds::millis),
            fallback: layer.fallback.iter().flat_map(|models| &models.0).map(crate::Model::id).collect(),
            tiers: layer.tiers.clone(),
            privacy: layer.privacy.unwrap_or_default(),
            is_model_named: false,
            limits: layer.limits.clone(),
            sandbox: layer.sandbox.clone(),
            undo: layer.undo.clone(),
            context: layer.context.clone(),
            web: layer.web.clone(),
            tools: layer.tools.as_ref().map(|tools| tools.0.iter().map(ToolName::new).collect()),
            rules,
            hooks: Vec::new(),
            check: layer.check.clone(),
            retry: Retry {
                max_tries: layer.retry.max_tries.unwrap_or(retry.max_tries),
                base_ms: layer.retry.base_ms.map_or(retry.base_ms, u64::from),
                max_total_ms: layer.retry.max_time.map_or(retry.max_total_ms, crate::Seconds::millis),
            },
            providers: layer.providers.clone(),
            models: layer.models.clone(),
            vault: layer.vault.clone(),
            left_out,
            read,
            layer,
            origins,
        }
    }

    /// The rules of one list.
    #[must_use]
    pub fn list(&self, list: List) -> Vec<String> {
        self.rules.iter().filter(|rule| rule.list == list).map(|rule| rule.rule.clone()).collect()
    }

    /// The points at which hooks are in force.
    #[must_use]
    pub fn hook_points(&self) -> Vec<HookPoint> {
        let in_force =
            |point: &HookPoint| self.hooks.iter().any(|hook| hook.point == *point && hook.left_out.is_none());
        HookPoint::ALL.into_iter().filter(in_force).collect()
    }

    /// What may happen without asking, where commands are confined so.
    #[must_use]
    pub fn mode(&self, confinement: Confinement) -> Mode {
        let mode = self.mode_without_agent(confinement);
        self.ceiling.map_or(mode, |ceiling| mode.min(ceiling))
    }

    fn mode_without_agent(&self, confinement: Confinement) -> Mode {
        let is_set = self.origins.contains_key(&["mode".to_owned()][..]);
        if is_set || confinement == Confinement::Namespaces { self.mode } else { MODE_ELSEWHERE }
    }

    /// Narrows by what an agent says. Its model is asked, unless a flag names one.
    pub fn narrow(&mut self, agent: &Agent) {
        let usual = agent.name == BUILD && agent.from.level == Level::BuiltIn;
        self.agent = Some(agent.name.clone()).filter(|_| !usual);
        self.ceiling = agent.mode;
        if let Some(model) = agent.model.as_ref().filter(|_| !self.is_by_flag("model")) {
            self.model = Some(model.id());
            self.is_model_named = true;
        }
        self.max_steps = agent.steps.map_or(self.max_steps, |steps| steps.min(self.max_steps));
        let time = agent.time.map(crate::Seconds::millis);
        self.max_time_ms = narrower(self.max_time_ms, time);
        self.limits.max_cost = narrower(self.limits.max_cost, agent.cost);
        if let Some(tools) = &agent.tools {
            let tools: Vec<ToolName> = tools.iter().map(ToolName::new).collect();
            self.tools = Some(match &self.tools {
                None => tools,
                Some(ours) => tools.into_iter().filter(|tool| ours.contains(tool)).collect(),
            });
        }
    }

    /// Whether the model of a turn is left to its prompt: there are several by size, and nobody named one for this run.
    #[must_use]
    pub fn routes(&self) -> bool {
        let origin = self.origins.get(&["model".to_owned()][..]);
        let named =
            origin.is_some_and(|origin| matches!(origin.layer, LayerName::Flag | LayerName::Environment));
        let several = self.tiers.small.is_some() || self.tiers.heavy.is_some();
        several && !named && !self.is_model_named
    }

    /// Whether a key is set on the command line.
    #[must_use]
    pub fn is_by_flag(&self, key: &str) -> bool {
        let origin = self.origins.get(&[key.to_owned()][..]);
        origin.is_some_and(|origin| origin.layer == LayerName::Flag)
    }

    /// The agent's mode and the user's, where the agent's is the wider one.
    #[must_use]
    pub fn widened(&self, confinement: Confinement) -> Option<(Mode, Mode)> {
        let mode = self.mode_without_agent(confinement);
        self.ceiling.filter(|ceiling| *ceiling > mode).map(|ceiling| (ceiling, mode))
    }

    /// What holds during a turn with this model, where commands are confined so.
    #[must_use]
    pub fn turn(&self, model: ModelId, confinement: Confinement) -> TurnSettings {
        let first = self.manner(&model);
        let tiers = [&self.tiers.small, &self.tiers.main, &self.tiers.heavy].into_iter().flatten();
        let tiers = tiers.filter(|_| self.routes()).map(crate::Model::id);
        let others = self.fallback.iter().cloned().chain(tiers);
        let others = others.map(|model| (model.clone(), self.manner(&model)));
        TurnSettings {
            mode: self.mode(confinement),
            effort: first.effort,
            max_output: first.max_output,
            temperature: first.temperature,
            max_steps: self.max_steps,
            max_time_ms: self.max_time_ms,
            max_cost: self.limits.max_cost.map(crate::Dollars::money),
            allow_unknown_price: self.limits.allow_unknown_price.unwrap_or(false),
            fallback: self.fallback.clone(),
            manners: others.filter(|(other, manner)| *other != model && *manner != first).collect(),
            model,
            tools: self.tools.clone(),
            allow: self.list(List::Allow),
            ask: self.list(List::Ask),
            deny: self.list(List::Deny),
            format: ResponseFormat::Text,
            retry: self.retry,
            confinement,
            snapshots: self.undo.enabled.unwrap_or(true),
            compaction: None,
            agent: self.agent.clone(),
            supplement: None,
            hooks: self.hook_points(),
            check: None,
            single: false,
            tiers: None,
            small: None,
            replayed: false,
        }
    }

    /// What the user says of this model; of one with a date at its end, what is said of the one without.
    #[must_use]
    pub fn of_model(&self, model: &ModelId) -> Option<&ModelSettings> {
        self.named(model).map(|(_, row)| row)
    }

    fn named(&self, model: &ModelId) -> Option<(&String, &ModelSettings)> {
        let undated = || codetether_event::undated(model.as_str());
        self.models.get_key_value(model.as_str()).or_else(|| self.models.get_key_value(undated()?))
    }

    /// How this model is asked: as the flag or the variable says that stands over its own settings, else as these say,
    /// else as the settings for all models do. A project's limit holds in any case.
    fn manner(&self, model: &ModelId) -> Manner {
        let own = self.named(model);
        // The layer, and whether it was said by a flag of its own.
        let rank = |path: &[&str]| {
            let path: KeyPath = path.iter().map(|&name| name.to_owned()).collect();
            let origin = self.origins.get(&path);
            let is_flag =
                origin.and_then(|origin| origin.name.as_ref()).is_some_and(|name| name.starts_with("--"));
            (origin.map_or(LayerName::Default, |origin| origin.layer), is_flag)
        };
        // What was said for this call alone, later than what was said of the model.
        let outranks = |key: &str| {
            let named = own.map(|(name, _)| rank(&["models", name, key]));
            let all = rank(&[key]);
            all.0 >= LayerName::Environment && named.is_none_or(|named| all > named)
        };
        let own = own.map(|(_, row)| row);
        let max_output = chosen(self.max_output, own.and_then(|own| own.max_output), outranks("max_output"));
        let narrowed = self.max_output.filter(|_| rank(&["max_output"]).0 == LayerName::Project);
        Manner {
            effort: chosen(self.effort, own.and_then(|own| own.effort), outranks("effort")),
            max_output: narrowed.map_or(max_output, |most| max_output.map(|tokens| tokens.min(most))),
            temperature: chosen(
                self.temperature,
                own.and_then(|own| own.temperature),
                outranks("temperature"),
            ),
        }
    }

    /// Every setting, in the order of the reference.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let table = as_toml(&self.layer);
        let mut entries = Vec::new();
        self.collect(Some(&table), Layer::KEYS, &mut Vec::new(), &mut entries);
        entries
    }

    fn collect(
        &self,
        table: Option<&toml::Table>,
        keys: &'static [Key],
        path: &mut KeyPath,
        entries: &mut Vec<Entry>,
    ) {
        for key in keys {
            path.push(key.name.to_owned());
            let value = table.and_then(|table| table.get(key.name));
            let inner = value.and_then(toml::Value::as_table);
            match key.shape {
                Shape::Table(keys) => self.collect(inner, keys, path, entries),
                Shape::Tables(keys) => {
                    for (name, value) in inner.into_iter().flatten() {
                        path.push(name.clone());
                        self.collect(value.as_table(), keys, path, entries);
                        path.pop();
                    }
                }
                Shape::Lists(_) if inner.is_none_or(toml::Table::is_empty) => {
                    entries.push(self.entry(path, None, key.unset));
                }
                Shape::Texts | Shape::Lists(_) => {
                    for (name, value) in inner.into_iter().flatten() {
                        path.push(name.clone());
                        entries.push(self.entry(path, Some(value.clone()), None));
                        path.pop();
                    }
                }
                Shape::Value(_) | Shape::Rules => {
                    entries.push(self.entry(path, value.cloned(), key.unset));
                }
            }
            path.pop();
        }
    }

    fn entry(&self, path: &KeyPath, value: Option<toml::Value>, unset: Option<&'static str>) -> Entry {
        let origin = |path: &KeyPath| self.origins.get(path).cloned().unwrap_or_else(Origin::default_value);
        let list = List::ALL.into_iter().find(|list| path[..] == [list.as_str().to_owned()]);
        let origins = match (list, &value) {
            (_, None) => Vec::new(),
            // The lists of all layers are one.
            (Some(list), _) => {
                let of_list = self.rules.iter().filter(|rule| rule.list == list);
                of_list.map(|rule| rule.origin.clone()).collect()
            }
            (None, Some(toml::Value::Array(_))) if path.first().is_some_and(|first| first == "hooks") => {
                let point = path.last().map(String::as_str).unwrap_or_default();
                let of_point = |hook: &&SourcedHook| hook.point.as_str() == point && hook.left_out.is_none();
                self.hooks.iter().filter(of_point).map(|hook| hook.origin.clone()).collect()
            }
            (None, Some(toml::Value::Array(items)))
                if path.first().is_some_and(|first| first == "folders") =>
            {
                let item = |at: usize| {
                    let mut path = path.clone();
                    path.push(at.to_string());
                    origin(&path)
                };
                (0..items.len()).map(item).collect()
            }
            (None, Some(_)) => vec![origin(path)],
        };
        Entry { path: path.clone(), value, unset, origins }
    }
}

/// The smaller of two limits, or the only one.
fn narrower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A setting for all models, or that of one of them.
fn chosen<T>(all: Option<T>, one: Option<T>, all_outranks: bool) -> Option<T> {
    if all_outranks { all.or(one) } else { one.or(all) }
}

/// A layer as it would be written.
pub(crate) fn as_toml(layer: &Layer) -> toml::Table {
    // Nothing in a layer has no form in TOML: numbers are of 32 bits, and every key is a text.
    toml::Table::try_from(layer).unwrap_or_default()
}
