//! `codetether usage`: a ledger that is filled beforehand, read through the binary.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use codetether_event::{ItemId, ModelId, Money, Seq, SessionId, UnixMillis, Usage};
use codetether_ledger::{Ledger, Spent};
use serde_json::{Value, json};

use crate::bench::Bench;

/// 2026-01-31T12:00:00Z.
const NOON: u64 = 1_769_860_800_000;
const DAY: u64 = 86_400_000;

fn path(bench: &Bench) -> PathBuf {
    bench.home.data().join("codetether/ledger.sqlite")
}

fn spent(session: u128, item: u64, at: u64, model: &str, cost: Option<i64>) -> Spent {
    Spent {
        at: UnixMillis(at),
        session: session_id(session),
        root: session_id(session),
        item: ItemId::at(Seq(item)),
        project: format!("/project/{session}"),
        model: ModelId::new(model),
        usage: Usage { input: 1000, output: 50, cache_read: 800, ..Usage::default() },
        cost: cost.map(Money),
        price_version: None,
    }
}

fn session_id(n: u128) -> SessionId {
    let hex = format!("{n:032x}");
    serde_json::from_value(json!(hex)).unwrap()
}

fn filled() -> Bench {
    let bench = Bench::new([]);
    let mut ledger = Ledger::open(path(&bench)).unwrap();
    let mut estimated = spent(2, 7, NOON + DAY, "anthropic/large", Some(2_000_000));
    estimated.usage.estimated = true;
    for spent in [
        spent(1, 3, NOON, "openai/small", Some(250_000)),
        spent(1, 5, NOON, "home/own", None),
        spent(2, 3, NOON + DAY, "openai/small", Some(125)),
        estimated,
    ] {
        ledger.record(&spent).unwrap();
    }
    bench
}

#[test]
fn what_was_spent_is_summed_up_and_what_is_unknown_is_said_to_be() {
    let bench = filled();
    let shown = |by: &str| bench.bare(&["usage", "--by", by]).stdout;
    assert_eq!(
        bench.bare(&["usage"]).stdout,
        "samples  input  cached  output                cost  day
      2   2000    1600     100      at least $0.25  2026-01-31
      2   2000    1600     100     about $2.000125  2026-02-01
      4   4000    3200     200  at least $2.250125  in all
"
    );
    assert_eq!(
        shown("model"),
        "samples  input  cached  output                cost  model
      1   1000     800      50         about $2.00  anthropic/large
      2   2000    1600     100           $0.250125  openai/small
      1   1000     800      50             unknown  home/own
      4   4000    3200     200  at least $2.250125  in all
"
    );
    assert!(shown("project").lines().nth(1).unwrap().ends_with("about $2.000125  /project/2"));
    assert!(shown("session").contains("  00000000-0000-0000-0000-000000000001\n"));
}

#[test]
fn as_json_each_sum_is_an_object_and_an_unknown_cost_is_null() {
    let run = filled().bare(&["usage", "--by", "model", "--json"]);
    let rows: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let own = json!({
        "model": "home/own", "samples": 1, "input": 1000, "output": 50, "cache_read": 800, "cache_write": 0,
        "reasoning": 0, "cost_microdollars": null, "unknown": 1, "estimated": 0,
    });
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2], own);
    assert_eq!(rows[0]["cost_microdollars"], 2_000_000);
    assert_eq!(rows[0]["estimated"], 1);
}

#[test]
fn only_the_last_days_are_counted_when_asked_for() {
    let bench = Bench::new([]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let recent = [spent(3, 1, now, "a/new", Some(1)), spent(3, 2, now - 3 * DAY, "a/older", Some(1))];
    let old = spent(3, 3, now.saturating_sub(4000 * DAY), "a/old", Some(1));
    let mut ledger = Ledger::open(path(&bench)).unwrap();
    ledger.rebuild(recent.into_iter().chain([old])).unwrap();
    let keys = |args: &[&str]| -> Vec<String> {
        let run = bench.bare(&[&["usage", "--by", "model", "--json"], args].concat());
        let mut keys: Vec<String> = run
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["model"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&["--since", "1"]), ["a/new"]);
    assert_eq!(keys(&["--since", "5"]), ["a/new", "a/older"]);
    assert_eq!(keys(&[]), ["a/new", "a/old", "a/older"]);
}

#[test]
fn without_a_ledger_it_says_so_and_makes_none() {
    let bench = Bench::new([]);
    let run = bench.bare(&["usage"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", "nothing is recorded yet\n"));
    assert!(!path(&bench).exists());
}

#[test]
fn a_damaged_ledger_is_kept_aside_and_told_of() {
    let bench = filled();
    let damaged = vec![7_u8; 8192];
    codetether_files::write_atomic(path(&bench), &damaged, &codetether_files::WriteOptions::default())
        .unwrap();
    let run = bench.bare(&["usage"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("the ledger of what was spent was damaged: it is kept as"), "{}", run.stderr);
    let folder = path(&bench).parent().unwrap().to_owned();
    let aside = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().contains("ledger.damaged-"))
        .unwrap();
    assert_eq!(codetether_files::read(aside).unwrap(), damaged);
    assert_eq!(std::fs::metadata(path(&bench)).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!bench.bare(&["usage"]).stderr.contains("damaged"));
}
