//! The sources of keys, each alone and in their order, against a scripted Vault on loopback and files of our own.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use codetether_files::{WriteOptions, read_to_string, write_atomic};
use codetether_keys::{Environment, KeyFile, Keys, Place, Source, VaultConfig, VaultSettings, Wanted};
use codetether_secret::{Redactor, Secret};
use codetether_testkit::{Reply, Request, Server};
use serde_json::json;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let pairs: HashMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Arc::new(move |name| pairs.get(name).cloned())
}

fn keys(pairs: &[(&str, &str)], file: Option<&Path>) -> (Keys, Arc<Redactor>) {
    let (environment, redactor) = (environment(pairs), Arc::new(Redactor::default()));
    let vault = VaultConfig::by(VaultSettings::default(), &environment);
    (Keys::new(environment, vault, file.map(Path::to_owned), Arc::clone(&redactor)), redactor)
}

fn wanted(command: Option<&str>) -> Wanted<'_> {
    Wanted { provider: "acme", variable: Some("ACME_KEY"), command, place: Place::Remote }
}

fn find(keys: &Keys, command: Option<&str>) -> Result<Option<(String, Source)>, String> {
    let found = keys.find(&wanted(command)).map_err(|error| error.to_string())?;
    Ok(found.map(|found| (found.secret.expose().to_owned(), found.source)))
}

fn secret(key: &str) -> Reply {
    Reply::status(200).body(json!({ "data": { "data": { "api_key": key } } }).to_string())
}

fn address(server: &Server) -> String {
    server.base_url().trim_end_matches("/v1").to_owned()
}

#[test]
fn sources_are_asked_in_their_order_and_no_further_than_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    KeyFile::at(path.clone()).set("acme", &Secret::from("from-the-file".to_owned())).unwrap();
    let vault = Server::with(|request| {
        if request.path.ends_with("/acme") { secret("from-the-vault") } else { Reply::status(404).body("{}") }
    });
    let url = address(&vault);
    let in_vault = [("VAULT_ADDR", url.as_str()), ("VAULT_TOKEN", "token-of-the-vault")];
    let command = Some("printf from-the-command");

    let all = [in_vault[0], in_vault[1], ("ACME_KEY", " from-the-variable\n")];
    let got = find(&keys(&all, Some(&path)).0, command);
    assert_eq!(got, Ok(Some(("from-the-variable".into(), Source::Environment))));
    assert_eq!(vault.requests().len(), 0, "nobody asks Vault for a key that is there");

    let (of_vault, redactor) = keys(&in_vault, Some(&path));
    assert_eq!(find(&of_vault, command), Ok(Some(("from-the-vault".into(), Source::Vault))));
    let asked = vault.requests().len();
    assert_eq!(find(&of_vault, command), Ok(Some(("from-the-vault".into(), Source::Vault))));
    assert_eq!(vault.requests().len(), asked, "once a process");
    assert_eq!(redactor.redact("from-the-vault token-of-the-vault"), "[redacted] [redacted]");

    assert_eq!(find(&keys(&[], Some(&path)).0, command), Ok(Some(("from-the-file".into(), Source::File))));
    assert_eq!(find(&keys(&[], None).0, command), Ok(Some(("from-the-command".into(), Source::Command))));
    assert_eq!(find(&keys(&[], None).0, None), Ok(None));
    let status = keys(&in_vault, Some(&path)).0.status(&[wanted(command)]);
    let expected = [false, true, false, true, true];
    assert_eq!(status[0], Source::ALL.into_iter().zip(expected.map(Ok)).collect::<Vec<_>>());
}

#[test]
fn vault_is_asked_as_its_settings_say_and_an_old_token_is_renewed() {
    let vault = Server::with(|request| match request.path.as_str() {
        "/v1/kv/data/team/keys/acme" => secret("sk-acme-1"),
        "/v1/auth/token/lookup-self" => {
            Reply::status(200).body(r#"{"data":{"ttl":40,"creation_ttl":100,"renewable":true}}"#)
        }
        _ => Reply::status(200).body("{}"),
    });
    let environment = environment(&[("MY_TOKEN", "hvs.token-1"), ("VAULT_NAMESPACE", "team-a")]);
    let url = address(&vault);
    let settings = VaultSettings {
        address: Some(&url),
        mount: Some("/kv/"),
        path: Some("team/keys"),
        token_env: Some("MY_TOKEN"),
        ..VaultSettings::default()
    };
    let config = VaultConfig::by(settings, &environment);
    let keys = Keys::new(environment, config, None, Arc::default());
    assert_eq!(find(&keys, None), Ok(Some(("sk-acme-1".into(), Source::Vault))));
    let mut asked: Vec<(String, String)> = vault.requests().into_iter().map(|r| (r.method, r.path)).collect();
    asked.sort();
    let expected = [
        ("GET", "/v1/auth/token/lookup-self"),
        ("GET", "/v1/kv/data/team/keys/acme"),
        ("POST", "/v1/auth/token/renew-self"),
    ];
    assert_eq!(asked, expected.map(|(method, path)| (method.to_owned(), path.to_owned())));
    for request in vault.requests() {
        assert_eq!(request.header("x-vault-token"), Some("hvs.token-1"));
        assert_eq!(request.header("x-vault-namespace"), Some("team-a"));
    }
}

#[test]
fn a_role_logs_in_once_for_all_keys_and_again_when_the_login_ran_out() {
    let logins = std::sync::atomic::AtomicU32::new(0);
    let vault = Server::with(move |request: &Request| {
        if request.path == "/v1/auth/approle/login" {
            assert_eq!(request.json(), json!({ "role_id": "role", "secret_id": "secret-id-1" }));
            let count = logins.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return Reply::status(200)
                .body(json!({ "auth": { "client_token": format!("login-{count}") } }).to_string());
        }
        match (request.path.rsplit('/').next(), request.header("x-vault-token")) {
            (Some("late"), Some("login-0")) => Reply::status(403).body(r#"{"errors":["permission denied"]}"#),
            (Some(name), _) => secret(&format!("key-of-{name}")),
            _ => Reply::status(500),
        }
    });
    let url = address(&vault);
    let (keys, redactor) =
        keys(&[("VAULT_ADDR", &url), ("VAULT_ROLE_ID", "role"), ("VAULT_SECRET_ID", "secret-id-1")], None);
    for provider in ["one", "two", "late"] {
        let found = keys.find(&Wanted { provider, ..wanted(None) }).unwrap().unwrap();
        assert_eq!(found.secret.expose(), format!("key-of-{provider}"));
    }
    let count = vault.requests().iter().filter(|request| request.path.ends_with("login")).count();
    assert_eq!(count, 2);
    assert_eq!(redactor.redact("secret-id-1 login-0x"), "[redacted] login-0x", "seven bytes are no secret");
}

#[test]
fn what_is_wrong_with_vault_is_told_with_a_cure_and_without_the_token() {
    let trouble = |status: u16, body: &'static str| {
        let vault = Server::with(move |_| Reply::status(status).body(body));
        let url = address(&vault);
        let pairs = [("VAULT_ADDR", url.as_str()), ("VAULT_TOKEN", "hvs.very-secret")];
        find(&keys(&pairs, None).0, Some("printf never-asked")).map_err(|text| text.replace(&url, "URL"))
    };
    let told = |status, body| trouble(status, body).unwrap_err();
    assert_eq!(
        told(403, r#"{"errors":["bad hvs.very-secret"]}"#),
        "cannot read the key of `acme` from Vault at `URL`: it does not allow reading \
         `secret/codetether/providers/acme` (it says: bad [redacted]); get a new token, or have its policy allow \
         `read` there"
    );
    assert!(told(503, r#"{"errors":["Vault is sealed"]}"#).contains("sealed"));
    assert!(told(404, r#"{"errors":["no handler for route"]}"#).contains("check `mount` and `path`"));
    assert!(told(200, r#"{"data":{"data":{"other":"x"}}}"#).contains("no text `api_key`"));
    assert!(told(200, "<html>").contains("no text `api_key`"));
    assert!(told(307, "").contains("a redirect"));
    assert_eq!(trouble(404, r#"{"errors":[]}"#), Ok(Some(("never-asked".into(), Source::Command))));
    let gone = keys(&[("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", "hvs.very-secret")], None).0;
    assert!(find(&gone, None).unwrap_err().contains("cannot be reached"));
    let no_way_in = keys(&[("VAULT_ADDR", "http://127.0.0.1:1")], None).0;
    assert!(find(&no_way_in, None).unwrap_err().contains("set `VAULT_TOKEN`"));
}

#[test]
fn a_file_that_others_can_read_is_refused_and_its_lines_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let write = |mode: u32, text: &str| {
        write_atomic(&path, text.as_bytes(), &WriteOptions { mode: Some(mode), ..WriteOptions::default() })
            .unwrap();
    };
    for mode in [0o640, 0o604, 0o660] {
        write(mode, "acme = \"sk-acme-1\"\n");
        let problem = find(&keys(&[], Some(&path)).0, None).unwrap_err();
        assert!(problem.contains("chmod 600") && !problem.contains("sk-acme-1"), "{problem}");
    }
    write(0o600, "# mine\nacme = sk-acme-1\n");
    let problem = find(&keys(&[], Some(&path)).0, None).unwrap_err();
    assert!(problem.contains("line 2 is wrong") && !problem.contains("sk-acme-1"), "{problem}");
    write(0o600, "acme = 7\n");
    assert!(find(&keys(&[], Some(&path)).0, None).unwrap_err().contains("`acme` is not a text"));
}

#[test]
fn a_file_keeps_and_forgets_keys_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("new/keys.toml"));
    file.set("a", &Secret::from("one".to_owned())).unwrap();
    file.set("b", &Secret::from("two \"q\"".to_owned())).unwrap();
    assert_eq!(file.get("b").unwrap().unwrap().expose(), "two \"q\"");
    assert_eq!((file.remove("a").unwrap(), file.remove("a").unwrap()), (true, false));
    assert_eq!(read_to_string(file.path()).unwrap(), "b = 'two \"q\"'\n");
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(file.set("../a", &Secret::from("one".to_owned())).is_err());
}
