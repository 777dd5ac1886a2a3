//! `codetether bench …`: what parts of the program are worth, on recorded results. Calls no model.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use codetether_route::Head;
use codetether_route::replay::{Report, Sum, Task};

use crate::exit::{Exit, Failure};
use crate::printer;

/// Most bytes of a file of results.
const BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Say what routing would have come to on tasks whose outcome is known for each size of model.
    ///
    /// A line a task: `{"id", "prompt", "kind", "tiers": {"small": {"pass", "cost"}, "main": {…}, "heavy": {…}}}`, where
    /// `cost` is in dollars; `id`, `kind` (`prompt` when absent) and `heavy` can be left out. A saving is told only where as
    /// many tasks are done as by always asking `main`, give or take a point.
    Route(RouteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// The recorded results, as lines of JSON; `-` reads standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    replay: PathBuf,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: BenchCommand) -> Result<Exit, Failure> {
    let BenchCommand::Route(args) = command;
    let head = Head::shipped().map_err(|error| Failure::new(Exit::Failed, format!("the router: {error}")))?;
    let tasks = tasks(&args.replay)?;
    let report = Report::of(&head, &tasks).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there are no tasks in `{}`", args.replay.display()))
    })?;
    let text = if args.json {
        let json =
            serde_json::to_string(&report).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        format!("{json}\n")
    } else {
        shown(&report)
    };
    printer::out(&text)?;
    Ok(Exit::Done)
}

fn tasks(path: &Path) -> Result<Vec<Task>, Failure> {
    use std::io::Read as _;

    let unread = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("cannot read `{}`: {error}", path.display()))
    };
    let mut text = String::new();
    let source: Box<dyn std::io::Read> = match path.as_os_str().to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(path).map_err(unread)?),
    };
    let read = source.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    if read as u64 > BYTES_MAX {
        return Err(Failure::new(
            Exit::Usage,
            format!("`{}` has more than {BYTES_MAX} bytes", path.display()),
        ));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let wrong = |problem: String| {
                let at = format!("{}, line {}", path.display(), number + 1);
                Failure::with_help(
                    Exit::Usage,
                    format!("{at}: {problem}"),
                    "a line is `{\"prompt\": …, \"tiers\": {\"small\": {\"pass\": true, \"cost\": 0.01}, \"main\": …}}`",
                )
            };
            let task: Task = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            task.problem().map_or(Ok(task), |problem| Err(wrong(problem)))
        })
        .collect()
}

fn shown(report: &Report) -> String {
    let tasks = printer::count(report.tasks, "task");
    let routed: Vec<String> =
        report.routed.iter().map(|(tier, count)| format!("{count} to {}", tier.as_str())).collect();
    let mut text = format!("{tasks}: {}\n\n{:<14}{:>8}  {:>12}\n", routed.join(", "), "", "passed", "cost");
    let mut line = |name: &str, Sum { pass, cost }: Sum| {
        text.push_str(&format!("{name:<14}{:>7.1}%  {:>12}\n", pass * 100.0, dollars(cost)));
    };
    line("router", report.router);
    line("oracle", report.oracle);
    line("random", report.random);
    line("always small", report.small);
    line("always main", report.main);
    if let Some(heavy) = report.heavy {
        line("always heavy", heavy);
    }
    let regret = report.regret;
    text.push_str(&format!(
        "\nregret   {:.1} points and {} against the oracle\n",
        regret.pass * 100.0,
        dollars(regret.cost)
    ));
    match (report.apgr, report.cpt50, report.cpt80) {
        (Some(apgr), Some(cpt50), Some(cpt80)) => {
            text.push_str(&format!("score    APGR {apgr:.3}, CPT(50) {cpt50:.3}, CPT(80) {cpt80:.3}\n"));
        }
        _ => text.push_str(
            "score    the usual model does no more than the small one: there is no gap to recover\n",
        ),
    }
    let saving = match (report.times_cheaper, report.saved) {
        (Some(times), _) => format!("{times:.1} times cheaper than always main, at an equal pass rate"),
        (None, Some(_)) => "all of it: the router's choices cost nothing, at an equal pass rate".to_owned(),
        (None, None) if report.router.cost >= report.main.cost => {
            "none: the router costs as much as always main".to_owned()
        }
        (None, None) => format!(
            "none is claimed: always main does {:.1} % of the tasks, the router {:.1} %",
            report.main.pass * 100.0,
            report.router.pass * 100.0
        ),
    };
    text.push_str(&format!("saving   {saving}\n"));
    text
}

fn dollars(amount: f64) -> String {
    let sign = if amount < 0.0 { "-" } else { "" };
    format!("{sign}${:.4}", amount.abs())
}
