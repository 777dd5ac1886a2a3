//! Keys that are planted in every test of the product, and the search for them in all that it wrote. They are in the
//! environment of each command of a [`Home`](crate::Home), which looks through its files when it is dropped.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;

/// A provider's key, of every kind of character that a key may have.
pub const KEY: &str = "sk-planted/key+with=all&kinds-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP";

/// The variable that holds the other, which no endpoint wants.
pub const VARIABLE: &str = "PLANTED_TOKEN";

/// A secret of the user's that is in the environment for other reasons.
pub const TOKEN: &str = "ptk_9Zq7/Wm3+Rv8~Ty2.Lk6_Hs4-Nd1=Bf5&Gx0*Jc";

/// A form in which a planted key, or half of it, would be found.
struct Form {
    what: String,
    finder: Finder<'static>,
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    [("key", KEY), ("token", TOKEN)].iter().flat_map(|(name, key)| forms(name, key)).collect()
});

/// Both halves of each way to write a key, since one that was cut is told all the same.
fn forms(name: &str, key: &str) -> Vec<Form> {
    let mut written = vec![
        ("as it is".to_owned(), key.to_owned()),
        ("in a URL".to_owned(), in_url(key, |byte| format!("%{byte:02X}"))),
        ("in a URL, lower case".to_owned(), in_url(key, |byte| format!("%{byte:02x}"))),
    ];
    for before in 0..3_usize {
        // What stands before it moves its bits; what depends on other bytes than its own is cut off.
        let bytes = [&b"xx"[..before.min(2)], key.as_bytes()].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            let (start, end) = (if before == 0 { 0 } else { 4 }, text.len() - 4);
            written.push((format!("in base64, {before} bytes on"), text[start..end].to_owned()));
        }
    }
    let halves = |(how, text): (String, String)| {
        let (first, last) = text.split_at(text.len() / 2);
        [("first", first.to_owned()), ("last", last.to_owned())].map(|(half, text)| Form {
            what: format!("the {half} half of the planted {name} {how}"),
            finder: Finder::new(text.as_bytes()).into_owned(),
        })
    };
    written.into_iter().flat_map(halves).collect()
}

fn in_url(key: &str, escaped: fn(u8) -> String) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| if unreserved(byte) { char::from(byte).to_string() } else { escaped(byte) };
    key.bytes().map(one).collect()
}

/// What of a planted key is in these bytes, in words.
#[must_use]
pub fn found(bytes: &[u8]) -> Option<&'static str> {
    FORMS.iter().find(|form| form.finder.find(bytes).is_some()).map(|form| form.what.as_str())
}

/// Fails the test if a planted key is in these bytes.
///
/// # Panics
/// When one is.
pub fn assert_none(bytes: &[u8], place: impl fmt::Display) {
    if let Some(what) = found(bytes) {
        panic!("{what} is in {place}");
    }
}

/// The files below a folder that hold a planted key, but for those that may, and for copies of these among what is
/// remembered of the workspace. Links are not followed.
pub(crate) fn leaks(root: &Path, may: &HashSet<PathBuf>) -> Vec<String> {
    let originals: Vec<Vec<u8>> = may.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    let is_copy = |path: &Path, bytes: &Vec<u8>| {
        path.components().any(|part| part.as_os_str() == "undo") && originals.contains(bytes)
    };
    let (mut folders, mut leaks) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        // What a test made unreadable, or is gone by now, holds nothing that anyone will read.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if let Some(what) = found(entry.file_name().as_encoded_bytes()) {
                leaks.push(format!("{what} is in the name of {}", path.display()));
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && !may.contains(&path)
                && let Some(what) = std::fs::read(&path)
                    .ok()
                    .filter(|bytes| !is_copy(&path, bytes))
                    .and_then(|bytes| found(&bytes))
            {
                leaks.push(format!("{what} is in {}", path.display()));
            }
        }
    }
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_key_is_found_however_it_is_written_and_nothing_else_is() {
        for key in [KEY, TOKEN] {
            let middle = format!("before {key} after");
            let half = &key[..key.len() / 2 + 1];
            for text in [key, &middle, half, &in_url(key, |byte| format!("%{byte:02x}"))] {
                assert!(found(text.as_bytes()).is_some(), "{text}");
            }
            for before in ["", "a", "ab", "abc", "a longer text "] {
                let text = format!("{before}{key}");
                for code in
                    [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(format!("{text} and more"))]
                {
                    assert!(found(code.as_bytes()).is_some(), "{code}");
                }
            }
        }
        for text in ["", "sk-planted", "[redacted]", "0123456789-abcdefghij", VARIABLE, "ptk_"] {
            assert_eq!(found(text.as_bytes()), None, "{text}");
        }
    }
}
