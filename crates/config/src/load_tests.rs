//! Layers put together: what wins, what a project may do, where a value is from, and everything that is wrong at once.

use std::path::{Path, PathBuf};

use codetether_event::{Confinement, Effort, Mode, ModelId, ToolName};
use codetether_files::{WriteOptions, write_atomic};
use miette::Diagnostic;

use super::*;
use crate::Names;

/// Files of settings in a folder that must be kept as long as they are read.
struct Place {
    dir: tempfile::TempDir,
    sources: Sources,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        Self { dir, sources: Sources { root: Some(root), ..Sources::default() } }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        write_atomic(&path, text.as_ref(), &WriteOptions::default()).unwrap();
        path
    }

    fn system(mut self, text: &str) -> Self {
        self.sources.system = Some(self.file("system.toml", text));
        self
    }

    fn user(mut self, text: &str) -> Self {
        self.sources.user = Some(self.file("user.toml", text));
        self
    }

    fn project(mut self, text: impl AsRef<[u8]>, trusted: bool) -> Self {
        let file = PathBuf::from("/p").join(PROJECT_FILE);
        self.sources.project = Some(ProjectSettings { file, bytes: text.as_ref().to_vec(), trusted });
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn set(mut self, text: &str) -> Self {
        self.sources.overrides.push(text.into());
        self
    }

    fn load(&self) -> Settings {
        load(&self.sources).unwrap_or_else(|error| panic!("{error}: {:#?}", error.problems()))
    }

    /// Every problem: message, place, the text that is pointed at, help.
    fn problems(&self) -> String {
        let error = load(&self.sources).unwrap_err();
        let dir = format!("{}/", self.dir.path().display());
        let line = |problem: &Problem| {
            let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
            let part = problem.part().unwrap_or("-");
            let help = problem.help.as_deref().unwrap_or("-");
            // Why a text is no rule is for `permission` to say.
            let message = problem.to_string();
            let message = message
                .split_once("is not a rule: ")
                .map_or_else(|| message.clone(), |(rule, _)| format!("{rule}is not a rule: [why]"));
            format!("{message}\n  {}{line} `{part}` help: {help}\n", problem.source).replace(&dir, "")
        };
        error.problems().iter().map(line).collect()
    }

    /// Where a value is from.
    fn origin(&self, key: &str) -> String {
        let entries = self.load().entries();
        let entry = entries.iter().find(|entry| entry.key() == key).unwrap();
        let value = entry.value.as_ref().map(ToString::to_string);
        let origins: Vec<String> = entry.origins.iter().map(ToString::to_string).collect();
        let dir = format!("{}/", self.dir.path().display());
        format!("{} = {} # {}", key, value.as_deref().unwrap_or("-"), origins.join(", ")).replace(&dir, "")
    }
}

fn rules(settings: &Settings, list: List) -> Vec<String> {
    settings.rules.iter().filter(|rule| rule.list == list).map(|rule| rule.rule.clone()).collect()
}

#[test]
fn each_layer_stands_over_the_one_before() {
    let mut place = Place::new();
    let mut expected = 100;
    assert_eq!(place.load().max_steps, expected);
    place = place.system("max_steps = 90");
    expected = 90;
    assert_eq!(place.load().max_steps, expected);
    place = place.user("max_steps = 80");
    assert_eq!(place.load().max_steps, 80);
    place = place.project("max_steps = 70", false);
    assert_eq!(place.load().max_steps, 70);
    place = place.variable("CODETETHER_MAX_STEPS", "60");
    assert_eq!(place.load().max_steps, 60);
    place = place.set("max_steps=50");
    assert_eq!(place.load().max_steps, 50);
    place.sources.flags.max_steps = Some(40);
    assert_eq!(place.load().max_steps, 40);
}

#[test]
fn rules_of_all_layers_add_up_with_their_origins() {
    let mut place = Place::new();
    let root = place.sources.root.clone().unwrap();
    let user = format!(
        "allow = [\n  \"bash(a)\",\n  \"bash(b)\",\n]\n[folders.\"{}\"]\ndeny = [\"bash(c)\"]\nask = [\"bash(d)\"]\n\
         [folders.\"/elsewhere\"]\nallow = [\"bash(x)\"]\n",
        root.display()
    );
    place = place.system("deny = [\"bash(s)\"]").user(&user);
    place = place.project("ask = [\"bash(p)\"]\nallow = [\"bash(q)\"]", true).set("allow=[\"edit\"]");
    place.sources.flags.deny = vec!["write".into()];
    let settings = place.load();
    let dir = format!("{}/", place.dir.path().display());
    let shown: Vec<String> = settings
        .rules
        .iter()
        .map(|rule| format!("{} {} # {}", rule.list.as_str(), rule.rule, rule.origin).replace(&dir, ""))
        .collect();
    assert_eq!(
        shown,
        [
            "deny bash(s) # system system.toml:1",
            "allow bash(a) # user user.toml:2",
            "allow bash(b) # user user.toml:3",
            "ask bash(d) # folder user.toml:7",
            "deny bash(c) # folder user.toml:6",
            "allow bash(q) # project /p/.codetether/config.toml:2",
            "ask bash(p) # project /p/.codetether/config.toml:1",
            "allow edit # flag `-c`",
            "deny write # flag `--deny`",
        ]
    );
    let turn = settings.turn(ModelId::new("a/b"), Confinement::None);
    assert_eq!(turn.ask, ["bash(d)", "bash(p)"]);
    assert_eq!(turn.deny, ["bash(s)", "bash(c)", "write"]);
    assert_eq!(turn.allow, ["bash(a)", "bash(b)", "bash(q)", "edit"]);
    assert_eq!(
        place.origin("deny"),
        "deny = [\"bash(s)\", \"bash(c)\", \"write\"] # system system.toml:1, folder user.toml:6, flag `--deny`"
    );
}

#[test]
fn a_value_knows_its_layer_file_and_line() {
    let user = "mode = \"plan\"\n\n[retry]\nmax_tries = 2\n\n[providers.x]\nbase_url = \"http://h\"\nheaders = { A = \"b\" }\n";
    let mut place = Place::new().user(user).variable("CODETETHER_EFFORT", "low").set("retry.base_ms=7");
    place.sources.flags.tools = Some(Names(vec!["read".into()]));
    let keys = [
        "model",
        "mode",
        "effort",
        "tools",
        "max_steps",
        "retry.max_tries",
        "retry.base_ms",
        "providers.x.base_url",
        "providers.x.headers.A",
    ];
    let shown: Vec<String> = keys.iter().map(|key| place.origin(key)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    model = - # 
    mode = "plan" # user user.toml:1
    effort = "low" # environment `CODETETHER_EFFORT`
    tools = ["read"] # flag `--tools`
    max_steps = 100 # default
    retry.max_tries = 2 # user user.toml:4
    retry.base_ms = 7 # flag `-c`
    providers.x.base_url = "http://h" # user user.toml:7
    providers.x.headers.A = "b" # user user.toml:8
    "#);
}

#[test]
fn a_project_narrows_without_trust() {
    let user = "max_steps = 10\nmax_time = \"1h\"\ntools = [\"read\", \"bash\"]\ndeny = [\"write\"]\nmode = \"auto-edit\"";
    let project = "max_steps = 50\nmax_time = 60\nmax_output = 100\ntools = [\"bash\", \"edit\"]\ndeny = [\"edit\"]\nmode = \"plan\"";
    let place = Place::new().user(user).project(project, false);
    let settings = place.load();
    assert_eq!(settings.max_steps, 10);
    assert_eq!(settings.max_time_ms, Some(60_000));
    assert_eq!(settings.max_output, Some(100));
    assert_eq!(settings.tools, Some(vec![ToolName::new("bash")]));
    assert_eq!(rules(&settings, List::Deny), ["write", "edit"]);
    assert_eq!(settings.mode, Mode::Plan);
    assert_eq!(settings.left_out, []);
    assert_eq!(place.origin("max_steps"), "max_steps = 10 # user user.toml:1");
    assert_eq!(place.origin("mode"), "mode = \"plan\" # project /p/.codetether/config.toml:6");
}

#[test]
fn a_project_can_never_widen_the_mode() {
    for trusted in [false, true] {
        let place = Place::new().project("mode = \"bypass\"", trusted);
        let settings = place.load();
        assert_eq!(settings.mode(Confinement::None), Mode::Ask);
        assert_eq!(settings.mode(Confinement::Namespaces), Mode::AutoEdit);
        assert_eq!(settings.left_out, [LeftOut { key: "mode", why: Why::Wider }]);
        let auto = Place::new().project("mode = \"auto-edit\"", trusted).load();
        assert_eq!(auto.mode(Confinement::Landlock), Mode::Ask);
        let ask = Place::new().project("mode = \"ask\"", trusted).load();
        assert_eq!(ask.mode(Confinement::Namespaces), Mode::Ask);
        let offered = Place::new().user("tools = []").project("tools = [\"bash\"]", trusted).load();
        assert_eq!(offered.tools, Some(Vec::new()));
    }
}

#[test]
fn a_project_sets_what_needs_trust_only_when_trusted() {
    let project = "model = \"a/b\"\neffort = \"high\"\nallow = [\"bash(make)\"]\nretry.max_tries = 1\ndeny = [\"write\"]";
    let untrusted = Place::new().project(project, false).load();
    let base = Place::new().load();
    assert_eq!((&untrusted.model, untrusted.effort, untrusted.retry), (&None, None, base.retry));
    assert_eq!(rules(&untrusted, List::Allow), [""; 0]);
    assert_eq!(rules(&untrusted, List::Deny), ["write"]);
    let keys: Vec<&str> = untrusted.left_out.iter().map(|left| left.key).collect();
    assert_eq!(keys, ["model", "effort", "allow", "retry"]);
    assert!(untrusted.left_out.iter().all(|left| left.why == Why::Untrusted));
    let trusted = Place::new().project(project, true).load();
    assert_eq!(trusted.model, Some(ModelId::new("a/b")));
    assert_eq!((trusted.retry.max_tries, trusted.retry.base_ms), (1, base.retry.base_ms));
    assert_eq!(rules(&trusted, List::Allow), ["bash(make)"]);
    assert_eq!(trusted.left_out, []);
}

#[test]
fn environment_and_flags_outrank_a_project() {
    let place = Place::new().project("max_steps = 20\nmode = \"plan\"\ntools = [\"read\"]", true);
    let mut place = place.variable("CODETETHER_MODE", "auto-edit");
    place.sources.flags.max_steps = Some(200);
    place.sources.flags.tools = Some(Names(vec!["bash".into()]));
    let settings = place.load();
    assert_eq!((settings.max_steps, settings.mode), (200, Mode::AutoEdit));
    assert_eq!(settings.tools, Some(vec![ToolName::new("bash")]));
}

#[test]
fn a_project_cannot_say_who_is_asked_or_what_holds_elsewhere() {
    let project = "[providers.x]\nbase_url = \"http://h\"\n[folders.\"/a\"]\nallow = [\"bash\"]\n";
    insta::assert_snapshot!(Place::new().project(project, true).problems(), @"
    a project's own file cannot set `providers`
      /p/.codetether/config.toml:1 `providers` help: set it in your own settings; a project can narrow `mode`, `max_output`, `max_steps`, `privacy`, `max_time`, `tools`, `ask`, `deny`, and set `model`, `agent`, `effort`, `temperature`, `fallback`, `tiers`, `allow`, `hooks`, `check`, `retry` once you trust it
    a project's own file cannot set `folders`
      /p/.codetether/config.toml:3 `folders` help: set it in your own settings; a project can narrow `mode`, `max_output`, `max_steps`, `privacy`, `max_time`, `tools`, `ask`, `deny`, and set `model`, `agent`, `effort`, `temperature`, `fallback`, `tiers`, `allow`, `hooks`, `check`, `retry` once you trust it
    ");
}

#[test]
fn rules_of_folders_are_in_the_users_own_file_only() {
    let folders = "[folders.\"/a\"]\nallow = [\"bash\"]";
    let problems = Place::new().system(folders).set("folders.\"/a\".allow=[\"bash\"]").problems();
    assert_eq!(
        problems.matches("`folders` can be set in your own settings file only").count(),
        2,
        "{problems}"
    );
    insta::assert_snapshot!(Place::new().user("[folders.a]\n[providers.\"a/b\"]\n").problems(), @r#"
    `a` is not the path of a folder
      user.toml:1 `a` help: write it from the root on: `[folders."/home/me/project"]`
    `a/b` cannot be the name of a provider
      user.toml:2 `a/b` help: models are named `provider/model`: choose a name without a slash
    "#);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let system = "mode = \"yolo\"\n";
    let user = "modle = \"a/b\"\nmax_steps = \"many\"\nmax_time = \"soon\"\nmodel = \"gpt\"\ndeny = [\"bash(\", 3, \"read\"]\n\
                effort = 3\nmode = \"plan\"\nmode = \"ask\"\nmax_output = -1\n[retry]\nmax_try = 1\n[providers.x]\nurl = \"h\"\n\
                headers = { A = 1 }\n[providers]\ny = 1\n";
    let mut place = Place::new().system(system).user(user).project("mods = 1\ntools = \"read\"", false);
    place = place.variable("CODETETHER_MODLE", "sk-secret").variable("CODETETHER_MAX_STEPS", "x");
    place = place.set("max_steps").set("retry.tries=3");
    place.sources.flags.allow = vec!["bash(".into()];
    let problems = place.problems();
    assert!(!problems.contains("sk-secret"), "what an unknown variable holds may be a secret: {problems}");
    insta::assert_snapshot!(problems, @r#"
    `mode` cannot be `yolo`
      system.toml:1 `"yolo"` help: write one of `plan`, `ask`, `auto-edit`, `bypass`
    unknown key `modle`
      user.toml:1 `modle` help: did you mean `model`?
    `max_steps` must be a whole number from 0 to 4294967295, not the text `many`
      user.toml:2 `"many"` help: -
    `soon` is not a duration (write `90`, `90s`, `10m` or `1h30m`)
      user.toml:3 `"soon"` help: -
    `gpt` is not a model
      user.toml:4 `"gpt"` help: write it as `provider/model`, such as `openai/gpt-5`
    `bash(` is not a rule: [why]
      user.toml:5 `"bash("` help: -
    `deny` must hold rules, which are texts, not the number `3`
      user.toml:5 `3` help: -
    `effort` must be text, not the number `3`
      user.toml:6 `3` help: -
    duplicate key `mode`
      user.toml:8 `mode` help: keep one of the two
    `max_output` must be a whole number from 0 to 4294967295, not the number `-1`
      user.toml:9 `-1` help: -
    unknown key `retry.max_try`
      user.toml:11 `max_try` help: did you mean `max_tries`?
    unknown key `providers.x.url`
      user.toml:13 `url` help: known here: `base_url`, `wire`, `key_env`, `key_command`, `tool_calls`, `strict_tools`, `models`, `headers`, `idle_timeout`, `total_timeout`
    `providers.x.headers.A` must be text, not the number `1`
      user.toml:14 `1` help: -
    `providers.y` must be a table, not the number `1`
      user.toml:16 `1` help: write `[providers.y]`, and its keys on lines of their own
    unknown key `mods`
      /p/.codetether/config.toml:1 `mods` help: did you mean `mode`?
    `tools` must be a list of names, not the text `read`
      /p/.codetether/config.toml:2 `"read"` help: -
    unknown variable `CODETETHER_MODLE`
      environment `CODETETHER_MODLE` help: did you mean `CODETETHER_MODEL`?
    `max_steps` must be a whole number from 0 to 4294967295, not the text `x`
      CODETETHER_MAX_STEPS `"x"` help: -
    `max_steps` sets nothing
      -c `max_steps` help: write `-c key=value`, such as `-c max_steps=20`
    unknown key `retry.tries`
      -c `tries` help: known here: `max_tries`, `base_ms`, `max_time`
    `bash(` is not a rule: [why]
      --allow `bash(` help: -
    "#);
}

#[test]
fn a_broken_line_is_said_once_and_the_rest_is_read_on() {
    let user = "model = \nmax_steps = = 3\n[retry\nmax_tries = \"x\"\n";
    insta::assert_snapshot!(Place::new().user(user).problems(), @r"
    string values must be quoted, expected literal string
      user.toml:1 `` help: -
    extra `=`, expected nothing
      user.toml:2 `=` help: -
    unclosed table, expected `]`
      user.toml:3 `` help: -
    ");
}

#[test]
fn one_problem_is_shown_as_itself_and_several_as_a_list() {
    let error = load(&Place::new().set("modle=x").sources).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the settings: unknown key `modle`");
    assert_eq!(error.help().unwrap().to_string(), "did you mean `model`?");
    assert!(error.source_code().is_some() && error.related().is_none());
    let error = load(&Place::new().set("modle=x").set("nope=1").sources).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the settings: 2 problems");
    assert_eq!(error.related().unwrap().count(), 2);
}

#[test]
fn a_hostile_project_can_neither_act_on_a_terminal_nor_flood_it() {
    let shown = |text: &str| {
        let error = load(&Place::new().project(text, false).sources).unwrap_err();
        let mut shown = String::new();
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .render_report(&mut shown, &error)
            .unwrap();
        shown
    };
    let text = shown("\"\\u001b]52;c;x\\u0007\" = 1");
    assert!(text.contains("unknown key `?]52;c;x?`"), "{text}");
    let text = shown("\u{202e}x = 1\n\u{1b}[2J = 2");
    assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "{text}");
    let many: String = (0..100_000).map(|n| format!("a{n} = 1\n")).collect();
    let text = shown(&many[..LARGEST - 8]);
    assert!(text.contains("of which the first 50 are shown") && text.len() < 50_000, "{}", text.len());
    let long =
        format!("{} = \"{}\"\nmode = \"{}\"", "k".repeat(100_000), "v".repeat(100_000), "m".repeat(100_000));
    let text = shown(&long);
    assert!(text.len() < 2_000, "{text}");
    for deep in [format!("x = {}", "[".repeat(500_000)), "{a=".repeat(300_000), "x = {a=".repeat(100_000)] {
        assert!(shown(&deep).len() < 10_000);
    }
    let deep = format!("{}a = 1", "a.".repeat(400_000));
    assert!(shown(&deep).len() < 10_000);
    let deep = format!("[{}a]", "a.".repeat(400_000));
    assert!(shown(&deep).len() < 10_000);
    let broken: String = (0..50_000).map(|n| format!("a{n} = = 1\n")).collect();
    assert!(shown(&broken).len() < 50_000);
}

#[test]
fn a_file_that_is_no_text_is_said() {
    let place = Place::new().project([b'a', b'\n', 0xff], false);
    assert!(
        place.problems().contains("`/p/.codetether/config.toml` is not UTF-8 in line 2"),
        "{}",
        place.problems()
    );
    let place = Place::new().project(vec![b'#'; LARGEST + 1], false);
    assert!(place.problems().contains("larger than a file of settings can be (1 MiB)"));
    let mut place = Place::new();
    place.sources.user = Some(place.dir.path().to_owned());
    assert!(place.problems().contains("cannot read `"), "{}", place.problems());
}

#[test]
fn a_variable_sets_its_own_key_and_no_other() {
    let place =
        Place::new().variable("CODETETHER_MODEL", "a/b\"\nmode = \"bypass").variable("CODETETHER_CALL", "x");
    let settings = place.load();
    assert_eq!(settings.mode(Confinement::None), Mode::Ask);
    assert_eq!(settings.model, Some(ModelId::new("a/b\"\nmode = \"bypass")));
}

#[test]
fn what_an_override_means_needs_no_quotes() {
    let place = Place::new().set("model=a/b").set("max_time=10m").set("tools=[]").set(" mode = \"plan\" ");
    let settings = place.load();
    assert_eq!(settings.model, Some(ModelId::new("a/b")));
    assert_eq!(
        (settings.max_time_ms, settings.tools, settings.mode),
        (Some(600_000), Some(vec![]), Mode::Plan)
    );
}

#[test]
fn every_key_has_an_effect_and_so_has_its_variable() {
    // One value for each key, other than its default.
    let samples = [
        ("model", "\"a/b\""),
        ("agent", "\"plan\""),
        ("mode", "\"plan\""),
        ("effort", "\"high\""),
        ("max_output", "5"),
        ("temperature", "0.5"),
        ("max_steps", "5"),
        ("fallback", "[\"a/b\"]"),
        ("tiers.small", "\"a/b\""),
        ("tiers.main", "\"a/b\""),
        ("tiers.heavy", "\"a/b\""),
        ("privacy", "\"local\""),
        ("limits.max_cost", "0.5"),
        ("limits.allow_unknown_price", "true"),
        ("sandbox.tier", "\"namespaces\""),
        ("sandbox.bypass", "\"unconfined\""),
        ("sandbox.writable", "[\"/a\"]"),
        ("sandbox.readable", "[\"/a\"]"),
        ("sandbox.env", "[\"A\"]"),
        ("sandbox.net", "[\"a.example\"]"),
        ("sandbox.memory", "\"1G\""),
        ("sandbox.processes", "9"),
        ("sandbox.file_size", "\"1M\""),
        ("sandbox.audit", "false"),
        ("undo.enabled", "false"),
        ("undo.max_size", "1"),
        ("context.compact_at", "50"),
        ("context.tool_schemas", "3000"),
        ("web.allow_private", "[\"127.0.0.1:8080\"]"),
        ("max_time", "5"),
        ("tools", "[]"),
        ("allow", "[\"read\"]"),
        ("ask", "[\"read\"]"),
        ("deny", "[\"read\"]"),
        ("hooks.Stop", "[{ command = \"a\" }]"),
        ("check.command", "\"make test\""),
        ("check.tries", "3"),
        ("check.first", "true"),
        ("check.time", "60"),
        ("retry.max_tries", "1"),
        ("retry.base_ms", "1"),
        ("retry.max_time", "1"),
        ("providers.x.base_url", "\"h\""),
        ("providers.x.wire", "\"anthropic\""),
        ("providers.x.key_env", "\"K\""),
        ("providers.x.key_command", "\"pass x\""),
        ("providers.x.tool_calls", "\"schema\""),
        ("providers.x.strict_tools", "true"),
        ("providers.x.models", "[\"m\"]"),
        ("providers.x.headers.A", "\"b\""),
        ("providers.x.idle_timeout", "1"),
        ("providers.x.total_timeout", "1"),
        ("models.\"x/y\".window", "1"),
        ("models.\"x/y\".max_output", "1"),
        ("models.\"x/y\".effort", "\"low\""),
        ("models.\"x/y\".temperature", "1"),
        ("models.\"x/y\".input_price", "0.5"),
        ("models.\"x/y\".output_price", "2"),
        ("models.\"x/y\".cache_read_price", "0.1"),
        ("models.\"x/y\".cache_write_price", "0.625"),
        ("models.\"x/y\".tools", "true"),
        ("models.\"x/y\".small", "true"),
        ("models.\"x/y\".images", "false"),
        ("models.\"x/y\".reasoning", "true"),
        ("models.\"x/y\".schema", "false"),
        ("vault.address", "\"https://h\""),
        ("vault.mount", "\"kv\""),
        ("vault.path", "\"p\""),
        ("vault.namespace", "\"n\""),
        ("vault.role_id", "\"r\""),
        ("vault.secret_id_env", "\"S\""),
        ("vault.token_env", "\"T\""),
        ("folders.\"ROOT\".allow", "[\"read\"]"),
        ("folders.\"ROOT\".ask", "[\"read\"]"),
        ("folders.\"ROOT\".deny", "[\"read\"]"),
    ];
    fn names(keys: &[Key], before: &str, all: &mut Vec<String>) {
        for key in keys {
            let name = format!("{before}{}", key.name);
            match key.shape {
                Shape::Table(keys) => names(keys, &format!("{name}."), all),
                Shape::Tables(keys) if name == "folders" => names(keys, "folders.\"ROOT\".", all),
                Shape::Tables(keys) if name == "models" => names(keys, "models.\"x/y\".", all),
                Shape::Tables(keys) => names(keys, &format!("{name}.x."), all),
                Shape::Texts => all.push(format!("{name}.A")),
                Shape::Lists(_) => all.push(format!("{name}.Stop")),
                Shape::Value(_) | Shape::Rules => all.push(name),
            }
        }
    }
    let mut all = Vec::new();
    names(Layer::KEYS, "", &mut all);
    assert_eq!(all, samples.map(|(key, _)| key), "every key is tried here");
    // What holds, without where it is from.
    let holds = |place: &Place| {
        let Settings {
            model,
            agent,
            mode,
            effort,
            max_output,
            temperature,
            max_steps,
            max_time_ms,
            fallback,
            tiers,
            privacy,
            limits,
            sandbox,
            undo,
            context,
            web,
            tools,
            retry,
            providers,
            models,
            vault,
            hooks,
            check,
            ..
        } = place.load();
        let rules = List::ALL.map(|list| rules(&place.load(), list));
        (
            (model, agent),
            mode,
            (effort, temperature),
            max_output,
            (max_steps, (fallback, tiers, privacy), limits, sandbox, (undo, context, web)),
            (max_time_ms, tools, retry, providers, (models, vault, hooks, check), rules),
        )
    };
    let base = Place::new();
    for (key, value) in samples {
        let place = Place::new();
        let key = key.replace("ROOT", &place.sources.root.as_ref().unwrap().display().to_string());
        let place = place.user(&format!("{key} = {value}"));
        assert_ne!(holds(&place), holds(&base), "{key}");
        let known = Layer::KEYS.iter().find(|known| known.name == key).and_then(|known| known.variable);
        if let Some(variable) = known {
            let place = Place::new().variable(variable, value.trim_matches('"'));
            assert_ne!(holds(&place), holds(&base), "{variable}");
        }
    }
}

#[test]
fn what_the_user_says_of_models_adds_up_key_by_key_and_a_price_has_to_be_one() {
    let place = Place::new().user("[models.\"x/y\"]\ninput_price = 1.25\ntools = true");
    let models = place.set("models.\"x/y\".tools=false").load().models;
    let row = models.get("x/y").unwrap();
    assert_eq!((row.input_price.map(crate::Dollars::micros), row.tools), (Some(1_250_000), Some(false)));
    let user = "[models.y]\n[models.\"x/y\"]\ninput_price = -1\noutput_price = \"3\"\ntools = 1";
    insta::assert_snapshot!(Place::new().user(user).problems(), @r#"
    `y` is not a model
      user.toml:1 `y` help: write it as `[models."provider/model"]`
    `-1` is not an amount: it is negative
      user.toml:3 `-1` help: write dollars, such as `0.25`
    `models.x/y.output_price` must be a number of dollars, not the text `3`
      user.toml:4 `"3"` help: -
    `models.x/y.tools` must be `true` or `false`, not the number `1`
      user.toml:5 `1` help: -
    "#);
}

/// How two models are asked: the one that is chosen, and the one that it falls back to.
fn manners(place: &Place) -> [(Option<Effort>, Option<u32>, Option<u16>); 2] {
    let turn = place.load().turn(ModelId::new("x/y"), Confinement::None);
    [ModelId::new("x/y"), ModelId::new("x/z-2026-01-01")].map(|model| {
        let manner = turn.manner(&model);
        (manner.effort, manner.max_output, manner.temperature.map(codetether_event::Temperature::hundredths))
    })
}

#[test]
fn a_models_own_settings_stand_over_those_of_all_and_below_those_of_a_call() {
    let all = "fallback = [\"x/z-2026-01-01\"]\neffort = \"low\"\nmax_output = 1000\n";
    let y = "[models.\"x/y\"]\neffort = \"high\"\nmax_output = 2000\n";
    let z = "[models.\"x/z\"]\ntemperature = 0.5\n";
    let user = || Place::new().user(&format!("{all}{y}{z}"));
    let (low, high) = (Some(Effort::Low), Some(Effort::High));
    assert_eq!(manners(&user()), [(high, Some(2000), None), (low, Some(1000), Some(50))]);
    let flag = user().set("effort=medium").variable("CODETETHER_MAX_OUTPUT", "7");
    let medium = Some(Effort::Medium);
    assert_eq!(manners(&flag), [(medium, Some(7), None), (medium, Some(7), Some(50))]);
    let both = user().variable("CODETETHER_EFFORT", "medium").set("models.\"x/y\".effort=minimal");
    assert_eq!(manners(&both).map(|manner| manner.0), [Some(Effort::Minimal), medium], "the later counts");
    // A project can narrow the output of any model, and sets nothing over what its user says of one.
    let project = user().project("max_output = 500\neffort = \"minimal\"", true);
    assert_eq!(manners(&project), [(high, Some(500), None), (Some(Effort::Minimal), Some(500), Some(50))]);
    let alike = Place::new().user(&format!("{all}{}", "[models.\"x/y\"]\nwindow = 1\n")).load();
    assert!(
        alike.turn(ModelId::new("x/y"), Confinement::None).manners.is_empty(),
        "what is the same is not said twice"
    );
}

#[test]
fn one_file_is_checked_as_what_it_is_by_its_place() {
    let place = Place::new();
    codetether_files::create_dir_all(place.dir.path().join(".codetether")).unwrap();
    let project = place.file(".codetether/config.toml", "providers = {}");
    assert!(check_file(&project).unwrap_err().to_string().contains("a project's own file cannot set"));
    let user = place.file("config.toml", "providers = {}");
    assert_eq!(check_file(&user).unwrap(), LayerName::User);
    let error = check_file(Path::new("/nowhere/config.toml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the settings: there is no file `/nowhere/config.toml` (in /nowhere/config.toml)"
    );
}
