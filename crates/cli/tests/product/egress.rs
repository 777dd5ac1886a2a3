//! What the agent's commands reach in the sandbox, and what happens to the rest.

use codetether_testkit::{Reply, Server};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::terminal::{INTERRUPT, KILL, NOTHING, QUESTION, answered};

/// Asks by the proxy, whatever `no_proxy` says, and prints what it gets.
const GET: &str = "import os, sys, urllib.request as r, urllib.error as e
proxy = os.environ.get('HTTP_PROXY', 'http://127.0.0.1:9')
for name in 'no_proxy', 'NO_PROXY': os.environ.pop(name, None)
for url in sys.argv[1:]:
    try: print(r.build_opener(r.ProxyHandler({'http': proxy})).open(url, timeout=60).read().decode())
    except e.HTTPError as error: print(error.code, error.read().decode())
    except OSError as error: print('no way')
";

/// A server of the machine, and where it is.
fn web() -> (Server, String) {
    let web = Server::with(|_| Reply::status(200).body("served"));
    let here = web.base_url().trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    (web, here)
}

fn get(urls: &[&str]) -> Reply {
    let urls = urls.join(" ");
    Reply::call("bash", json!({ "command": format!("/usr/bin/python3 get.py {urls}") }))
}

fn bench(script: impl IntoIterator<Item = Reply>) -> Bench {
    let bench = Bench::new(script);
    bench.file("get.py", GET);
    bench
}

fn of_type(bench: &Bench, kind: &str) -> Vec<Value> {
    bench.event_values().into_iter().filter(|event| event["type"] == kind).collect()
}

fn results(bench: &Bench) -> Vec<String> {
    let ended = of_type(bench, "call.ended");
    ended.iter().map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_the_settings_name_is_reached_and_the_rest_is_told() {
    let (web, here) = web();
    let url = format!("http://{here}/");
    let twice = get(&[&url, "http://elsewhere.test/", "http://elsewhere.test/"]);
    let bench = bench([twice, get(&["http://elsewhere.test/"]), Reply::text("done")]);
    let net = format!("sandbox.net=[\"{here}/private\", \"*.example.org\"]");
    let run = bench.run(&["-c", &net, "fetch"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(web.requests().len(), 1);
    let denied = "403 `elsewhere.test:80` is not allowed by the sandbox: no rule names it; the rule \
                  `elsewhere.test` would allow it\n";
    let note = "[`elsewhere.test:80` is not allowed by the sandbox: no rule names it; `elsewhere.test` in the user's \
                setting `sandbox.net` would allow it. Ask the user for it instead of trying again]\n";
    assert_eq!(results(&bench), [format!("served\n{denied}\n{denied}\n{note}"), format!("{denied}\n{note}")]);
    let fact = |call: usize| {
        json!({
            "type": "egress.denied",
            "item": of_type(&bench, "call.ended")[call]["item"],
            "target": "elsewhere.test:80",
            "why": "no rule names it",
            "rule": "elsewhere.test",
        })
    };
    assert_eq!(of_type(&bench, "egress.denied"), [fact(0), fact(1)], "once for each command");
    assert!(bench.events().contains("egress.denied\ncall.ended\n"), "{}", bench.events());
    assert_eq!(of_type(&bench, "ask.opened"), [Value::Null; 0], "nobody is there to ask");
    let told = "the sandbox kept a command from `elsewhere.test:80`: no rule names it; `elsewhere.test` in \
                `sandbox.net` would allow it\n";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

#[test]
fn in_plan_nothing_is_reached() {
    let (web, here) = web();
    let bench = bench([
        Reply::call("bash", json!({ "command": format!("cat < /dev/tcp/{}", here.replace(':', "/")) })),
        Reply::call("bash", json!({ "command": "cat < /dev/tcp/127.0.0.1/3128" })),
        Reply::text("done"),
    ]);
    let net = format!("sandbox.net=[\"{here}/private\"]");
    let mode = ["-c", "sandbox.tier=namespaces", "--mode", "plan", "--allow", "bash"];
    let run = bench.run(&[&mode[..], &["-c", &net, "look"]].concat());
    assert!(results(&bench).iter().all(|result| !result.contains("served")), "{}", run.shown());
    assert!(web.requests().is_empty());
}

#[test]
fn a_host_that_is_none_is_told_before_anything_runs() {
    let bench = bench([]);
    let run = bench.run(&["-c", "sandbox.net=[\"*.com\"]", "go"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("cannot allow `*.com`: anyone can have a host below `com`"),
        "{}",
        run.stderr
    );
    let landlock = ["-c", "sandbox.tier=landlock", "-c", "sandbox.net=[\"a.example\"]", "go"];
    let run = bench.run(&landlock);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("`sandbox.net` needs tier `namespaces`"), "{}", run.stderr);
}

#[test]
fn a_project_opens_no_way_out() {
    let bench = bench([]);
    codetether_files::create_dir_all(bench.path(".codetether")).unwrap();
    bench.file(".codetether/config.toml", "[sandbox]\nnet = [\"a.example\"]\n");
    let run = bench.run(&["go"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("a project's own file cannot set `sandbox`"), "{}", run.stderr);
}

#[test]
fn a_host_is_allowed_once() {
    let (web, here) = web();
    let url = format!("http://{here}/");
    let bench = bench([get(&[&url]), get(&[&url]), Reply::text("done")]);
    let (code, screen) = answered(&bench, &["go"], QUESTION, &["y", "n not twice"]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains(&format!("wants to reach `{here}`, and waits")), "{screen}");
    assert!(screen.contains("why: no rule names it"), "{screen}");
    assert_eq!(web.requests().len(), 1);
    let results = results(&bench);
    assert_eq!(results[0], "served\n");
    let note = format!("[`{here}` is not allowed by the sandbox: the user said no: not twice]\n");
    assert!(results[1].starts_with("403 ") && results[1].ends_with(&note), "{results:?}");
    let waited: Vec<Value> =
        of_type(&bench, "egress.denied").iter().map(|fact| fact["waits"].clone()).collect();
    assert_eq!(waited, [json!(true), json!(true), Value::Null]);
    assert!(
        bench.events().contains("call.started\negress.denied\nask.opened\nask.answered\ncall.ended\n"),
        "{}",
        bench.events()
    );
}

#[test]
fn a_host_that_is_allowed_for_the_session_stays_so_when_it_is_taken_up_again() {
    let (web, here) = web();
    let url = format!("http://{here}/");
    let script = [get(&[&url, &url]), get(&[&url]), Reply::text("done"), get(&[&url]), Reply::text("done")];
    let bench = bench(script);
    let (code, screen) = answered(&bench, &["go"], QUESTION, &["s"]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(screen.matches(QUESTION).count(), 1, "{screen}");
    assert_eq!(results(&bench), ["served\nserved\n", "served\n"]);
    let run = bench.run(&["--last", "again"]);
    assert_eq!((run.code, web.requests().len()), (0, 4), "{}", run.shown());
    let config = bench.home.config().join("codetether/config.toml");
    assert!(!config.exists(), "it was not written down");
}

#[test]
fn a_host_that_is_allowed_for_good_is_in_the_settings_then() {
    let (web, here) = web();
    let url = format!("http://{here}/");
    let bench = bench([get(&[&url]), Reply::text("done"), get(&[&url]), Reply::text("done")]);
    // The user's list takes the place of the machine's.
    let of_machine = b"[sandbox]\nnet = [\"*.example.org\"]\n";
    codetether_files::write_atomic(bench.home.system_config(), of_machine, &<_>::default()).unwrap();
    let (code, screen) = answered(&bench, &["go"], QUESTION, &["a"]);
    assert_eq!(code, 0, "{screen}");
    let config = bench.home.config().join("codetether/config.toml");
    assert!(screen.contains(&format!("always writes it to {}", config.display())), "{screen}");
    assert_eq!(
        codetether_files::read_to_string(&config).unwrap(),
        format!("[sandbox]\nnet = [\"*.example.org\", \"{here}/private\"]\n")
    );
    let run = bench.run(&["another session"]);
    assert_eq!((run.code, web.requests().len()), (0, 2), "{}", run.shown());
}

#[test]
fn a_question_is_withdrawn_with_its_command_and_the_next_one_is_answered() {
    let wait = "/usr/bin/python3 get.py http://elsewhere.test/";
    let bench = bench([
        Reply::call("bash", json!({ "command": wait, "timeout": 1 })),
        Reply::call("bash", json!({ "command": "git reset --hard" })),
        Reply::text("done"),
    ]);
    let (code, screen) = answered(&bench, &["go"], QUESTION, &[NOTHING, "y"]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("no answer is needed any more"), "{screen}");
    assert!(bench.events().contains("ask.opened\ncall.ended\nask.withdrawn\n"), "{}", bench.events());
    let results = results(&bench);
    assert!(results[0].contains("[killed after 1 s") && results[1].contains("HEAD is now"), "{results:?}");
}

#[test]
fn an_interrupt_withdraws_the_question_and_ends_the_command() {
    let bench = bench([get(&["http://elsewhere.test/"])]);
    let (code, screen) = answered(&bench, &["go"], QUESTION, &[INTERRUPT]);
    assert_eq!(code, 130, "{screen}");
    let events = bench.events();
    let end = "ask.opened\nturn.interrupted\nitem.begun\nask.withdrawn\ncall.ended\nturn.ended\n";
    assert!(events.ends_with(end), "{events}");
}

#[test]
fn a_question_that_was_open_when_the_program_was_killed_is_closed_by_the_next_one() {
    let bench = bench([get(&["http://elsewhere.test/"]), Reply::text("done")]);
    let (code, screen) = answered(&bench, &["go"], QUESTION, &[KILL]);
    assert_eq!(code, -1, "{screen}");
    assert!(bench.events().ends_with("egress.denied\nask.opened\n"), "{}", bench.events());
    let config = bench.home.config().join("codetether/config.toml");
    codetether_files::create_dir_all(config.parent().unwrap()).unwrap();
    let text = b"[sandbox]\ntier = \"namespaces\"\n";
    codetether_files::write_atomic(&config, text, &<_>::default()).unwrap();
    let run = bench.run_as_it_was(&["--last"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(bench.events().contains("session.adopted\ncall.ended\nask.withdrawn\n"), "{}", bench.events());
    assert!(results(&bench)[0].contains("it may have run"), "{:?}", results(&bench));
}
