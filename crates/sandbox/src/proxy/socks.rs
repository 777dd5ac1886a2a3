//! SOCKS5 clients (RFC 1928): connections to a host by its name, judged like any other. An address is reached only
//! where a rule names it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use codetether_net::{DialError, Purpose};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::denied::Denied;
use super::gate::{Refusal, Shared};
use super::host::{Host, HostError, Target, host_of};
use super::stream::{Reader, close};
use super::tunnel;

/// What a client is told when it gets no connection (RFC 1928 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Granted = 0,
    Failed = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    Refused = 5,
    TimedOut = 6,
    CommandUnknown = 7,
    AddressUnknown = 8,
}

/// Serves a client whose first byte, in the reader, said version 5.
pub(super) async fn serve(
    shared: &Shared,
    mut reader: Reader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
) -> io::Result<()> {
    let asked = match timeout(shared.limits.head, ask(&mut reader, &mut writer)).await {
        Ok(asked) => asked?,
        Err(_) => return Ok(()),
    };
    let target = match asked {
        Ok(target) => target,
        Err((reply, reason)) => {
            shared.tell(Denied::malformed(reason));
            return refuse(&mut reader, &mut writer, reply).await;
        }
    };
    let dialled = match shared.reach(&target, Purpose::Tunnel, &mut reader).await {
        Ok(dialled) => dialled,
        Err(refusal) => return refuse(&mut reader, &mut writer, reply_to(&refusal)).await,
    };
    say(&mut writer, Reply::Granted).await?;
    tunnel(shared, reader, writer, dialled.stream).await
}

fn reply_to(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Denied(_) => Reply::NotAllowed,
        Refusal::Dial(DialError::TimedOut { .. }) => Reply::TimedOut,
        Refusal::Dial(DialError::Resolve { .. }) => Reply::HostUnreachable,
        Refusal::Dial(DialError::Connect { .. }) => Reply::Refused,
        Refusal::Dial(_) | Refusal::HungUp => Reply::Failed,
    }
}

type Asked = Result<Target, (Reply, String)>;

/// The greeting, and where the client wants to go. An error of the stream, or a greeting that ends it, is the outer one.
async fn ask(reader: &mut Reader<OwnedReadHalf>, writer: &mut OwnedWriteHalf) -> io::Result<Asked> {
    let greeting = reader.exactly(2).await?;
    let methods = reader.exactly(usize::from(last(&greeting))).await?;
    if !methods.contains(&0) {
        writer.write_all(&[5, 0xff]).await?;
        return Err(io::Error::other("the client cannot do without a password"));
    }
    writer.write_all(&[5, 0]).await?;
    let head = reader.exactly(4).await?;
    let [version, command, reserved, kind] = head[..] else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let host = match kind {
        1 => {
            let bytes = reader.exactly(4).await?;
            <[u8; 4]>::try_from(bytes).map(|ip| host_of(IpAddr::V4(Ipv4Addr::from(ip)))).ok()
        }
        3 => {
            let length = reader.exactly(1).await?;
            Some(name(&reader.exactly(usize::from(last(&length))).await?))
        }
        4 => {
            let bytes = reader.exactly(16).await?;
            <[u8; 16]>::try_from(bytes).map(|ip| host_of(IpAddr::V6(Ipv6Addr::from(ip)))).ok()
        }
        _ => None,
    };
    let Some(host) = host else {
        return Ok(Err((Reply::AddressUnknown, "this kind of address is unknown in SOCKS5".into())));
    };
    let port = reader.exactly(2).await?.into_iter().fold(0u16, |port, byte| port << 8 | u16::from(byte));
    Ok(match (version, command, reserved, host, port) {
        (5, 1, 0, Ok(_), 0) => Err((Reply::NotAllowed, "the port is 0".into())),
        (5, 1, 0, Ok(host), port) => Ok(Target { host, port }),
        (5, 1, 0, Err(error), _) => Err((Reply::NotAllowed, format!("the host cannot be used: {error}"))),
        (5, 2 | 3, 0, ..) => {
            Err((Reply::CommandUnknown, "only connections can be had through SOCKS5".into()))
        }
        _ => Err((Reply::Failed, "this is no request of SOCKS5".into())),
    })
}

/// The name of a host. Brackets are no part of it here, as another field says that an address is one.
fn name(bytes: &[u8]) -> Result<Host, HostError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with('[') => Host::parse(text),
        _ => Err(HostError::Character),
    }
}

fn last(bytes: &[u8]) -> u8 {
    bytes.last().copied().unwrap_or_default()
}

async fn refuse(
    reader: &mut Reader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    reply: Reply,
) -> io::Result<()> {
    say(writer, reply).await?;
    close(reader, writer).await;
    Ok(())
}

async fn say(writer: &mut OwnedWriteHalf, reply: Reply) -> io::Result<()> {
    writer.write_all(&[5, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await
}
