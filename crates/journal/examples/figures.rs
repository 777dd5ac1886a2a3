//! Prints the figures that the journal is held to. Run it with `--release`: a home of 10,000 sessions is made in the
//! system's folder for temporary files and removed again.

#![allow(clippy::print_stdout, reason = "figures are for people")]
#![allow(clippy::unwrap_used, reason = "a figure that cannot be taken is no figure")]

use std::time::{Duration, Instant};

use codetether_event::{Attempt, Cause, Record, Seq, SessionId, UnixMillis};
use codetether_journal::{Catalogue, Durable, Entry, Filter, Handle, Indexed, Journals, Layout};

const LISTED: u32 = 10_000;

struct Texts;

impl Indexed for Texts {
    type Event = String;

    fn entry(records: &[Record<String>]) -> Entry {
        let text: Vec<_> = records.iter().map(|record| record.event.clone()).collect();
        Entry {
            title: text.first().cloned().unwrap_or_default(),
            updated: records.last().map_or_else(UnixMillis::default, |record| record.at),
            text,
            ..Entry::default()
        }
    }
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journals = Journals::start().unwrap();
        let mut one = journals.create(&layout, id(0), "figures").unwrap();
        show("one session, written", appends(&mut one, 5_000, Durable::Written).await, 5_000);
        show("one session, synced", appends(&mut one, 1_000, Durable::Synced).await, 1_000);
        many(&journals, &layout).await;
        list(&journals, &layout).await;
    });
}

/// A hundred sessions that append, synced, as fast as they can.
async fn many(journals: &Journals, layout: &Layout) {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=100 {
        let mut handle = journals.create(layout, id(n), "figures").unwrap();
        tasks.spawn(async move { appends(&mut handle, 100, Durable::Synced).await });
    }
    let times: Vec<_> = tasks.join_all().await.concat();
    let each = times.len();
    println!("100 sessions, synced: {:.0} a second in all", each as f64 / started.elapsed().as_secs_f64());
    show("100 sessions, synced", times, each);
}

async fn list(journals: &Journals, layout: &Layout) {
    let mut made = Vec::new();
    for n in 101..LISTED {
        let started = Instant::now();
        let mut handle = journals.create(layout, id(n), "figures").unwrap();
        made.push(started.elapsed());
        appends(&mut handle, 3, Durable::Written).await;
    }
    show("create a session", made, (LISTED - 101) as usize);
    let catalogue = Catalogue::<Texts>::new(layout.clone());
    let started = Instant::now();
    assert_eq!(catalogue.list(&Filter::default(), usize::MAX).unwrap().len(), LISTED as usize);
    println!("list {LISTED} sessions, no index yet: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(catalogue.list(&Filter::default(), 20).unwrap().len(), 20);
        times.push(started.elapsed());
    }
    show(&format!("list {LISTED} sessions, index there"), times, 20);
}

async fn appends(handle: &mut Handle<String>, number: u64, durable: Durable) -> Vec<Duration> {
    let mut times = Vec::new();
    let first = handle.next();
    for n in 0..number {
        let record = Record {
            seq: first.plus(n),
            attempt: Attempt(1),
            at: UnixMillis(n),
            turn: None,
            cause: Cause::After(Seq(n)),
            event: "a fact of an ordinary length, as most of them are ".repeat(4),
        };
        let started = Instant::now();
        handle.append(&[record], durable).await.unwrap();
        times.push(started.elapsed());
    }
    times
}

fn show(what: &str, mut times: Vec<Duration>, number: usize) {
    times.sort_unstable();
    let at =
        |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
    println!("{what}: p50 {:.3} ms, p95 {:.3} ms ({number} times)", at(50), at(95));
}

fn id(n: u32) -> SessionId {
    format!("01890a5d-ac96-774b-bcce-{n:012x}").parse().unwrap()
}
