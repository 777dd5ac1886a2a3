//! How the processes of a sandbox talk: frames (a length, then bytes, with descriptors beside the first of them) over
//! a pair of sockets. A frame is read whole or not at all.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// Longest frame: more than the kernel takes as arguments and environment by default.
pub(crate) const LONGEST: usize = 4 << 20;

/// Most descriptors beside a frame.
const DESCRIPTORS: usize = 4;

/// What the inside tells the outside about one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The kept sandbox stands.
    Ready,
    /// The inner end of the way out, as a descriptor beside it.
    WayOut,
    /// Our side of the command's terminal, as a descriptor beside it.
    Terminal,
    /// Something that people should hear. Another report follows.
    Note(String),
    /// A step failed; nothing runs.
    Failed(Fault),
    /// The program could not be started: 126 or 127, as `env` has it.
    NotRun {
        /// What to exit with.
        code: i32,
        /// Why.
        cause: String,
    },
    /// The command ended by itself, with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Its time was up.
    TimeUp,
}

/// A command to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The program, looked for in the `PATH` of `env`, and its arguments.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where to run it.
    pub dir: PathBuf,
    /// Longest run.
    pub time: Option<Duration>,
    /// Whether it gets a terminal of its own, in a kept sandbox: in place of the descriptors that it is given.
    pub terminal: bool,
}

impl Job {
    /// As bytes, each part ended by a NUL, which no part can hold.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Fault> {
        let time = self.time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1));
        let mut bytes = Vec::with_capacity(4096);
        let mut put = |part: &[&[u8]]| {
            part.iter().for_each(|piece| bytes.extend_from_slice(piece));
            bytes.push(0);
        };
        put(&[time.to_string().as_bytes()]);
        put(&[if self.terminal { b"1" } else { b"0" }]);
        put(&[self.argv.len().to_string().as_bytes()]);
        put(&[self.dir.as_os_str().as_bytes()]);
        self.argv.iter().for_each(|argument| put(&[argument.as_bytes()]));
        self.env.iter().for_each(|(name, value)| put(&[name.as_bytes(), b"=", value.as_bytes()]));
        let parts = bytes.iter().filter(|byte| **byte == 0).count();
        if parts != 4 + self.argv.len() + self.env.len() {
            return Err(Fault::new("passing the command on", "an argument or a variable has a NUL in it"));
        }
        Ok(bytes)
    }

    /// What [`Job::encode`] made.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let wrong = || Fault::new("reading a command", "it is not one");
        let mut parts = bytes.strip_suffix(b"\0").ok_or_else(wrong)?.split(|byte| *byte == 0);
        let mut number = || -> Option<u64> { std::str::from_utf8(parts.next()?).ok()?.parse().ok() };
        let mut next = || number().ok_or_else(wrong);
        let (time, terminal, count) = (next()?, next()? != 0, next()?);
        let text = |part: &[u8]| OsStr::from_bytes(part).to_owned();
        let dir = PathBuf::from(parts.next().map(text).ok_or_else(wrong)?);
        let argv: Vec<_> =
            parts.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)).map(text).collect();
        let env: Option<Vec<_>> = parts
            .map(|part| {
                let cut = 1 + part.get(1..)?.iter().position(|byte| *byte == b'=')?;
                Some((OsString::from_vec(part[..cut].to_vec()), OsString::from_vec(part[cut + 1..].to_vec())))
            })
            .collect();
        if argv.is_empty() {
            return Err(wrong());
        }
        let time = (time > 0).then(|| Duration::from_millis(time));
        Ok(Self { argv, env: env.ok_or_else(wrong)?, dir, time, terminal })
    }
}

/// Two ends.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// Sends a report.
pub(crate) fn report(to: impl AsFd, report: &Report) -> io::Result<()> {
    let json = serde_json::to_vec(report).map_err(io::Error::other)?;
    send(to, &json, &[])
}

/// The next report; none when the other end is gone.
pub(crate) fn next_report(from: impl AsFd) -> io::Result<Option<(Report, Vec<OwnedFd>)>> {
    let Some((bytes, fds)) = receive(from)? else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&bytes).map_err(io::Error::other)?, fds)))
}

/// Sends a frame, with descriptors beside it.
pub(crate) fn send(to: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= LONGEST);
    let length = length.ok_or_else(|| io::Error::other("a command with its environment is too long"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let head = length.to_ne_bytes();
    let sent = retry_on_intr(|| {
        sendmsg(&to, &[IoSlice::new(&head), IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)
    })?;
    let whole = [&head[..], bytes];
    let mut rest = sent;
    for part in whole {
        let skipped = rest.min(part.len());
        rest -= skipped;
        let mut part = &part[skipped..];
        while !part.is_empty() {
            let more = retry_on_intr(|| rustix::net::send(&to, part, SendFlags::NOSIGNAL))?;
            part = &part[more..];
        }
    }
    Ok(())
}

/// The next frame; none when the other end is gone.
pub(crate) fn receive(from: impl AsFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut head = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        recvmsg(&from, &mut [IoSliceMut::new(&mut head)], &mut beside, RecvFlags::CMSG_CLOEXEC)
    });
    let got = match got {
        Ok(message) => message.bytes,
        // The other end died with something unread: gone all the same.
        Err(Errno::CONNRESET) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let mut fds = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if got == 0 {
        return Ok(None);
    }
    fill(&from, &mut head[got..])?;
    let length = u32::from_ne_bytes(head) as usize;
    if length > LONGEST {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut bytes = vec![0; length];
    fill(&from, &mut bytes)?;
    Ok(Some((bytes, fds)))
}

fn fill(from: impl AsFd, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match retry_on_intr(|| rustix::io::read(&from, &mut *into))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => into = &mut into[read..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = OsString> {
        proptest::collection::vec(1..=255_u8, 0..20).prop_map(OsString::from_vec)
    }

    fn name() -> impl Strategy<Value = OsString> {
        "[A-Za-z_][A-Za-z0-9_]{0,8}".prop_map(OsString::from)
    }

    proptest! {
        #[test]
        fn a_command_survives_its_journey(
            argv in proptest::collection::vec(text(), 1..5),
            env in proptest::collection::vec((name(), text()), 0..5),
            dir in text(),
            millis in proptest::option::of(1..1_000_000_u64),
            terminal in any::<bool>(),
        ) {
            let job = Job { argv, env, dir: dir.into(), time: millis.map(Duration::from_millis), terminal };
            prop_assert_eq!(Job::decode(&job.encode().unwrap()).unwrap(), job);
        }

        #[test]
        fn nonsense_is_no_command(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(job) = Job::decode(&bytes) {
                prop_assert!(!job.argv.is_empty());
            }
        }
    }

    #[test]
    fn a_nul_is_refused() {
        let job =
            Job { argv: vec!["a\0b".into()], env: Vec::new(), dir: "/".into(), time: None, terminal: false };
        assert!(job.encode().is_err());
    }

    #[test]
    fn frames_and_descriptors_come_through_in_order() {
        let (near, far) = pair().unwrap();
        let (extra, _) = pair().unwrap();
        let big = vec![7; 1 << 20];
        let reader = std::thread::spawn(move || {
            let first = receive(&far).unwrap().unwrap();
            let second = receive(&far).unwrap().unwrap();
            let count = first.1.len();
            // One of them is a copy of the other end.
            drop(first.1);
            (first.0.len(), count, second.0, receive(&far).unwrap().is_none())
        });
        send(&near, &big, &[extra.as_fd(), near.as_fd()]).unwrap();
        send(&near, b"second", &[]).unwrap();
        drop(near);
        drop(extra);
        assert_eq!(reader.join().unwrap(), (1 << 20, 2, b"second".to_vec(), true));
    }
}
