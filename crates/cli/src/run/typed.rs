//! Lines that a person types at the terminal, while it gives whole lines. Waiting for one can be given up at any time, and
//! takes nothing from whoever reads next.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Most bytes of a line; terminals of Linux give 4095 at most.
const LINE: usize = 64 << 10;

/// The terminal at standard input.
pub(crate) struct Typed {
    /// `None` where it cannot be watched, which reads as the end of input.
    input: Option<AsyncFd<OwnedFd>>,
    line: Vec<u8>,
}

impl Typed {
    /// Must be called inside the runtime.
    pub(crate) fn start() -> Self {
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        #[expect(deprecated, reason = "an owned descriptor stays open as long as it is watched")]
        let input = input.and_then(|input| AsyncFd::with_interest(input, Interest::READABLE)).ok();
        Self { input, line: Vec::new() }
    }

    /// Waits until something can be read, and reads nothing. Comes back at the end of input as well.
    pub(crate) async fn ready(&self) {
        let Some(input) = &self.input else { return };
        loop {
            let Ok(mut guard) = input.readable().await else { return };
            // Somebody else may have read what was announced: a read would wait, and nothing else would go on.
            let mut polled = [PollFd::new(input.get_ref(), PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            match rustix::event::poll(&mut polled, Some(&now)) {
                Ok(0) => guard.clear_ready(),
                _ => return,
            }
        }
    }

    /// The next line; `None` at the end of input.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            self.ready().await;
            let input = self.input.as_ref()?;
            let mut bytes = [0_u8; 4096];
            let read = match rustix::io::read(input.get_ref(), &mut bytes) {
                Ok(read) => read,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(_) => 0,
            };
            if read == 0 && self.line.is_empty() {
                return None;
            }
            self.line.extend_from_slice(bytes.get(..read).unwrap_or_default());
            if read == 0 || self.line.ends_with(b"\n") || self.line.len() > LINE {
                let line = std::mem::take(&mut self.line);
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }

    /// Drops what of a line was read, when nobody waits for it any more.
    pub(crate) fn forget(&mut self) {
        self.line.clear();
    }
}
