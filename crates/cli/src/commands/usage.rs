//! `codetether usage`: what was spent, as the ledger has it. What is not known is said to be, never shown as nothing.

mod journals;

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use codetether_event::UnixMillis;
use codetether_journal::Layout;
use codetether_ledger::{By, Ledger, Row};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::{place, printer};

#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// Sum up by this. Days are those of UTC.
    #[arg(long, value_enum, default_value_t = ByName::Day)]
    by: ByName,
    /// Only what was spent in the last days, up to now.
    #[arg(long, value_name = "DAYS")]
    since: Option<u32>,
    /// Take over from the journals of all sessions what is not in the ledger, for one that was damaged or deleted.
    #[arg(long)]
    rebuild: bool,
    /// One JSON object a line; costs are in millionths of a US dollar, `null` when none is known.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByName {
    Day,
    Model,
    Project,
    Session,
}

const DAY: u64 = 24 * 60 * 60 * 1000;

pub(crate) fn run(args: &UsageArgs) -> Result<Exit, Failure> {
    let path = place::ledger()?;
    if !path.exists() && !args.rebuild {
        printer::err("nothing is recorded yet\n");
        return Ok(Exit::Done);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let since = args.since.map_or(0, |days| now.saturating_sub(DAY.saturating_mul(days.into())));
    let (by, title) = match args.by {
        ByName::Day => (By::Day, "day"),
        ByName::Model => (By::Model, "model"),
        ByName::Project => (By::Project, "project"),
        ByName::Session => (By::Session, "session"),
    };
    let mut ledger = Ledger::open(path)?;
    if args.rebuild {
        let fresh = journals::take_over(&mut ledger, &Layout::new(place::data_dir()?))?;
        printer::err(&format!("{fresh} samples were taken over from journals\n"));
    }
    let rows = ledger.usage(by, UnixMillis(since))?;
    if let Some(rebuilt) = ledger.take_rebuilt() {
        printer::err(&format!("warning: {rebuilt}\n"));
    }
    if args.json {
        printer::out(&rows.iter().map(|row| format!("{}\n", as_object(title, row))).collect::<String>())?;
    } else if rows.is_empty() {
        printer::err("nothing is recorded of this time\n");
    } else {
        printer::out(&table(title, rows))?;
    }
    Ok(Exit::Done)
}

fn as_object(title: &str, row: &Row) -> serde_json::Value {
    json!({
        title: row.key,
        "samples": row.samples,
        "input": row.usage.input,
        "output": row.usage.output,
        "cache_read": row.usage.cache_read,
        "cache_write": row.usage.cache_write,
        "reasoning": row.usage.reasoning,
        "cost_microdollars": (row.unknown < row.samples).then_some(row.cost.0),
        "unknown": row.unknown,
        "estimated": row.estimated,
    })
}

fn table(title: &str, mut rows: Vec<Row>) -> String {
    if rows.len() > 1 {
        rows.push(total(&rows));
    }
    let mut lines = vec![["samples", "input", "cached", "output", "cost", title].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.samples.to_string(),
            row.usage.input.to_string(),
            row.usage.cache_read.to_string(),
            row.usage.output.to_string(),
            cost(row),
            printer::plain(&row.key).replace(['\n', '\t'], " "),
        ]
    }));
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(&format!("{cell:>width$}  "));
        }
        // The last column is as long as it likes.
        text.push_str(line.last().map_or("", String::as_str));
        text.push('\n');
    }
    text
}

fn total(rows: &[Row]) -> Row {
    let key = "in all".to_owned();
    rows.iter().fold(Row { key, ..Row::default() }, |sum, row| Row {
        samples: sum.samples.saturating_add(row.samples),
        estimated: sum.estimated.saturating_add(row.estimated),
        unknown: sum.unknown.saturating_add(row.unknown),
        usage: sum.usage + row.usage,
        cost: sum.cost + row.cost,
        key: sum.key,
    })
}

/// `unknown`, `$0.25`, `about $0.25` where a part was estimated, `at least $0.25` where a part is not known.
fn cost(row: &Row) -> String {
    match row {
        row if row.unknown >= row.samples => "unknown".into(),
        row if row.unknown > 0 => format!("at least {}", row.cost),
        row if row.estimated > 0 => format!("about {}", row.cost),
        row => row.cost.to_string(),
    }
}
