//! `codetether session export`: the records as they are, or a document for people. What is in a session was written by
//! models, tools and strangers, so nothing of it can become a document's own structure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codetether_event::{BlobId, Event, Record, SessionId};
use codetether_files::{BlobStore, WriteOptions};
use codetether_journal::Layout;
use serde_json::{Map, Value, json};

use crate::args::{ExportArgs, ExportFormat};
use crate::commands::session::page;
use crate::commands::session::story::{Part, Story, Who, tell};
use crate::exit::{Exit, Failure};
use crate::printer;

/// Most bytes of a blob that is put into a document.
const BLOB: u64 = 4 << 20;
/// Most bytes of all of them together.
const BLOBS: u64 = 32 << 20;

pub(super) fn run(layout: &Layout, id: SessionId, args: &ExportArgs) -> Result<Exit, Failure> {
    let records = codetether_journal::read::<Event>(layout.journal(id))?.records;
    let mut blobs = Blobs { store: layout.blobs(id), left: BLOBS };
    let text = match args.format {
        ExportFormat::Jsonl if args.output.is_none() => return lines(&records),
        ExportFormat::Jsonl => records.iter().map(line).collect::<Result<String, Failure>>()?,
        ExportFormat::Json => whole(id, &records, &mut blobs)?,
        ExportFormat::Markdown => markdown(&tell(&records)),
        ExportFormat::Html => page::html(&tell(&records), &mut blobs),
    };
    match &args.output {
        None => printer::out(&text)?,
        Some(path) => {
            let options = WriteOptions { mode: Some(0o600), ..WriteOptions::default() };
            codetether_files::write_atomic(path, text.as_bytes(), &options)?;
        }
    }
    Ok(Exit::Done)
}

fn line(record: &Record) -> Result<String, Failure> {
    let line = serde_json::to_string(record).map_err(failed)?;
    Ok(line + "\n")
}

fn failed(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

/// Every record as a line, in pieces of about a megabyte.
fn lines(records: &[Record]) -> Result<Exit, Failure> {
    let mut text = String::new();
    for record in records {
        text.push_str(&line(record)?);
        if text.len() > 1 << 20 {
            printer::out(&std::mem::take(&mut text))?;
        }
    }
    printer::out(&text)?;
    Ok(Exit::Done)
}

/// The contents that records refer to, within bounds.
pub(super) struct Blobs {
    store: BlobStore,
    /// Bytes that may still be put into the document.
    left: u64,
}

impl Blobs {
    /// How long it is; `None` where there is no such blob.
    fn size(&self, id: &BlobId) -> Option<u64> {
        let path = self.store.path(id).ok()?;
        path.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())
    }

    /// Its bytes, as long as there is room for them.
    pub(super) fn get(&mut self, id: &BlobId) -> Option<Vec<u8>> {
        let size = self.size(id).filter(|size| *size <= BLOB.min(self.left))?;
        let bytes = self.store.get(id).ok()?;
        self.left -= size;
        Some(bytes)
    }
}

/// One JSON document of it all. A blob is its text, or base64 where it is none; one that is too long is told by its size.
fn whole(id: SessionId, records: &[Record], blobs: &mut Blobs) -> Result<String, Failure> {
    let values = records.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut named = Vec::new();
    values.iter().for_each(|value| names(value, &mut named));
    let mut contents = Map::new();
    for name in named {
        let blob = BlobId::new(name);
        let Some(size) = blobs.size(&blob) else { continue };
        let content = match blobs.get(&blob).map(String::from_utf8) {
            Some(Ok(text)) => json!({ "text": text }),
            Some(Err(error)) => json!({ "base64": STANDARD.encode(error.as_bytes()) }),
            None => json!({ "left_out": true, "bytes": size }),
        };
        contents.insert(blob.to_string(), content);
    }
    let document = json!({ "session": id, "records": values, "blobs": contents });
    Ok(serde_json::to_string(&document).map_err(failed)? + "\n")
}

/// Every text in a value that has the form of a blob's id, once.
fn names(value: &Value, named: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let is_id = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id && !named.contains(text) {
                named.push(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, named)),
        Value::Object(fields) => fields.values().for_each(|field| names(field, named)),
        _ => {}
    }
}

fn markdown(story: &Story) -> String {
    let mut text = format!("# {}\n\n", inline(&story.title));
    for (name, value) in &story.about {
        text.push_str(&format!("- {name}: {}\n", code(value)));
    }
    for part in &story.parts {
        match part {
            Part::Said { who: Who::User, head, text: said } => {
                text.push_str(&format!("\n## {}\n\n{}", inline(head), fenced("text", said)));
            }
            Part::Said { who: Who::Model, head, text: said } => {
                text.push_str(&format!("\n### {}\n", inline(head)));
                if !said.trim().is_empty() {
                    text.push_str(&format!("\n{}", quoted(said)));
                }
            }
            Part::Verbatim { head, language, text: body, failed } => {
                let failed = if *failed { " (failed)" } else { "" };
                text.push_str(&format!("\n{}{failed}:\n\n{}", code(head), fenced(language, body)));
            }
            Part::Shown { media_type, blob } => {
                text.push_str(&format!("\n({}, {})\n", inline(media_type), code(blob.as_str())));
            }
            Part::Remark(remark) => text.push_str(&format!("\n*{}*\n", inline(remark))),
        }
    }
    text
}

/// A text on one line in which nothing means anything to Markdown.
fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printer::plain(text).replace(['\n', '\t'], " ").chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '&' | '!' | '|' | '~') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// A text on one line, letter by letter.
fn code(text: &str) -> String {
    let line = printer::plain(text).replace(['\n', '\t'], " ");
    match longest_run(&line, '`') {
        0 => format!("`{line}`"),
        run => {
            let ticks = "`".repeat(run + 1);
            format!("{ticks} {line} {ticks}")
        }
    }
}

/// A text in a fence that is longer than any in it.
fn fenced(language: &str, text: &str) -> String {
    let text = printer::plain(text);
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// A model's Markdown as a quotation, which ends whatever is left open in it. HTML in it is text.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 64);
    // The fence that the line is in; only those that no list can be around.
    let mut fence: Option<(char, usize)> = None;
    for line in printer::plain(text).trim_end().lines() {
        let opener = line.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = opener.map_or(0, |c| line.chars().take_while(|other| *other == c).count());
        let rest = line.get(run..).unwrap_or_default();
        let shown = match (fence, opener) {
            (Some((c, length)), Some(own)) if c == own && run >= length && rest.trim().is_empty() => {
                fence = None;
                line.to_owned()
            }
            (Some(_), _) => line.to_owned(),
            (None, Some(c)) if run >= 3 && !(c == '`' && rest.contains('`')) => {
                fence = Some((c, run));
                // What follows it on the line is shown as nothing else.
                line.replace('<', "&lt;")
            }
            (None, _) => without_html(line),
        };
        quoted.push_str(format!("> {shown}").trim_end_matches(' '));
        quoted.push('\n');
    }
    quoted
}

/// A line in which `<` begins nothing, and no image is fetched.
fn without_html(line: &str) -> String {
    let mut safe = String::with_capacity(line.len() + 8);
    let mut escapes = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let means = c == '<' || (c == '!' && chars.peek() == Some(&'['));
        if means && !escapes {
            safe.push('\\');
        }
        safe.push(c);
        escapes = c == '\\' && !escapes;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_longer_than_any_in_it() {
        assert_eq!(fenced("text", "a\n````\n## user\n"), "`````text\na\n````\n## user\n`````\n");
        assert_eq!(code("a `b`"), "`` a `b` ``");
        assert_eq!(inline("# <b> `x`\n*y*"), r"\# \<b\> \`x\` \*y\*");
    }

    #[test]
    fn a_quotation_ends_what_is_left_open_in_it() {
        assert_eq!(quoted("a\n```sh\ncat <<E\n"), "> a\n> ```sh\n> cat <<E\n");
        assert_eq!(
            quoted("```\n<b>\n```\n<!-- \n  ```\n<script>"),
            "> ```\n> <b>\n> ```\n> \\<!--\n>   ```\n> \\<script>\n"
        );
        assert_eq!(without_html(r"\< \\< ![x](y)"), r"\< \\\< \![x](y)");
    }
}
