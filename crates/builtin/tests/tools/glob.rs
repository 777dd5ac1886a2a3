use codetether_tool::ToolError;
use serde_json::json;

use crate::bench::Bench;

fn project() -> Bench {
    let bench = Bench::new();
    for name in [
        "src/main.rs",
        "src/a/b.rs",
        "src/a.ts",
        "c.rs",
        ".hidden/d.rs",
        ".git/e.rs",
        "out/f.rs",
        "sub/.git/g.rs",
    ] {
        bench.file(name, "x");
    }
    bench.file(".gitignore", "out/\n");
    bench
}

#[tokio::test]
async fn files_are_found_by_name_or_path_in_order() {
    let bench = project();
    let find = async |pattern: &str| bench.told("glob", json!({"pattern": pattern})).await;
    assert_eq!(find("*.rs").await, ".hidden/d.rs\nc.rs\nsrc/a/b.rs\nsrc/main.rs\n");
    assert_eq!(find("src/*.rs").await, "src/main.rs\n");
    assert_eq!(find("./src/**/*.{rs,ts}").await, "src/a.ts\nsrc/a/b.rs\nsrc/main.rs\n");
    assert_eq!(find("*.py").await, "no file matches `*.py`\n");
    let below = bench.told("glob", json!({"pattern": "*.rs", "path": "src/a"})).await;
    assert_eq!(below, "src/a/b.rs\n", "paths are those that `read` takes");
}

#[tokio::test]
async fn many_are_cut_and_counted() {
    let bench = Bench::new();
    for n in 0..205 {
        bench.file(&format!("d{}/f{n:03}", n % 2), "");
    }
    let got = bench.told("glob", json!({"pattern": "**"})).await;
    assert_eq!(got.lines().count(), 201);
    assert!(
        got.starts_with("d0/f000\nd0/f002\n") && got.ends_with("[... 5 files more; narrow the pattern]\n"),
        "{got}"
    );
}

#[tokio::test]
async fn a_bad_pattern_says_what_is_wrong() {
    let bench = project();
    for (pattern, why) in [("src/{a", "unclosed"), ("[", "unclosed"), ("../*", "below"), ("/etc/*", "below")]
    {
        let got = bench.refused("glob", json!({"pattern": pattern})).await;
        assert!(got.contains(pattern) && got.contains(why), "{got}");
    }
    assert!(bench.refused("glob", json!({"pattern": "x".repeat(10_000)})).await.contains("too long"));
    let inside = bench.cx.root.path().join("src/*.rs");
    assert_eq!(bench.told("glob", json!({"pattern": inside})).await, "src/main.rs\n");
}

#[tokio::test]
async fn a_cancelled_search_stops() {
    let bench = project();
    bench.cx.cancel.cancel();
    assert!(matches!(bench.call("glob", json!({"pattern": "*"})).await, Err(ToolError::Interrupted)));
}

#[tokio::test]
async fn ignore_files_hold_below_their_folder_and_the_nearest_wins() {
    let bench = Bench::new();
    for name in [
        "a.log",
        "a.tmp",
        "sub/a.log",
        "sub/b.log",
        "sub/x/b.log",
        "sub/build/c",
        "other/build/c",
        "info.txt",
    ] {
        bench.file(name, "");
    }
    bench.file(".gitignore", "\u{FEFF}*.log\n# not this: info.txt\n/sub/build/\n[\n");
    bench.file(".git/info/exclude", "*.tmp\n");
    bench.file("sub/.gitignore", "!b.log\n");
    bench.file("sub/x/.ignore", "b.log\n");
    bench.file("other/repository/.gitignore", "");
    bench.file("other/repository/.git/HEAD", "");
    bench.file("other/repository/d.log", "");
    let find = async |path: &str| bench.told("glob", json!({"pattern": "*[a-z]", "path": path})).await;
    let other = "other/build/c\nother/repository/.gitignore\nother/repository/d.log\n";
    assert_eq!(
        find(".").await,
        format!(".gitignore\ninfo.txt\n{other}sub/.gitignore\nsub/b.log\nsub/x/.ignore\n")
    );
    assert_eq!(find("sub").await, "sub/.gitignore\nsub/b.log\nsub/x/.ignore\n", "those above hold here too");
    assert_eq!(find("sub/x").await, "sub/x/.ignore\n");
    assert_eq!(find("other").await, other);
}
