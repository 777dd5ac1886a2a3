//! Two hundred turns of one tool call each: time per turn, processor time, memory, connections, and the prefix kept.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use codetether_testkit::{Home, Reply, Request, Server};

use crate::agent;
use crate::figure::{Aim, Figure, median};

const RUNS: usize = 3;
const TURNS: usize = 200;

struct Measured {
    early: Duration,
    late: Duration,
    cpu: Duration,
    memory: u64,
    reconnects: usize,
    kept: usize,
    prefix: usize,
}

pub(crate) fn measure(binary: &Path) -> Vec<Figure> {
    let runs: Vec<_> = (0..RUNS).map(|_| once(binary)).collect();
    let worst = |of: fn(&Measured) -> usize| runs.iter().map(of).max().unwrap_or_default() as f64;
    let kept = runs.iter().map(|run| run.kept).min().unwrap_or_default();
    vec![
        Figure::milliseconds(
            "per tool turn with `bash`, turns 1–20",
            3.0,
            median(runs.iter().map(|run| run.early)),
        ),
        Figure::milliseconds(
            "per tool turn with `bash`, turns 180–200",
            4.0,
            median(runs.iter().map(|run| run.late)),
        ),
        Figure::milliseconds(
            "200 turns: CPU, `bash` among it",
            600.0,
            median(runs.iter().map(|run| run.cpu)),
        ),
        Figure::megabytes("200 turns: memory", 15.0, median(runs.iter().map(|run| run.memory))),
        Figure::new("reconnects in 200 turns", Aim::Below(1.0), worst(|run| run.reconnects), ""),
        Figure::new(
            "prefix kept from turn to turn",
            Aim::AtLeast(100.0),
            kept as f64 * 100.0 / TURNS as f64,
            "%",
        ),
        Figure::new("system prompt and tool schemas", Aim::Below(9_000.0), worst(|run| run.prefix), "B"),
    ]
}

fn once(binary: &Path) -> Measured {
    let project = tempfile::tempdir().unwrap();
    let home = Home::new();
    let pid = Arc::new(AtomicU32::new(0));
    let memory = Arc::new(AtomicU64::new(0));
    let served = AtomicUsize::new(0);
    let server = {
        let (pid, memory) = (pid.clone(), memory.clone());
        Server::model(move |_| {
            let turn = served.fetch_add(1, Ordering::SeqCst);
            if turn < TURNS {
                return Reply::call("bash", format!(r#"{{"command":"true {turn}"}}"#));
            }
            memory.store(agent::peak_memory(pid.load(Ordering::SeqCst)), Ordering::SeqCst);
            Reply::text("done")
        })
    };
    let mut command = agent::run(binary, &home, &server, project.path());
    let begun = Instant::now();
    let child = command.spawn().expect("cannot start the binary");
    pid.store(child.id(), Ordering::SeqCst);
    let run = agent::wait(child, begun);

    let requests = server.requests();
    assert_eq!(requests.len(), TURNS + 1, "it did not do all turns");
    let between: Vec<_> = requests.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).collect();
    let connections: BTreeSet<_> = requests.iter().map(|request| request.connection).collect();
    Measured {
        early: median(between[..20].iter().copied()),
        late: median(between[TURNS - 20..].iter().copied()),
        cpu: run.cpu,
        memory: memory.load(Ordering::SeqCst),
        reconnects: connections.len() - 1,
        kept: requests.windows(2).filter(|pair| keeps_prefix(&pair[0].body, &pair[1].body)).count(),
        prefix: fixed_part(&requests[0]),
    }
}

/// Whether the later body is the earlier one with more messages put in before the same tail.
fn keeps_prefix(earlier: &[u8], later: &[u8]) -> bool {
    let common = earlier.iter().zip(later).take_while(|(a, b)| a == b).count();
    later.len() > earlier.len() && later.ends_with(&earlier[common..]) && earlier.len() - common < 200
}

/// Bytes of a request before the messages that are not the system prompt: tools, system prompt, and their frame.
fn fixed_part(request: &Request) -> usize {
    let body = String::from_utf8_lossy(&request.body);
    body.find(r#"{"role":"user""#).unwrap_or(body.len())
}
