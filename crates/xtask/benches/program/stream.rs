//! One answer of 20,000 pieces, over each wire.

use std::path::Path;

use codetether_testkit::{Home, Reply, Server};

use crate::agent;
use crate::figure::{Figure, median};

const RUNS: usize = 9;
const DELTAS: usize = 20_000;

/// The wires, and what their figures are called.
const WIRES: [(&str, &str, &str); 4] = [
    ("openai-chat", "20,000 deltas, openai-chat: wall", "20,000 deltas, openai-chat: CPU"),
    ("openai-responses", "20,000 deltas, openai-responses: wall", "20,000 deltas, openai-responses: CPU"),
    ("anthropic", "20,000 deltas, anthropic: wall", "20,000 deltas, anthropic: CPU"),
    ("gemini", "20,000 deltas, gemini: wall", "20,000 deltas, gemini: CPU"),
];

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    WIRES
        .into_iter()
        .flat_map(|(wire, wall, cpu)| {
            let runs = over(binary, wire);
            [
                Figure::milliseconds(wall, 160.0, median(runs.iter().map(agent::Run::wall))),
                Figure::milliseconds(cpu, 100.0, median(runs.iter().map(|run| run.cpu))),
            ]
        })
        .collect()
}

fn over(binary: &Path, wire: &str) -> Vec<agent::Run> {
    let project = tempfile::tempdir().unwrap();
    let home = Home::new();
    // Rendered before the first run begins.
    let server = Server::start((0..RUNS).map(|_| Reply::deltas(DELTAS, "word ")));
    let settings = home.config().join("codetether");
    std::fs::create_dir_all(&settings).unwrap();
    let row = format!("[providers.bench]\nwire = \"{wire}\"\nbase_url = \"{}\"\n", server.base_url());
    std::fs::write(settings.join("config.toml"), row).unwrap();
    let run = || agent::to_end(&mut agent::of(binary, &home, "bench/m", project.path()));
    (0..RUNS).map(|_| run()).collect()
}
