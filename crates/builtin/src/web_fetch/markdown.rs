//! HTML as Markdown-like text, token by token: what a page holds costs time and room in proportion to its length, however it
//! is nested, since no tree is made. What is not read by people (scripts, styles, menus) is left out. Pure.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};
use url::Url;

/// Most levels of lists and quotes that are shown.
const LEVELS: usize = 8;

/// Longest address of a link that is shown.
const LINK: usize = 500;

/// A page as text, at most about so many bytes of it; whether that is all.
pub(super) fn of_html(html: &str, base: &Url, most: usize) -> (String, bool) {
    let mut emitter = DefaultEmitter::default();
    // Scripts and styles are no markup.
    emitter.naively_switch_states(true);
    let mut page = Page { base: Some(base), ..Page::default() };
    let mut tokens = Tokenizer::new_with_emitter(html, emitter);
    while let Some(Ok(token)) = tokens.next() {
        match token {
            Token::StartTag(tag) => page.start(&tag),
            Token::EndTag(tag) => page.end(&String::from_utf8_lossy(&tag.name)),
            Token::String(text) => page.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
        if page.out.len() > most {
            page.out.truncate(page.out.floor_char_boundary(most));
            return (page.out, false);
        }
    }
    page.end("a");
    (page.out.trim_end().to_owned(), true)
}

/// The text so far, and what comes before the next of it.
#[derive(Default)]
struct Page<'a> {
    base: Option<&'a Url>,
    out: String,
    /// Line breaks that are due.
    breaks: usize,
    /// Whether a space is.
    space: bool,
    /// What begins the line: a heading's or an item's mark.
    mark: String,
    /// What begins the next word: a link's or a code's mark, or that of a cell.
    inline: String,
    /// Lists that are open, with the number of the next item where they are numbered.
    lists: Vec<Option<u32>>,
    quotes: usize,
    pre: bool,
    code: bool,
    link: Option<String>,
    cells: usize,
    /// The element that is left out, and how many of its name are open.
    skipped: Option<(String, usize)>,
}

impl Page<'_> {
    fn start<S: html5gum::SpanBound>(&mut self, tag: &StartTag<S>) {
        let name = String::from_utf8_lossy(&tag.name);
        let name = name.as_ref();
        let value = |key: &str| {
            let value = tag.attributes.get(key.as_bytes())?;
            Some(String::from_utf8_lossy(value).trim().to_owned())
        };
        if let Some((skipped, open)) = &mut self.skipped {
            // One that was left open must not swallow the page.
            if matches!(name, "body" | "main" | "article" | "h1")
                && matches!(skipped.as_str(), "head" | "nav")
            {
                self.skipped = None;
            } else {
                if skipped == name && !tag.self_closing {
                    *open = open.saturating_add(1);
                }
                return;
            }
        }
        match name {
            "head" | "nav" | "script" | "style" | "noscript" | "template" | "svg" | "iframe" | "object"
            | "select" | "button" | "textarea" | "title"
                if !tag.self_closing =>
            {
                self.skipped = Some((name.to_owned(), 1));
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.block(2);
                let level = name.bytes().last().map_or(1, |digit| digit.saturating_sub(b'0'));
                self.mark = format!("{} ", "#".repeat(level.into()));
            }
            "br" => self.block(1),
            "ul" | "ol" => {
                self.block(if self.lists.is_empty() { 2 } else { 1 });
                if self.lists.len() < LEVELS {
                    let first = value("start").and_then(|start| start.parse().ok()).unwrap_or(1);
                    self.lists.push((name == "ol").then_some(first));
                }
            }
            "li" => {
                self.block(1);
                let depth = self.lists.len().saturating_sub(1);
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let mark = format!("{number}. ");
                        *number = number.saturating_add(1);
                        mark
                    }
                    _ => "- ".to_owned(),
                };
                self.mark = format!("{}{mark}", "  ".repeat(depth));
            }
            "blockquote" => {
                self.block(2);
                self.quotes = self.quotes.saturating_add(1);
            }
            "pre" if !self.pre => {
                self.block(2);
                self.word("```\n");
                self.pre = true;
            }
            "code" | "kbd" | "samp" if !self.pre && !self.code => {
                self.inline.push('`');
                self.code = true;
            }
            "a" => {
                self.end("a");
                if let Some(url) = value("href").and_then(|href| self.resolved(&href)) {
                    self.inline.push('[');
                    self.link = Some(url);
                }
            }
            "img" => {
                if let Some(alt) = value("alt").filter(|alt| !alt.is_empty()) {
                    self.text(&format!("[image: {alt}]"));
                }
            }
            "tr" => {
                self.block(1);
                self.cells = 0;
            }
            "td" | "th" => {
                if self.cells > 0 && !self.inline.ends_with("| ") {
                    self.space = true;
                    self.inline.push_str("| ");
                }
                self.cells = self.cells.saturating_add(1);
            }
            _ => self.block(breaks(name)),
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((skipped, open)) = &mut self.skipped {
            if skipped == name {
                *open = open.saturating_sub(1);
                if *open == 0 {
                    self.skipped = None;
                }
            }
            return;
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "li" => {
                self.mark.clear();
                self.block(if name == "li" { 1 } else { 2 });
            }
            "ul" | "ol" => {
                self.lists.pop();
                self.mark.clear();
                self.block(if self.lists.is_empty() { 2 } else { 1 });
            }
            "blockquote" => {
                self.block(2);
                self.quotes = self.quotes.saturating_sub(1);
            }
            "pre" if self.pre => {
                self.pre = false;
                let end = if self.out.ends_with('\n') { "```" } else { "\n```" };
                self.out.push_str(end);
                self.block(2);
            }
            "code" | "kbd" | "samp" if self.code => {
                self.code = false;
                self.close('`', "`");
            }
            "a" => {
                if let Some(url) = self.link.take() {
                    self.close('[', &format!("]({url})"));
                }
            }
            _ => self.block(breaks(name)),
        }
    }

    /// Ends what began with a mark; with nothing in it, it never was.
    fn close(&mut self, mark: char, end: &str) {
        match self.inline.rfind(mark) {
            Some(at) => drop(self.inline.remove(at)),
            None => self.out.push_str(end),
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipped.is_some() {
            return;
        }
        if self.pre {
            self.out.push_str(text);
            return;
        }
        let mut words = text.split_ascii_whitespace().peekable();
        self.space |= text.starts_with(|c: char| c.is_ascii_whitespace());
        while let Some(word) = words.next() {
            self.word(word);
            self.space = words.peek().is_some() || text.ends_with(|c: char| c.is_ascii_whitespace());
        }
    }

    fn word(&mut self, word: &str) {
        if self.out.is_empty() {
            self.breaks = 0;
            self.space = false;
            self.begin_line();
        } else if self.breaks > 0 {
            let due = "\n".repeat(std::mem::take(&mut self.breaks));
            self.out.push_str(&due);
            self.begin_line();
        } else if std::mem::take(&mut self.space) {
            self.out.push(' ');
        }
        self.space = false;
        self.out.push_str(&std::mem::take(&mut self.inline));
        self.out.push_str(word);
    }

    fn begin_line(&mut self) {
        let quotes = "> ".repeat(self.quotes.min(LEVELS));
        self.out.push_str(&quotes);
        self.out.push_str(&std::mem::take(&mut self.mark));
    }

    fn block(&mut self, breaks: usize) {
        if breaks > 0 && !self.pre {
            self.breaks = self.breaks.max(breaks);
            self.space = false;
        }
    }

    /// Where a link leads, if it is a page.
    fn resolved(&self, href: &str) -> Option<String> {
        if href.is_empty() || href.starts_with('#') {
            return None;
        }
        let url = self.base?.join(href).ok()?;
        let is_page = matches!(url.scheme(), "http" | "https");
        Some(url.to_string()).filter(|url| is_page && url.len() <= LINK)
    }
}

/// The line breaks around an element.
fn breaks(name: &str) -> usize {
    match name {
        "p" | "table" | "hr" | "dl" | "figure" | "pre" => 2,
        "div" | "section" | "article" | "aside" | "header" | "footer" | "main" | "address" | "details"
        | "summary" | "fieldset" | "form" | "dt" | "dd" | "figcaption" | "tr" | "caption" | "body" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(html: &str) -> String {
        of_html(html, &Url::parse("https://docs.example/a/b").unwrap(), 1 << 20).0
    }

    #[test]
    fn html_is_what_a_reader_sees() {
        let html = "<!doctype html><html><head><title>T</title><style>p{}</style></head><body>\
            <nav><a href='/'>Home</a></nav><script>document.write('<p>x')</script>\
            <h1>Vec <small>1.0</small></h1><p>A <b>growable</b> array, see <a href='../slice#x'>slices</a> &amp; \
            <code>Box&lt;T&gt;</code>.<br>Next<!-- no --> line</p>\
            <ul><li>one<ul><li>deep</li></ul></li><li><p>two</p></li></ul><ol start=3><li>three<li>four</ol>\
            <pre><code>let v = vec![1];\n    v.len();\n</code></pre><blockquote><p>said</p></blockquote>\
            <a href='#top'>top</a> <a href='javascript:x()'>run</a> <a href='/empty'></a><img src=x alt='a cat'>\
            <table><tr><th>a<th>b</tr><tr><td>1</td><td>2</td></tr></table></body></html>";
        insta::assert_snapshot!(markdown(html), @r"
        # Vec 1.0

        A growable array, see [slices](https://docs.example/slice#x) & `Box<T>`.
        Next line

        - one
          - deep

        - two

        3. three
        4. four

        ```
        let v = vec![1];
            v.len();
        ```

        > said

        top run [image: a cat]

        a | b
        1 | 2
        ");
    }

    #[test]
    fn what_is_left_open_swallows_nothing() {
        assert_eq!(markdown("<nav>menu<main><p>text"), "text");
        assert_eq!(markdown("<head><title>t</title><body>text"), "text");
        assert_eq!(markdown("<p>a<p>b</i></p"), "a\n\nb");
        assert_eq!(markdown("<a href='/x'>y"), "[y](https://docs.example/x)");
        assert_eq!(markdown("a < b && c"), "a < b && c");
    }

    /// Pages that make a tree of them, or of what is shown, many times as large as themselves.
    #[test]
    fn hostile_pages_cost_no_more_than_their_length() {
        for part in [
            "<div><b><blockquote>x",
            "<p><b class=x>x",
            "<table><tr><td>x",
            "<ul><li>x",
            "<a href=/x>",
            "<a href='/long/long/long'>x</a>",
            "<svg><nav>",
            "<pre><code>",
            "&amp;&NotEqualTilde;",
        ] {
            let html = part.repeat((1 << 20) / part.len());
            let (text, _) = of_html(&html, &Url::parse("https://h/").unwrap(), 2 << 20);
            assert!(text.len() <= 2 << 20, "{part}");
        }
    }
}
