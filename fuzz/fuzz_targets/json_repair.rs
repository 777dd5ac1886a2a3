//! Arbitrary text to the tolerant reader: it never panics, never gives nothing, and no string, number or key is in what
//! it gives that is not in the text.

#![no_main]

use codetether_schema::repair;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(found) = repair(&text) else { return };
    assert!(!found.is_empty());
    for mended in found {
        assert!(serde_json::to_string(&mended.value).is_ok_and(|json| serde_json::from_str::<Value>(&json).is_ok()));
        // Escapes and raw text are different spellings of the same; only plain text can be looked for.
        if !text.contains('\\') {
            nothing_is_invented(&mended.value, &text);
        }
    }
});

fn nothing_is_invented(value: &Value, text: &str) {
    match value {
        Value::String(string) => assert!(text.contains(string.as_str()), "{string:?}"),
        Value::Array(items) => items.iter().for_each(|item| nothing_is_invented(item, text)),
        Value::Object(map) => {
            for (key, value) in map {
                assert!(text.contains(key.as_str()), "{key:?}");
                nothing_is_invented(value, text);
            }
        }
        Value::Number(number) if number.is_u64() => {
            assert!(text.contains(&number.to_string()), "{number}");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
