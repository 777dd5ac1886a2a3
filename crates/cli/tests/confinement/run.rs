//! One run of a program in a scene, bare or in a sandbox, within a time limit. The program says `began` first, so that
//! a launcher that starts nothing is not taken for one that confines, and `ready` when the host shall look.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::attempt::Language;
use crate::scene::Scene;

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// How a program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bare,
    /// In a sandbox of this tier.
    Confined(&'static str),
}

/// A program to run.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) language: Language,
    pub(crate) text: &'a str,
    pub(crate) flags: &'a [&'a str],
    pub(crate) at: &'a str,
    pub(crate) under: Option<&'a str>,
    pub(crate) environment: &'a [(&'a str, std::ffi::OsString)],
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) began: bool,
    /// All that it printed, on either stream.
    pub(crate) printed: String,
    /// Nothing where it was ended for taking too long.
    pub(crate) status: Option<ExitStatus>,
}

const BASH: &str = "ready() { echo ready; read -r _; }\necho began\n";

const PYTHON: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    plain = [ctypes.c_long(it) if isinstance(it, int) else it for it in arguments]
    value = libc.syscall(ctypes.c_long(number), *plain)
    if value < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value
def ready():
    print("ready", flush=True)
    sys.stdin.readline()
print("began", flush=True)
"#;

/// What the host's own program around a command begins with.
const UNDER: &str = r#"
import os, sys
command = sys.argv[1:]
def run():
    os.execvp(command[0], command)
"#;

enum Event {
    Line(String),
    Rest(String),
    Ended(ExitStatus),
}

/// Runs a program; `look` is called when it is ready, with the number of the process that was started.
pub(crate) fn run(scene: &Scene<'_>, program: &Program<'_>, mut look: impl FnMut(u32)) -> Outcome {
    let mut child =
        command(scene, program).spawn().unwrap_or_else(|error| panic!("{}: {error}", program.text));
    let (pid, root) = (Pid::from_child(&child), child.id());
    let mut input = child.stdin.take();
    let (tell, events) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    let told = tell.clone();
    std::thread::spawn(move || {
        for line in output.split(b'\n').map_while(Result::ok) {
            let _ = told.send(Event::Line(String::from_utf8_lossy(&line).into_owned()));
        }
        let _ = told.send(Event::Rest(String::new()));
    });
    let mut errors = child.stderr.take().unwrap();
    let told = tell.clone();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = errors.read_to_end(&mut bytes);
        let _ = told.send(Event::Rest(String::from_utf8_lossy(&bytes).into_owned()));
    });
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = tell.send(Event::Ended(status));
        }
    });

    let mut outcome = Outcome { began: false, printed: String::new(), status: None };
    let mut end = Instant::now() + LIMIT;
    let (mut open, mut ended, mut killed) = (2, false, false);
    while open > 0 || !ended {
        match events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Event::Line(line)) => match line.trim_end() {
                "began" => outcome.began = true,
                "ready" => {
                    look(root);
                    drop(input.take());
                }
                _ => {
                    outcome.printed.push_str(&line);
                    outcome.printed.push('\n');
                }
            },
            Ok(Event::Rest(text)) => {
                outcome.printed.push_str(&text);
                open -= 1;
            }
            Ok(Event::Ended(status)) => {
                ended = true;
                outcome.status = (!killed).then_some(status);
                drop(input.take());
                // What it left behind may keep the streams open for ever.
                end = end.min(Instant::now() + Duration::from_secs(1));
            }
            Err(RecvTimeoutError::Timeout) if ended || killed => break,
            Err(RecvTimeoutError::Timeout) => {
                killed = true;
                let _ = kill_process_group(pid, Signal::KILL);
                end = Instant::now() + Duration::from_secs(2);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    outcome
}

fn command(scene: &Scene<'_>, program: &Program<'_>) -> Command {
    use std::os::unix::process::CommandExt as _;
    let text = scene.fill(program.text);
    let (inner, text): (&[&str], _) = match program.language {
        Language::Bash => (&["bash", "-c"], format!("# {}\n{BASH}{text}", scene.token)),
        Language::Python => (&["python3", "-S", "-c"], format!("# {}\n{PYTHON}{text}", scene.token)),
    };
    let mut words: Vec<String> = Vec::new();
    if let Some(under) = program.under {
        words.extend(["python3".to_owned(), "-S".to_owned(), "-c".to_owned()]);
        words.push(format!("{UNDER}{}", scene.fill(under)));
    }
    if let Way::Confined(tier) = scene.way {
        words.push(scene.bench.binary().to_string_lossy().into_owned());
        words.extend(["sandbox", "run", "--tier", tier].map(str::to_owned));
        words.extend(program.flags.iter().map(|flag| scene.fill(flag)));
        words.push("--".to_owned());
    }
    words.extend(inner.iter().map(|word| (*word).to_owned()));
    words.push(text);
    let mut command = scene.bench.command(&words[0]);
    scene.dress(&mut command);
    for (name, value) in program.environment {
        command.env(name, value);
    }
    command.args(&words[1..]).current_dir(scene.fill(program.at)).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
