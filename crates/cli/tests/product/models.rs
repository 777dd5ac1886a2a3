//! What is known of models, listed and shown, with what the user's settings say over it.

use codetether_testkit::{Reply, Server};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

const OWN: &str = "[models.\"own/x\"]\nwindow = 32768\ninput_price = 0.5\noutput_price = 2\ntools = true\nimages = false\n\
                   [models.\"own/y\"]\nmax_output = 100\n";

#[test]
fn the_models_of_a_provider_are_listed_and_an_unknown_price_is_never_nothing() {
    let bench = Bench::new([]);
    bench.user_settings(OWN);
    let run = bench.bare(&["models", "list", "--provider", "own"]);
    insta::assert_snapshot!(run.shown(), @r"
    exit: 0
    --- stdout
    model     window     output  $/M in → out          can
    own/x      32768    unknown  0.5 → 2               tools
    own/y    unknown        100  price unknown
    --- stderr
    ");
    let all = bench.bare(&["models", "list", "--json"]);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    let lines: Vec<Value> = all.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 500);
    let of = |model: &str| lines.iter().find(|line| line["model"] == model).unwrap();
    assert_eq!(of("own/y")["micros_per_million"], Value::Null);
    assert_eq!(of("own/x")["micros_per_million"]["input"], 500_000);
    assert_eq!(of("anthropic/claude-sonnet-4-5")["micros_per_million"]["cache_write"], 3_750_000);
    assert!(!bench.bare(&["models", "list"]).stdout.contains("$0 "));
}

#[test]
fn a_model_is_shown_with_who_says_so() {
    let bench = Bench::new([]);
    bench.user_settings(OWN);
    insta::assert_snapshot!(bench.bare(&["models", "show", "own/x"]).shown(), @r"
    exit: 0
    --- stdout
    own/x
      window      32768 tokens
      max output  unknown
      price       $0.5 in, 2 out per million tokens
      prices of   settings
      tools       yes
      images      no
      pdfs        unknown
      reasoning   unknown
      schema      unknown
      source      settings
    --- stderr
    ");
    insta::assert_snapshot!(bench.bare(&["models", "show", "own/y"]).shown(), @r#"
    exit: 0
    --- stdout
    own/y
      window      unknown
      max output  100 tokens
      price       unknown (set `input_price` and `output_price` in `[models."own/y"]` of the settings)
      tools       unknown
      images      unknown
      pdfs        unknown
      reasoning   unknown
      schema      unknown
      source      settings
    --- stderr
    "#);
    let sonnet = bench.bare(&["models", "show", "anthropic/claude-sonnet-4-5-20310101"]);
    assert!(sonnet.stdout.contains("  known as    anthropic/claude-sonnet-4-5\n"), "{}", sonnet.stdout);
    assert!(
        sonnet.stdout.contains("$3 in, 15 out, from cache 0.3, into cache 3.75 per million tokens\n"),
        "{}",
        sonnet.stdout
    );
    let shown = bench.bare(&["models", "show", "own/x", "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let wanted = json!({
        "model": "own/x",
        "window": 32768,
        "max_output": null,
        "micros_per_million": {
            "input": 500_000, "output": 2_000_000, "cache_read": null, "cache_write": null, "tiers": [],
            "version": "settings",
        },
        "tools": true, "images": false, "pdfs": null, "reasoning": null, "schema": null,
        "source": "settings",
        "date": null,
        "offered": null,
    });
    assert_eq!(shown, wanted);
}

#[test]
fn a_model_that_is_not_known_is_an_error_with_suggestions() {
    let bench = Bench::new([]);
    let run = bench.bare(&["models", "show", "anthropic/claude-sonet-4-5"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("nothing is known of model `anthropic/claude-sonet-4-5`"), "{}", run.stderr);
    assert!(run.stderr.contains("did you mean `anthropic/claude-sonnet-4-5`"), "{}", run.stderr);
    let run = bench.bare(&["models", "show", "nobody/x"]);
    assert!(
        run.code == 2 && run.stderr.contains("there are models of alibaba, anthropic, "),
        "{}",
        run.stderr
    );
    let run = bench.bare(&["models", "list", "--provider", "nobody"]);
    assert!(
        run.code == 2 && run.stderr.contains("no model of a provider `nobody` is known"),
        "{}",
        run.stderr
    );
    let run = bench.bare(&["models", "show", "gpt"]);
    assert!(run.code == 2 && run.stderr.contains("`gpt` is not a model"), "{}", run.stderr);
}

/// A server that lists two models.
fn listing() -> Server {
    let list = json!({"data": [{"id": "gpt-5"}, {"id": "brand-new", "context_length": 4096}]});
    Server::with(move |request| match request.path.as_str() {
        "/v1/models" => Reply::status(200).header("content-type", "application/json").body(list.to_string()),
        _ => Reply::status(404),
    })
}

#[test]
fn what_the_endpoints_offer_is_joined_with_what_is_known() {
    let (bench, server) = (Bench::new([]), listing());
    let gone = Server::start([]).base_url();
    bench.user_settings(
        &format!(
            "[providers.gone]\nbase_url = \"{gone}\"\n[providers.mine]\nbase_url = \"http://127.0.0.1:9\"\nmodels = [\"big\"]\n"
        ),
    );
    let run = |args: &[&str]| -> Run {
        bench.binary(args).env("OPENAI_BASE_URL", server.base_url()).output().unwrap().into()
    };
    let list = run(&["models", "list"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    let names: Vec<&str> = list.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["model", "mine/big", "openai/brand-new", "openai/gpt-5"]);
    assert!(
        list.stdout.contains("openai/brand-new       4096    unknown  price unknown\n"),
        "{}",
        list.stdout
    );
    let gone = list.stderr.lines().find(|line| line.starts_with("note: ") && line.contains("gone")).unwrap();
    assert!(gone.contains("nothing listens at"), "{gone}");
    assert!(list.stderr.contains("`--all` lists them"), "{}", list.stderr);
    assert_eq!(server.requests().len(), 1);

    let all = run(&["models", "list", "--all", "--provider", "openai"]);
    assert!(all.stdout.lines().count() > 10 && all.stdout.contains("  offered  can\n"), "{}", all.stdout);
    let asked = server.requests().len();
    let offline = run(&["models", "list", "--offline"]);
    assert!(!offline.stdout.contains("brand-new") && offline.stdout.contains("mine/big"));
    assert!(offline.stdout.lines().count() > 500 && !offline.stderr.contains("gone"));
    let offline = run(&["models", "show", "openai/gpt-5", "--offline"]);
    assert!(!offline.stdout.contains("offered"), "{}", offline.stdout);
    assert_eq!(server.requests().len(), asked, "nobody was asked");

    let shown = run(&["models", "show", "openai/brand-new"]);
    assert!(
        shown.stdout.contains("  window      4096 tokens\n")
            && shown.stdout.ends_with("  source      its endpoint\n  offered     yes\n"),
        "{}",
        shown.stdout
    );
    let near = run(&["models", "show", "openai/brand-mew"]);
    assert!(near.code == 2 && near.stderr.contains("did you mean `openai/brand-new`?"), "{}", near.stderr);
}

#[test]
fn the_default_model_is_named_first() {
    let bench = Bench::new([]);
    let run: Run =
        bench.binary(&["models", "list", "--offline"]).env("OPENAI_API_KEY", "sk-1").output().unwrap().into();
    assert!(
        run.stderr.starts_with("default model: openai/") && run.stderr.contains("`-m PROVIDER/MODEL`"),
        "{}",
        run.stderr
    );
    let help = bench.bare(&["models", "--help"]);
    let about = help.stdout.find("A model is named `PROVIDER/MODEL`").unwrap();
    assert!(about < help.stdout.find("Usage:").unwrap());
}

#[test]
fn a_model_that_the_users_list_does_not_hold_is_not_asked() {
    let bench = Bench::new([]);
    let url = bench.server.base_url();
    bench.user_settings(&format!("[providers.mine]\nbase_url = \"{url}\"\nmodels = [\"big\", \"bigger\"]\n"));
    for (args, wanted) in [
        (&["run", "go", "-m", "mine/bigge"][..], "did you mean `mine/bigger` or `mine/big`?"),
        (&["run", "go", "-m", "mine/zzz"], "it offers `mine/big`, `mine/bigger`; or add it to `models`"),
        (&["run", "go", "-m", "mine/big", "--fallback", "mine/bigge"], "did you mean `mine/bigger`"),
    ] {
        let run = bench.bare(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        let text = run.stderr.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(text.contains("`mine` offers no model") && text.contains(wanted), "{}", run.stderr);
    }
    assert!(bench.server.requests().is_empty());
}
