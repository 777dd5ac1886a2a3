//! Makes a head of labelled jobs, in two steps: the weights of the text's features from many general questions, of which it
//! is known whether a small model was enough; then those of the job's features from jobs that were labelled by hand, on
//! top of the first. Nothing is drawn by chance: the same rows make the same head.

use crate::features::{COUNT, Features, TEXT};
use crate::head::{Head, probability};

/// One labelled job.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its features.
    pub features: Features,
    /// Whether the small model was not enough.
    pub hard: bool,
}

/// How strongly weights are drawn towards 0.
const RIDGE: f64 = 1.0;
/// Steps of Newton's method; it has converged long before.
const STEPS: usize = 30;

/// Makes a head of general questions, which looks at the text alone.
#[must_use]
pub fn text(questions: &[Row]) -> Head {
    let mut head = Head { bias: 0.0, weights: [(0.0, 1.0, 0.0); COUNT] };
    fit(&mut head, questions, 0..TEXT, true);
    head
}

/// Adds to such a head what a job has beside its text. Without a job nothing moves.
#[must_use]
pub fn with_jobs(mut head: Head, jobs: &[Row]) -> Head {
    fit(&mut head, jobs, TEXT..COUNT, false);
    head
}

/// Fits the weights of these features; those of the others, and the bias where it is not fitted, stay.
fn fit(head: &mut Head, rows: &[Row], which: std::ops::Range<usize>, with_bias: bool) {
    if rows.is_empty() {
        return;
    }
    for at in which.clone() {
        let values = || rows.iter().filter_map(|row| row.features.get(at));
        let many = values().map(|_| 1.0).sum::<f64>();
        // A job's features are 0 where there is no job, and add nothing then.
        let middle = if with_bias { values().sum::<f64>() / many } else { 0.0 };
        let spread = (values().map(|value| (value - middle).powi(2)).sum::<f64>() / many).sqrt();
        if let Some(weight) = head.weights.get_mut(at) {
            *weight = (middle, if spread > 1e-9 { spread } else { 1.0 }, 0.0);
        }
    }
    let scaled = |row: &Row| -> Vec<f64> {
        let one = with_bias.then_some(1.0);
        let values = row
            .features
            .iter()
            .zip(&head.weights)
            .map(|(value, (middle, spread, _))| (value - middle) / spread);
        values.skip(which.start).take(which.len()).chain(one).collect()
    };
    let inputs: Vec<Vec<f64>> = rows.iter().map(scaled).collect();
    let bases: Vec<f64> = rows.iter().map(|row| head.logit(&row.features)).collect();
    let size = which.len() + usize::from(with_bias);
    let mut weights = vec![0.0; size];
    for _ in 0..STEPS {
        let mut gradient: Vec<f64> = weights
            .iter()
            .enumerate()
            .map(|(at, weight)| if at < which.len() { RIDGE * weight } else { 0.0 })
            .collect();
        let mut curvature = vec![vec![0.0; size]; size];
        for (at, line) in curvature.iter_mut().enumerate() {
            if let Some(cell) = line.get_mut(at) {
                *cell = RIDGE;
            }
        }
        for ((input, base), row) in inputs.iter().zip(&bases).zip(rows) {
            let logit = base + input.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>();
            let chance = probability(logit);
            let miss = chance - f64::from(u8::from(row.hard));
            let steep = chance * (1.0 - chance);
            for (value, (slope, line)) in input.iter().zip(gradient.iter_mut().zip(curvature.iter_mut())) {
                *slope += value * miss;
                line.iter_mut().zip(input).for_each(|(cell, other)| *cell += steep * value * other);
            }
        }
        let step = solve(curvature, gradient);
        let largest = step.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
        weights.iter_mut().zip(step).for_each(|(weight, step)| *weight -= step);
        if largest < 1e-9 {
            break;
        }
    }
    if with_bias {
        head.bias += weights.pop().unwrap_or_default();
    }
    for (place, weight) in head.weights.iter_mut().skip(which.start).zip(weights) {
        place.2 = weight;
    }
}

/// Solves a system of equations whose matrix is symmetric and positive: elimination, with the largest pivot first.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for column in 0..size {
        let largest = (column..size)
            .max_by(|a, b| {
                let of = |row: &usize| {
                    matrix.get(*row).and_then(|row| row.get(column)).map_or(0.0, |cell| cell.abs())
                };
                of(a).total_cmp(&of(b))
            })
            .unwrap_or(column);
        matrix.swap(column, largest);
        right.swap(column, largest);
        let Some(pivot_row) = matrix.get(column).cloned() else { continue };
        let pivot = pivot_row.get(column).copied().unwrap_or(1.0);
        let top = right.get(column).copied().unwrap_or_default();
        for (number, row) in matrix.iter_mut().enumerate().filter(|(number, _)| *number != column) {
            let factor = row.get(column).copied().unwrap_or_default() / pivot;
            row.iter_mut().zip(&pivot_row).for_each(|(cell, other)| *cell -= factor * other);
            if let Some(value) = right.get_mut(number) {
                *value -= factor * top;
            }
        }
    }
    let diagonal = matrix.iter().enumerate().map(|(at, row)| row.get(at).copied().unwrap_or(1.0));
    right.iter().zip(diagonal).map(|(value, cell)| value / cell).collect()
}

/// Labelled jobs as lines: `small` or `large`, messages before, failures before, and the prompt, with tabs between.
///
/// # Errors
/// Which line is none.
pub fn jobs(table: &str) -> Result<Vec<Row>, String> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let wrong = || format!("not a labelled job: `{line}`");
            let cells: Vec<&str> = line.splitn(4, '\t').collect();
            let [label, history, failures, prompt] = cells.as_slice() else { return Err(wrong()) };
            let hard = match *label {
                "small" => false,
                "large" => true,
                _ => return Err(wrong()),
            };
            let number = |text: &str| text.parse().map_err(|_| wrong());
            let job = crate::Job { prompt, history: number(history)?, failures: number(failures)? };
            Ok(Row { features: job.features(), hard })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(first: f64, job: f64, hard: bool) -> Row {
        let mut features = [0.0; COUNT];
        (features[0], features[TEXT]) = (first, job);
        Row { features, hard }
    }

    #[test]
    fn a_head_learns_what_tells_apart() {
        let questions: Vec<Row> = (0..200).map(|n| row(f64::from(n), 0.0, n % 10 < 2 || n >= 100)).collect();
        let jobs: Vec<Row> = (0..40).map(|n| row(50.0, f64::from(n % 2), n % 2 == 1)).collect();
        let head = with_jobs(text(&questions), &jobs);
        let score = |first, job| head.score(&row(first, job, false).features);
        assert!(score(10.0, 0.0) < 0.4 && score(190.0, 0.0) > 0.8);
        assert!(score(10.0, 1.0) > score(10.0, 0.0) + 0.2);
    }

    #[test]
    fn equations_are_solved() {
        let solved = solve(vec![vec![0.0, 2.0], vec![4.0, 1.0]], vec![6.0, 11.0]);
        assert_eq!(solved, [2.0, 3.0]);
    }

    #[test]
    fn the_shipped_jobs_are_labelled_and_told_apart() {
        let jobs = jobs(include_str!("../jobs.tsv")).unwrap();
        let hard = jobs.iter().filter(|row| row.hard).count();
        assert!(
            jobs.len() >= 120 && hard * 3 > jobs.len() && hard * 3 < jobs.len() * 2,
            "{hard} of {}",
            jobs.len()
        );
        let head = Head::shipped().unwrap();
        let right = jobs.iter().filter(|row| (head.score(&row.features) > 0.5) == row.hard).count();
        assert!(right * 100 >= jobs.len() * 80, "{right} of {}", jobs.len());
    }
}
