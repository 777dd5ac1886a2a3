//! `codetether config …`: what holds, where it is from, and changing it.

use std::path::PathBuf;

use codetether_testkit::{Reply, redact};
use serde_json::Value;

use crate::bench::{Bench, Run};

/// A folder that the program is told of.
fn folder(bench: &Bench, variable: &str) -> PathBuf {
    let command = bench.binary(&[]);
    let value = command.get_envs().find(|(name, _)| *name == variable).and_then(|(_, value)| value);
    PathBuf::from(value.unwrap())
}

fn user_file(bench: &Bench) -> PathBuf {
    folder(bench, "XDG_CONFIG_HOME").join("codetether/config.toml")
}

fn write(path: &std::path::Path, text: &str) {
    codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
    codetether_files::write_atomic(path, text.as_bytes(), &codetether_files::WriteOptions::default())
        .unwrap();
}

fn text(run: Run) -> String {
    assert_eq!(run.code, 0, "{}", run.shown());
    redact(&format!("{}{}", run.stdout, run.stderr))
}

#[test]
fn what_holds_is_shown_with_where_it_is_from_and_without_secrets() {
    let bench = Bench::new([]);
    write(
        &folder(&bench, "XDG_CONFIG_DIRS").join("codetether/config.toml"),
        "max_steps = 50\ndeny = [\"bash(sudo)\"]\n",
    );
    let user = "model = \"x/m\"\nallow = [\n  \"bash(ls)\",\n]\n\n[providers.x]\nbase_url = \"https://me:hunter22@h/v1\"\n\
                headers = { Authorization = \"Bearer sk-123456\", X-Team = \"a\" }\n";
    write(&user_file(&bench), user);
    write(&bench.path(".codetether/config.toml"), "max_steps = 20\nmode = \"bypass\"\nallow = [\"bash\"]\n");
    let run = text(bench.bare(&["config", "show", "--origin"]));
    assert!(!run.contains("hunter22") && !run.contains("sk-123456"), "{run}");
    insta::assert_snapshot!(run, @r#"
    model = "x/m"  # user [temp]/home/.config/codetether/config.toml:1
    # agent: `build`
    mode = "auto-edit"  # default
    # effort: the provider's own
    # max_output: the provider's own
    # temperature: the provider's own
    max_steps = 20  # project [temp]/project/.codetether/config.toml:1
    # fallback: none
    # tiers.small: none
    # tiers.main: `model`
    # tiers.heavy: none
    privacy = "any"  # default
    # limits.max_cost: no limit
    limits.allow_unknown_price = false  # default
    sandbox.tier = "auto"  # default
    sandbox.bypass = "confined"  # default
    # sandbox.writable: none
    # sandbox.readable: none
    # sandbox.env: none
    # sandbox.net: none
    # sandbox.memory: `4G`
    # sandbox.processes: 512, and 32 for each processor
    # sandbox.file_size: `none`
    sandbox.audit = true  # default
    undo.enabled = true  # default
    undo.max_size = 5  # default
    context.compact_at = 80  # default
    context.tool_schemas = 6000  # default
    # web.allow_private: none
    # max_time: no limit
    # tools: all there are
    allow = [
        "bash(ls)",  # user [temp]/home/.config/codetether/config.toml:3
    ]
    # ask: none
    deny = [
        "bash(sudo)",  # system [temp]/etc/codetether/config.toml:2
    ]
    # hooks: none
    # check.command: none
    # check.tries: none: the model goes on
    check.first = false  # default
    check.time = "10m"  # default
    retry.max_tries = 6  # default
    retry.base_ms = 500  # default
    retry.max_time = "5m"  # default
    providers.x.base_url = "https://***@h/v1"  # user [temp]/home/.config/codetether/config.toml:7
    # providers.x.wire: `openai-chat`; `anthropic` for `anthropic`, `gemini` for `google`
    # providers.x.key_env: none; the usual one for the vendors that are known by name, such as `OPENAI_API_KEY` for `openai`
    # providers.x.key_command: none
    providers.x.tool_calls = "native"  # default
    # providers.x.strict_tools: `true` at OpenAI's own address, else `false`
    # providers.x.models: what it lists when it is asked
    providers.x.headers.Authorization = "***"  # user [temp]/home/.config/codetether/config.toml:8
    providers.x.headers.X-Team = "a"  # user [temp]/home/.config/codetether/config.toml:8
    # providers.x.idle_timeout: 90 seconds; 300 with a model that reasons or an `effort`, and with a server on this machine
    # providers.x.total_timeout: no limit
    # vault.address: `VAULT_ADDR`, else no such store is asked
    # vault.mount: `VAULT_MOUNT`, else `secret`
    # vault.path: `VAULT_SECRETS_PATH`, else `codetether/providers`
    # vault.namespace: `VAULT_NAMESPACE`, else none
    # vault.role_id: `VAULT_ROLE_ID`, else no login
    # vault.secret_id_env: `VAULT_SECRET_ID`
    # vault.token_env: `VAULT_TOKEN`
    note: `.codetether` is not trusted: left out `allow`; `codetether trust` shows it, `codetether trust add` trusts it
    note: `.codetether/config.toml` cannot widen what you set: left out `mode`
    "#);
    let shown = bench.bare(&["config", "show"]).stdout;
    assert!(shown.contains("max_steps = 20\n") && !shown.contains("hunter22"), "{shown}");
    let json: Value = serde_json::from_str(&bench.bare(&["config", "show", "--json"]).stdout).unwrap();
    let entry = json.as_array().unwrap().iter().find(|entry| entry["key"] == "max_steps").unwrap();
    assert_eq!((&entry["value"], &entry["origins"][0]["layer"]), (&Value::from(20), &Value::from("project")));
    assert_eq!(entry["origins"][0]["line"], 1);
    assert!(!json.to_string().contains("sk-123456"));
}

#[test]
fn a_setting_is_set_read_and_removed() {
    let bench = Bench::new([]);
    for (key, value) in [
        ("model", "x/m"),
        ("max_time", "10m"),
        ("retry.max_tries", "3"),
        ("tools", "[\"read\"]"),
        ("providers.x.base_url", "http://h/v1"),
        ("folders.\"/a.b\".deny", "[\"bash(rm *)\"]"),
    ] {
        assert_eq!(text(bench.bare(&["config", "set", key, value])), "");
        assert_eq!(text(bench.bare(&["config", "get", key])), format!("{value}\n"));
    }
    assert_eq!(
        text(bench.bare(&["config", "get", "retry"])),
        "retry.max_tries = 3\nretry.base_ms = 500\nretry.max_time = \"5m\"\n"
    );
    assert_eq!(text(bench.bare(&["config", "unset", "retry.max_tries"])), "");
    assert_eq!(text(bench.bare(&["config", "get", "retry.max_tries"])), "6\n");
    let again = bench.bare(&["config", "unset", "retry.max_tries"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("`retry.max_tries` is not set in"), "{}", again.stderr);
    let unset = bench.bare(&["config", "get", "effort"]);
    assert_eq!(unset.code, 1);
    assert!(
        unset.stderr.contains("`effort` is not set; what holds is: the provider's own"),
        "{}",
        unset.stderr
    );
    let unknown = bench.bare(&["config", "get", "modle"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `model`?"), "{}", unknown.stderr);
    let wrong = bench.bare(&["config", "set", "max_steps", "many"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("`max_steps` must be a whole number"), "{}", wrong.stderr);
    insta::assert_snapshot!(codetether_files::read_to_string(user_file(&bench)).unwrap(), @r#"
    model = "x/m"
    max_time = "10m"
    tools = ["read"]

    [providers.x]
    base_url = "http://h/v1"

    [folders."/a.b"]
    deny = ["bash(rm *)"]
    "#);
}

#[test]
fn a_projects_file_is_changed_when_asked_for() {
    let bench = Bench::new([]);
    assert_eq!(text(bench.bare(&["config", "set", "--project", "max_steps", "7"])), "");
    assert_eq!(bench.read(".codetether/config.toml"), "max_steps = 7\n");
    assert!(!user_file(&bench).exists());
    let note = text(bench.bare(&["config", "set", "--project", "model", "a/b"]));
    assert!(note.contains("`codetether trust add` trusts them"), "{note}");
    let refused = bench.bare(&["config", "set", "--project", "providers.x.base_url", "http://h"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("a project's own file cannot set `providers`"), "{}", refused.stderr);
}

#[test]
fn two_programs_that_set_at_once_lose_nothing() {
    let bench = Bench::new([]);
    let children: Vec<_> = (0..8)
        .map(|n| bench.binary(&["config", "set", &format!("providers.p{n}.key_env"), "K"]).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let file = codetether_files::read_to_string(user_file(&bench)).unwrap();
    assert_eq!(file.matches("key_env = \"K\"").count(), 8, "{file}");
}

#[test]
fn everything_that_is_wrong_is_shown_at_once() {
    let bench = Bench::new([]);
    write(&user_file(&bench), "modle = \"a/b\"\nmax_steps = \"many\"\n");
    write(&bench.path(".codetether/config.toml"), "[providers.x]\nbase_url = \"http://h\"\n");
    let mut command = bench.binary(&["config", "check"]);
    let run = Run::from(command.env("CODETETHER_MODE", "yolo").output().unwrap());
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(redact(&run.stderr), @r#"
    codetether::settings

      × cannot read the settings: 4 problems

    Error: 
      × unknown key `modle`
       ╭─[[temp]/home/.config/codetether/config.toml:1:1]
     1 │ modle = "a/b"
       · ──┬──
       ·   ╰── here
     2 │ max_steps = "many"
       ╰────
      help: did you mean `model`?

    Error: 
      × `max_steps` must be a whole number from 0 to 4294967295, not the text `many`
       ╭─[[temp]/home/.config/codetether/config.toml:2:13]
     1 │ modle = "a/b"
     2 │ max_steps = "many"
       ·             ───┬──
       ·                ╰── here
       ╰────

    Error: 
      × a project's own file cannot set `providers`
       ╭─[[temp]/project/.codetether/config.toml:1:2]
     1 │ [providers.x]
       ·  ────┬────
       ·      ╰── here
     2 │ base_url = "http://h"
       ╰────
      help: set it in your own settings; a project can narrow `mode`, `max_output`, `max_steps`, `privacy`, `max_time`, `tools`, `ask`, `deny`, and set `model`, `agent`, `effort`, `temperature`, `fallback`, `tiers`, `allow`, `hooks`, `check`, `retry` once you trust it

    Error: 
      × `mode` cannot be `yolo`
       ╭─[CODETETHER_MODE:1:8]
     1 │ mode = "yolo"
       ·        ───┬──
       ·           ╰── here
       ╰────
      help: write one of `plan`, `ask`, `auto-edit`, `bypass`
    "#);
    let one = bench.bare(&["config", "check", &user_file(&bench).display().to_string()]);
    assert_eq!(one.code, 2);
    assert!(one.stderr.contains("2 problems"), "{}", one.stderr);
}

#[test]
fn no_problems_are_said_with_what_was_read() {
    let bench = Bench::new([]);
    write(&user_file(&bench), "model = \"a/b\"\n");
    let check = text(bench.bare(&["config", "check"]));
    assert!(
        check.starts_with("no problems\n") && check.contains("/codetether/config.toml (user)"),
        "{check}"
    );
    let one = text(bench.bare(&["config", "check", &user_file(&bench).display().to_string()]));
    assert!(one.starts_with("no problems in "), "{one}");
    let path = text(bench.bare(&["config", "path"]));
    let user = user_file(&bench).display().to_string();
    assert!(path.contains(&format!("user     there     {}", redact(&user))), "{path}");
    assert!(path.contains("project  not there"), "{path}");
    let schema: Value = serde_json::from_str(&bench.bare(&["config", "schema"]).stdout).unwrap();
    assert_eq!(schema["properties"]["max_steps"]["default"], 100);
}

#[test]
fn what_the_editor_wrote_is_kept_and_checked() {
    let bench = Bench::new([]);
    let edit =
        |editor: &str| Run::from(bench.binary(&["config", "edit"]).env("EDITOR", editor).output().unwrap());
    let run = edit("true");
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(!user_file(&bench).exists(), "nothing was written");
    let run = edit("sh -c 'echo modle = 1 > \"$1\"' editor");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("did you mean `model`?"), "{}", run.stderr);
    assert_eq!(codetether_files::read_to_string(user_file(&bench)).unwrap(), "modle = 1\n");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(user_file(&bench).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let run = edit("false");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("the editor `false` failed"), "{}", run.stderr);
}

#[test]
fn settings_of_every_layer_reach_the_run() {
    let bench = Bench::new((0..4).map(|_| Reply::text("done")));
    let settings = |bench: &Bench| {
        let turn = bench.event_values().into_iter().find(|event| event["type"] == "turn.started").unwrap();
        turn["settings"].clone()
    };
    write(
        &folder(&bench, "XDG_CONFIG_DIRS").join("codetether/config.toml"),
        "max_steps = 50\nask = [\"bash(a)\"]\n",
    );
    let project = bench.path(".").canonicalize().unwrap();
    let user = format!("effort = \"low\"\n[folders.\"{}\"]\nask = [\"bash(b)\"]\n", project.display());
    write(&user_file(&bench), &user);
    write(&bench.path(".codetether/config.toml"), "max_steps = 40\nask = [\"bash(c)\"]\n");
    assert_eq!(bench.run(&["go", "--ask", "bash(d)"]).code, 0);
    let first = settings(&bench);
    assert_eq!((&first["max_steps"], &first["effort"]), (&Value::from(40), &Value::from("low")));
    assert_eq!(first["ask"], serde_json::json!(["bash(a)", "bash(b)", "bash(c)", "bash(d)"]));
    bench.run_env(&["go"], &[("CODETETHER_MAX_STEPS", "60")]);
    assert_eq!(settings(&bench)["max_steps"], 60);
    bench.run(&["go", "--max-steps", "200"]);
    assert_eq!(settings(&bench)["max_steps"], 200, "what you say outranks the project");
}
