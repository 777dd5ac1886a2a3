//! Forking and deleting.

use codetether_event::Seq;
use codetether_journal::{Durable, Error, delete, fork, read};

use crate::fact::{Fact, Home, facts, id};

fn retitled(mut record: codetether_event::Record<Fact>) -> codetether_event::Record<Fact> {
    record.event.text = "forked".to_owned();
    record
}

#[tokio::test]
async fn a_fork_has_the_first_records_and_the_blobs_of_a_session_in_use() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=5)).await;
    let blob = handle.blobs().put(b"kept").unwrap();
    fork(&home.layout, id(1), id(2), Seq(3), retitled).unwrap();
    let mut expected = facts(1..=3);
    expected[0].event.text = "forked".to_owned();
    assert_eq!(read::<Fact>(home.layout.journal(id(2))).unwrap().records, expected);
    drop(handle);
    delete(&home.layout, id(1)).unwrap();
    assert_eq!(home.layout.blobs(id(2)).get(&blob).unwrap(), b"kept");
    assert_eq!(home.unsynced_blobs(2).len(), 0);
    let mut opened = home.journals.open::<Fact>(&home.layout, id(2), "a test").unwrap();
    opened.handle.append(&facts(4..=4), Durable::Synced).await.unwrap();
}

#[tokio::test]
async fn a_fork_that_cannot_be_made_leaves_nothing() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=2)).await);
    let try_fork = |from, to, at| fork(&home.layout, id(from), id(to), Seq(at), retitled).unwrap_err();
    assert!(matches!(try_fork(1, 2, 3), Error::NoRecord { seq: Seq(3), last: Seq(2), .. }));
    assert!(matches!(try_fork(1, 2, 0), Error::NoRecord { .. }));
    assert!(matches!(try_fork(3, 2, 1), Error::NotFound { .. }));
    assert!(matches!(try_fork(1, 1, 1), Error::Exists { .. }));
    let names: Vec<_> =
        std::fs::read_dir(home.layout.sessions()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [id(1).to_string().as_str()]);
}

#[tokio::test]
async fn a_session_in_use_is_not_deleted() {
    let home = Home::new();
    let handle = home.session(1, &facts(1..=1)).await;
    assert!(matches!(delete(&home.layout, id(1)), Err(Error::Locked { .. })));
    drop(handle);
    std::fs::create_dir(home.layout.sessions().join(".removed-by-a-process-that-was-killed")).unwrap();
    delete(&home.layout, id(1)).unwrap();
    assert_eq!(std::fs::read_dir(home.layout.sessions()).unwrap().count(), 0);
    assert!(matches!(delete(&home.layout, id(1)), Err(Error::NotFound { .. })));
    assert!(matches!(home.journals.open::<Fact>(&home.layout, id(1), "x"), Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn drafts_of_killed_forks_are_swept_and_others_are_not() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=1)).await);
    let draft = |name: &str, is_old: bool| {
        let path = home.layout.sessions().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("lock"), "").unwrap();
        if is_old {
            let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
            std::fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
        }
        path
    };
    draft(".draft-of-a-process-that-was-killed", true);
    let used = draft(".draft-in-use", true);
    draft(".draft-just-begun", false);
    let _fork = codetether_files::Lock::acquire(used.join("lock"), "fork").unwrap();
    delete(&home.layout, id(1)).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(home.layout.sessions()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".draft-in-use", ".draft-just-begun"]);
}
