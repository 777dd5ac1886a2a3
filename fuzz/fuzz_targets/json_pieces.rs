//! Arbitrary bytes, in pieces, to the incremental parser: it never panics, agrees with serde_json on what is whole, and
//! what it knows of a cut document is a prefix of the truth.

#![no_main]

use codetether_schema::{Partial, Problem};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((&size, text)) = data.split_first() else { return };
    let truth = serde_json::from_slice::<Value>(text);
    let mut partial = Partial::new();
    for piece in text.chunks(usize::from(size % 17) + 1) {
        let read = partial.push(piece);
        if let (Some(part), Ok(truth)) = (partial.value(), &truth) {
            // Which of two properties of one name is meant is not known, so nothing of the second is.
            assert!(is_prefix(&part, truth) || repeats(text), "{part} of {truth}");
        }
        partial.member("path");
        partial.find(&["a", "b"]);
        partial.path();
        if read.is_err() {
            break;
        }
    }
    match (partial.finish(), truth) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Ok(ours), Err(error)) => assert!(error.to_string().contains("recursion limit"), "{ours}: {error}"),
        (Err(error), Ok(theirs)) => assert_eq!(error.problem, Problem::Duplicate, "{theirs}"),
        (Err(_), Err(_)) => {}
    }
});

fn is_prefix(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::String(part), Value::String(whole)) => whole.starts_with(part.as_str()),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| is_prefix(part, whole))
        }
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| is_prefix(part, whole)))
        }
        (part, whole) => part == whole,
    }
}

/// Whether the document names a property twice.
fn repeats(text: &[u8]) -> bool {
    let mut partial = Partial::new();
    partial.push(text).is_err_and(|error| error.problem == Problem::Duplicate)
}
