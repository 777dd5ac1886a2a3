//! The ledger as its users see it: limits that hold among many, samples that count once, and files that are damaged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use codetether_event::{ItemId, ModelId, Money, Seq, SessionId, UnixMillis, Usage};
use codetether_files::WriteOptions;
use codetether_ledger::{
    By, Error, Lease, Ledger, Limit, Refused, Reservation, ReserveError, Row, Scope, Spent,
};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

const NOW: UnixMillis = UnixMillis(1_769_860_800_000);

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/ledger.sqlite");
    (dir, path)
}

fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn item(n: u64) -> ItemId {
    ItemId::at(Seq(n))
}

/// Reserves for a child of session 1, named by `from`.
fn reserve(
    ledger: &mut Ledger,
    from: u128,
    number: u64,
    upper: i64,
    limits: &[Limit],
) -> Result<Lease, ReserveError> {
    let model = ModelId::new("a/b");
    ledger.reserve(&Reservation {
        at: NOW,
        session: session(from),
        root: session(1),
        item: item(number),
        project: "/project",
        model: &model,
        upper: Money(upper),
        limits,
    })
}

fn run_limit(max: i64) -> [Limit; 1] {
    [Limit { scope: Scope::Run { root: session(1), since: UnixMillis(0) }, max: Money(max) }]
}

fn spent(from: u128, number: u64, cost: Option<i64>) -> Spent {
    Spent {
        at: NOW,
        session: session(from),
        root: session(1),
        item: item(number),
        project: "/project".into(),
        model: ModelId::new("a/b"),
        usage: Usage { input: 10, output: 2, ..Usage::default() },
        cost: cost.map(Money),
        price_version: Some("1".into()),
    }
}

fn refusal(outcome: Result<Lease, ReserveError>) -> Refused {
    match outcome {
        Err(ReserveError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

fn all(ledger: &mut Ledger) -> Vec<Row> {
    ledger.usage(By::Model, UnixMillis(0)).unwrap()
}

fn row(samples: u64, estimated: u64, cost: i64) -> Row {
    let counted = samples - estimated;
    Row {
        key: "a/b".into(),
        samples,
        estimated,
        unknown: 0,
        usage: Usage {
            input: 10 * counted,
            output: 2 * counted,
            estimated: estimated > 0,
            ..Usage::default()
        },
        cost: Money(cost),
    }
}

/// As if the process that holds every lease had been killed.
fn kill_the_holder(path: &Path) {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let changed = Connection::open(path).unwrap().execute("UPDATE leases SET pid = ?", [child.id()]).unwrap();
    assert!(changed > 0);
}

#[test]
fn a_limit_counts_what_is_spent_and_what_is_reserved_by_the_whole_run() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    let limits = run_limit(100);
    let first = reserve(&mut ledger, 1, 1, 60, &limits).unwrap();
    let _second = reserve(&mut ledger, 2, 1, 30, &limits).unwrap();
    let Limit { scope, max } = limits[0];
    let refused = refusal(reserve(&mut ledger, 3, 1, 11, &limits));
    assert_eq!(refused, Refused { scope, max, spent: Money(0), reserved: Money(90), asked: Money(11) });
    assert_eq!(ledger.left(scope, max).unwrap(), Money(10));

    ledger.settle(first, &spent(1, 1, Some(20))).unwrap();
    let refused = refusal(reserve(&mut ledger, 3, 1, 51, &limits));
    assert_eq!(refused, Refused { scope, max, spent: Money(20), reserved: Money(30), asked: Money(51) });
    let third = reserve(&mut ledger, 3, 1, 50, &limits).unwrap();
    assert_eq!(ledger.left(scope, max).unwrap(), Money(0));
    ledger.release(third).unwrap();
    assert_eq!(ledger.left(scope, max).unwrap(), Money(50));
    assert_eq!(ledger.left(scope, Money(5)).unwrap(), Money(0));
    assert_eq!(ledger.left(Scope::Run { root: session(9), since: UnixMillis(0) }, max).unwrap(), max);
}

#[test]
fn a_limit_over_time_counts_every_session_from_its_beginning_on() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    let mut early = spent(8, 1, Some(70));
    early.at = UnixMillis(NOW.0 - 1);
    early.root = session(8);
    ledger.record(&early).unwrap();
    ledger.record(&Spent { root: session(9), ..spent(9, 1, Some(40)) }).unwrap();
    let limit = |at| [Limit { scope: Scope::Since(UnixMillis(at)), max: Money(100) }];
    let refused = refusal(reserve(&mut ledger, 1, 1, 1, &limit(NOW.0 - 1)));
    assert_eq!(refused.spent, Money(110));
    let _lease = reserve(&mut ledger, 1, 1, 60, &limit(NOW.0)).unwrap();
    assert_eq!(refusal(reserve(&mut ledger, 1, 2, 1, &limit(NOW.0))).reserved, Money(60));
}

#[test]
fn numbers_at_their_ends_refuse_rather_than_wrap() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.record(&spent(1, 1, Some(i64::MAX))).unwrap();
    ledger.record(&spent(1, 2, Some(i64::MAX))).unwrap();
    refusal(reserve(&mut ledger, 1, 3, i64::MAX, &run_limit(100)));
    let _lease = reserve(&mut ledger, 1, 3, i64::MIN, &[]).unwrap();
    assert_eq!(
        ledger.left(Scope::Run { root: session(1), since: UnixMillis(0) }, Money(i64::MAX)).unwrap(),
        Money(0)
    );
}

#[test]
fn an_item_is_reserved_once_and_counts_once() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    let lease = reserve(&mut ledger, 1, 1, 5, &[]).unwrap();
    let twice = reserve(&mut ledger, 1, 1, 5, &[]).unwrap_err();
    assert!(matches!(twice, ReserveError::Ledger(Error::Twice { .. })), "{twice}");
    ledger.settle(lease, &spent(1, 1, Some(4))).unwrap();
    ledger.record(&spent(1, 1, Some(9))).unwrap();
    assert_eq!(all(&mut ledger), [row(1, 0, 4)]);
    let twice = reserve(&mut ledger, 1, 1, 5, &[]).unwrap_err();
    assert!(matches!(twice, ReserveError::Ledger(Error::Twice { .. })), "{twice}");
}

#[test]
fn a_lease_of_a_process_that_was_killed_is_settled_at_its_bound_until_the_truth_is_known() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    let _lost = reserve(&mut ledger, 1, 1, 70, &[]).unwrap();
    let released = reserve(&mut ledger, 1, 2, 10, &[]).unwrap();
    kill_the_holder(&path);
    let refused = refusal(reserve(&mut ledger, 2, 1, 50, &run_limit(100)));
    assert_eq!((refused.spent, refused.reserved), (Money(80), Money(0)));
    // A refusal leaves all else as it was decided.
    assert_eq!(all(&mut ledger), [row(2, 2, 80)]);
    ledger.record(&spent(1, 1, Some(7))).unwrap();
    ledger.release(released).unwrap();
    assert_eq!(all(&mut ledger), [row(1, 0, 7)]);
}

#[test]
fn a_rebuilt_ledger_says_the_same_however_often_it_is_filled() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    let journals = || (1..=1200).map(|n| spent(1, n, Some(2)));
    assert_eq!(ledger.rebuild(journals()).unwrap(), 1200);
    assert_eq!(ledger.rebuild(journals()).unwrap(), 0);
    assert_eq!(all(&mut ledger), [row(1200, 0, 2400)]);
}

#[test]
fn an_unknown_cost_is_counted_as_unknown() {
    let (_dir, path) = place();
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.rebuild([spent(1, 1, None), spent(1, 2, Some(3))]).unwrap();
    assert_eq!(all(&mut ledger), [Row { unknown: 1, ..row(2, 0, 3) }]);
}

#[test]
fn the_file_is_for_its_owner_alone() {
    let (_dir, path) = place();
    drop(Ledger::open(&path).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_newer_version_is_an_error_that_names_it_and_the_file_stays() {
    let (_dir, path) = place();
    drop(Ledger::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 7, known: 1, .. }), "{error}");
    assert!(matches!(Ledger::open(&path), Err(Error::Newer { .. })));
}

#[test]
fn damage_that_is_found_on_the_way_begins_a_new_ledger_for_all_who_have_it_open() {
    let (_dir, path) = place();
    let mut first = Ledger::open(&path).unwrap();
    let mut second = Ledger::open(&path).unwrap();
    first.rebuild((1..200).map(|n| spent(1, n, Some(1)))).unwrap();
    // In place, as a bad disk does it: the header stays, the pages do not.
    let mut bytes = codetether_files::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    overwrite(&path, &bytes);
    // The first still has the pages in its memory.
    let _lease = reserve(&mut second, 1, 500, 60, &run_limit(100)).unwrap();
    let rebuilt = second.take_rebuilt().unwrap();
    assert_eq!(codetether_files::read(&rebuilt.aside).unwrap(), bytes);
    assert_eq!(second.take_rebuilt(), None);
    let refused = refusal(reserve(&mut first, 2, 1, 60, &run_limit(100)));
    assert_eq!((refused.spent, refused.reserved), (Money(0), Money(60)));
    assert_eq!(first.take_rebuilt(), None);
    let _lease = reserve(&mut first, 2, 1, 40, &run_limit(100)).unwrap();
}

fn overwrite(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = codetether_files::open_append(path, 0o600).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

#[test]
fn what_cannot_be_opened_is_not_taken_for_damaged() {
    let (_dir, path) = place();
    codetether_files::create_dir_private(&path).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(error, Error::Sqlite { .. }), "{error}");
    assert!(path.is_dir());
}

#[test]
fn an_empty_file_is_an_empty_ledger() {
    let (_dir, path) = place();
    codetether_files::create_dir_private(path.parent().unwrap()).unwrap();
    codetether_files::write_atomic(&path, b"", &WriteOptions::default()).unwrap();
    let mut ledger = Ledger::open(&path).unwrap();
    assert_eq!(all(&mut ledger), []);
    assert_eq!(ledger.take_rebuilt(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// What a racer does with a lease: settles it for a part of its bound, releases it, or keeps it.
    #[test]
    fn racers_with_connections_of_their_own_never_get_more_than_the_limit(
        max in 1..400_i64,
        wishes in proptest::collection::vec(proptest::collection::vec((0..120_i64, 0..3_u8), 1..8), 2..5),
    ) {
        let (_dir, path) = place();
        let taken: i64 = std::thread::scope(|scope| {
            let racers: Vec<_> = (2_u128..).zip(&wishes).map(|(from, wishes)| {
                let path = &path;
                scope.spawn(move || {
                    let mut ledger = Ledger::open(path).unwrap();
                    let mut taken = 0;
                    for (number, (upper, then)) in (1..).zip(wishes) {
                        match reserve(&mut ledger, from, number, *upper, &run_limit(max)) {
                            Ok(lease) => match then {
                                0 => {
                                    ledger.settle(lease, &spent(from, number, Some(upper / 2))).unwrap();
                                    taken += upper / 2;
                                }
                                1 => ledger.release(lease).unwrap(),
                                _ => taken += upper,
                            },
                            Err(ReserveError::Refused(refused)) => {
                                assert!(refused.spent + refused.reserved <= Money(max), "{refused}");
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    taken
                })
            }).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        prop_assert!(taken <= max, "{taken} of {max}");
        let left = Ledger::open(&path).unwrap().left(Scope::Run { root: session(1), since: UnixMillis(0) }, Money(max)).unwrap();
        prop_assert_eq!(left, Money(max - taken));
    }
}
