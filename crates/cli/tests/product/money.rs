//! What a run costs: recorded with every sample, held under a limit before anything is sent; and models that go on where
//! one failed for good.

use codetether_testkit::Reply;
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

/// A dollar per million tokens, either way, for the scripted server's model.
const PRICED: [&str; 4] =
    ["-c", "models.\"openai/scripted\".input_price=1", "-c", "models.\"openai/scripted\".output_price=1"];

fn run(bench: &Bench, args: &[&str]) -> Run {
    let args: Vec<&str> = args.iter().chain(&PRICED).copied().collect();
    bench.run(&args)
}

#[test]
fn what_a_run_cost_stands_in_its_summary_its_journal_and_the_ledger() {
    let bench = Bench::new([Reply::call("list", json!({})), Reply::text("Done.")]);
    let summary: Value = serde_json::from_str(&run(&bench, &["go", "--format", "json"]).stdout).unwrap();
    assert_eq!(summary["cost_microdollars"], 220);
    assert_eq!(summary["prices"], "settings");
    let ended: Vec<Value> =
        bench.event_values().into_iter().filter(|event| event["type"] == "sample.ended").collect();
    assert_eq!(ended.iter().map(|event| event["cost"].clone()).collect::<Vec<_>>(), [json!(110), json!(110)]);
    let usage = bench.bare(&["usage", "--by", "model", "--json"]);
    let row: Value = serde_json::from_str(usage.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&row["cost_microdollars"], &row["samples"]), (&json!(220), &json!(2)), "{row}");
}

#[test]
fn a_price_that_is_not_known_is_not_nothing() {
    let bench = Bench::new([Reply::text("Done.")]);
    let summary: Value = serde_json::from_str(&bench.run(&["go", "--format", "json"]).stdout).unwrap();
    assert_eq!(summary["cost_microdollars"], Value::Null);
    let refused = bench.run(&["go", "--max-cost", "1"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("the price of `openai/scripted` is not known"), "{}", refused.stderr);
    assert_eq!(bench.server.requests().len(), 1);
}

#[test]
fn a_limit_lowers_what_an_answer_may_be_and_ends_the_run_before_it_is_passed() {
    let bench = Bench::new([Reply::call("list", json!({})), Reply::text("Never asked for.")]);
    bench.file("a.txt", &"x".repeat(100));
    // The prompt is bounded by its bytes, so a first answer fits and a second does not.
    let first = run(&bench, &["go", "--max-cost", "0.02", "--format", "json", "--max-steps", "1"]);
    let asked: Value = serde_json::from_slice(&bench.server.requests()[0].body).unwrap();
    let limit = asked["max_tokens"].as_u64().unwrap();
    assert!((1_024..20_000).contains(&limit), "{limit}: {}", first.stderr);
    let bench = Bench::new([Reply::text("Never asked for.")]);
    let stopped = run(&bench, &["go", "--max-cost", "0.005"]);
    assert_eq!(stopped.code, 4, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("$0.005 of $0.005 is left, and a prompt of up to"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("the limit of money was reached"), "{}", stopped.stderr);
    assert!(bench.server.requests().is_empty(), "nothing was sent");
}

#[test]
fn another_model_goes_on_where_one_failed_for_good() {
    let spent = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#;
    let bench = Bench::new([Reply::status(429).body(spent), Reply::text("Done by the other.")]);
    let run = bench.run(&["go", "--fallback", "openai/second,openai/third"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "Done by the other.\n"), "{}", run.stderr);
    assert!(run.stderr.contains("going on with `openai/second`"), "{}", run.stderr);
    let models: Vec<Value> = bench
        .server
        .requests()
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap()["model"].clone())
        .collect();
    assert_eq!(models, ["scripted", "second"]);
}

#[test]
fn what_is_wrong_with_the_request_is_not_asked_of_another_model() {
    let bench = Bench::new([Reply::status(400).body(r#"{"error":{"message":"no such thing"}}"#)]);
    let run = bench.run(&["go", "--fallback", "openai/second"]);
    assert_eq!(run.code, 5);
    assert_eq!(bench.server.requests().len(), 1);
}

#[test]
fn a_ledger_that_was_lost_is_filled_again_from_the_journals() {
    let bench = Bench::new([Reply::text("One."), Reply::text("Two."), Reply::text("Three.")]);
    run(&bench, &["go"]);
    let id = bench.last_session();
    let shown = || bench.bare(&["usage", "--by", "session", "--json"]).stdout;
    run(&bench, &["and on", "--fork", &id]);
    let before = shown();
    codetether_files::remove_file(bench.home.data().join("codetether/ledger.sqlite")).unwrap();
    let rebuilt = bench.bare(&["usage", "--rebuild", "--by", "session", "--json"]);
    assert_eq!((rebuilt.stdout.as_str(), rebuilt.code), (before.as_str(), 0), "{}", rebuilt.stderr);
    assert!(rebuilt.stderr.contains("2 samples were taken over"), "{}", rebuilt.stderr);
    let again = bench.bare(&["usage", "--rebuild"]);
    assert!(again.stderr.contains("0 samples"), "{}", again.stderr);
}

#[test]
fn a_fallback_that_nobody_knows_is_refused_before_anything_is_asked() {
    let bench = Bench::new([]);
    let run = bench.run(&["go", "--fallback", "opnai/x"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("did you mean `openai/x`?"), "{}", run.stderr);
}

#[test]
fn a_failure_after_a_fallback_names_the_model_that_failed() {
    let spent = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#;
    let bench = Bench::new([Reply::status(429).body(spent), Reply::status(429).body(spent)]);
    let run = bench.run(&["go", "--fallback", "openai/second"]);
    assert_eq!(run.code, 5);
    assert!(run.stderr.contains("the provider of `openai/second` failed"), "{}", run.stderr);
}

#[test]
fn a_replay_costs_nothing() {
    let bench = Bench::new([Reply::text("Done.")]);
    run(&bench, &["go", "--record", "tape"]);
    let before = bench.bare(&["usage", "--json"]).stdout;
    let replayed = run(&bench, &["go", "--replay", "tape"]);
    assert_eq!((replayed.code, replayed.stdout.as_str()), (0, "Done.\n"), "{}", replayed.stderr);
    assert_eq!(bench.bare(&["usage", "--json"]).stdout, before);
}
