//! The tables as `docs/permissions.md` shows them, and whether it still does.

use std::path::Path;

use super::{git, options};

const MARK: &str =
    "<!-- made from the tables in crates/permission by its tests; CODETETHER_BLESS=1 renews it -->\n";

fn tables() -> String {
    let mut page =
        String::from("\n### Options that execute or write\n\n| program | asked about |\n|---|---|\n");
    for program in options::PROGRAMS {
        let mut shown: Vec<String> = program.short.chars().map(|letter| format!("`-{letter}`")).collect();
        shown.extend(program.long.iter().map(|long| format!("`--{long}`")));
        shown.extend(program.words.iter().map(|word| format!("`{}`", word.replace('|', r"\|"))));
        if program.input {
            shown.push("a program from its input".into());
        }
        page += &format!("| `{}` | {} |\n", program.names.join("`, `"), shown.join(" "));
    }
    page += "| `make` | `name=value` |\n| `xxd` | a second file |\n| `curl` | `%output{` in a format |\n";
    page += "| `sqlite3` | SQL that attaches, loads or writes files |\n";
    page += "| `sed`, `awk` | programs that may write or run something |\n";
    page += "| `dd` | `of=…` |\n| `uniq` | a second file |\n";
    page += "\n### git\n\n| command | asked about |\n|---|---|\n";
    for (commands, long) in git::LONG {
        let commands =
            if commands.is_empty() { "any".to_owned() } else { format!("`{}`", commands.join("`, `")) };
        page += &format!("| {commands} | `--{}` |\n", long.join("` `--"));
    }
    for (commands, short) in git::SHORT {
        let short: Vec<String> = short.chars().map(|letter| format!("`-{letter}`")).collect();
        page += &format!("| `{}` | {} |\n", commands.join("`, `"), short.join(" "));
    }
    for (command, why) in git::EXECUTES {
        page += &format!("| `{command}` | always: {why} |\n");
    }
    page += "\n### git that destroys\n\n| command | when | why |\n|---|---|---|\n";
    for row in git::DESTROYS {
        let mut when: Vec<String> = row.first.iter().map(|word| format!("`{word}`")).collect();
        when.extend(row.long.iter().map(|long| format!("`--{long}`")));
        when.extend(row.short.chars().map(|letter| format!("`-{letter}`")));
        if when.is_empty() {
            when.push("always".into());
        }
        if !row.spared.is_empty() {
            when.push(format!("but for `{}`", row.spared.join("`, `")));
        }
        page += &format!("| `{}` | {} | {} |\n", row.command, when.join(" "), row.why);
    }
    page += "| `checkout` | `.`, patterns, several words, and paths after `--` | it throws away changes that are not committed |\n";
    page += "| `push`, `fetch`, `pull` | `+ref`, `:ref` | it overwrites or deletes what others may have |\n";
    page
}

#[test]
fn the_documentation_shows_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/permissions.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (text, shown) = page.split_once(MARK).unwrap();
    if std::env::var_os("CODETETHER_BLESS").is_some() {
        #[allow(clippy::disallowed_methods)]
        std::fs::write(&path, format!("{text}{MARK}{}", tables())).unwrap();
        return;
    }
    assert_eq!(shown, tables(), "CODETETHER_BLESS=1 renews the page");
}
