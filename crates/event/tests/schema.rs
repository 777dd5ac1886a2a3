//! The JSON Schema of a record, kept in `docs/` for scripts, is what the types say.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use codetether_event::Record;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/record.schema.json");

#[test]
fn the_schema_in_the_docs_is_what_the_types_say() {
    let mut made = serde_json::to_string_pretty(&schemars::schema_for!(Record)).unwrap();
    made.push('\n');
    if std::env::var_os("CODETETHER_BLESS").is_some() {
        std::fs::write(PATH, &made).unwrap();
    }
    let kept = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        kept == made,
        "docs/record.schema.json is out of date: run the tests with CODETETHER_BLESS=1, look at the change and commit it"
    );
}
