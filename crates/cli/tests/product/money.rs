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

#[test]
fn each_model_is_asked_as_its_own_settings_say_and_a_flag_outranks_them() {
    let spent = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}"#;
    let asked = |flags: &[&str]| -> Vec<Value> {
        let bench = Bench::new([Reply::status(429).body(spent), Reply::text("Done.")]);
        let mut args =
            vec!["go", "--fallback", "openai/second", "-c", "models.\"openai/scripted\".effort=high"];
        args.extend(["-c", "models.\"openai/scripted\".max_output=3000", "-c", "max_output=2000"]);
        args.extend(["-c", "models.\"openai/second\".temperature=0.5"]);
        args.extend(flags);
        assert_eq!(bench.run(&args).code, 0);
        (0..2)
            .map(|at| {
                let body = bench.server.json(at);
                ["reasoning_effort", "max_tokens", "temperature"].map(|key| body[key].clone()).into()
            })
            .collect()
    };
    assert_eq!(asked(&[]), [json!(["high", 3000, null]), json!([null, 2000, 0.5])]);
    assert_eq!(asked(&["--effort", "low"]), [json!(["low", 3000, null]), json!(["low", 2000, 0.5])]);
}

#[test]
fn what_openrouter_says_an_answer_cost_is_what_it_cost() {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.0123});
    let bench = Bench::new([Reply::text("Done.").usage(&usage), Reply::text("Done.").usage(&usage)]);
    let cost = |model: &str, variable: &str| -> Value {
        let mut command = bench.binary(&["run", "go", "-m", model, "--format", "json"]);
        let run: Run = command.env(variable, bench.server.base_url()).output().unwrap().into();
        let summary: Value = serde_json::from_str(&run.stdout).unwrap();
        json!([summary["cost_microdollars"], summary["prices"]])
    };
    assert_eq!(cost("openrouter/some/model", "OPENROUTER_BASE_URL"), json!([12_300, "provider"]));
    assert_eq!(cost("openai/scripted", "OPENAI_BASE_URL"), json!([null, null]), "nobody else's word counts");
    let usage = bench.bare(&["usage", "--by", "model", "--json"]).stdout;
    let row = usage.lines().find(|line| line.contains("openrouter/some/model")).unwrap();
    assert!(row.contains("\"cost_microdollars\":12300"), "{usage}");
}

#[test]
fn a_replay_is_not_taken_over_into_the_ledger_either() {
    let bench = Bench::new([Reply::text("Done.")]);
    run(&bench, &["go", "--record", "tape"]);
    let before = bench.bare(&["usage", "--json"]).stdout;
    assert_eq!(run(&bench, &["go", "--replay", "tape"]).code, 0);
    codetether_files::remove_file(bench.home.data().join("codetether/ledger.sqlite")).unwrap();
    let rebuilt = bench.bare(&["usage", "--rebuild", "--json"]);
    assert!(rebuilt.stderr.contains("1 samples were taken over"), "{}", rebuilt.stderr);
    assert_eq!(rebuilt.stdout, before);
}

#[test]
fn a_request_that_nobody_answered_in_time_may_be_billed_and_counts_as_an_estimate() {
    let bench = Bench::new([Reply::stall()]);
    let limits = ["-c", "providers.openai.idle_timeout=1", "-c", "retry.max_tries=1", "--max-output", "5000"];
    let args: Vec<&str> = ["go", "--format", "json"].into_iter().chain(limits).collect();
    let timed_out = run(&bench, &args);
    assert_eq!(timed_out.code, 5, "{}", timed_out.stderr);
    let ended = bench.event_values().into_iter().find(|event| event["type"] == "sample.ended").unwrap();
    let (input, cost) = (ended["usage"]["input"].as_u64().unwrap(), ended["cost"].as_u64().unwrap());
    assert_eq!((&ended["usage"]["output"], &ended["usage"]["estimated"]), (&json!(5_000), &json!(true)));
    assert!(input > 1_000 && cost == input + 5_000, "{ended}");
    let row = bench.bare(&["usage", "--by", "model", "--json"]).stdout;
    assert!(row.contains(&format!("\"cost_microdollars\":{cost}")), "{row}");
}

#[test]
fn an_answer_that_the_money_cut_short_names_the_limit_of_money() {
    let cut = |args: &[&str]| {
        let bench = Bench::new([Reply::text("Half a sen").finish("length")]);
        let run = run(&bench, args);
        assert_eq!((run.code, run.stdout.as_str()), (4, "Half a sen\n"), "{}", run.stderr);
        run.stderr
    };
    let stderr = cut(&["go", "--max-cost", "0.02"]);
    assert!(stderr.contains("`--max-cost`") && !stderr.contains("--max-output"), "{stderr}");
    let stderr = cut(&["go", "--max-cost", "1", "--max-output", "2000"]);
    assert!(stderr.contains("`--max-output`") && !stderr.contains("--max-cost"), "{stderr}");
}

#[test]
fn a_provider_that_is_down_is_named_where_the_time_is_up() {
    let busy = Reply::status(503).header("retry-after", "60").body(r#"{"error":{"message":"Down"}}"#);
    let bench = Bench::new([busy]);
    let run = bench.run(&["go", "--max-time", "1s"]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let told =
        "the time limit was reached while the provider of `openai/scripted` failed: `openai` answered 503";
    assert!(run.stderr.contains(told) && !run.stderr.contains("--max-time"), "{}", run.stderr);
    for (flag, nothing) in [("--max-time", "0"), ("--max-steps", "0")] {
        assert_eq!(bench.run(&["go", flag, nothing]).code, 2, "{flag}");
    }
}

#[test]
fn an_idle_connection_that_was_closed_is_asked_again_at_once() {
    // A pause would be longer than the run may take.
    let patient = ["-c", "retry.base_ms=600000", "--max-time", "60s"];
    let bench = Bench::new([Reply::call("list", json!({})), Reply::hang_up(), Reply::text("Done.")]);
    let args: Vec<&str> = ["go"].into_iter().chain(patient).collect();
    let run = bench.run(&args);
    assert_eq!((run.code, run.stdout.as_str()), (0, "Done.\n"), "{}", run.stderr);
    assert!(run.stderr.contains("the request failed: the connection to `openai`"), "{}", run.stderr);
    let failed = |bench: &Bench| -> Vec<Value> {
        let ended = bench.event_values().into_iter().filter(|event| event["type"] == "sample.ended");
        ended.filter_map(|event| event["outcome"]["failure"].get("retry_after_ms").cloned()).collect()
    };
    assert_eq!(failed(&bench), [json!(0)], "{}", bench.journal());
    // It is so once: whoever hangs up again is in trouble.
    let bench = Bench::new([Reply::call("list", json!({})), Reply::hang_up(), Reply::hang_up()]);
    let args = ["go", "-c", "retry.max_tries=2", "-c", "retry.base_ms=1"];
    assert_eq!(bench.run(&args).code, 5);
    assert_eq!(failed(&bench), [json!(0)], "{}", bench.journal());
}
