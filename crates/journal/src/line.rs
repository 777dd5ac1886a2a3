//! One record, one line: `{"crc":"0a1b2c3d","record":{…}}`. The checksum is taken over the very bytes of the record,
//! so the form around it is fixed to the byte.

use codetether_event::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Longest line, in bytes, its end not counted.
pub const LINE_MAX: usize = 64 << 20;

const BEFORE_CRC: &[u8] = b"{\"crc\":\"";
const CRC: usize = 8;
const BEFORE_RECORD: &[u8] = b"\",\"record\":";
const HEAD: usize = BEFORE_CRC.len() + CRC + BEFORE_RECORD.len();
const AFTER_RECORD: &[u8] = b"}";

/// Appends a record's line, with the line break, to `out`.
///
/// # Errors
/// [`Error::Encode`] and [`Error::TooLarge`]; then `out` is as it was.
pub fn encode<E: Serialize>(record: &Record<E>, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    let encoded = append(record, out, start);
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded
}

fn append<E: Serialize>(record: &Record<E>, out: &mut Vec<u8>, start: usize) -> Result<(), Error> {
    let seq = record.seq;
    out.extend_from_slice(BEFORE_CRC);
    out.extend_from_slice(&[b'0'; CRC]);
    out.extend_from_slice(BEFORE_RECORD);
    let body = out.len();
    serde_json::to_writer(&mut *out, record)
        .map_err(|error| Error::Encode { seq, reason: error.to_string() })?;
    let bytes = out.get(body..).unwrap_or_default();
    // JSON that was kept verbatim may hold one.
    if memchr::memchr(b'\n', bytes).is_some() {
        return Err(Error::Encode { seq, reason: "its JSON holds a line break".to_owned() });
    }
    let crc = hex(crc32fast::hash(bytes));
    if let Some(place) = out.get_mut(start + BEFORE_CRC.len()..start + BEFORE_CRC.len() + CRC) {
        place.copy_from_slice(&crc);
    }
    out.extend_from_slice(AFTER_RECORD);
    let bytes = out.len() - start;
    if bytes > LINE_MAX {
        return Err(Error::TooLarge { seq, bytes, max: LINE_MAX });
    }
    out.push(b'\n');
    Ok(())
}

/// The record's bytes within a line (without its line break), if the line is whole; else what is wrong with it.
pub(crate) fn check(line: &[u8]) -> Result<&[u8], &'static str> {
    const FORM: &str = "it is not a line of a journal";
    let crc = line.strip_prefix(BEFORE_CRC).and_then(|rest| rest.get(..CRC)).ok_or(FORM)?;
    let body = line
        .get(HEAD - BEFORE_RECORD.len()..)
        .and_then(|rest| rest.strip_prefix(BEFORE_RECORD))
        .ok_or(FORM)?;
    let body = body.strip_suffix(AFTER_RECORD).ok_or(FORM)?;
    if crc == hex(crc32fast::hash(body)) { Ok(body) } else { Err("its checksum does not fit") }
}

/// Whether a line that is not whole ends in one that is: then it is the line break between them that is lost.
pub(crate) fn hides_another(line: &[u8]) -> bool {
    let last = memchr::memmem::rfind(line, BEFORE_CRC).and_then(|at| line.get(at..));
    last.is_some_and(|last| last.len() < line.len() && check(last).is_ok())
}

/// The record in a whole line.
pub(crate) fn parse<E: DeserializeOwned>(body: &[u8]) -> Result<Record<E>, String> {
    serde_json::from_slice(body).map_err(|error| format!("its record is of no known form: {error}"))
}

fn hex(crc: u32) -> [u8; CRC] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; CRC];
    for (place, digit) in text.iter_mut().enumerate() {
        let nibble = crc >> (28 - 4 * place) & 0xf;
        *digit = DIGITS.get(nibble as usize).copied().unwrap_or(b'0');
    }
    text
}

#[cfg(test)]
mod tests {
    use codetether_event::{Attempt, Cause, RawJson, Seq, UnixMillis};
    use serde_json::value::RawValue;

    use super::*;

    fn record(json: &str) -> Record<RawJson> {
        Record {
            seq: Seq(1),
            attempt: Attempt(1),
            at: UnixMillis(5),
            turn: None,
            cause: Cause::Timer,
            event: RawJson(RawValue::from_string(json.to_owned()).unwrap()),
        }
    }

    #[test]
    fn a_line_has_one_form() {
        let mut line = Vec::new();
        encode(&record("\"é\""), &mut line).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert_eq!(
            text,
            "{\"crc\":\"657c9375\",\"record\":{\"seq\":1,\"attempt\":1,\"at\":5,\"cause\":\"timer\",\"event\":\"é\"}}\n"
        );
        let body = check(line.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(parse(body), Ok(record("\"é\"")));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut line = Vec::new();
        encode(&record("{\"type\":\"a.b\",\"n\":1}"), &mut line).unwrap();
        line.pop();
        for bit in 0..line.len() * 8 {
            let mut flipped = line.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped).is_err(), "bit {bit}");
        }
        assert!(check(b"").is_err());
    }

    #[test]
    fn a_line_break_in_kept_json_is_refused_and_nothing_is_left() {
        let mut out = b"before".to_vec();
        let error = encode(&record("[1,\n2]"), &mut out).unwrap_err();
        assert_eq!(error.to_string(), "cannot append record 1: its JSON holds a line break");
        assert_eq!(out, b"before");
    }
}
