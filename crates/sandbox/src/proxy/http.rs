//! HTTP clients: tunnels by `CONNECT`, and plain requests in absolute form, each of which is judged for itself also
//! where a connection is kept.

use std::io;

use codetether_net::{DialError, Dialled, Purpose};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::denied::Denied;
use super::gate::{Refusal, Shared};
use super::head::{
    Answer, BadHead, Body, Exchange, LONGEST_HEAD, Request, Wish, parse_answer, parse_request, write_fields,
};
use super::host::Target;
use super::limits::Activity;
use super::stream::{Broken, Reader, close};
use super::tunnel;

/// The longest head of an answer. Cookies and policies make them long.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How many interim answers (`100 Continue`) one request may get.
const INTERIM: usize = 8;

/// Serves a client whose first byte is in the reader, until it or we close.
pub(super) async fn serve(
    shared: &Shared,
    mut reader: Reader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
) -> io::Result<()> {
    loop {
        let head = match timeout(shared.limits.head, reader.head(LONGEST_HEAD)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                let line = format!("the head of the request is longer than {LONGEST_HEAD} bytes");
                return refuse(&mut reader, &mut writer, 431, &line).await;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let seconds = shared.limits.head.as_secs();
                let line = format!("the head of the request was not whole after {seconds} seconds");
                return refuse(&mut reader, &mut writer, 408, &line).await;
            }
        };
        let request = match parse_request(&head) {
            Ok(request) => request,
            Err(bad) => return malformed(shared, &mut reader, &mut writer, bad).await,
        };
        let Request { target, wish } = request;
        match wish {
            Wish::Tunnel => {
                let dialled = match shared.reach(&target, Purpose::Tunnel, &mut reader).await {
                    Ok(dialled) => dialled,
                    Err(refusal) => return answer_refusal(&mut reader, &mut writer, refusal).await,
                };
                writer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                return tunnel(shared, reader, writer, dialled.stream).await;
            }
            Wish::Exchange(exchange) => {
                let dialled = match shared.reach(&target, Purpose::Plain, &mut reader).await {
                    Ok(dialled) => dialled,
                    Err(refusal) => return answer_refusal(&mut reader, &mut writer, refusal).await,
                };
                if !relay(shared, &target, &exchange, dialled, &mut reader, &mut writer).await? {
                    return Ok(());
                }
            }
        }
        // The next request may come later than its own head may take.
        if reader.rest().is_empty()
            && !matches!(timeout(shared.limits.idle, reader.more()).await, Ok(Ok(true)))
        {
            return Ok(());
        }
    }
}

/// One request and its answer. `true` when the client may ask again.
async fn relay(
    shared: &Shared,
    target: &Target,
    exchange: &Exchange,
    dialled: Dialled,
    reader: &mut Reader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> io::Result<bool> {
    let has_proxy = dialled.proxy.is_some();
    let head = exchange.head(target, dialled.proxy.as_ref().map(|proxy| proxy.authorization()));
    let (from, mut to) = dialled.stream.into_split();
    let mut from = Reader::new(from);
    let activity = Activity::new();
    let mut has_begun = false;
    let work = async {
        let upload = async {
            to.write_all(&head).await.map_err(Broken::Sink)?;
            reader.copy_body(&mut to, exchange.body, true, &activity).await
        };
        let download = answer(exchange, has_proxy, &mut from, writer, &activity, &mut has_begun);
        let (mut upload, mut download) = (std::pin::pin!(upload), std::pin::pin!(download));
        tokio::select! {
            biased;
            sent = &mut upload => match sent {
                Ok(()) => download.await,
                // The host takes no more; it may have answered all the same. What is left of the body is not read.
                Err(Broken::Sink(_)) => download.await.map(|_| false),
                Err(Broken::Source(error)) => Err(Failed::Client(error)),
            },
            // It was answered before the request was read to its end: the rest of that is no request.
            got = &mut download => got.map(|_| false),
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = activity.idle(shared.limits.idle) => Err(Failed::Idle),
    };
    let (status, line) = match done {
        Ok(keeps) if keeps => return Ok(true),
        Ok(_) => {
            close(reader, writer).await;
            return Ok(false);
        }
        Err(_) if has_begun => return Ok(false),
        Err(Failed::Client(error)) if error.kind() == io::ErrorKind::InvalidData => {
            shared.tell(Denied::malformed(&error));
            (400, format!("the sandbox's proxy refuses this request: {error}"))
        }
        Err(Failed::Client(error)) => return Err(error),
        Err(Failed::Host(problem)) => (502, format!("cannot pass on the answer of `{target}`: {problem}")),
        Err(Failed::Idle) => {
            let seconds = shared.limits.idle.as_secs();
            (504, format!("`{target}` did not answer for {seconds} seconds"))
        }
    };
    refuse(reader, writer, status, &line).await?;
    Ok(false)
}

/// Why an exchange failed.
enum Failed {
    /// What the client sent, or that it left.
    Client(io::Error),
    /// What the host sent, or that it did not.
    Host(String),
    /// Neither said anything for too long.
    Idle,
}

/// Passes on the answer. `true` when the client may ask again.
async fn answer<R: AsyncRead + Unpin>(
    exchange: &Exchange,
    has_proxy: bool,
    from: &mut Reader<R>,
    writer: &mut OwnedWriteHalf,
    activity: &Activity,
    has_begun: &mut bool,
) -> Result<bool, Failed> {
    let mut interim = 0;
    let answer = loop {
        let head = match from.head(LONGEST_ANSWER).await {
            Ok(Some(head)) => head,
            Ok(None) => return Err(Failed::Host("it hung up".into())),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(Failed::Host(format!("its head is longer than {LONGEST_ANSWER} bytes")));
            }
            Err(error) => return Err(Failed::Host(error.to_string())),
        };
        activity.touch();
        let answer = parse_answer(&head).map_err(|bad| Failed::Host(bad.to_string()))?;
        match answer.status {
            101 => return Err(Failed::Host("it wants to speak another protocol".into())),
            100..=199 if interim == INTERIM => return Err(Failed::Host("it never comes".into())),
            100..=199 => {
                interim += 1;
                if !exchange.is_old {
                    writer.write_all(&head_of(&answer, "")).await.map_err(Failed::Client)?;
                }
            }
            407 if has_proxy => {
                return Err(Failed::Host("the proxy of this machine wants to know who asks".into()));
            }
            _ => break answer,
        }
    };
    let is_empty = exchange.method == "HEAD" || matches!(answer.status, 204 | 304);
    let body = if is_empty { Body::Length(0) } else { answer.body };
    let (framing, has_end) = match (answer.body, exchange.is_old) {
        (Body::Length(length), _) if answer.status != 204 => (format!("Content-Length: {length}\r\n"), true),
        (Body::Chunked, false) if answer.status != 204 => ("Transfer-Encoding: chunked\r\n".to_owned(), true),
        _ => (String::new(), is_empty),
    };
    let keeps = exchange.keeps && has_end;
    let connection = if keeps { "" } else { "Connection: close\r\n" };
    *has_begun = true;
    let head = head_of(&answer, &format!("{framing}Via: 1.1 codetether\r\n{connection}"));
    writer.write_all(&head).await.map_err(Failed::Client)?;
    from.copy_body(writer, body, !exchange.is_old, activity).await.map_err(|broken| match broken {
        Broken::Source(error) => Failed::Host(error.to_string()),
        Broken::Sink(error) => Failed::Client(error),
    })?;
    Ok(keeps)
}

fn head_of(answer: &Answer, more: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} ", answer.status).into_bytes();
    head.extend_from_slice(&answer.reason);
    head.extend_from_slice(b"\r\n");
    write_fields(&mut head, &answer.fields);
    head.extend_from_slice(more.as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

async fn malformed(
    shared: &Shared,
    reader: &mut Reader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    bad: BadHead,
) -> io::Result<()> {
    let denied = Denied::malformed(bad);
    let line = denied.to_string();
    shared.tell(denied);
    refuse(reader, writer, 400, &line).await
}

async fn answer_refusal(
    reader: &mut Reader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    refusal: Refusal,
) -> io::Result<()> {
    match refusal {
        Refusal::Denied(denied) => refuse(reader, writer, 403, &denied.to_string()).await,
        Refusal::Dial(problem @ DialError::TimedOut { .. }) => {
            refuse(reader, writer, 504, &problem.to_string()).await
        }
        Refusal::Dial(problem) => refuse(reader, writer, 502, &problem.to_string()).await,
        Refusal::HungUp => Ok(()),
    }
}

/// Answers with one line, and closes.
pub(super) async fn refuse(
    reader: &mut Reader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    status: u16,
    line: &str,
) -> io::Result<()> {
    let reason = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Gateway Timeout",
    };
    let length = line.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{line}\n"
    );
    writer.write_all(answer.as_bytes()).await?;
    close(reader, writer).await;
    Ok(())
}
