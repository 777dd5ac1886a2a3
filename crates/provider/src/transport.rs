//! The one way from a request to the bytes of its answer: over a connection, recorded on the way, or from a cassette.
//! Knows nothing of what is asked or answered.

use codetether_event::ProviderFailure;
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use tokio_util::bytes::Bytes;

use crate::cassette::{Asked, Mode, Playback, Recording};
use crate::endpoint::Line;
use crate::errors::Blame;

/// An answer that begins.
#[derive(Debug)]
pub(crate) struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Live(reqwest::Response),
    Recorded(reqwest::Response, Box<Recording>),
    Replayed(Playback),
}

/// Sends a request, and waits until its answer begins.
pub(crate) async fn post(
    line: &Line,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
) -> Result<Response, ProviderFailure> {
    let blame = &line.blame;
    let asked = |scrubber| Asked::new(scrubber, &Method::POST, url.path(), &headers, &body);
    let recorder = match &line.cassettes.0 {
        Mode::Off => None,
        Mode::Record(recorder) => Some(recorder),
        Mode::Replay(player) => {
            let begun = player.answer(&asked(&player.scrubber), blame)?;
            let (status, headers, body) = (begun.status, begun.headers, Body::Replayed(begun.body));
            return Ok(Response { status, headers, body });
        }
    };
    let Some(recorder) = recorder else {
        let sent = line.client.post(url).headers(headers).body(body).send().await;
        return sent.map(Response::from).map_err(|error| line.unanswered(&error));
    };
    let unwritten = |error: codetether_files::Error| blame.refused(&error.to_string());
    let mut recording = recorder.begin(asked(&recorder.scrubber)).map_err(unwritten)?;
    let sent = line.client.post(url).headers(headers).body(body).send().await;
    let mut response = match sent.map_err(|error| line.unanswered(&error)) {
        Ok(response) => response,
        Err(failure) => {
            recording.failed(&failure).map_err(unwritten)?;
            return Err(failure);
        }
    };
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    recording.answered(&recorder.scrubber, status, &headers).map_err(unwritten)?;
    Ok(Response { status, headers, body: Body::Recorded(response, Box::new(recording)) })
}

impl From<reqwest::Response> for Response {
    fn from(mut response: reqwest::Response) -> Self {
        let headers = std::mem::take(response.headers_mut());
        Self { status: response.status(), headers, body: Body::Live(response) }
    }
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next bytes of the body; `None` at its end. Dropped while it waits, it loses nothing.
    pub(crate) async fn chunk(&mut self, blame: &Blame) -> Result<Option<Bytes>, ProviderFailure> {
        match &mut self.body {
            Body::Live(response) => response.chunk().await.map_err(|error| blame.transport(&error)),
            Body::Recorded(response, recording) => {
                let read = response.chunk().await.map_err(|error| blame.transport(&error));
                recording.read(&read).map_err(|error| blame.refused(&error.to_string()))?;
                read
            }
            Body::Replayed(playback) => playback.chunk(blame).await,
        }
    }
}
