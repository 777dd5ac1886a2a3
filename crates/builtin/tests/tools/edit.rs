use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn one_place_is_replaced_and_all_else_stays() {
    let bench = Bench::new();
    bench.file("a.txt", b"\xef\xbb\xbfone\r\ntwo\r\nthree");
    bench.set_mode("a.txt", 0o755);
    let got = bench.call("edit", json!({"path": "a.txt", "old": "two\nthree", "new": "2\n3"})).await.unwrap();
    assert_eq!((got.text.as_str(), got.wrote), ("edited `a.txt` at line 2", vec!["a.txt".into()]));
    assert_eq!(bench.bytes("a.txt"), b"\xef\xbb\xbfone\r\n2\r\n3");
    assert_eq!(bench.mode("a.txt"), 0o755);
}

#[tokio::test]
async fn every_place_is_replaced_when_asked() {
    let bench = Bench::new();
    bench.file("a", "x\n\nx x");
    let got = bench.told("edit", json!({"path": "a", "old": "x", "new": "xx", "replace_all": true})).await;
    assert_eq!(got, "edited `a` in 3 places, the first at line 1");
    assert_eq!(bench.text("a"), "xx\n\nxx xx");
}

#[tokio::test]
async fn a_refused_edit_changes_nothing() {
    let bench = Bench::new();
    bench.file("a", "x x");
    bench.file("latin1", b"caf\xe9");
    assert!(
        bench.refused("edit", json!({"path": "a", "old": "x", "new": "y"})).await.contains("more than once")
    );
    assert!(
        bench.refused("edit", json!({"path": "a", "old": "z", "new": "y"})).await.contains("does not occur")
    );
    assert!(
        bench.refused("edit", json!({"path": "latin1", "old": "c", "new": "y"})).await.contains("not UTF-8")
    );
    let missing = bench.refused("edit", json!({"path": "b", "old": "", "new": "y"})).await;
    assert_eq!(missing, "there is no `b`; to create it use `write`");
    assert_eq!((bench.text("a").as_str(), bench.bytes("latin1").as_slice()), ("x x", b"caf\xe9".as_slice()));
}

#[tokio::test]
async fn the_preview_is_the_change_or_why_there_is_none() {
    let bench = Bench::new();
    bench.file("a", "x\ny\n");
    let got = bench.preview("edit", json!({"path": "a", "old": "y", "new": "z"})).await;
    assert_eq!(got, "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n");
    assert!(
        bench.preview("edit", json!({"path": "a", "old": "q", "new": "z"})).await.contains("does not occur")
    );
    assert_eq!(bench.text("a"), "x\ny\n");
}
