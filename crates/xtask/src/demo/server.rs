//! The model server: llama.cpp's own, from a Python wheel, on a free loopback port; and other servers of that kind. They
//! end when we do, however we end: each waits for the end of a pipe that only we hold.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::failure::At as _;

/// The package that holds the server.
pub(crate) const PACKAGE: &str = "xllamacpp";

/// The version that the demo was tried with; there is a new one almost every day.
pub(crate) const VERSION: &str = "2026.10.11549";

/// Reading a gigabyte from a slow disk takes its time.
const LOAD_LIMIT: Duration = Duration::from_secs(300);

/// How often, and after how long each time, it is looked whether a server has ended that was told to.
const END_CHECKS: u32 = 100;
const END_CHECK: Duration = Duration::from_millis(20);

/// Of the log, in an error.
const LOG_LINES_SHOWN: usize = 12;

/// A server under way.
#[derive(Debug)]
pub(crate) struct Server {
    /// Such as `http://127.0.0.1:40123`.
    pub(crate) address: String,
    what: &'static str,
    child: Child,
}

impl Server {
    /// Starts llama.cpp's server with this model and waits until it answers; `template` is the text of a chat template that
    /// is used in place of the model's own.
    pub(crate) fn of_model(
        python: &Path,
        model: &Path,
        context: u32,
        template: Option<&str>,
        log: &Path,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(python);
        command.arg("-c").arg(include_str!("serve.py")).arg(model).arg(context.to_string()).args(template);
        Self::start("the model server", &mut command, "/health", log)
    }

    /// Starts a server that prints its address and ends with its standard input, and waits until it answers at
    /// this path.
    pub(crate) fn start(
        what: &'static str,
        command: &mut Command,
        health: &str,
        log: &Path,
    ) -> Result<Self, Failure> {
        eprintln!("starting {what}");
        let stderr = File::create(log).at("create", log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let child = command.spawn().map_err(|source| Failure::Start { command: what.into(), source })?;
        // From here on it ends with this value, whatever happens next.
        let mut server = Self { address: String::new(), what, child };
        server.address = server.said_address(log)?;
        server.must_answer(health, log)?;
        Ok(server)
    }

    fn said_address(&mut self, log: &Path) -> Result<String, Failure> {
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = self.child.stdout.take() {
            thread::spawn(move || {
                let mut line = String::new();
                // Nobody listens any more when it took too long.
                let _ = BufReader::new(stdout).take(4096).read_line(&mut line).map(|_| sender.send(line));
            });
        }
        let line = receiver.recv_timeout(LOAD_LIMIT).unwrap_or_default();
        let address = line.trim();
        if address.starts_with("http://127.0.0.1:") { Ok(address.into()) } else { Err(self.failure(log)) }
    }

    fn must_answer(&mut self, health: &str, log: &Path) -> Result<(), Failure> {
        let host = self.address.trim_start_matches("http://").to_owned();
        let ask = || {
            let mut stream = TcpStream::connect(&host)?;
            stream.set_read_timeout(Some(LOAD_LIMIT))?;
            write!(stream, "GET {health} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            BufReader::new(stream).take(4096).read_line(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        match ask() {
            Ok(answer) if answer.contains(" 200 ") => Ok(()),
            _ => Err(self.failure(log)),
        }
    }

    /// What became of it, with the end of its log.
    fn failure(&mut self, log: &Path) -> Failure {
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => format!("ended with {status}"),
            _ => format!("did not answer within {} s", LOAD_LIMIT.as_secs()),
        };
        let text = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let shown = lines.iter().skip(lines.len().saturating_sub(LOG_LINES_SHOWN)).copied();
        let shown = shown.collect::<Vec<_>>().join("\n");
        Failure::Wrong(format!("{} {ended}; the end of `{}`:\n{shown}", self.what, log.display()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end lets it take down what it has started itself.
        drop(self.child.stdin.take());
        for _ in 0..END_CHECKS {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(END_CHECK),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
