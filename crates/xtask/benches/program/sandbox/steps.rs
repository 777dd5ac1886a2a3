//! A step of the agent that runs a command, and what of it is the sandbox, what the snapshot.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codetether_testkit::{Home, Reply, Server};

use crate::agent;
use crate::figure::{Aim, Figure};

use super::beyond;

const RUNS: usize = 5;
const STEPS: usize = 40;

/// The first steps of a run make the sandbox and look at all files.
const FIRST: usize = 3;

/// The settings that leave out one thing more each.
const BOTH: &str = "[sandbox]\ntier = \"namespaces\"\n";
const NO_SNAPSHOT: &str = "[sandbox]\ntier = \"namespaces\"\n[undo]\nenabled = false\n";
const NEITHER: &str = "[sandbox]\ntier = \"none\"\n[undo]\nenabled = false\n";

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        for (steps, settings) in all.iter_mut().zip([BOTH, NO_SNAPSHOT, NEITHER]) {
            steps.extend(once(binary, settings));
        }
    }
    let [both, no_snapshot, neither] = all;
    vec![
        Figure::milliseconds_of("a step with a command, in all", 8.0, both.iter().copied()),
        Figure::of_runs("of it, the snapshot", Aim::Below(3.0), beyond(&both, &no_snapshot), "ms"),
        Figure::of_runs("of it, the sandbox", Aim::Below(2.0), beyond(&no_snapshot, &neither), "ms"),
        Figure::milliseconds_of("of it, the rest", 3.0, neither.iter().copied()),
    ]
}

/// The time from each request to the next.
fn once(binary: &Path, settings: &str) -> Vec<Duration> {
    let home = Home::new();
    let project = home.project();
    let folder = home.config().join("codetether");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), settings).unwrap();
    let served = AtomicUsize::new(0);
    let server = Server::model(move |_| match served.fetch_add(1, Ordering::SeqCst) {
        step if step < STEPS => Reply::call("bash", format!(r#"{{"command":"echo {step} > written"}}"#)),
        _ => Reply::text("done"),
    });
    let _ = agent::to_end(&mut agent::run(binary, &home, &server, &project));
    let written = std::fs::read_to_string(project.join("written")).unwrap_or_default();
    assert_eq!(written.trim(), (STEPS - 1).to_string(), "the commands did not run");
    let requests = server.requests();
    let between = requests.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at));
    between.skip(FIRST).collect()
}
