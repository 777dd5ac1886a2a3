//! What was spent, summed up for people.

use std::cmp::Reverse;
use std::collections::HashMap;

use codetether_event::{Money, UnixMillis, Usage};
use rusqlite::Connection;
use uuid::Uuid;

use crate::store::{integer, natural};

/// What sums are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A day, of UTC: `2026-01-31`.
    Day,
    /// `provider/model`.
    Model,
    /// The folder that was worked in.
    Project,
    /// The session's id.
    Session,
}

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// What it is the sum of; see [`By`].
    pub key: String,
    /// Samples in all.
    pub samples: u64,
    /// Samples whose cost or usage was estimated.
    pub estimated: u64,
    /// Samples whose cost is not known.
    pub unknown: u64,
    /// Their tokens.
    pub usage: Usage,
    /// The cost of those whose cost is known.
    pub cost: Money,
}

pub(crate) fn usage(db: &Connection, by: By, since: UnixMillis) -> Result<Vec<Row>, rusqlite::Error> {
    let key = match by {
        By::Day => "strftime('%Y-%m-%d', at / 1000, 'unixepoch')",
        By::Model => "model",
        By::Project => "project",
        By::Session => "session",
    };
    let mut query = db.prepare(&format!(
        "SELECT {key}, input, output, cache_read, cache_write, reasoning, estimated, cost FROM spent WHERE at >= ?",
    ))?;
    let mut rows = query.query([integer(since.0)])?;
    let mut sums: HashMap<String, Row> = HashMap::new();
    while let Some(row) = rows.next()? {
        let key = match by {
            By::Session => Uuid::from_bytes(row.get(0)?).to_string(),
            // A moment that SQLite has no date for gives none.
            _ => row.get::<_, Option<String>>(0)?.unwrap_or_default(),
        };
        let estimated: bool = row.get(6)?;
        let cost: Option<i64> = row.get(7)?;
        let sum = sums.entry(key).or_default();
        sum.samples = sum.samples.saturating_add(1);
        sum.estimated = sum.estimated.saturating_add(estimated.into());
        sum.unknown = sum.unknown.saturating_add(cost.is_none().into());
        sum.cost = sum.cost + Money(cost.unwrap_or(0));
        sum.usage += Usage {
            input: natural(row.get(1)?),
            output: natural(row.get(2)?),
            cache_read: natural(row.get(3)?),
            cache_write: natural(row.get(4)?),
            reasoning: natural(row.get(5)?),
            estimated,
        };
    }
    let mut sums: Vec<Row> = sums.into_iter().map(|(key, row)| Row { key, ..row }).collect();
    sums.sort_by(|a, b| a.key.cmp(&b.key));
    if by != By::Day {
        sums.sort_by_key(|row| Reverse((row.cost, row.usage.total())));
    }
    Ok(sums)
}
