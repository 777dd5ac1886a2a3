//! Recordings of what was asked and answered: written as it happens, and played back in its place. Never holds an
//! answer in memory, never keeps a secret that is known, and never matches a request by guessing.
//!
//! A cassette is a file for each request, `0001.cassette` the first: lines of JSON, so that a change can be read in a
//! diff. In this order:
//!
//! ```text
//! {"request":{"version":1,"method":"POST","path":"/v1/messages","headers":[["content-type","application/json"],…]}}
//! {"body":{"at":"/model","is":"claude-opus-5"}}          each value of the body's object, by its JSON pointer;
//! {"body":{"at":"/messages/0","is":{…}}}                 of a list, each element
//! {"response":{"ms":412,"status":200,"headers":[…]}}     milliseconds since the request was sent
//! {"text":{"ms":415,"is":"event: message_start\ndata: …"}}    bytes of the answer as they came,
//! {"bytes":{"ms":416,"base64":"gIE="}}                        or those that are no text
//! {"end":{"ms":901,"how":"whole"}}                       or `left`: nobody read on; or `{"failed":{…}}`: it broke
//! ```
//!
//! A request is compared by its method, path and body with the next cassette's. Hosts, queries and headers are not
//! compared. What differs from run to run stands there by name: `{session}` for the cache key that holds the session's
//! id, and whatever the [`Placeless`] function of the composition replaces. Playing back keeps no time.
//!
//! Secrets are found as the redactor finds them: not one that a model spells out over several events.

mod asked;
mod record;
mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codetether_event::ProviderFailure;
use codetether_secret::{Redactor, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use asked::Asked;
use asked::Scrubber;
pub(crate) use record::{Recorder, Recording};
pub(crate) use replay::{Playback, Player};

/// The version of the format.
const VERSION: u32 = 1;

/// Replaces, in a text of a request, what depends on where and when it is asked.
pub type Placeless = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Whether requests are recorded or played back; neither is the default.
#[derive(Debug, Clone, Default)]
pub struct Cassettes(pub(crate) Mode);

#[derive(Debug, Clone, Default)]
pub(crate) enum Mode {
    #[default]
    Off,
    Record(Arc<Recorder>),
    Replay(Arc<Player>),
}

impl Cassettes {
    /// Records every request and its answer into this folder, which is made if need be, without the secrets that the
    /// redactor knows by then and those of the endpoint.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or holds anything already.
    pub fn record(dir: &Path, redactor: Arc<Redactor>, placeless: Placeless) -> Result<Self, CassetteError> {
        codetether_files::create_dir_private(dir)?;
        let list = |cause| codetether_files::Error::new("list", dir, cause);
        match std::fs::read_dir(dir).map_err(list)?.next() {
            None => {}
            Some(Ok(_)) => return Err(CassetteError::NotEmpty { dir: dir.to_owned() }),
            Some(Err(cause)) => return Err(list(cause).into()),
        }
        let recorder = Recorder::new(dir.to_owned(), Scrubber::new(redactor, placeless));
        Ok(Self(Mode::Record(Arc::new(recorder))))
    }

    /// Answers every request from the cassettes in this folder, one after the other; no server is asked.
    ///
    /// # Errors
    /// When there is no cassette in it.
    pub fn replay(dir: &Path, redactor: Arc<Redactor>, placeless: Placeless) -> Result<Self, CassetteError> {
        if !cassette(dir, 1).is_file() {
            return Err(CassetteError::None { dir: dir.to_owned() });
        }
        let player = Player::new(dir.to_owned(), Scrubber::new(redactor, placeless));
        Ok(Self(Mode::Replay(Arc::new(player))))
    }

    /// Whether no server is asked, so that no key is needed.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        matches!(self.0, Mode::Replay(_))
    }

    /// These, and this client for what they do not answer: what wires take for a client.
    #[must_use]
    pub fn over(&self, client: reqwest::Client) -> Transport {
        Transport { client, cassettes: self.clone() }
    }

    /// Keeps these out of cassettes as well.
    pub(crate) fn learn(&self, secrets: impl IntoIterator<Item = Secret>) {
        match &self.0 {
            Mode::Off => {}
            Mode::Record(recorder) => recorder.scrubber.learn(secrets),
            Mode::Replay(player) => player.scrubber.learn(secrets),
        }
    }
}

/// How a provider's requests reach it: over this client's connections, recorded, or not at all.
#[derive(Debug, Clone)]
pub struct Transport {
    pub(crate) client: reqwest::Client,
    pub(crate) cassettes: Cassettes,
}

impl From<reqwest::Client> for Transport {
    fn from(client: reqwest::Client) -> Self {
        Self { client, cassettes: Cassettes::default() }
    }
}

/// Why requests cannot be recorded or played back.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    /// There is something in the folder that is to be recorded into.
    #[error("cannot record into `{}`: it is not empty", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// There is nothing to play back.
    #[error("cannot replay `{}`: there is no `0001.cassette` in it", dir.display())]
    None {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder cannot be made or read.
    #[error(transparent)]
    Files(#[from] codetether_files::Error),
}

/// A line of a cassette.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Request { version: u32, method: String, path: String, headers: Headers },
    Body(Part),
    Response { ms: u64, status: u16, headers: Headers },
    Text { ms: u64, is: String },
    Bytes { ms: u64, base64: String },
    End { ms: u64, how: How },
}

type Headers = Vec<(String, String)>;

/// A value of a request's body, and the JSON pointer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    at: String,
    is: Value,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// The server sent all of it.
    Whole,
    /// Nobody read on: it was whole by then, it was interrupted, or it took too long.
    Left,
    /// It broke off, or never came.
    Failed(ProviderFailure),
}

/// Where the cassette of a request is, the first being 1.
fn cassette(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:04}.cassette"))
}

#[cfg(test)]
mod tests {
    use codetether_event::ProviderFailureKind as Kind;
    use codetether_files::WriteOptions;
    use http::{HeaderMap, HeaderValue, Method, StatusCode};
    use tempfile::TempDir;

    use super::*;
    use crate::errors::Blame;

    const KEY: &str = "sk-123456789";

    fn redactor() -> Arc<Redactor> {
        Arc::new(Redactor::new([Secret::from(KEY.to_owned())]))
    }

    fn recorder(dir: &TempDir) -> Arc<Recorder> {
        match Cassettes::record(dir.path(), redactor(), Arc::new(str::to_owned)).unwrap().0 {
            Mode::Record(recorder) => recorder,
            other => panic!("{other:?}"),
        }
    }

    fn player(dir: &TempDir) -> Arc<Player> {
        match Cassettes::replay(dir.path(), redactor(), Arc::new(str::to_owned)).unwrap().0 {
            Mode::Replay(player) => player,
            other => panic!("{other:?}"),
        }
    }

    fn asked(scrubber: &Scrubber) -> Asked {
        Asked::new(scrubber, &Method::POST, "/ask", &HeaderMap::new(), br#"{"model":"m"}"#)
    }

    fn blame() -> Blame {
        Blame::new("acme", "h:1".into(), "an answer", [])
    }

    fn failure(kind: Kind, message: &str) -> ProviderFailure {
        ProviderFailure { kind, status: None, message: message.into(), retry_after_ms: None }
    }

    /// Records an answer of these reads, the last of which may be its end.
    fn record(recorder: &Recorder, reads: &[Result<Option<&[u8]>, ProviderFailure>]) {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("1"));
        let mut recording = recorder.begin(asked(&recorder.scrubber)).unwrap();
        recording.answered(&recorder.scrubber, StatusCode::CREATED, &headers).unwrap();
        for read in reads {
            recording.read(read).unwrap();
        }
    }

    /// What playing the next one back gives: the bytes, and how they ended.
    async fn play(player: &Player) -> (Vec<u8>, Option<ProviderFailure>) {
        let mut begun = match player.answer(&asked(&player.scrubber), &blame()) {
            Ok(begun) => begun,
            Err(failure) => return (Vec::new(), Some(failure)),
        };
        assert_eq!((begun.status.as_u16(), begun.headers["retry-after"].as_bytes()), (201, &b"1"[..]));
        let mut bytes = Vec::new();
        loop {
            match begun.body.chunk(&blame()).await {
                Ok(Some(more)) => bytes.extend_from_slice(&more),
                Ok(None) => return (bytes, None),
                Err(failure) => return (bytes, Some(failure)),
            }
        }
    }

    /// The first cassette without the times in it.
    fn lines(dir: &TempDir) -> String {
        let text = codetether_files::read_to_string(cassette(dir.path(), 1)).unwrap();
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().values_mut().for_each(|line| {
                line.as_object_mut().unwrap().shift_remove("ms");
            });
            line.to_string()
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn the_bytes_of_an_answer_come_back_without_the_secrets_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let reads =
            ["data: \u{e9}".as_bytes(), b"\n\xc3", b"\xa9 sk-12345", b"6789!", b"\xff\x80", b"\xe2\x82"];
        let reads = reads.into_iter().map(|bytes| Ok(Some(bytes))).chain([Ok(None)]);
        record(&recorder(&dir), &reads.collect::<Vec<_>>());
        let (bytes, failure) = play(&player(&dir)).await;
        assert_eq!(bytes, b"data: \xc3\xa9\n\xc3\xa9 [redacted]!\xff\x80\xe2\x82");
        assert_eq!(failure, None);
        let expected = [
            r#"{"request":{"version":1,"method":"POST","path":"/ask","headers":[]}}"#,
            r#"{"body":{"at":"/model","is":"m"}}"#,
            r#"{"response":{"status":201,"headers":[["retry-after","1"]]}}"#,
            r#"{"text":{"is":"data: é"}}"#,
            r#"{"text":{"is":"\n"}}"#,
            r#"{"text":{"is":"é "}}"#,
            r#"{"text":{"is":"[redacted]!"}}"#,
            r#"{"bytes":{"base64":"/4A="}}"#,
            r#"{"bytes":{"base64":"4oI="}}"#,
            r#"{"end":{"how":"whole"}}"#,
        ];
        assert_eq!(lines(&dir), expected.join("\n"));
    }

    #[tokio::test]
    async fn an_answer_that_broke_off_breaks_off_again() {
        let dir = tempfile::tempdir().unwrap();
        let broke = failure(Kind::Connection, "the connection broke");
        let recorder = recorder(&dir);
        record(&recorder, &[Ok(Some(b"a")), Err(broke.clone())]);
        recorder.begin(asked(&recorder.scrubber)).unwrap().failed(&broke).unwrap();
        let player = player(&dir);
        assert_eq!(play(&player).await, (b"a".to_vec(), Some(broke.clone())));
        assert_eq!(play(&player).await, (Vec::new(), Some(broke)), "it never began");
    }

    #[tokio::test]
    async fn an_answer_that_was_left_is_tried_again_only_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = recorder(&dir);
        record(&recorder, &[Ok(Some(b"a"))]);
        drop(recorder.begin(asked(&recorder.scrubber)).unwrap());
        let player = player(&dir);
        let told = |number: u32, line: u32| {
            let path = cassette(dir.path(), number);
            let path = path.display();
            format!(
                "cannot ask `acme`: line {line} of `{path}`: nobody read on there: it was interrupted or took too long"
            )
        };
        assert_eq!(play(&player).await, (b"a".to_vec(), Some(failure(Kind::Timeout, &told(1, 5)))));
        assert_eq!(play(&player).await, (Vec::new(), Some(failure(Kind::BadRequest, &told(2, 3)))));
    }

    #[tokio::test]
    async fn a_cassette_that_is_cut_or_damaged_is_told_of_and_not_played() {
        let dir = tempfile::tempdir().unwrap();
        record(&recorder(&dir), &[Ok(Some(b"one")), Ok(Some(b"two")), Ok(None)]);
        let path = cassette(dir.path(), 1);
        let whole = codetether_files::read(&path).unwrap();
        let shown = path.display();
        let write =
            |bytes: &[u8]| codetether_files::write_atomic(&path, bytes, &WriteOptions::default()).unwrap();
        let line_ends = |end: &usize| end.is_multiple_of(16) || whole[..*end].ends_with(b"\n");
        for end in (0..whole.len()).filter(line_ends) {
            write(&whole[..end]);
            let (bytes, failed) = play(&player(&dir)).await;
            let told = format!(
                "cannot ask `acme`: `{shown}` is cut: it does not say how the answer ended (record anew with `--record`)"
            );
            assert_eq!((bytes, failed), (Vec::new(), Some(failure(Kind::BadRequest, &told))), "{end}");
        }
        let text = String::from_utf8(whole).unwrap();
        for (old, new, told) in [
            (r#""version":1"#, r#""version":2"#, "line 1 of `F`: it is of version 2, and this build reads 1"),
            (r#"{"body":{"#, r#"{"bodies":{"#, "line 2 of `F`: unknown variant `bodies`"),
            (r#"201"#, r#"99"#, "line 3 of `F`: invalid status code"),
            (r#"{"text":{"#, r#"{"tex":{"#, "line 4 of `F`: unknown variant `tex`"),
        ] {
            assert!(text.contains(old), "{old}");
            write(text.replacen(old, new, 1).as_bytes());
            let failed = play(&player(&dir)).await.1.unwrap();
            let told = told.replace("`F`", &format!("`{shown}`"));
            assert_eq!(failed.kind, Kind::BadRequest);
            assert!(failed.message.starts_with(&format!("cannot ask `acme`: {told}")), "{}", failed.message);
        }
    }

    #[test]
    fn only_an_empty_folder_is_recorded_into_and_only_a_recorded_one_played_back() {
        let dir = tempfile::tempdir().unwrap();
        let error = Cassettes::replay(dir.path(), redactor(), Arc::new(str::to_owned)).unwrap_err();
        assert!(error.to_string().contains("there is no `0001.cassette` in it"), "{error}");
        record(&recorder(&dir), &[Ok(None)]);
        let error = Cassettes::record(dir.path(), redactor(), Arc::new(str::to_owned)).unwrap_err();
        assert!(error.to_string().ends_with("it is not empty"), "{error}");
    }

    #[test]
    fn cassettes_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        record(&recorder(&dir), &[Ok(None)]);
        let mode = cassette(dir.path(), 1).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
