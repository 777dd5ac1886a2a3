//! A hermetic home, a project in it, and a scripted server; runs of the binary and what they left.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use codetether_event::{Event, Record};
use codetether_files::BlobStore;
use codetether_testkit::{Home, Reply, Server, planted, redact};
use serde_json::Value;

pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) home: Home,
    project: PathBuf,
}

pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        planted::assert_none(&output.stdout, "standard output");
        planted::assert_none(&output.stderr, "standard error");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Exit code, standard output and standard error, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        redact(&format!("exit: {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr))
    }

    pub(crate) fn stderr_after_first_run(&self) -> String {
        redact(self.stderr.split_once('\n').unwrap().1)
    }
}

impl Bench {
    pub(crate) fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let home = Home::new();
        let project = home.project();
        Self { server: Server::start(script), home, project }
    }

    /// With a model that answers each request by what it asks.
    pub(crate) fn of_model(
        handler: impl Fn(&codetether_testkit::Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let home = Home::new();
        let project = home.project();
        Self { server: Server::model(handler), home, project }
    }

    /// The binary, in the project, with no endpoint and no model.
    pub(crate) fn binary(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_codetether").as_ref());
        command.args(args).current_dir(&self.project).stdin(Stdio::null());
        command
    }

    /// `codetether run` with the scripted server's model.
    pub(crate) fn run_command(&self, args: &[&str]) -> Command {
        let mut command = self.binary(&["run", "-m", "openai/scripted"]);
        command.args(args).env("OPENAI_BASE_URL", self.server.base_url());
        command.env("OPENAI_API_KEY", planted::KEY);
        command
    }

    /// `codetether run` with no model chosen, as a turn that goes on needs it.
    pub(crate) fn run_as_it_was(&self, args: &[&str]) -> Run {
        let mut command = self.binary(&["run"]);
        command.args(args).env("OPENAI_BASE_URL", self.server.base_url());
        command.env("OPENAI_API_KEY", planted::KEY).output().unwrap().into()
    }

    pub(crate) fn bare(&self, args: &[&str]) -> Run {
        self.binary(args).output().unwrap().into()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_command(args).output().unwrap().into()
    }

    pub(crate) fn run_env(&self, args: &[&str], variables: &[(&str, &str)]) -> Run {
        self.run_command(args).envs(variables.iter().copied()).output().unwrap().into()
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Run {
        let mut child = self.spawn_piped(args);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    fn spawn_piped(&self, args: &[&str]) -> Child {
        let mut command = self.run_command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.run_command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.project.join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        self.bytes(name, text.as_bytes());
    }

    pub(crate) fn bytes(&self, name: &str, bytes: &[u8]) {
        codetether_files::write_atomic(self.path(name), bytes, &codetether_files::WriteOptions::default())
            .unwrap();
    }

    /// The user's own settings.
    pub(crate) fn user_settings(&self, text: &str) {
        let path = self.home.config().join("codetether/config.toml");
        codetether_files::create_dir_all(path.parent().unwrap()).unwrap();
        codetether_files::write_atomic(path, text.as_bytes(), &<_>::default()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        codetether_files::read_to_string(self.path(name)).unwrap()
    }

    fn sessions(&self) -> Vec<PathBuf> {
        let dir = self.home.data().join("codetether/sessions");
        let mut sessions: Vec<PathBuf> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        sessions.sort();
        sessions
    }

    /// The id of the latest session.
    pub(crate) fn last_session(&self) -> String {
        self.sessions().last().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        self.sessions().last().unwrap().join("journal.jsonl")
    }

    /// The latest session's journal.
    pub(crate) fn journal(&self) -> String {
        codetether_files::read_to_string(self.journal_path()).unwrap()
    }

    /// Every byte of the latest session's files.
    pub(crate) fn session_bytes(&self) -> Vec<u8> {
        let mut folders = vec![self.journal_path().parent().unwrap().to_owned()];
        let mut bytes = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => bytes.extend(codetether_files::read(entry.path()).unwrap()),
                }
            }
        }
        bytes
    }

    /// Changes the latest session's records, with sound checksums.
    pub(crate) fn rewrite_journal(&self, mut change: impl FnMut(&mut Record, &BlobStore)) {
        let path = self.journal_path();
        let blobs = BlobStore::new(path.parent().unwrap().join("blobs"));
        let mut bytes = Vec::new();
        for mut record in codetether_journal::read::<Event>(&path).unwrap().records {
            change(&mut record, &blobs);
            codetether_journal::encode(&record, &mut bytes).unwrap();
        }
        codetether_files::write_atomic(path, &bytes, &codetether_files::WriteOptions::default()).unwrap();
    }

    /// The events of the latest session's journal.
    pub(crate) fn event_values(&self) -> Vec<Value> {
        let lines = self.journal();
        lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["record"]["event"].take())
            .collect()
    }

    /// The kinds of the latest session's events, a line each.
    pub(crate) fn events(&self) -> String {
        self.event_values().iter().map(|event| format!("{}\n", event["type"].as_str().unwrap())).collect()
    }

    /// Each request's messages are those of the one before, with more after them; all else is the same.
    pub(crate) fn assert_prefix_stable(&self) {
        let requests = self.server.requests();
        assert!(requests.len() > 1);
        for pair in requests.windows(2) {
            let [before, after] = pair else { unreachable!() };
            let end = before.body.windows(2).rposition(|two| two == b"}]").unwrap() + 1;
            assert!(
                after.body.starts_with(&before.body[..end]),
                "the prefix changed:\n{}\n{}",
                String::from_utf8_lossy(&before.body),
                String::from_utf8_lossy(&after.body)
            );
        }
    }
}

impl Drop for Bench {
    /// A model is never told a key either.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for request in self.server.requests() {
                planted::assert_none(&request.body, "a request");
            }
        }
    }
}

/// A message of a request in one line.
pub(crate) fn message(message: &Value) -> String {
    let role = message["role"].as_str().unwrap();
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Null => message["tool_calls"].to_string(),
        other => other.to_string(),
    };
    let line = redact(&text).replace('\n', "⏎");
    format!("{role}: {}", line.chars().take(120).collect::<String>())
}
