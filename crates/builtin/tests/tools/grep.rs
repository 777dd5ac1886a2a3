use codetether_tool::ToolError;
use serde_json::json;

use crate::bench::Bench;

fn project() -> Bench {
    let bench = Bench::new();
    bench.file("src/a.rs", "fn one() {}\nfn two() {}\nlet x = 1;\nlet y = 2;\nfn three() {}\n");
    bench.file("src/b.ts", "function one() {}\r\n");
    bench.file("ignored/c.rs", "fn one() {}\n");
    bench.file(".gitignore", "ignored\n");
    bench.file(".git/d.rs", "fn one() {}\n");
    bench.file("bin.rs", b"fn one() {}\n\0");
    bench
}

#[tokio::test]
async fn lines_are_found_with_path_and_number() {
    let bench = project();
    let got = bench.told("grep", json!({"pattern": r"fn\w* one"})).await;
    assert_eq!(got, "src/a.rs:1:fn one() {}\n");
    let got = bench.told("grep", json!({"pattern": r"^FUNCTION|LET y", "ignore_case": true})).await;
    assert_eq!(got, "src/a.rs:4:let y = 2;\nsrc/b.ts:1:function one() {}\n");
    let got = bench.told("grep", json!({"pattern": "one", "glob": "*.ts"})).await;
    assert_eq!(got, "src/b.ts:1:function one() {}\n");
    let got = bench.told("grep", json!({"pattern": "one", "path": "src/b.ts"})).await;
    assert_eq!(got, "src/b.ts:1:function one() {}\n");
    let got = bench.told("grep", json!({"pattern": "one", "files_only": true})).await;
    assert_eq!(got, "src/a.rs\nsrc/b.ts\n");
    assert_eq!(bench.told("grep", json!({"pattern": "zebra"})).await, "no match in 3 files\n");
}

#[tokio::test]
async fn surroundings_are_set_apart() {
    let bench = project();
    let got = bench.told("grep", json!({"pattern": "one|three", "context": 1})).await;
    assert_eq!(
        got,
        "src/a.rs:1:fn one() {}\nsrc/a.rs-2-fn two() {}\n--\nsrc/a.rs-4-let y = 2;\nsrc/a.rs:5:fn three() {}\n--\n\
         src/b.ts:1:function one() {}\n"
    );
}

#[tokio::test]
async fn the_limit_is_kept_and_told() {
    let bench = Bench::new();
    bench.file("a", "x\n".repeat(5));
    bench.file("b", "x\n".repeat(5));
    let got = bench.told("grep", json!({"pattern": "x", "limit": 2})).await;
    assert_eq!(
        got,
        "a:1:x\na:2:x\n[these are 2, and there are more; narrow the pattern, `path` or `glob`, or raise `limit`]\n"
    );
    let all = bench.told("grep", json!({"pattern": "x", "limit": 10})).await;
    assert_eq!(all.lines().count(), 10, "exactly as many as there are is not more: {all}");
    let got = bench.told("grep", json!({"pattern": "x", "limit": u64::MAX, "context": u64::MAX})).await;
    assert_eq!(got.lines().filter(|line| line.contains(":x")).count(), 10);
    let first = bench.told("grep", json!({"pattern": "x", "limit": 0, "files_only": true})).await;
    assert!(first.starts_with("a\n[these are 1,"), "{first}");
}

#[tokio::test]
async fn output_is_bounded() {
    let bench = Bench::new();
    bench.file("a", format!("{}\n", "ü".repeat(10_000)).repeat(2_000));
    let got = bench.told("grep", json!({"pattern": "ü", "limit": 2_000})).await;
    assert!(got.len() <= bench.cx.limits.output && got.contains("there are more; narrow"), "{}", got.len());
    assert!(got.starts_with("a:1:ü"));
}

#[tokio::test]
async fn a_bad_expression_says_where() {
    let bench = project();
    let got = bench.refused("grep", json!({"pattern": "fn (x"})).await;
    assert!(got.starts_with("bad pattern: regex parse error:\n    fn (x\n       ^\n"), "{got}");
    assert!(!bench.refused("grep", json!({"pattern": "a{1000}{1000}{1000}"})).await.is_empty());
    assert!(!bench.refused("grep", json!({"pattern": "a\nb"})).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_searched_is_counted() {
    let bench = Bench::new();
    bench.file("a", "x\n");
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"n\xff");
    std::fs::write(bench.path("").join(name), "x\n").unwrap();
    let got = bench.told("grep", json!({"pattern": "x"})).await;
    assert_eq!(got, "a:1:x\n[1 file or folder could not be read]\n");
}

#[tokio::test]
async fn a_cancelled_search_stops() {
    let bench = project();
    bench.cx.cancel.cancel();
    assert!(matches!(bench.call("grep", json!({"pattern": "one"})).await, Err(ToolError::Interrupted)));
}
