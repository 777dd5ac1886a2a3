//! One answer of 20,000 pieces.

use std::path::Path;

use codetether_testkit::{Home, Reply, Server};

use crate::agent;
use crate::figure::{Figure, median};

const RUNS: usize = 9;
const DELTAS: usize = 20_000;

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let project = tempfile::tempdir().unwrap();
    let home = Home::new();
    // Rendered before the first run begins.
    let server = Server::start((0..RUNS).map(|_| Reply::deltas(DELTAS, "word ")));
    let runs: Vec<_> =
        (0..RUNS).map(|_| agent::to_end(&mut agent::run(binary, &home, &server, project.path()))).collect();
    vec![
        Figure::milliseconds("20,000 deltas: wall", 160.0, median(runs.iter().map(agent::Run::wall))),
        Figure::milliseconds("20,000 deltas: CPU", 100.0, median(runs.iter().map(|run| run.cpu))),
    ]
}
