//! A session as one page of HTML: no script, nothing from anywhere else, every text escaped, for light and dark.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::commands::session::export::Blobs;
use crate::commands::session::story::{Part, Story, Who};
use crate::printer;

/// A browser holds the page to it: even if a text got out of its element, it could do nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = "
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; }
h2 { font-size: 1rem; margin: .75rem 0 .25rem; }
p, pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0; }
pre { font: 13px/1.45 ui-monospace, monospace; padding: .5rem; border: 1px solid var(--line); border-radius: 4px; }
summary { font: 13px/1.6 ui-monospace, monospace; cursor: pointer; }
.remark { font-style: italic; }
.user p { font-weight: 600; }
img { max-width: 100%; }
dt { float: left; clear: left; width: 7rem; } dd { margin-left: 7rem; overflow-wrap: anywhere; }
";

pub(super) fn html(story: &Story, blobs: &mut Blobs) -> String {
    let title = escaped(&story.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"{POLICY}\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>\n"
    );
    for (name, value) in &story.about {
        page.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value)));
    }
    page.push_str("</dl>\n");
    for part in &story.parts {
        page.push_str(&match part {
            Part::Said { who, head, text } => {
                let class = if *who == Who::User { "user" } else { "model" };
                let text = match text.trim_end() {
                    "" => String::new(),
                    text => format!("<p>{}</p>\n", escaped(text)),
                };
                format!("<section class=\"{class}\">\n<h2>{}</h2>\n{text}</section>\n", escaped(head))
            }
            Part::Verbatim { head, text, failed, .. } => {
                let mark = if *failed { " (failed)" } else { "" };
                let text = escaped(text.trim_end_matches('\n'));
                format!(
                    "<details>\n<summary>{}{mark}</summary>\n<pre>{text}</pre>\n</details>\n",
                    escaped(head)
                )
            }
            Part::Shown { media_type, blob } => shown(media_type, blob, blobs),
            Part::Remark(remark) => format!("<p class=\"remark\">{}</p>\n", escaped(remark)),
        });
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// An image in the page itself, where it is one that browsers show and not too long.
fn shown(media_type: &str, blob: &codetether_event::BlobId, blobs: &mut Blobs) -> String {
    let known =
        ["image/png", "image/jpeg", "image/gif", "image/webp"].into_iter().find(|known| *known == media_type);
    match known.and_then(|known| Some((known, blobs.get(blob)?))) {
        Some((known, bytes)) => {
            format!("<img alt=\"{known}\" src=\"data:{known};base64,{}\">\n", STANDARD.encode(bytes))
        }
        None => format!("<p class=\"remark\">[{}, {}]</p>\n", escaped(media_type), escaped(blob.as_str())),
    }
}

/// A text in which nothing means anything to HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printer::plain(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
