//! Vendors that need no settings: which model is used where none is chosen, where a bare name could be asked, and how
//! long the context is on a server of this machine.

use std::sync::{Condvar, Mutex};

use codetether_testkit::{Reply, Server};
use serde_json::json;

use crate::bench::{Bench, Run};

#[test]
fn without_a_model_the_first_vendor_with_a_key_is_asked_and_named() {
    let bench = Bench::new([Reply::text("hi"), Reply::text("hi")]);
    let run = |args: &[&str]| -> Run {
        let mut command = bench.binary(&["run", "go"]);
        command.args(args).env("MISTRAL_API_KEY", "sk-m-1").env("OPENROUTER_API_KEY", "sk-or-1");
        command.env("OPENROUTER_BASE_URL", bench.server.base_url()).output().unwrap().into()
    };
    let said = run(&[]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "hi\n"), "{}", said.stderr);
    let note = "no model chosen: using `openrouter/anthropic/claude-sonnet-4.6` because `OPENROUTER_API_KEY` is set\n";
    assert!(said.stderr.starts_with(note), "{}", said.stderr);
    assert_eq!(bench.server.json(0)["model"], json!("anthropic/claude-sonnet-4.6"));
    let quiet = run(&["--quiet"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
}

#[test]
fn doctor_and_auth_speak_of_the_vendors_whose_keys_are_there() {
    let bench = Bench::new([]);
    let run =
        |args: &[&str]| -> Run { bench.binary(args).env("GROQ_API_KEY", "gsk-1").output().unwrap().into() };
    let doctor = run(&["doctor"]);
    let model = "ok      model     groq/openai/gpt-oss-120b at https://api.groq.com/openai/v1 with a key \
        (no model chosen: using `groq/openai/gpt-oss-120b` because `GROQ_API_KEY` is set)";
    assert!(doctor.stdout.contains(model), "{}", doctor.shown());
    let status = run(&["auth", "status"]);
    assert_eq!(
        status.stdout,
        "anthropic: no key\ngoogle: no key\ngroq: environment\nopenai: no key\nopenrouter: no key\n"
    );
}

#[test]
fn a_name_without_its_provider_is_told_where_it_could_be_asked() {
    let bench = Bench::new([]);
    let run: Run = bench
        .binary(&["run", "go", "-m", "gpt-x"])
        .env("GROQ_API_KEY", "k")
        .env("XAI_API_KEY", "k")
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains(
            "`gpt-x` is not a model: write it with its provider, such as `groq/gpt-x`, `xai/gpt-x`"
        ),
        "{}",
        run.stderr
    );
}

#[test]
fn a_known_name_without_its_provider_is_told_whose_it_is() {
    let bench = Bench::new([]);
    for (name, wanted) in
        [("claude-sonnet-4-5", "such as `anthropic/claude-sonnet-4-5`"), ("gpt-5", "such as `openai/gpt-5`")]
    {
        let run = bench.bare(&["run", "go", "-m", name]);
        assert!(run.code == 2 && run.stderr.contains(wanted), "{}", run.stderr);
    }
}

#[test]
fn a_short_context_of_a_server_on_this_machine_is_said() {
    let bench = Bench::new([]);
    let looked = (Mutex::new(false), Condvar::new());
    // The answer comes once the context was asked for.
    let server = Server::with(move |request| match request.path.as_str() {
        "/v1/chat/completions" => {
            let seen = looked.0.lock().unwrap();
            let waited = looked.1.wait_timeout_while(seen, std::time::Duration::from_secs(20), |seen| !*seen);
            assert!(!waited.unwrap().1.timed_out());
            Reply::text("hi")
        }
        "/props" => {
            *looked.0.lock().unwrap() = true;
            looked.1.notify_all();
            Reply::status(200).body(json!({"default_generation_settings": {"n_ctx": 8_192}}).to_string())
        }
        _ => Reply::status(404),
    });
    let run: Run = bench
        .binary(&["run", "go", "-m", "vllm/m"])
        .env("HOSTED_VLLM_API_BASE", server.base_url())
        .output()
        .unwrap()
        .into();
    assert_eq!((run.code, run.stdout.as_str()), (0, "hi\n"), "{}", run.stderr);
    let warning = "warning: `vllm/m` has a context of 8192 tokens on this server";
    assert!(run.stderr.contains(warning) && run.stderr.contains("`-c 65536`"), "{}", run.stderr);
}
