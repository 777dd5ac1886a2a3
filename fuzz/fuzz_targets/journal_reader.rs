//! Arbitrary bytes as a journal: reading never panics, accounts for every byte, and what it accepts comes back the
//! same after it was written and read again.

#![no_main]

use std::path::Path;

use codetether_event::{Event, Record};
use codetether_journal::{encode, read_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&framed(data));
});

fn read(bytes: &[u8]) {
    let Ok(loaded) = read_from::<Event>(bytes, Path::new("fuzzed")) else { return };
    let torn = loaded.torn.map_or(0, |torn| torn.bytes);
    assert_eq!(loaded.sound + torn, bytes.len() as u64);
    let written = write(&loaded.records);
    let again = read_from::<Event>(written.as_slice(), Path::new("written")).expect("what we write is whole");
    assert_eq!((&again.records, again.torn), (&loaded.records, None));
    assert_eq!(write(&again.records), written);
}

fn write(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        encode(record, &mut bytes).expect("what was read can be written");
    }
    bytes
}

/// Each line as a record with the right checksum, which chance would never hit.
fn framed(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in data.split(|byte| *byte == b'\n') {
        bytes
            .extend_from_slice(format!("{{\"crc\":\"{:08x}\",\"record\":", crc32fast::hash(body)).as_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"}\n");
    }
    bytes
}
