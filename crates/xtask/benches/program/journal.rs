//! Durable appends of the journal, in one process: what the disk has when they are acknowledged. And listing many
//! sessions, with the binary.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use codetether_event::{Attempt, Cause, Event, NoteEvent, Record, Seq, SessionId, UnixMillis};
use codetether_journal::{Durable, Journals, Layout};

use codetether_testkit::Home;

use crate::agent;
use crate::figure::{Aim, Figure, median};

const SESSIONS: usize = 100;
const APPENDS: u64 = 200;
const APPENDS_OF_ONE: u64 = 500;
const LISTED: usize = 10_000;
const LISTINGS: usize = 20;

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (took, many) = runtime.block_on(append(SESSIONS, APPENDS));
    let (_, one) = runtime.block_on(append(1, APPENDS_OF_ONE));
    let rate = many.len() as f64 / took.as_secs_f64();
    vec![
        Figure::new("durable appends, 100 sessions", Aim::AtLeast(5_000.0), rate, "/s"),
        Figure::milliseconds("durable append, 100 sessions, p50", 25.0, median(many)),
        Figure::milliseconds("durable append, one session, p50", 3.0, median(one)),
        Figure::milliseconds(
            "`session list` of 10,000 sessions, whole command",
            50.0,
            listing(binary, &runtime),
        ),
    ]
}

/// The whole command, once the index knows every session.
fn listing(binary: &Path, runtime: &tokio::runtime::Runtime) -> Duration {
    let home = Home::new();
    let layout = Layout::new(home.data().join("codetether"));
    runtime.block_on(async {
        let journals = Journals::start().unwrap();
        for number in 0..LISTED {
            let mut handle = journals.create(&layout, id(number), "bench").unwrap();
            handle.append(&[record(1), record(2)], Durable::Written).await.unwrap();
        }
    });
    let list = || {
        let mut command = home.command(binary);
        command.args(["session", "list"]).stdin(Stdio::null()).stdout(Stdio::null());
        agent::to_end(&mut command).wall()
    };
    let _to_index = list();
    median((0..LISTINGS).map(|_| list()))
}

fn id(number: usize) -> SessionId {
    format!("00000000-0000-7000-8000-{number:012x}").parse().unwrap()
}

/// Each session appends one record after the other. Gives the time of all, and that of each.
async fn append(sessions: usize, appends: u64) -> (Duration, Vec<Duration>) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let journals = Journals::start().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..sessions {
        let mut handle = journals.create(&layout, id(number), "bench").unwrap();
        // The first append also syncs the folders.
        handle.append(&[record(1)], Durable::Synced).await.unwrap();
        tasks.spawn(async move {
            let mut times = Vec::new();
            for seq in 2..appends + 2 {
                let begun = Instant::now();
                handle.append(&[record(seq)], Durable::Synced).await.unwrap();
                times.push(begun.elapsed());
            }
            times
        });
    }
    let begun = Instant::now();
    let times: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    (begun.elapsed(), times)
}

/// A record of about the usual size.
fn record(seq: u64) -> Record {
    Record {
        seq: Seq(seq),
        attempt: Attempt(1),
        at: UnixMillis(1_700_000_000_000),
        turn: None,
        cause: Cause::Timer,
        event: Event::Note(NoteEvent::Warned { text: "x".repeat(400) }),
    }
}
