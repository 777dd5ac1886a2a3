//! Arbitrary bytes as the head of a GGUF file: reading never panics, and asks for no more memory than the bytes are worth.

#![no_main]

use std::io::Cursor;

use codetether_weights::Head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Head::read(Cursor::new(data));
    // With the right beginning, which chance would seldom hit.
    let mut whole = b"GGUF\x03\0\0\0".to_vec();
    whole.extend_from_slice(data);
    if let Ok(head) = Head::read(Cursor::new(&whole)) {
        assert_eq!(format!("{head:?}"), format!("{:?}", Head::read(Cursor::new(&whole)).expect("it was read before")));
    }
});
