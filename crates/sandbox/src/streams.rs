//! Input for a command, and its standard error apart from its output: for those that are told something and answer on
//! both. The input is a sealed file in memory, so nobody has to write while the command runs.

use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// The command's ends: what it reads, and where its standard error goes.
#[derive(Debug)]
pub struct Streams {
    pub(crate) input: OwnedFd,
    pub(crate) errors: OwnedFd,
}

/// Our end of a command's standard error.
pub struct Errors {
    /// Until it is at its end.
    pipe: Option<Receiver>,
    kept: Vec<u8>,
    most: usize,
    more: bool,
}

impl Streams {
    /// The command reads this; at most so many bytes of its standard error are kept.
    ///
    /// # Errors
    /// When the kernel gives no file or no pipe.
    pub fn new(input: &[u8], most: usize) -> io::Result<(Self, Errors)> {
        let file = memfd_create("input", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = std::fs::File::from(file);
        file.write_all(input)?;
        file.rewind()?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let (reader, writer) = io::pipe()?;
        let pipe = Some(Receiver::from_owned_fd(reader.into())?);
        Ok((
            Self { input: file.into(), errors: writer.into() },
            Errors { pipe, kept: Vec::new(), most, more: false },
        ))
    }
}

impl Errors {
    /// Whether more may come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Takes in what comes next.
    pub async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 8192];
        match pipe.read(&mut buffer).await {
            Ok(count) if count > 0 => self.take(buffer.get(..count).unwrap_or_default()),
            // It is not ours to mend: what came so far is what there is.
            Ok(_) | Err(_) => self.pipe = None,
        }
    }

    /// What was kept when the command had ended, and whether there was more. What it left running may hold the pipe open;
    /// that is not waited for.
    #[must_use]
    pub fn end(mut self) -> (Vec<u8>, bool) {
        let mut buffer = [0; 8192];
        while let Some(pipe) = &self.pipe {
            if self.more {
                break;
            }
            match rustix::io::read(pipe, &mut buffer) {
                Ok(count) if count > 0 => self.take(buffer.get(..count).unwrap_or_default()),
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        (self.kept, self.more)
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.kept.len());
        self.more |= bytes.len() > room;
        self.kept.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }
}
