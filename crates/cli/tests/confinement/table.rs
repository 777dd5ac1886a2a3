//! Runs many at a time, but few, and says what came of them as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does something with each, a few at a time, and gives back what came of it, in order.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], act: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((number, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = act(number, item);
                    done.lock().unwrap().insert(number, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// One line a category, and one for all.
pub(crate) fn table<'a>(title: &str, rows: impl Iterator<Item = (String, bool, &'a str)>) -> String {
    let mut by_category: BTreeMap<String, (usize, usize, Vec<&str>)> = BTreeMap::new();
    for (category, good, name) in rows {
        let row = by_category.entry(category).or_default();
        row.1 += 1;
        if good {
            row.0 += 1;
        } else {
            row.2.push(name);
        }
    }
    let mut text = format!("\n{title}\n");
    let (mut good, mut all) = (0, 0);
    for (category, (some, total, others)) in &by_category {
        good += some;
        all += total;
        let _ = writeln!(text, "  {category:<12} {some:>3} of {total:>3}");
        for name in others {
            let _ = writeln!(text, "               not: {name}");
        }
    }
    let _ = writeln!(text, "  {:<12} {good:>3} of {all:>3}", "all");
    text
}
