use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn names_are_sorted_and_say_what_they_are() {
    let bench = Bench::new();
    bench.file("b.txt", "");
    bench.file("a/inner", "");
    bench.file(".git/config", "");
    bench.file("new\nline", "");
    bench.link("link", "b.txt");
    let got = bench.told("list", json!({})).await;
    assert_eq!(got, ".git/\na/\nb.txt\nlink -> b.txt\nnew\\nline\n");
    assert_eq!(bench.told("list", json!({"path": "a"})).await, "inner\n");
}

#[tokio::test]
async fn a_large_folder_is_cut_and_says_so() {
    let bench = Bench::new();
    for n in 0..503 {
        bench.file(&format!("f{n:03}"), "");
    }
    let got = bench.told("list", json!({"path": "."})).await;
    assert!(
        got.starts_with("f000\nf001\n") && got.ends_with("f499\n[... 3 more; `glob` finds files by name]\n")
    );
}

#[tokio::test]
async fn what_is_no_folder_says_so() {
    let bench = Bench::new();
    bench.file("src/a", "");
    std::fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(bench.told("list", json!({"path": "empty"})).await, "`empty` is empty");
    assert!(bench.refused("list", json!({"path": "src/a"})).await.contains("`read`"));
    assert!(bench.refused("list", json!({"path": "sr"})).await.contains("did you mean `src`?"));
}
