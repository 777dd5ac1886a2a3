//! One figure: what was measured, and what it should be.

use std::fmt;
use std::time::Duration;

/// A measured value beside its aim.
pub(crate) struct Figure {
    what: &'static str,
    aim: Aim,
    measured: f64,
    /// Where the middle four fifths of several runs lie.
    spread: Option<(f64, f64)>,
    unit: &'static str,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    Below(f64),
    AtLeast(f64),
    Within(f64, f64),
}

impl Figure {
    pub(crate) fn new(what: &'static str, aim: Aim, measured: f64, unit: &'static str) -> Self {
        Self { what, aim, measured, spread: None, unit }
    }

    pub(crate) fn milliseconds(what: &'static str, below: f64, measured: Duration) -> Self {
        Self::new(what, Aim::Below(below), measured.as_secs_f64() * 1_000.0, "ms")
    }

    /// The middle of several runs, with their spread.
    pub(crate) fn of_runs(
        what: &'static str,
        aim: Aim,
        runs: impl IntoIterator<Item = f64>,
        unit: &'static str,
    ) -> Self {
        let mut runs: Vec<_> = runs.into_iter().collect();
        runs.sort_by(f64::total_cmp);
        let at = |tenth: usize| runs.get(runs.len().saturating_sub(1) * tenth / 10).copied();
        let spread = at(1).zip(at(9)).filter(|_| runs.len() > 1);
        Self { spread, ..Self::new(what, aim, at(5).unwrap_or_default(), unit) }
    }

    /// The same of times.
    pub(crate) fn milliseconds_of(
        what: &'static str,
        below: f64,
        runs: impl IntoIterator<Item = Duration>,
    ) -> Self {
        let runs = runs.into_iter().map(|run| run.as_secs_f64() * 1_000.0);
        Self::of_runs(what, Aim::Below(below), runs, "ms")
    }

    pub(crate) fn megabytes(what: &'static str, below: f64, bytes: u64) -> Self {
        Self::new(what, Aim::Below(below), bytes as f64 / 1e6, "MB")
    }

    pub(crate) fn microseconds(what: &'static str, below: f64, measured: Duration) -> Self {
        Self::new(what, Aim::Below(below), measured.as_secs_f64() * 1e6, "µs")
    }

    /// How much of so many bytes is gone through in a second.
    pub(crate) fn megabytes_a_second(
        what: &'static str,
        at_least: f64,
        bytes: usize,
        measured: Duration,
    ) -> Self {
        Self::new(what, Aim::AtLeast(at_least), bytes as f64 / 1e6 / measured.as_secs_f64(), "MB/s")
    }

    pub(crate) fn is_met(&self) -> bool {
        match self.aim {
            Aim::Below(aim) => self.measured < aim,
            Aim::AtLeast(aim) => self.measured >= aim,
            Aim::Within(least, most) => (least..=most).contains(&self.measured),
        }
    }

    pub(crate) fn heading() -> String {
        format!("{:<58}{:>14}{:>14}", "figure", "aim", "measured")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aim = match self.aim {
            Aim::Below(aim) => format!("< {aim} {}", self.unit),
            Aim::AtLeast(aim) => format!("≥ {aim} {}", self.unit),
            Aim::Within(least, most) => format!("{least} – {most}"),
        };
        let measured = format!("{:.2} {}", self.measured, self.unit);
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        write!(f, "{:<58}{aim:>14}{measured:>14}  {verdict}", self.what)?;
        self.spread.map_or(Ok(()), |(low, high)| write!(f, " ({low:.2} – {high:.2})"))
    }
}

/// The middle of several runs; nothing counts as zero.
pub(crate) fn median<T: Ord + Copy + Default>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
