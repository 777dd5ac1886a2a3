//! The demo's job, with a scripted model in the place of the small one: tools are called by answers that must fit the
//! union of their schemas.

use codetether_testkit::Reply;

use crate::bench::{Bench, message};

const JOB: &str = "Read TODO.md. Then create the file primes.py that it asks for.";

#[test]
fn the_demos_job_is_done_by_answers_that_fit_a_schema() {
    let bench = Bench::new([
        Reply::text(r#"{"tool":"read","arguments":{"path":"TODO.md"}}"#),
        Reply::text(
            r#"{"tool":"write","arguments":{"path":"primes.py","content":"def is_prime(n):\n    return n > 1\n"}}"#,
        ),
        Reply::text(r#"{"tool":"done","arguments":{"message":"primes.py is there."}}"#),
    ]);
    bench.file("TODO.md", "# To do\n\nIt needs one function, is_prime(n).\n");
    let address = format!("providers.demo.base_url=\"{}\"", bench.server.base_url());
    let schema = "providers.demo.tool_calls=\"schema\"";
    let arguments =
        ["run", JOB, "--yes", "--tools", "read,write", "-m", "demo/small", "-c", &address, "-c", schema];
    let run = bench.bare(&arguments);
    insta::assert_snapshot!(run.shown(), @r#"
    exit: 0
    --- stdout
    primes.py is there.
    --- stderr
    note: this is the first run here. Commands run in a sandbox: they change this folder alone, and reach no network. `codetether undo` takes back what they change; `--mode ask` asks before each.
    "#);
    assert_eq!(bench.read("primes.py"), "def is_prime(n):\n    return n > 1\n");

    let first = bench.server.json(0);
    assert!(first.get("tools").is_none(), "no native tools are declared");
    let union = &first["response_format"]["json_schema"]["schema"]["anyOf"];
    let tools: Vec<&str> = union
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["properties"]["tool"]["const"].as_str().unwrap())
        .collect();
    assert_eq!(tools, ["read", "write", "done"]);
    let requests = bench.server.requests();
    let last = bench.server.json(requests.len() - 1);
    let said: Vec<String> = last["messages"].as_array().unwrap().iter().skip(2).map(message).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    user: Read TODO.md. Then create the file primes.py that it asks for.
    assistant: {"tool":"read","arguments":{"path":"TODO.md"}}
    user: result of read:⏎     1	# To do⏎     2	⏎     3	It needs one function, is_prime(n).⏎
    assistant: {"tool":"write","arguments":{"path":"primes.py","content":"def is_prime(n):\n    return n > 1\n"}}
    user: result of write:⏎created `primes.py`: 2 lines, 34 bytes
    "#);
    bench.assert_prefix_stable();

    let log: Vec<String> = bench
        .event_values()
        .iter()
        .filter(|event| ["call.ended", "turn.ended"].contains(&event["type"].as_str().unwrap()))
        .map(|event| format!("{} {} {}", event["type"], event["wrote"], event["outcome"]))
        .collect();
    insta::assert_snapshot!(log.join("\n"), @r#"
    "call.ended" null null
    "call.ended" ["primes.py"] null
    "turn.ended" null {"kind":"completed"}
    "#);
}
