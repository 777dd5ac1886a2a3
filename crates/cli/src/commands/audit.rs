//! `codetether audit …`: the commands that ran, by their hashes, as it was recorded. Only reads.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use codetether_event::UnixMillis;
use codetether_sandbox::Entry;

use crate::commands::session::time;
use crate::exit::{Exit, Failure};
use crate::{place, printer};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the last commands that ran, by their hashes.
    Tail {
        /// How many.
        #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
        lines: usize,
        /// Go on with those that are run from now on.
        #[arg(short, long)]
        follow: bool,
        /// One JSON object a line, as it is recorded.
        #[arg(long)]
        json: bool,
    },
    /// Show all that is recorded, the oldest first.
    Show {
        /// Only of the session whose id begins so.
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// Only commands that were denied something.
        #[arg(long)]
        denied: bool,
        /// One JSON object a line, as it is recorded.
        #[arg(long)]
        json: bool,
    },
}

/// Longest line that is read, in bytes; one that is longer is left out.
const LONGEST: u64 = 256 << 10;

/// How often somebody who follows looks.
const OFTEN: Duration = Duration::from_millis(250);

pub(crate) fn run(command: AuditCommand) -> Result<Exit, Failure> {
    let file = place::audit_file()?;
    match command {
        AuditCommand::Tail { lines, follow, json } => tail(&file, lines, follow, json),
        AuditCommand::Show { session, denied, json } => {
            let mut all = read(&aside(&file))?.entries;
            all.append(&mut read(&file)?.entries);
            let of_session = |entry: &Entry| {
                entry.session.as_ref().is_some_and(|id| id.starts_with(session.as_deref().unwrap_or("")))
            };
            all.retain(|entry| {
                (session.is_none() || of_session(entry)) && (!denied || !entry.denied.is_empty())
            });
            if all.is_empty() {
                printer::err("nothing is recorded of this\n");
            }
            show(&all, json)
        }
    }
}

fn tail(file: &Path, lines: usize, follow: bool, json: bool) -> Result<Exit, Failure> {
    let mut place = read(file)?;
    let mut all = if place.entries.len() < lines { read(&aside(file))?.entries } else { Vec::new() };
    all.append(&mut place.entries);
    if all.is_empty() && !follow {
        printer::err("nothing is recorded yet\n");
    }
    show(all.get(all.len().saturating_sub(lines)..).unwrap_or_default(), json)?;
    if !follow {
        return Ok(Exit::Done);
    }
    loop {
        std::thread::sleep(OFTEN);
        // When the file was put aside, what came to it last is there.
        if inode(file) != place.inode && place.inode.is_some() {
            show(&read_from(&aside(file), place.end)?.entries, json)?;
            place = Recorded::default();
        }
        let more = read_from(file, place.end)?;
        show(&more.entries, json)?;
        place = Recorded { entries: Vec::new(), ..more };
    }
}

/// What a file holds, and how far it was read.
#[derive(Default)]
struct Recorded {
    entries: Vec<Entry>,
    end: u64,
    inode: Option<u64>,
}

/// Where the file is put when it has grown long.
fn aside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn inode(file: &Path) -> Option<u64> {
    file.metadata().ok().map(|meta| meta.ino())
}

fn read(file: &Path) -> Result<Recorded, Failure> {
    read_from(file, 0)
}

/// From this byte on. A line that is not whole yet is read the next time; one that is no record of a run is left out.
fn read_from(file: &Path, from: u64) -> Result<Recorded, Failure> {
    let problem = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot read `{}`: {error}", file.display()))
    };
    let mut recorded = Recorded { end: from, ..Recorded::default() };
    let mut open = match file.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(recorded),
        _ => codetether_files::open_read(file)?,
    };
    recorded.inode = open.metadata().ok().map(|meta| meta.ino());
    open.seek(SeekFrom::Start(from)).map_err(problem)?;
    let mut lines = BufReader::new(open);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LONGEST).read_until(b'\n', &mut line).map_err(problem)?;
        let is_whole = line.ends_with(b"\n");
        if read == 0 || (!is_whole && (read as u64) < LONGEST) {
            return Ok(recorded);
        }
        recorded.end += read as u64;
        recorded.entries.extend(is_whole.then(|| serde_json::from_slice(&line).ok()).flatten());
    }
}

fn show(entries: &[Entry], json: bool) -> Result<Exit, Failure> {
    let mut text = String::new();
    for entry in entries {
        if json {
            text.push_str(
                &serde_json::to_string(entry).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?,
            );
            text.push('\n');
        } else {
            text.push_str(&told(entry));
        }
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

/// When, how it ended, how long it ran, what it was confined by, where, and what it was denied.
fn told(entry: &Entry) -> String {
    let end = match (entry.exit, entry.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "not run".to_owned(),
    };
    let confined = match &entry.tier {
        Some(tier) => format!("{tier}, {}", entry.mode),
        None => "not confined".to_owned(),
    };
    let of = entry.session.as_ref().map(|session| {
        let call = entry.call.as_deref().unwrap_or("?");
        format!("  session {session} call {call}")
    });
    let denied = entry
        .denied
        .iter()
        .map(|what| format!("    denied: {}\n", what.replace('\n', " ")))
        .collect::<String>();
    let line = format!(
        "{}  {end:<10}  {:>8} ms  {confined:<27}  {}  command {}{}\n{denied}",
        time(UnixMillis(entry.time)),
        entry.ms,
        entry.root.replace(['\n', '\t'], " "),
        entry.argv,
        of.unwrap_or_default()
    );
    printer::plain(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_written_is_read_later_and_nonsense_never() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit.jsonl");
        let write =
            |text: &str| codetether_files::write_atomic(&file, text.as_bytes(), &<_>::default()).unwrap();
        let entry = serde_json::to_string(&Entry { argv: "a".into(), ..Entry::default() }).unwrap();
        write(&format!("{entry}\nnonsense\n{}", &entry[..10]));
        let first = read(&file).unwrap();
        assert_eq!(first.entries.len(), 1);
        write(&format!("{entry}\nnonsense\n{entry}\n"));
        let next = read_from(&file, first.end).unwrap();
        assert_eq!((next.entries.len(), next.end), (1, file.metadata().unwrap().len()));
        assert!(read(&dir.path().join("absent")).unwrap().entries.is_empty());
    }
}
