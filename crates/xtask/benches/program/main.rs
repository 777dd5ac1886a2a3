//! The figures of the whole program: the release binary against a scripted model server on loopback, in a hermetic home.
//! Prints each beside its aim. Run by `cargo xtask bench`; it measures and never fails because a figure is missed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "without its server or binary there is nothing to measure"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is for the person who runs it")]
#![allow(clippy::disallowed_methods, reason = "it writes only to temporary folders")]

use std::path::PathBuf;

mod agent;
mod figure;
mod journal;
mod many;
mod models;
mod pieces;
mod sandbox;
mod start;
mod stream;
mod turns;

use figure::Figure;

/// What measures one group of figures with the binary at a path.
type Group = fn(&std::path::Path) -> Vec<Figure>;

const GROUPS: [(&str, Group); 11] = [
    ("start", start::measure),
    ("turns", turns::measure),
    ("stream", stream::measure),
    ("many", many::measure),
    ("journal", journal::measure),
    ("models", models::measure),
    ("pieces", pieces::measure),
    ("sandbox", sandbox::commands::measure),
    ("sandbox", sandbox::steps::measure),
    ("sandbox", sandbox::proxy::measure),
    ("sandbox", sandbox::undo::measure),
];

fn main() {
    if sandbox::proxy::is_client() {
        return;
    }
    // Cargo adds `--bench`.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for name in &wanted {
        let known = GROUPS.iter().any(|(group, _)| group == name);
        assert!(known, "there is no group `{name}`; there are {:?}", GROUPS.map(|(group, _)| group));
    }
    let binary: PathBuf =
        std::env::var_os("CODETETHER_BENCH_BINARY").expect("run `cargo xtask bench`").into();
    println!("{}", Figure::heading());
    let (mut met, mut all) = (0, 0);
    for (name, measure) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            for figure in measure(&binary) {
                println!("{figure}");
                met += usize::from(figure.is_met());
                all += 1;
            }
        }
    }
    println!("\n{met} of {all} figures meet their aim");
}
