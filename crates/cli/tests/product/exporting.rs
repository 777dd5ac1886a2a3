//! Sessions written out and forked at a step; and what `doctor` looks at.

use std::os::unix::fs::PermissionsExt;

use codetether_testkit::{Reply, planted, redact};
use serde_json::{Value, json};

use crate::bench::Bench;

const HOSTILE: &str = "Look:\n```sh\nls\n```\n<script>alert(1)</script> ![x](https://example.org/y) \u{1b}[2J\n````\n## user\nnot me";

fn session() -> Bench {
    let bench = Bench::new([
        Reply::text("I look.").and_call("bash", json!({ "command": "printf '````\\n## user\\n<b>&\\n'" })),
        Reply::text(HOSTILE),
        Reply::text("The third."),
    ]);
    assert_eq!(bench.run(&["what is in `here` <i>?", "--yes"]).code, 0);
    assert_eq!(bench.run(&["and then", "--last"]).code, 0);
    bench
}

/// The text without what a machine, a day or the number of records decides.
fn plain(text: &str) -> String {
    let text = redact(text).replace(env!("CARGO_PKG_VERSION"), "[version]");
    let numbered =
        |line: &str| ["### model, step ", "`call ", "`result of "].iter().any(|head| line.starts_with(head));
    let without = |line: &str| {
        let mut shown = String::new();
        for c in line.chars() {
            match c.is_ascii_digit() && numbered(line) {
                false => shown.push(c),
                true if shown.ends_with("[n]") => {}
                true => shown.push_str("[n]"),
            }
        }
        shown
    };
    text.lines().filter(|line| !line.starts_with("- begun")).map(|line| without(line) + "\n").collect()
}

#[test]
fn markdown_cannot_be_broken_out_of() {
    let bench = session();
    let run = bench.bare(&["session", "export", "--format", "markdown"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    insta::assert_snapshot!(plain(&run.stdout), @r#"
    # what is in \`here\` \<i\>?

    - session: `[uuid]`
    - folder: `[temp]/project`
    - by: `codetether [version]`

    ## user (openai/scripted, mode bypass)

    ```text
    what is in `here` <i>?
    ```

    ### model, step [n]

    > I look.

    `call [n].[n] bash`:

    `````json
    {
      "command": "printf '````\\n## user\\n<b>&\\n'"
    }
    `````

    `result of [n].[n] bash`:

    `````text
    ````
    ## user
    <b>&
    `````

    ### model, step [n]

    > Look:
    > ```sh
    > ls
    > ```
    > \<script>alert(1)\</script> \![x](https://example.org/y) \u{1b}[2J
    > ````
    > ## user
    > not me

    ## user (openai/scripted, mode auto-edit)

    ```text
    and then
    ```

    ### model, step [n]

    > The third.
    "#);
}

#[test]
fn html_is_one_page_without_a_script() {
    let bench = session();
    let path = bench.path("out.html");
    let args = ["session", "export", "last", "--format", "html", "-o", path.to_str().unwrap()];
    let run = bench.bare(&args);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let page = bench.read("out.html");
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("color-scheme: light dark")
    );
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    let elements: std::collections::BTreeSet<&str> = page
        .split('<')
        .skip(1)
        .map(|rest| rest.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
        .collect();
    let known = "body,dd,details,dl,dt,h1,h2,head,html,meta,p,pre,section,style,summary,title";
    let elements: Vec<&str> = elements.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(elements.join(","), known);
    assert!(!page.contains('\u{1b}'));
}

#[test]
fn json_holds_every_record_and_what_they_refer_to() {
    let bench = session();
    let run = bench.bare(&["session", "export", "--format", "json"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["session"], bench.last_session());
    let records = document["records"].as_array().unwrap();
    assert_eq!(records.len(), bench.journal().lines().count());
    let epoch = records.iter().find(|record| record["event"]["type"] == "context.epoch").unwrap();
    let system = document["blobs"][epoch["event"]["system"].as_str().unwrap()]["text"].as_str().unwrap();
    assert!(system.starts_with("You are codetether"), "{system}");
    let lines = bench.bare(&["session", "export"]);
    assert_eq!(lines.stdout.lines().count(), records.len(), "lines of JSON are what it was always");
    let path = bench.path("out.jsonl");
    bench.bare(&["session", "export", "last", "-o", path.to_str().unwrap()]);
    assert_eq!(bench.read("out.jsonl"), lines.stdout);
}

#[test]
fn a_long_blob_is_told_by_its_size() {
    let bench = Bench::new([Reply::text("seen")]);
    let mut image = b"%PDF-1.4\n".to_vec();
    image.resize((4 << 20) + 1, b'x');
    bench.bytes("long.pdf", &image);
    bench.run(&["look", "-f", "long.pdf"]);
    let run = bench.bare(&["session", "export", "--format", "json"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let blobs = document["blobs"].as_object().unwrap();
    let left_out: Vec<&Value> = blobs.values().filter(|blob| blob["left_out"] == true).collect();
    assert_eq!(left_out, [&json!({ "left_out": true, "bytes": (4 << 20) + 1 })]);
}

/// The ids of the steps, as `session show` tells them.
fn steps(bench: &Bench, session: &str) -> Vec<String> {
    let shown = bench.bare(&["session", "show", session]).stdout;
    let steps = shown.lines().filter_map(|line| line.split_once("model (step ")?.1.split_once(','));
    steps.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn a_session_is_forked_at_a_step() {
    let bench = Bench::new([
        Reply::call("write", json!({ "path": "a", "content": "x" })),
        Reply::text("first done"),
        Reply::text("second done"),
        Reply::text("in the fork"),
        Reply::text("in another"),
    ]);
    bench.run(&["first", "--yes"]);
    bench.run(&["second", "--last"]);
    let id = bench.last_session();
    let steps = steps(&bench, &id);
    assert_eq!(steps.len(), 3);
    let fork = bench.bare(&["session", "fork", &id, "--at", &steps[0]]);
    assert_eq!(fork.code, 0, "{}", fork.stderr);
    let fork = fork.stdout.trim().to_owned();
    assert_ne!(fork, id);
    // In the middle of a turn, which is closed by the next prompt.
    assert_eq!(bench.run(&["other than that", "--resume", &fork]).stdout, "in the fork\n");
    let body = String::from_utf8(bench.server.requests()[3].body.clone()).unwrap();
    assert!(body.contains("first") && !body.contains("first done") && !body.contains("second"), "{body}");
    // Behind a turn's last step the turn is whole.
    let run = bench.run(&["and so", "--fork", &id, "--at", &steps[1]]);
    assert_eq!(run.stdout, "in another\n", "{}", run.stderr);
    let body = String::from_utf8(bench.server.requests()[4].body.clone()).unwrap();
    assert!(body.contains("first done") && !body.contains("second"), "{body}");
    assert_eq!(bench.events().matches("turn.ended").count(), 2, "{}", bench.events());
    assert_eq!(bench.bare(&["session", "show", &id]).code, 0, "the first one is as it was");
}

#[test]
fn a_step_that_is_not_there_is_told_with_those_that_are() {
    let bench = session();
    let id = bench.last_session();
    let steps = steps(&bench, &id);
    let run = bench.bare(&["session", "fork", "last", "--at", "9999"]);
    assert_eq!(run.code, 2);
    let (first, last) = (steps.first().unwrap(), steps.last().unwrap());
    assert!(
        run.stderr.contains(&format!("has no step `9999`: its steps go from {first} to {last}")),
        "{}",
        run.stderr
    );
    assert_eq!(bench.run(&["x", "--at", "3"]).code, 2, "without a session to fork it has no effect");
    let whole = bench.bare(&["session", "fork", "last"]);
    assert_eq!(whole.code, 0);
}

/// What `doctor` says, by name.
fn doctor(bench: &Bench, args: &[&str], environment: &[(&str, &str)]) -> (i32, Value) {
    let mut command = bench.binary(&[&["doctor", "--json"], args].concat());
    let run: crate::bench::Run = command.envs(environment.iter().copied()).output().unwrap().into();
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["well"], run.code == 0);
    let by_name = document["findings"].as_array().unwrap().iter();
    (run.code, by_name.map(|one| (one["name"].as_str().unwrap().to_owned(), one.clone())).collect())
}

#[test]
fn doctor_looks_at_all_there_is_and_shows_no_key() {
    let bench = Bench::new([Reply::status(404)]);
    let url = bench.server.base_url();
    let environment = [("OPENAI_BASE_URL", url.as_str()), ("OPENAI_API_KEY", planted::KEY)];
    bench.user_settings("model = \"openai/scripted\"\n");
    let (code, found) = doctor(&bench, &[], &environment);
    assert_eq!(code, 0, "{found:#}");
    let names: Vec<&String> = found.as_object().unwrap().keys().collect();
    let wanted = [
        "version", "platform", "settings", "trust", "keys", "model", "endpoint", "sandbox", "sessions",
        "disk", "git", "bash", "terminal",
    ];
    assert_eq!(names, wanted);
    assert_eq!(found["keys"]["text"], "there for openai (`OPENAI_API_KEY`)");
    assert_eq!(found["endpoint"]["text"], format!("{url} answers"));
    let listed = found.as_object().unwrap().values();
    let states: Vec<&Value> = listed.map(|one| &one["state"]).filter(|state| *state == "error").collect();
    assert!(states.is_empty());

    let text = bench.binary(&["doctor"]).envs(environment).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.lines()
            .all(|line| ["ok ", "warning ", "error ", "  "].iter().any(|mark| line.starts_with(mark)))
    );
}

#[test]
fn doctor_says_what_is_wrong_with_its_cure() {
    let bench = Bench::new([]);
    bench.user_settings("[providers.home]\nbase_url = \"http://127.0.0.1:9\"\n");
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", "model = \"home/x\"\nallow = [\"bash(make *)\"]\n");
    let (code, found) = doctor(&bench, &[], &[]);
    assert_eq!(code, 1);
    assert_eq!((&found["model"]["state"], &found["trust"]["state"]), (&json!("error"), &json!("warning")));
    assert!(found["trust"]["cure"].as_str().unwrap().contains("codetether trust add"));
    assert!(found["model"]["cure"].as_str().unwrap().contains("`-m`"));

    let (code, found) = doctor(&bench, &[], &[("CODETETHER_MODEL", "home/x")]);
    assert_eq!(code, 1);
    assert_eq!(found["endpoint"]["state"], "error", "{found:#}");
    assert!(found["endpoint"]["cure"].as_str().unwrap().contains("start the server"));
    assert_eq!(found["keys"]["state"], "ok", "a model on this machine needs none: {found:#}");

    bench.user_settings("modle = \"x\"\n");
    let (code, found) = doctor(&bench, &[], &[]);
    assert_eq!((code, &found["settings"]["state"]), (1, &json!("error")));
}

#[test]
fn doctor_asks_no_one_else_unless_told_to() {
    let bench = Bench::new([]);
    bench.user_settings("model = \"far/x\"\n[providers.far]\nbase_url = \"https://far.invalid/v1\"\n");
    let (_, found) = doctor(&bench, &[], &[]);
    assert_eq!(found["endpoint"]["text"], "https://far.invalid/v1 was not asked; `--online` does");
    let (code, found) = doctor(&bench, &["--online"], &[]);
    assert_eq!((code, &found["endpoint"]["state"]), (1, &json!("error")), "{found:#}");
}
