use codetether_tool::ToolError;
use serde_json::{Value, json};

use crate::bench::Bench;

fn edit(path: &str, old: &str, new: &str) -> Value {
    json!({"path": path, "old": old, "new": new})
}

#[tokio::test]
async fn edits_of_one_file_build_on_each_other_and_several_files_change_at_once() {
    let bench = Bench::new();
    bench.file("a", b"\xef\xbb\xbfone\r\ntwo\r\nthree");
    bench.file("b/c", "x x\n");
    bench.set_mode("b/c", 0o755);
    let mut all = edit("b/c", "x", "y");
    all["replace_all"] = json!(true);
    let edits = json!([edit("a", "one\ntwo", "1\n2"), all, edit("./a", "2\nthree", "2\n3\n4")]);
    let got = bench.call("multi_edit", json!({"edits": edits})).await.unwrap();
    assert_eq!(got.text, "edited `a` in 2 places\nedited `b/c` in 2 places");
    assert_eq!(got.wrote, ["a", "b/c"]);
    assert_eq!(bench.bytes("a"), b"\xef\xbb\xbf1\r\n2\r\n3\r\n4");
    assert_eq!((bench.text("b/c").as_str(), bench.mode("b/c")), ("y y\n", 0o755));
}

#[tokio::test]
async fn one_edit_that_does_not_fit_leaves_all_files_as_they_are() {
    let bench = Bench::new();
    bench.file("a", "one\n");
    bench.file("b", "two\n");
    let edits = json!([edit("a", "one", "1"), edit("b", "tow", "2"), edit("a", "1", "uno")]);
    let got = bench.refused("multi_edit", json!({"edits": edits})).await;
    assert_eq!(
        got,
        "edit 2 of 3: `old` does not occur in `b`, nor anything like it; read the file again\nno edit was made"
    );
    let edits = json!([edit("a", "one", "1"), edit("a", "one", "2")]);
    let got = bench.refused("multi_edit", json!({"edits": edits})).await;
    assert!(got.starts_with("edit 2 of 2 (after the edits before it): `old` does not occur"), "{got}");
    let got =
        bench.refused("multi_edit", json!({"edits": [edit("a", "one", "1"), edit("none", "x", "y")]})).await;
    assert!(got.starts_with("edit 2 of 2: there is no `none`"), "{got}");
    assert_eq!((bench.text("a").as_str(), bench.text("b").as_str()), ("one\n", "two\n"));
    for edits in [json!([]), Value::Array(vec![edit("a", "one", "1"); 501])] {
        let got = bench.refused("multi_edit", json!({"edits": edits})).await;
        assert!(got.contains("one call takes 1 to 500"), "{got}");
    }
}

#[tokio::test]
async fn a_write_that_fails_puts_back_what_was_written_before_it() {
    let bench = Bench::new();
    bench.file("a", "one\n");
    bench.set_mode("a", 0o640);
    bench.file("locked", "one\n");
    bench.set_mode("locked", 0o444);
    let edits = json!([edit("a", "one", "1"), edit("locked", "one", "1")]);
    let got = bench.refused("multi_edit", json!({"edits": edits})).await;
    assert!(
        got.contains("locked")
            && got.ends_with("what was written before it was put back, so no file has changed"),
        "{got}"
    );
    assert_eq!(
        (bench.text("a").as_str(), bench.mode("a"), bench.text("locked").as_str()),
        ("one\n", 0o640, "one\n")
    );
    let patch = "*** Begin Patch\n*** Add File: new/deep/file\n+x\n*** Delete File: a\n*** Update File: new.txt\n-one\n+1\n*** Update File: zlocked\n-one\n+1\n*** End Patch";
    bench.file("new.txt", "one\n");
    bench.file("zlocked", "one\n");
    bench.set_mode("zlocked", 0o444);
    let got = bench.refused("apply_patch", json!({"patch": patch})).await;
    assert!(got.contains("put back"), "{got}");
    assert!(!bench.path("new").exists(), "its folders go as well");
    assert_eq!((bench.text("a").as_str(), bench.text("new.txt").as_str()), ("one\n", "one\n"));
}

#[tokio::test]
async fn the_preview_is_the_diff_of_all_or_why_there_is_none() {
    let bench = Bench::new();
    bench.file("a", "x\ny\n");
    bench.file("b", "z\n");
    let edits = json!([edit("a", "y", "Y"), edit("b", "z", "Z"), edit("a", "x", "X")]);
    let got = bench.preview("multi_edit", json!({"edits": edits})).await;
    assert_eq!(
        got,
        "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n-x\n-y\n+X\n+Y\n--- a/b\n+++ b/b\n@@ -1 +1 @@\n-z\n+Z\n"
    );
    let got = bench.preview("multi_edit", json!({"edits": [edit("a", "q", "Q")]})).await;
    assert!(got.contains("does not occur"), "{got}");
    assert_eq!(bench.text("a"), "x\ny\n");
}

#[tokio::test]
async fn a_cancelled_call_writes_nothing() {
    let bench = Bench::new();
    bench.file("a", "one\n");
    bench.cx.cancel.cancel();
    let got = bench.call("multi_edit", json!({"edits": [edit("a", "one", "1")]})).await;
    assert!(matches!(got, Err(ToolError::Interrupted)), "{got:?}");
    let patch = "*** Begin Patch\n*** Delete File: a\n*** End Patch";
    let got = bench.call("apply_patch", json!({"patch": patch})).await;
    assert!(matches!(got, Err(ToolError::Interrupted)), "{got:?}");
    assert_eq!(bench.text("a"), "one\n");
}
