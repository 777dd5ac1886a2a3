//! Appending, being the only one who may, and running out of room.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use codetether_event::Seq;
use codetether_journal::{Durable, Error, Layout, Opened, follow, read};

use crate::fact::{Fact, Home, fact, facts, id};

#[tokio::test]
async fn what_was_appended_is_read_back_and_gone_on_with() {
    let home = Home::new();
    let mut handle = home.session(1, &facts(1..=2)).await;
    handle.append(&facts(3..=3), Durable::Synced).await.unwrap();
    handle.append(&[], Durable::Synced).await.unwrap();
    assert_eq!(handle.next(), Seq(4));
    drop(handle);
    let mut opened: Opened<Fact> = home.journals.open(&home.layout, id(1), "a test").unwrap();
    assert_eq!((opened.records, opened.torn), (facts(1..=3), None));
    opened.handle.append(&facts(4..=4), Durable::Written).await.unwrap();
    assert_eq!(read::<Fact>(opened.handle.path()).unwrap().records, facts(1..=4));
}

#[tokio::test]
async fn the_file_is_json_lines_for_its_owner_alone() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=2)).await;
    let text = String::from_utf8(home.bytes(1)).unwrap();
    for (line, seq) in text.lines().zip(1..) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["record"]["seq"], seq);
    }
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(handle.path()), mode(&home.layout.session(id(1)))), (0o600, 0o700));
}

#[tokio::test]
async fn records_out_of_order_are_refused() {
    let home = Home::new();
    let mut handle = home.session(1, &facts(1..=2)).await;
    let before = home.bytes(1);
    for wrong in [vec![fact(2, "again")], vec![fact(4, "a gap")], vec![fact(3, "fits"), fact(5, "does not")]]
    {
        let error = handle.append(&wrong, Durable::Written).await.unwrap_err();
        assert!(matches!(error, Error::Sequence { .. }), "{error}");
    }
    assert_eq!(home.bytes(1), before);
}

#[tokio::test]
async fn a_second_writer_is_refused_while_readers_follow() {
    let home = Home::new();
    let mut handle = home.session(1, &facts(1..=1)).await;
    let refused = home.journals.open::<Fact>(&home.layout, id(1), "another").unwrap_err();
    let owner = format!("process {} (a test)", std::process::id());
    assert!(matches!(&refused, Error::Locked { owner: o, .. } if *o == owner), "{refused}");
    let again = home.journals.create::<Fact>(&home.layout, id(1), "another").unwrap_err();
    assert!(matches!(again, Error::Locked { .. }));

    let mut all = follow::<Fact>(handle.path(), Seq(0)).unwrap();
    let mut late = follow::<Fact>(handle.path(), Seq(2)).unwrap();
    assert_eq!(all.poll().unwrap(), facts(1..=1));
    assert_eq!(all.poll().unwrap(), []);
    handle.append(&facts(2..=4), Durable::Written).await.unwrap();
    assert_eq!(all.poll().unwrap(), facts(2..=4));
    assert_eq!(late.poll().unwrap(), facts(3..=4));

    drop(handle);
    home.journals.open::<Fact>(&home.layout, id(1), "another").unwrap();
    let there = home.journals.create::<Fact>(&home.layout, id(1), "another").unwrap_err();
    assert!(matches!(there, Error::Exists { .. }));
}

#[tokio::test]
async fn a_follower_never_sees_half_a_record() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=3)).await;
    let whole = home.bytes(1);
    home.set_bytes(1, b"");
    let mut follower = follow::<Fact>(handle.path(), Seq(0)).unwrap();
    let mut seen = Vec::new();
    for end in 0..=whole.len() {
        home.set_bytes(1, &whole[..end]);
        let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count() as u64;
        seen.extend(follower.poll().unwrap());
        assert_eq!(seen, facts(1..=lines));
    }
    home.set_bytes(1, &whole[..5]);
    assert!(matches!(follower.poll(), Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn a_follower_gets_the_records_before_a_damaged_one() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=3)).await;
    let mut bytes = home.bytes(1);
    let end = bytes.len();
    bytes[end - 5] ^= 1;
    home.set_bytes(1, &bytes);
    let mut follower = follow::<Fact>(handle.path(), Seq(0)).unwrap();
    assert_eq!(follower.poll().unwrap(), facts(1..=2));
    for _ in 0..2 {
        assert!(matches!(follower.poll(), Err(Error::Damaged { line: 3, .. })));
    }
}

#[tokio::test]
async fn a_hundred_sessions_are_written_at_once() {
    let home = Home::new();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100 {
        let mut handle = home.session(n, &facts(1..=1)).await;
        tasks.spawn(async move {
            for seq in 2..=11 {
                let durable = if seq % 2 == 0 { Durable::Synced } else { Durable::Written };
                handle.append(&facts(seq..=seq), durable).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    for n in 0..100 {
        let loaded = read::<Fact>(home.layout.journal(id(n))).unwrap();
        assert_eq!((loaded.records, loaded.torn), (facts(1..=11), None));
    }
}

#[tokio::test]
async fn a_sync_takes_the_blobs_along() {
    let home = Home::new();
    let mut handle = home.session(1, &facts(1..=1)).await;
    handle.sync().await.unwrap().unwrap();
    handle.blobs().clone().put(b"large").unwrap();
    assert_eq!(home.unsynced_blobs(1).len(), 1);
    let syncs: Vec<_> = (0..50).map(|_| handle.sync()).collect();
    for sync in syncs {
        sync.await.unwrap().unwrap();
    }
    assert_eq!(home.unsynced_blobs(1).len(), 0);
    handle.blobs().put(b"larger").unwrap();
    handle.append(&facts(2..=2), Durable::Synced).await.unwrap();
    assert_eq!(home.unsynced_blobs(1).len(), 0);
}

#[tokio::test]
async fn the_first_sync_takes_along_what_a_killed_owner_left() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=1)).await;
    handle.blobs().put(b"large").unwrap();
    drop(handle);
    let mut opened = home.journals.open::<Fact>(&home.layout, id(1), "a test").unwrap();
    assert_eq!(home.unsynced_blobs(1).len(), 1);
    opened.handle.append(&facts(2..=2), Durable::Synced).await.unwrap();
    assert_eq!(home.unsynced_blobs(1).len(), 0);
}

#[tokio::test]
async fn the_first_sync_fails_when_the_names_cannot_get_to_the_disk() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=1)).await;
    handle.sync().await.unwrap().unwrap();
    drop(handle);
    let mut opened = home.journals.open::<Fact>(&home.layout, id(1), "a test").unwrap();
    // The open journal goes along; its folder's name does not.
    std::fs::rename(home.layout.sessions(), home.layout.data_dir().join("elsewhere")).unwrap();
    let error = opened.handle.append(&facts(2..=2), Durable::Synced).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot sync the folder"), "{error}");
    let broken = opened.handle.append(&facts(2..=2), Durable::Written).await.unwrap_err();
    assert!(matches!(broken, Error::Broken { .. }), "{broken}");
}

#[tokio::test]
async fn a_record_that_no_reader_would_take_is_not_written() {
    let home = Home::new();
    let mut handle = home.session(1, &facts(1..=1)).await;
    let huge = fact(2, &"x".repeat(codetether_journal::LINE_MAX));
    let error = handle.append(&[huge], Durable::Written).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    handle.append(&facts(2..=2), Durable::Written).await.unwrap();
    assert_eq!(read::<Fact>(handle.path()).unwrap().records, facts(1..=2));
}

/// Runs itself again in a process whose files may have 4 KiB at most, which the system treats like a full disk but
/// for the error's number.
#[test]
fn a_full_disk_is_an_error_that_leaves_the_journal_sound() {
    const NAME: &str = "appends::a_full_disk_is_an_error_that_leaves_the_journal_sound";
    if let Ok(dir) = std::env::var("TEST_OF_FULL_DISK") {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(fill_the_disk(&dir));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("TEST_OF_FULL_DISK", dir.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let loaded = read::<Fact>(Layout::new(dir.path()).journal(id(1))).unwrap();
    assert_eq!(loaded.torn, None);
    assert_eq!(loaded.records.last().unwrap().event.text, "there is room again");
}

async fn fill_the_disk(dir: &str) {
    let layout = Layout::new(dir);
    let journals = codetether_journal::Journals::start().unwrap();
    let mut handle = journals.create(&layout, id(1), "a test").unwrap();
    let mut seq = 1;
    let error = loop {
        match handle.append(&[fact(seq, &"x".repeat(1_000))], Durable::Synced).await {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    assert!(seq > 2 && error.help().unwrap().contains("make room"));
    let loaded = read::<Fact>(layout.journal(id(1))).unwrap();
    assert_eq!((loaded.records.len() as u64, loaded.torn), (seq - 1, None));
    assert_eq!(handle.next(), Seq(seq));

    let unlimited = rustix::process::getrlimit(rustix::process::Resource::Fsize).maximum;
    let limit = rustix::process::Rlimit { current: unlimited, maximum: unlimited };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    handle.append(&[fact(seq, "there is room again")], Durable::Synced).await.unwrap();
}
