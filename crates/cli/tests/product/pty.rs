//! A program at a pseudo-terminal that is its own: what it shows is awaited, keys are typed, the terminal's modes compared.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

/// How long anything may take. Nothing is proved by it; it ends a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Terminal {
    controller: File,
    /// Kept open, so that the modes can be read when the program has ended.
    peer: OwnedFd,
    child: Child,
    screen: String,
    /// What was awaited and seen ends here.
    seen: usize,
    before: String,
}

impl Terminal {
    /// Starts a command whose program is `setsid -c`, so that the terminal's keys become signals.
    pub(crate) fn start(mut command: Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let peer =
            ioctl_tiocgptpeer(&controller, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .unwrap();
        let side = || Stdio::from(peer.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        let mut terminal = Self {
            child: command.spawn().unwrap(),
            controller: controller.into(),
            peer,
            screen: String::new(),
            seen: 0,
            before: String::new(),
        };
        terminal.before = terminal.modes();
        terminal.resize(80);
        terminal
    }

    pub(crate) fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.controller, size).unwrap();
    }

    /// What `stty -g` would say, in other words.
    fn modes(&self) -> String {
        format!("{:?}", tcgetattr(&self.peer).unwrap())
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.controller.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown behind what was awaited before.
    pub(crate) fn expect(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(self.read(until), "`{text}` was not shown; what was:\n{}", self.screen);
        }
    }

    /// Reads what there is; false when nothing more comes.
    fn read(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let mut ready = [PollFd::new(&self.controller, PollFlags::IN)];
        let wait = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap(), tv_nsec: 0 };
        if left.is_zero() || poll(&mut ready, Some(&wait)).unwrap() == 0 {
            return false;
        }
        let mut buffer = [0_u8; 4096];
        match self.controller.read(&mut buffer) {
            Ok(read) if read > 0 => {
                self.screen.push_str(&String::from_utf8_lossy(&buffer[..read]));
                true
            }
            _ => false,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program has ended, and gives its exit code and all that was shown. The terminal must be as it was.
    pub(crate) fn end(mut self) -> (i32, String) {
        let until = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            if Instant::now() >= until {
                self.child.kill().unwrap();
                panic!("the program did not end; it showed:\n{}", self.screen);
            }
            // What it shows must be read, or it would wait for that.
            self.read(Instant::now() + Duration::from_secs(1));
        };
        let mut ready = [PollFd::new(&self.controller, PollFlags::IN)];
        while poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0 {
            let mut buffer = [0_u8; 4096];
            let read = (&self.controller).read(&mut buffer).unwrap_or(0);
            if read == 0 {
                break;
            }
            self.screen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        codetether_testkit::planted::assert_none(self.screen.as_bytes(), "what the terminal shows");
        assert_eq!(self.modes(), self.before, "the terminal is not as it was; it showed:\n{}", self.screen);
        let pastes = self.screen.rfind("\x1b[?2004h") > self.screen.rfind("\x1b[?2004l");
        assert!(!pastes, "pastes are still marked:\n{}", self.screen);
        (code, std::mem::take(&mut self.screen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
