//! Attempts from a terminal of one's own, which commands of a kept sandbox can have: to read, write and type into that of
//! the user. Each is run bare as a control, at a terminal of its own too.

use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use codetether_sandbox::{Job, Kept, Mode, Policy, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

const PROGRAM: &str = env!("CARGO_BIN_EXE_codetether");

/// Longer than anything takes on a busy machine.
const LIMIT: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Said at the user's terminal, and wanted by nobody else.
const SECRET: &str = "typed by the user";

/// A terminal: the side of who watches it, and the side of who works at it.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
    (ours, theirs)
}

fn name_of(terminal: &OwnedFd) -> String {
    rustix::termios::ttyname(terminal, Vec::new()).unwrap().into_string().unwrap()
}

/// What comes there until nothing can any more, or `end` does.
fn heard(at: &OwnedFd, end: &str) -> String {
    let mut file = std::fs::File::from(at.try_clone().unwrap());
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(end) {
        if poll(&mut [PollFd::new(at, PollFlags::IN)], Some(&LIMIT)).unwrap() == 0 {
            panic!("nothing more came after {text:?}");
        }
        match file.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
        }
    }
    text
}

/// What waits there to be read.
fn waiting(at: &OwnedFd) -> String {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let mut file = std::fs::File::from(at.try_clone().unwrap());
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while poll(&mut [PollFd::new(at, PollFlags::IN)], Some(&at_once)).unwrap() > 0 {
        match file.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
        }
    }
    text
}

/// What came of a program: what it said, and what came to the user's terminal, on either side.
#[derive(Debug)]
struct Seen {
    said: String,
    shown: String,
    typed: String,
}

fn run(program: &str, kept: Option<(&Kept, &Path)>) -> Seen {
    let (user, users) = terminal();
    rustix::io::write(&user, format!("{SECRET}\n").as_bytes()).unwrap();
    // What the user types is echoed.
    assert!(heard(&user, "\n").contains(SECRET));
    let before = "import fcntl, os, sys, termios\ndef attempt():\n";
    let body: String =
        program.replace("@TTY@", &name_of(&users)).lines().map(|line| format!("  {line}\n")).collect();
    let after = "try:\n  attempt()\nexcept Exception as error:\n  print(error)\nprint('over', flush=True)";
    let argv = ["/usr/bin/python3", "-S", "-c", &format!("{before}{body}{after}")].map(str::to_owned);
    let said = match kept {
        Some((kept, place)) => {
            let nothing = codetether_files::open_read("/dev/null").unwrap();
            let argv = argv.map(Into::into).to_vec();
            let job = Job { argv, env: Vec::new(), dir: place.to_owned(), time: None, terminal: true };
            let running = kept.spawn(&job, [nothing.as_fd(), nothing.as_fd(), nothing.as_fd()]).unwrap();
            let said = heard(&running.terminal().unwrap(), "over");
            while let Report::Note(_) = running.next().unwrap() {}
            said
        }
        None => {
            let (own, owns) = terminal();
            let copy = || Stdio::from(owns.try_clone().unwrap());
            let mut command = Command::new("setsid");
            command.args(["--ctty", "--wait"]).args(argv).stdin(copy()).stdout(copy()).stderr(copy());
            let mut child = command.spawn().unwrap();
            let said = heard(&own, "over");
            child.wait().unwrap();
            said
        }
    };
    let typed = {
        rustix::fs::fcntl_setfl(&users, rustix::fs::OFlags::NONBLOCK).unwrap();
        waiting(&users).replace(&format!("{SECRET}\n"), "")
    };
    Seen { said, shown: waiting(&user), typed }
}

/// Completes "it …"; the program; whether it got through.
type Attempt = (&'static str, &'static str, fn(&Seen) -> bool);

const ATTEMPTS: &[Attempt] = &[
    (
        "reads what the user types",
        "print(os.read(os.open('@TTY@', os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK), 100))",
        |seen| seen.said.contains(SECRET),
    ),
    (
        "writes to the user's terminal",
        "os.write(os.open('@TTY@', os.O_WRONLY | os.O_NOCTTY), b'reached')",
        |seen| seen.shown.contains("reached"),
    ),
    (
        "finds the user's terminal among all",
        "for name in os.listdir('/dev/pts'):\n  if name != 'ptmx':\n    try: os.write(os.open('/dev/pts/' + name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK), b'reached')\n    except OSError: pass",
        |seen| seen.shown.contains("reached"),
    ),
    (
        "types into the user's terminal",
        "fd = os.open('@TTY@', os.O_RDWR | os.O_NOCTTY)\nfor letter in b'reached\\n': fcntl.ioctl(fd, termios.TIOCSTI, bytes([letter]))",
        |seen| seen.typed.contains("reached"),
    ),
    (
        "types into its own",
        "for letter in b'reached\\n': fcntl.ioctl(0, termios.TIOCSTI, bytes([letter]))\nprint('came', input())",
        |seen| seen.said.contains("came reached"),
    ),
    (
        "asks by its own terminal for the other side",
        "fd = os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY)\nfor n in range(64):\n  try: os.write(os.open('/dev/pts/%d' % n, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK), b'reached')\n  except OSError: pass",
        |seen| seen.shown.contains("reached"),
    ),
];

#[test]
fn from_a_terminal_of_its_own_a_command_reaches_no_other() {
    let home = codetether_testkit::Home::new();
    let place = home.project().canonicalize().unwrap();
    let kept = Kept::start(Path::new(PROGRAM), &Policy::new(Mode::WorkspaceWrite, &place).unwrap()).unwrap();
    let root = rustix::process::geteuid().is_root();
    for (name, program, through) in ATTEMPTS {
        let bare = run(program, None);
        // Typing for another takes root's power, or an older kernel.
        if root || !name.starts_with("types") {
            assert!(through(&bare), "it proves nothing, since bare nothing comes of it: {name}: {bare:?}");
        }
        let confined = run(program, Some((&kept, &place)));
        assert!(!through(&confined), "{name}: {confined:?}");
        assert!(confined.said.contains("over"), "{name}: {confined:?}");
    }
}
