//! Torn ends, which are cut, and damage, which is told and repaired on demand.

use codetether_event::{Record, Seq};
use codetether_journal::{Durable, Error, Opened, Torn, encode, follow, fork, read, repair};

use crate::fact::{Fact, Home, fact, facts, id};

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_and_written_over() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=3)).await);
    let whole = home.bytes(1);
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for end in last..whole.len() {
        home.set_bytes(1, &whole[..end]);
        let torn = (end > last).then(|| Torn { at: last as u64, bytes: (end - last) as u64, breaks: 0 });
        assert_eq!(read::<Fact>(home.layout.journal(id(1))).unwrap().torn, torn);
        let mut opened: Opened<Fact> = home.journals.open(&home.layout, id(1), "a test").unwrap();
        assert_eq!((opened.records, opened.torn), (facts(1..=2), torn));
        opened.handle.append(&facts(3..=3), Durable::Written).await.unwrap();
        assert_eq!(home.bytes(1), whole);
    }
}

#[tokio::test]
async fn more_than_half_a_line_is_cut_only_after_a_copy() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=3)).await);
    let mut bytes = home.bytes(1);
    let end = bytes.len();
    bytes[end - 5] ^= 1;
    home.set_bytes(1, &bytes);
    let opened: Opened<Fact> = home.journals.open(&home.layout, id(1), "a test").unwrap();
    assert_eq!((opened.records, opened.torn.unwrap().breaks), (facts(1..=2), 1));
    assert_eq!(std::fs::read(home.layout.session(id(1)).join("journal.jsonl.damaged-1")).unwrap(), bytes);
}

#[tokio::test]
async fn any_flipped_byte_in_the_middle_is_named_and_repaired() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=3)).await);
    let path = home.layout.journal(id(1));
    let whole = home.bytes(1);
    let starts: Vec<_> = std::iter::once(0)
        .chain(whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1))
        .collect();
    for at in starts[1]..starts[2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        home.set_bytes(1, &bytes);
        let error = read::<Fact>(&path).unwrap_err();
        assert!(
            matches!(&error, Error::Damaged { line: 2, offset, path: p, .. }
                if *offset == starts[1] as u64 && *p == path),
            "byte {at}: {error}"
        );
        assert_eq!(
            error.help().unwrap(),
            format!("`codetether session repair {}` keeps the sound part, and a copy of the whole", id(1))
        );
        assert!(matches!(
            home.journals.open::<Fact>(&home.layout, id(1), "a test"),
            Err(Error::Damaged { .. })
        ));
        // Opening a damaged journal changes nothing.
        assert_eq!(home.bytes(1), bytes);
    }
    let mut damaged = whole;
    damaged[starts[1] + 40] ^= 1;
    home.set_bytes(1, &damaged);
    let repaired = repair::<Fact>(&home.layout, id(1)).unwrap();
    assert_eq!((repaired.records, repaired.dropped), (1, 2));
    assert_eq!(std::fs::read(repaired.copy.unwrap()).unwrap(), damaged);
    assert_eq!(read::<Fact>(&path).unwrap().records, facts(1..=1));
    let again = repair::<Fact>(&home.layout, id(1)).unwrap();
    assert_eq!((again.records, again.dropped, again.copy), (1, 0, None));
}

#[tokio::test]
async fn missing_doubled_and_foreign_lines_are_damage() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=3)).await);
    let path = home.layout.journal(id(1));
    let text = String::from_utf8(home.bytes(1)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for (text, line, reason) in [
        ([lines[0], lines[2]].join("\n"), 2, "it holds record 3, where record 2 was expected"),
        ([lines[0], lines[0], lines[1]].join("\n"), 2, "it holds record 1, where record 2 was expected"),
        ([lines[1], lines[2]].join("\n"), 1, "it holds record 2, where record 1 was expected"),
        ([lines[0], "hello", lines[1]].join("\n"), 2, "it is not a line of a journal"),
        ([lines[0], "", lines[1]].join("\n"), 2, "it is not a line of a journal"),
    ] {
        home.set_bytes(1, format!("{text}\n").as_bytes());
        let error = read::<Fact>(&path).unwrap_err();
        assert!(
            matches!(&error, Error::Damaged { line: l, reason: r, .. } if *l == line && r.starts_with(reason)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_no_damage_and_is_not_repaired() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=1)).await);
    let path = home.layout.journal(id(1));
    let mut bytes = home.bytes(1);
    let Record { seq, attempt, at, turn, cause, .. } = fact(2, "");
    encode(&Record { seq, attempt, at, turn, cause, event: 7 }, &mut bytes).unwrap();
    encode(&fact(3, "known again"), &mut bytes).unwrap();
    // Neither does a torn end behind it make it one.
    for torn in ["", "{\"crc\":\"0"] {
        bytes.extend(torn.as_bytes());
        home.set_bytes(1, &bytes);
        let error = read::<Fact>(&path).unwrap_err();
        let expected =
            format!("cannot read `{}` from line 2 on: its record is of no known form: ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(!error.help().unwrap().contains("repair"));
        let is_newer = |error: Option<Error>| matches!(error, Some(Error::Newer { line: 2, .. }));
        assert!(is_newer(repair::<Fact>(&home.layout, id(1)).err()));
        assert!(is_newer(home.journals.open::<Fact>(&home.layout, id(1), "a test").err()));
        assert!(is_newer(fork::<Fact>(&home.layout, id(1), id(2), Seq(1), |first| first).err()));
        let mut follower = follow::<Fact>(&path, Seq(0)).unwrap();
        assert_eq!(follower.poll().unwrap(), facts(1..=1));
        assert!(is_newer(follower.poll().err()));
        assert_eq!(home.bytes(1), bytes);
    }
}

#[tokio::test]
async fn an_endless_line_is_not_held_in_memory() {
    let home = Home::new();
    drop(home.session(1, &facts(1..=1)).await);
    let sound = home.bytes(1).len() as u64;
    let file = std::fs::OpenOptions::new().append(true).open(home.layout.journal(id(1))).unwrap();
    // A hole: a crash of the machine can leave one.
    file.set_len(sound + 3 * codetether_journal::LINE_MAX as u64).unwrap();
    let loaded = read::<Fact>(home.layout.journal(id(1))).unwrap();
    let bytes = 3 * codetether_journal::LINE_MAX as u64;
    assert_eq!((loaded.records, loaded.torn), (facts(1..=1), Some(Torn { at: sound, bytes, breaks: 0 })));
}
