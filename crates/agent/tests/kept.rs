//! Journals that released versions wrote are read, folded and written back as they are, for ever.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use codetether_event::Event;
use codetether_session::{Next, State};

fn kept() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .flat_map(|version| std::fs::read_dir(version.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn kept_journals_fold_to_rest_and_are_written_back_byte_for_byte() {
    let files = kept();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let loaded = codetether_journal::read::<Event>(&path).unwrap();
        assert_eq!(loaded.torn, None, "{}", path.display());
        let mut state = State::default();
        let mut written = Vec::new();
        for record in &loaded.records {
            state.apply(record);
            codetether_journal::encode(record, &mut written).unwrap();
        }
        assert!(written == std::fs::read(&path).unwrap(), "{} is written back otherwise", path.display());
        let newer = path.file_stem().is_some_and(|name| name == "from-a-newer-version");
        assert_eq!(state.read_only, newer, "{}", path.display());
        assert_eq!(state.decide(), Next::Rest, "{}", path.display());
    }
}
