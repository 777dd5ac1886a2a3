//! A file from a web server: in one piece where the connection holds, else from where it broke off.

use std::path::{Path, PathBuf};
use std::time::Duration;

use codetether_files::{WriteOptions, write_atomic};
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, LOCATION, RANGE};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::arrival::Arrival;
use crate::{Error, Progress, Watch, store};

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// Tries without a step forward.
const TRIES: u32 = 5;
/// Time before the second; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest time without a byte.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a source did not give the file.
#[derive(Debug)]
pub(crate) enum Cause {
    /// It may do later.
    Passing(String),
    /// It will not; another one may.
    Source(String),
    /// No other source would help.
    Ours(Error),
}

impl From<codetether_files::Error> for Cause {
    fn from(error: codetether_files::Error) -> Self {
        Self::Ours(error.into())
    }
}

/// Which version of which file is on its way, kept beside it for a later process.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    url: String,
    /// What its server calls it, where that is exact.
    tag: Option<String>,
}

/// Fetches a file, or the rest of it. `bytes` is its size, where that is known.
pub(crate) async fn fetch(
    url: &Url,
    arrival: &mut Arrival,
    beside: &Path,
    bytes: Option<u64>,
    watch: &mut dyn Watch,
) -> Result<(), Cause> {
    let known = codetether_files::read(beside).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut version: Version = known.filter(|known: &Version| known.url == url.as_str()).unwrap_or_default();
    if version.tag.is_none() || bytes.is_some_and(|bytes| arrival.done() > bytes) {
        arrival.restart()?;
    }
    version.url = url.as_str().to_owned();
    let mut tries = 0;
    loop {
        let before = arrival.done();
        let cause = match attempt(url, arrival, (&mut version, beside), bytes, watch).await {
            Err(Cause::Passing(cause)) => cause,
            ended => return ended,
        };
        tries = if arrival.done() > before { 1 } else { tries + 1 };
        if tries >= TRIES {
            return Err(Cause::Source(cause));
        }
        watch.note(&format!("{cause}: trying again"));
        sleep(PAUSE * (1 << (tries - 1).min(4))).await;
    }
}

async fn attempt(
    url: &Url,
    arrival: &mut Arrival,
    (version, beside): (&mut Version, &Path),
    bytes: Option<u64>,
    watch: &mut dyn Watch,
) -> Result<(), Cause> {
    let mut response = ask(url, arrival.done(), version.tag.as_deref()).await?;
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(content_range);
    let total = match response.status() {
        StatusCode::OK => {
            arrival.restart()?;
            response.content_length()
        }
        StatusCode::PARTIAL_CONTENT => match range {
            Some((Some(from), total)) if from == arrival.done() => total,
            _ => return again(arrival, version, "the server sent another part than was asked for"),
        },
        StatusCode::RANGE_NOT_SATISFIABLE => match range {
            Some((_, Some(total))) if total == arrival.done() => return Ok(()),
            _ => return again(arrival, version, "the file has changed on the server"),
        },
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(Cause::Passing(format!("{} answers {status}", host(url))));
        }
        status => return Err(Cause::Source(format!("{} answers {status}", host(url)))),
    };
    if let (Some(bytes), Some(total)) = (bytes, total)
        && bytes != total
    {
        return Err(Cause::Source(format!("{} has another file: {total} bytes, not {bytes}", host(url))));
    }
    let total = bytes.or(total);
    if let Some(total) = total {
        store::room(folder(beside), total.saturating_sub(arrival.done())).map_err(Cause::Ours)?;
    }
    let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    // A weak one says that two files are alike, not that they are the same.
    version.tag = tag.filter(|tag| tag.starts_with('"')).map(str::to_owned);
    let text = serde_json::to_vec(version).map_err(|error| Cause::Source(error.to_string()))?;
    write_atomic(beside, &text, &WriteOptions::default())?;
    loop {
        let piece = match timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                return Err(Cause::Passing(format!("the connection broke off ({})", root(&error))));
            }
            Err(_) => return Err(Cause::Passing(format!("nothing came for {} s", SILENCE.as_secs()))),
        };
        if total.is_some_and(|total| arrival.done() + piece.len() as u64 > total) {
            return Err(Cause::Source(format!("{} sends more than it said", host(url))));
        }
        arrival.write(&piece)?;
        watch.progress(Progress { done: arrival.done(), total });
    }
    match total {
        Some(total) if arrival.done() < total => Err(Cause::Passing("the connection broke off".into())),
        _ => Ok(()),
    }
}

fn again(arrival: &mut Arrival, version: &mut Version, cause: &str) -> Result<(), Cause> {
    arrival.restart()?;
    version.tag = None;
    Err(Cause::Passing(cause.into()))
}

/// Asks for the file from a byte on, at the address that redirects lead to.
async fn ask(url: &Url, from: u64, tag: Option<&str>) -> Result<Response, Cause> {
    let mut at = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let client = codetether_net::client(at.as_str()).map_err(|error| Cause::Source(error.to_string()))?;
        let mut request = client.get(at.clone());
        if let (1.., Some(tag)) = (from, tag) {
            request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, tag);
        }
        let response = timeout(SILENCE, request.send()).await;
        let response = response
            .map_err(|_| Cause::Passing(format!("{} did not answer", host(&at))))?
            .map_err(|error| Cause::Passing(format!("{} cannot be reached ({})", host(&at), root(&error))))?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| at.join(location).ok());
        let next = next.ok_or_else(|| Cause::Source(format!("{} leads nowhere", host(&at))))?;
        // What was asked for in secret is not had in the open.
        let worse = at.scheme() == "https" && next.scheme() != "https";
        if worse || !matches!(next.scheme(), "http" | "https") {
            return Err(Cause::Source(format!("{} leads to `{}:`", host(&at), next.scheme())));
        }
        at = next;
    }
    Err(Cause::Source(format!("{} leads in circles", host(url))))
}

/// `bytes 10-19/20` or `bytes */20`: the first byte, and how many there are in all.
fn content_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-').and_then(|(from, _)| from.trim().parse().ok());
    Some((from, total.trim().parse().ok()))
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("the server")
}

fn folder(beside: &Path) -> PathBuf {
    beside.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The innermost cause, which says most.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 10-19/20"), Some((Some(10), Some(20))));
        assert_eq!(content_range("bytes */20"), Some((None, Some(20))));
        assert_eq!(content_range("bytes 0-1/*"), Some((Some(0), None)));
        assert_eq!(content_range("lines 0-1/2"), None);
    }
}
