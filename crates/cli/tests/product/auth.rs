//! `codetether auth …`, and that no planted key is in anything that the program wrote, whatever source it came from.

use std::path::PathBuf;
use std::process::Stdio;

use codetether_testkit::planted::KEY;
use codetether_testkit::{Reply, Server};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

fn with_input(bench: &Bench, args: &[&str], input: &str) -> Run {
    use std::io::Write as _;
    let mut command = bench.binary(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

fn key_file(bench: &Bench) -> PathBuf {
    bench.home.data().join("codetether/keys.toml")
}

/// Every file under the home, but for the one of keys and settings that the test itself wrote, and for the copies of the
/// workspace's own files, by which they can be had back.
fn written(bench: &Bench) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut folders, mut files) = (vec![bench.home.path()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && !entry.path().ends_with("codetether/undo/objects") => {
                    folders.push(entry.path());
                }
                kind if kind.is_file() && entry.path() != key_file(bench) => {
                    files.push((entry.path(), codetether_files::read(entry.path()).unwrap()));
                }
                _ => {}
            }
        }
    }
    files
}

#[test]
fn a_key_is_kept_told_of_used_and_forgotten() {
    let bench = Bench::new([Reply::text("done")]);
    let run = with_input(&bench, &["auth", "login", "openai", "--stdin"], &format!("{KEY}\n"));
    assert!(run.code == 0 && run.stdout.contains("keys.toml`, which only you can read"), "{}", run.shown());
    let status = bench.bare(&["auth", "status", "--json"]);
    let lines: Vec<Value> = status.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let openai = lines.iter().find(|line| line["provider"] == "openai").unwrap();
    assert_eq!((&openai["used"], &openai["sources"]["environment"]), (&json!("file"), &json!(false)));
    let run: Run = bench.run_command(&["go", "--yes"]).env_remove("OPENAI_API_KEY").output().unwrap().into();
    assert_eq!(run.code, 0, "{}", run.shown());
    let header = bench.server.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(header, Some(format!("Bearer {KEY}")));
    let run = bench.bare(&["auth", "logout", "openai"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "the key of `openai` is gone from the file\n"));
    assert_eq!(bench.bare(&["auth", "logout", "openai"]).code, 1);
    assert!(bench.bare(&["auth", "status"]).stdout.contains("openai: no key\n"));
}

#[test]
fn what_is_no_key_is_not_kept() {
    let bench = Bench::new([]);
    for (input, word) in [("", "empty"), ("two words", "white space"), (&"x".repeat(20_000), "longer than")] {
        let run = with_input(&bench, &["auth", "login", "openai", "--stdin"], input);
        assert!(run.code == 2 && run.stderr.contains(word), "{}", run.shown());
    }
    let run = bench.bare(&["auth", "login", "openai"]);
    assert!(run.code == 2 && run.stderr.contains("--stdin"), "{}", run.shown());
    assert!(!key_file(&bench).exists());
}

#[test]
fn a_key_for_nobody_is_a_slip_with_a_suggestion() {
    let bench = Bench::new([]);
    for (name, word) in [
        ("opnai", "did you mean `openai`?"),
        ("nobody", "known without settings: "),
        ("a/b", "there is no provider `a/b`"),
    ] {
        let run = with_input(&bench, &["auth", "login", name, "--stdin"], KEY);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        assert!(run.stderr.contains(word) && run.stderr.contains("[providers.NAME]"), "{}", run.shown());
    }
    assert!(!key_file(&bench).exists());
}

#[test]
fn a_helper_with_a_quote_too_few_is_told_which() {
    let bench = Bench::new([]);
    let command = "providers.openai.key_command=\"pass show it's\"";
    let run: Run =
        bench.run_command(&["go", "-c", command]).env_remove("OPENAI_API_KEY").output().unwrap().into();
    assert!(
        run.code == 2 && run.stderr.contains("the quote `'` at character 13 is not closed"),
        "{}",
        run.shown()
    );
}

#[test]
fn no_byte_that_the_program_writes_is_of_a_planted_key() {
    let vault = Server::with(|_| {
        Reply::status(200).body(json!({ "data": { "data": { "api_key": KEY } } }).to_string())
    });
    let vault_url = vault.base_url().trim_end_matches("/v1").to_owned();
    for source in ["environment", "vault", "file", "command"] {
        let bench = Bench::new([
            Reply::calls([
                ("bash", json!({ "command": "echo $OPENAI_API_KEY $VAULT_TOKEN; env; cat leak" })),
                (
                    "bash",
                    json!({ "command": "base64 leak; (printf x; cat leak) | base64; (printf xy; cat leak) | base64 -w0 | tr '+/' '-_'" }),
                ),
                (
                    "bash",
                    json!({ "command": "python3 -c 'import urllib.parse; print(urllib.parse.quote(open(\"leak\").read(), safe=\"\"))'" }),
                ),
                ("read", json!({ "path": "leak" })),
            ]),
            Reply::text("done"),
        ]);
        bench.file("leak", KEY);
        bench.home.may_hold_keys(bench.path("leak"));
        let mut command = bench.run_command(&["go", "--yes"]);
        command.env_remove("OPENAI_API_KEY");
        match source {
            "environment" => drop(command.env("OPENAI_API_KEY", KEY)),
            "vault" => drop(command.env("VAULT_ADDR", &vault_url).env("VAULT_TOKEN", "hvs.planted-token")),
            "file" => {
                assert_eq!(with_input(&bench, &["auth", "login", "openai", "--stdin"], KEY).code, 0);
            }
            _ => {
                let place = bench.home.config().join("codetether/config.toml");
                let helper = bench.path("leak");
                codetether_files::create_dir_all(place.parent().unwrap()).unwrap();
                let text = format!("[providers.openai]\nkey_command = \"cat '{}'\"\n", helper.display());
                codetether_files::write_atomic(place, text.as_bytes(), &<_>::default()).unwrap();
            }
        }
        let run: Run = command.output().unwrap().into();
        assert_eq!(run.code, 0, "{source}: {}", run.shown());
        let header = bench.server.requests()[0].header("authorization").map(str::to_owned);
        assert_eq!(header, Some(format!("Bearer {KEY}")), "{source}");
        let body = bench.server.requests()[1].body.clone();
        let mut texts = vec![
            ("the request".into(), body),
            ("stdout".into(), run.stdout.into_bytes()),
            ("stderr".into(), run.stderr.into_bytes()),
        ];
        texts.extend(written(&bench));
        // Pieces of the key as it is, of its three kinds of base64 and of its URL-encoding.
        let pieces = [
            "0123456789-abc",
            "planted/key",
            "planted%2Fkey",
            "c2stcGxhbnRlZC9",
            "stcGxhbnRlZC9rZXkrd2l0",
            "zay1wbGFudGVkL2tleSt3aXRo",
            "hvs.planted-token",
        ];
        for (name, bytes) in texts {
            for piece in pieces {
                let found = bytes.windows(piece.len()).any(|window| window == piece.as_bytes());
                assert!(!found, "{source}: `{piece}` is in {}", name.display());
            }
        }
    }
}
