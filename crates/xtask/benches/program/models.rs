//! What is known of a model, looked up in the table that is compiled in, and through the whole program.

use std::hint::black_box;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use codetether_event::ModelId;
use codetether_provider::facts;
use codetether_testkit::Home;

use crate::agent;
use crate::figure::{Figure, median};

const RUNS: usize = 40;

/// At the beginning, in the middle and at the end of the table; with a date of its own; and one that is not there.
const MODELS: [&str; 5] = [
    "alibaba/qwen-flash",
    "openai/gpt-5",
    "zai/glm-5",
    "anthropic/claude-sonnet-4-5-20310101",
    "openrouter/nobody/nothing",
];

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let models = MODELS.map(ModelId::new);
    let looked_up = |model: &ModelId| {
        let begun = Instant::now();
        let _ = black_box(facts(black_box(model)));
        begun.elapsed()
    };
    // The first of all, when nothing of the table is in memory yet, is among them.
    let slowest = models.iter().map(looked_up).max().unwrap_or_default();
    let usual =
        models.iter().map(|model| median((0..RUNS).map(|_| looked_up(model)))).max().unwrap_or_default();
    let home = Home::new();
    let project = tempfile::tempdir().unwrap();
    let show = || {
        let mut command = home.command(binary);
        command.args(["models", "show", "openai/gpt-5", "--json"]).current_dir(project.path());
        agent::to_end(command.stdout(Stdio::null())).wall()
    };
    vec![
        Figure::milliseconds("model look-up, the first ones", 0.2, slowest),
        Figure::milliseconds("model look-up", 0.2, usual),
        Figure::milliseconds("`models show`", 5.0, median((0..RUNS).map(|_| show()))),
    ]
}
