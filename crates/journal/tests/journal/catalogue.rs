//! The list of sessions, with an index, without one, and with a wrong one.

use codetether_event::{Record, UnixMillis};
use codetether_journal::{Catalogue, Durable, Entry, Filter, Indexed, delete, encode};

use crate::fact::{Fact, Home, fact, id};

/// The first fact is the project, the second the title; all are messages.
#[derive(Debug)]
struct Facts;

impl Indexed for Facts {
    type Event = Fact;

    fn entry(records: &[Record<Fact>]) -> Entry {
        let text: Vec<_> = records.iter().map(|record| record.event.text.clone()).collect();
        Entry {
            project: text[0].clone(),
            title: text.get(1).cloned().unwrap_or_default(),
            created: records[0].at,
            updated: records[records.len() - 1].at,
            turns: records.len() as u64,
            tokens: 10,
            cost_microdollars: 5,
            text,
        }
    }
}

async fn home() -> (Home, Catalogue<Facts>) {
    let home = Home::new();
    let catalogue = Catalogue::new(home.layout.clone());
    for (n, project, title) in
        [(1, "/a", "Fix the parser"), (2, "/b", "Über alles"), (3, "/a", "say \"hi\" -- now")]
    {
        let records = [fact(1, project), fact(2, title), fact(3, &format!("message {n} of many words"))];
        drop(home.session(n, &records[..if n == 2 { 3 } else { 2 }]).await);
    }
    (home, catalogue)
}

fn titles(catalogue: &Catalogue<Facts>, project: Option<&str>) -> Vec<String> {
    let filter = Filter { project: project.map(str::to_owned) };
    catalogue.list(&filter, 10).unwrap().into_iter().map(|listed| listed.entry.title).collect()
}

fn found(catalogue: &Catalogue<Facts>, text: &str) -> Vec<String> {
    catalogue.search(text, 10).unwrap().into_iter().map(|hit| hit.session.entry.title).collect()
}

const ALL: [&str; 3] = ["Über alles", "say \"hi\" -- now", "Fix the parser"];

#[tokio::test]
async fn sessions_are_listed_by_time_and_project() {
    let (home, catalogue) = home().await;
    for _ in 0..2 {
        assert_eq!(titles(&catalogue, None), ALL);
        assert_eq!(titles(&catalogue, Some("/a")), ALL[1..]);
    }
    let last = catalogue.last(&Filter { project: Some("/b".to_owned()) }).unwrap().unwrap();
    assert_eq!((last.id, last.created, last.updated), (id(2), UnixMillis(1_001), UnixMillis(1_003)));
    assert_eq!((last.turns, last.tokens, last.cost_microdollars, last.damaged), (3, 10, 5, None));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(home.layout.index()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_empty_home_has_no_sessions_and_gets_no_index() {
    let home = Home::new();
    let catalogue = Catalogue::<Facts>::new(home.layout.clone());
    assert_eq!(catalogue.list(&Filter::default(), 10).unwrap(), []);
    assert!(!home.layout.index().exists());
}

#[tokio::test]
async fn changes_show_at_once() {
    let (home, catalogue) = home().await;
    assert_eq!(titles(&catalogue, None), ALL);
    let mut opened = home.journals.open::<Fact>(&home.layout, id(1), "a test").unwrap();
    opened.handle.append(&[fact(3, "later"), fact(4, "still later")], Durable::Written).await.unwrap();
    delete(&home.layout, id(2)).unwrap();
    assert_eq!(titles(&catalogue, None), ["Fix the parser", "say \"hi\" -- now"]);
    assert_eq!(found(&catalogue, "still later"), ["Fix the parser"]);
    assert_eq!(found(&catalogue, "alles"), [""; 0]);
}

/// Whether any file of the index holds these bytes, be it where nothing is any more.
fn index_holds(home: &Home, bytes: &[u8]) -> bool {
    ["", "-journal", "-wal"].iter().any(|suffix| {
        let mut name = home.layout.index().into_os_string();
        name.push(suffix);
        std::fs::read(name).is_ok_and(|all| all.windows(bytes.len()).any(|part| part == bytes))
    })
}

#[tokio::test]
async fn no_word_of_a_deleted_session_is_left_in_the_index() {
    let (home, catalogue) = home().await;
    assert_eq!(titles(&catalogue, None), ALL);
    let mut opened = home.journals.open::<Fact>(&home.layout, id(1), "a test").unwrap();
    opened.handle.append(&[fact(3, "the word is zanzibar")], Durable::Written).await.unwrap();
    catalogue.sync().unwrap();
    // Once as the text it stands in, and once as a word of its own.
    assert!(index_holds(&home, b"zanzibar") && index_holds(&home, b"alles"));
    drop(opened);
    delete(&home.layout, id(1)).unwrap();
    assert!(!index_holds(&home, b"zanzibar") && !index_holds(&home, b"parser"));
    assert_eq!(found(&catalogue, "alles"), ["Über alles"]);
}

#[tokio::test]
async fn no_word_that_a_session_no_longer_holds_is_left_in_the_index() {
    let (home, catalogue) = home().await;
    catalogue.sync().unwrap();
    assert!(index_holds(&home, b"parser"));
    let mut bytes = Vec::new();
    for record in [fact(1, "/a"), fact(2, "Fix the lexer"), fact(3, "and more")] {
        encode(&record, &mut bytes).unwrap();
    }
    home.set_bytes(1, &bytes);
    assert_eq!(found(&catalogue, "lexer"), ["Fix the lexer"]);
    assert_eq!(found(&catalogue, "more"), ["Fix the lexer"]);
    assert_eq!(found(&catalogue, "parser"), [""; 0]);
    assert!(!index_holds(&home, b"parser"));
    encode(&fact(4, "and still more"), &mut bytes).unwrap();
    home.set_bytes(1, &bytes);
    assert_eq!(found(&catalogue, "still"), ["Fix the lexer"]);
    assert_eq!(found(&catalogue, "lexer"), ["Fix the lexer"]);
}

#[tokio::test]
async fn an_index_that_cannot_forget_a_deleted_session_is_removed() {
    let (home, catalogue) = home().await;
    catalogue.sync().unwrap();
    let held = rusqlite::Connection::open(home.layout.index()).unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    delete(&home.layout, id(1)).unwrap();
    assert!(!home.layout.index().exists());
    drop(held);
    assert_eq!(titles(&catalogue, None), ALL[..2]);
}

#[tokio::test]
async fn opening_the_index_ends_no_lock_of_this_process() {
    let (home, catalogue) = home().await;
    catalogue.sync().unwrap();
    let held = rusqlite::Connection::open(home.layout.index()).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(titles(&catalogue, None), ALL);
    // The locks of this process stop only others: so the question is put by one.
    let asked = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "catalogue::another_process_writes_to_an_index", "--nocapture"])
        .env("TEST_OF_LOCKED_INDEX", home.layout.index())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&asked.stdout).contains("it is locked"), "{asked:?}");
    drop(held);
}

/// Does so only when the test above runs it.
#[test]
fn another_process_writes_to_an_index() {
    let Some(path) = std::env::var_os("TEST_OF_LOCKED_INDEX") else { return };
    let db = rusqlite::Connection::open(path).unwrap();
    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    match db.execute_batch("BEGIN IMMEDIATE") {
        Ok(()) => println!("it is free"),
        Err(_) => println!("it is locked"),
    }
}

#[tokio::test]
async fn messages_are_searched_by_words() {
    let (_home, catalogue) = home().await;
    assert_eq!(found(&catalogue, "parser fix"), ["Fix the parser"]);
    assert_eq!(found(&catalogue, "pars"), ["Fix the parser"]);
    assert_eq!(found(&catalogue, "uber"), ["Über alles"]);
    assert_eq!(found(&catalogue, "many words"), ["Über alles"]);
    assert_eq!(found(&catalogue, "\"hi\" -- NOW"), ["say \"hi\" -- now"]);
    for nothing in ["parser words", "NOT OR", "*", "\"", "--", ""] {
        assert_eq!(found(&catalogue, nothing), [""; 0], "{nothing}");
    }
    assert_eq!(catalogue.search("alles", 10).unwrap()[0].snippet, "Über alles");
}

#[tokio::test]
async fn an_index_that_is_gone_or_garbage_is_made_anew() {
    let (home, catalogue) = home().await;
    assert_eq!(titles(&catalogue, None), ALL);
    let index = home.layout.index();
    let sound = std::fs::read(&index).unwrap();
    let mut spoilt: Vec<Vec<u8>> = vec![b"not a database at all".repeat(400), Vec::new()];
    for at in (0..sound.len()).step_by(997) {
        let mut bytes = sound.clone();
        bytes[at..].iter_mut().take(400).for_each(|byte| *byte = 0xa5);
        spoilt.push(bytes);
    }
    spoilt.push(sound[..sound.len() / 2].to_vec());
    for bytes in spoilt {
        std::fs::write(&index, &bytes).unwrap();
        let _ = found(&catalogue, "parser");
        // Whatever became of it, nothing is lost that is in the journals.
        assert_eq!(titles(&catalogue, None).len(), 3);
    }
    std::fs::remove_file(&index).unwrap();
    assert_eq!(titles(&catalogue, None), ALL);
    assert_eq!(found(&catalogue, "parser"), ["Fix the parser"]);
}

#[tokio::test]
async fn an_index_of_another_version_is_made_anew() {
    let (home, catalogue) = home().await;
    catalogue.sync().unwrap();
    let db = rusqlite::Connection::open(home.layout.index()).unwrap();
    db.execute_batch("DROP TABLE sessions; PRAGMA user_version = 999").unwrap();
    drop(db);
    assert_eq!(titles(&catalogue, None), ALL);
    let db = rusqlite::Connection::open(home.layout.index()).unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 3);
}

#[tokio::test]
async fn an_index_that_another_process_keeps_is_done_without() {
    let (home, catalogue) = home().await;
    let lock = |path: &std::path::Path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute_batch("BEGIN EXCLUSIVE").unwrap();
        db
    };
    let held = lock(&home.layout.index());
    assert_eq!(titles(&catalogue, None), ALL);
    assert_eq!(found(&catalogue, "many words"), ["Über alles"]);
    drop(held);
    catalogue.sync().unwrap();
    let held = lock(&home.layout.index());
    assert_eq!(found(&catalogue, "the parser"), ["Fix the parser"]);
    drop(held);
}

#[tokio::test]
async fn a_damaged_session_is_listed_as_damaged() {
    let (home, catalogue) = home().await;
    let mut bytes = home.bytes(2);
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 40] ^= 1;
    home.set_bytes(2, &bytes);
    let mut all = home.bytes(3);
    all[5] ^= 1;
    home.set_bytes(3, &all);
    for _ in 0..2 {
        let listed = catalogue.list(&Filter::default(), 10).unwrap();
        let damaged = |n| listed.iter().find(|listed| listed.id == id(n)).unwrap().damaged.clone();
        assert_eq!(damaged(1), None);
        assert!(damaged(2).unwrap().contains("is damaged at line 2"));
        assert!(damaged(3).unwrap().contains("is damaged at line 1"));
    }
}

#[test]
fn several_processes_may_build_the_index_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (home, _) = runtime.block_on(home());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let catalogue = Catalogue::<Facts>::new(home.layout.clone());
                assert_eq!(titles(&catalogue, None), ALL);
                assert_eq!(found(&catalogue, "alles"), ["Über alles"]);
            });
        }
    });
}
