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
