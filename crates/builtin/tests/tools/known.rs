//! What changed under the model is not overwritten.

use serde_json::json;

use crate::bench::Bench;

const UNREAD: &str =
    "`a` is there and you have not read it: `read` it first; to change a part of it use `edit`";
const CHANGED: &str = "`a` has changed since you saw it last, by a command or by the user: `read` it again before you replace it";

#[tokio::test]
async fn a_file_that_was_never_read_is_not_replaced() {
    let bench = Bench::new();
    bench.file("a", "theirs\n");
    bench.file("empty", "");
    let write = json!({"path": "./a", "content": "mine\n"});
    assert_eq!(bench.refused("write", write.clone()).await, UNREAD.replacen("`a`", "`./a`", 1));
    assert_eq!(bench.text("a"), "theirs\n");
    bench.told("edit", json!({"path": "a", "old": "theirs", "new": "edited"})).await;
    assert!(
        bench.refused("write", write.clone()).await.contains("not read it"),
        "an edit shows a part alone"
    );
    bench.told("read", json!({"path": "a", "limit": 1})).await;
    assert!(bench.told("write", write).await.starts_with("overwrote"));
    assert!(bench.told("write", json!({"path": "a", "content": "again\n"})).await.starts_with("overwrote"));
    assert!(bench.told("write", json!({"path": "empty", "content": "x"})).await.starts_with("overwrote"));
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_not_replaced() {
    let bench = Bench::new();
    bench.told("write", json!({"path": "a", "content": "one\n"})).await;
    bench.file("a", "one\nby a command\n");
    let write = json!({"path": "a", "content": "two\n"});
    assert_eq!(bench.refused("write", write.clone()).await, CHANGED);
    assert_eq!(bench.preview("write", write.clone()).await, CHANGED);
    assert_eq!(bench.text("a"), "one\nby a command\n");
    bench.told("read", json!({"path": "a"})).await;
    assert!(bench.told("write", write).await.starts_with("overwrote"));
}

#[tokio::test]
async fn an_edit_goes_on_and_tells_that_there_is_more_to_read() {
    let bench = Bench::new();
    bench.told("write", json!({"path": "a", "content": "one\ntwo\n"})).await;
    let edit = |old: &str, new: &str| json!({"path": "a", "old": old, "new": new});
    assert_eq!(bench.told("edit", edit("one", "1")).await, "edited `a` at line 1");
    bench.file("a", "1\ntwo\nby the user\n");
    let more = "; elsewhere it has changed since you saw it last, by a command or by the user";
    assert_eq!(bench.told("edit", edit("two", "2")).await, format!("edited `a` at line 2{more}"));
    let got = bench.told("multi_edit", json!({"edits": [edit("2", "zwei")]})).await;
    assert_eq!(got, format!("edited `a` at line 2{more}"), "until it is read");
    let patch = "*** Begin Patch\n*** Update File: a\n@@\n-zwei\n+2\n*** End Patch";
    let got = bench.told("apply_patch", json!({"patch": patch})).await;
    assert_eq!(got, format!("edited `a` at line 2{more}"));
    assert_eq!(bench.refused("write", json!({"path": "a", "content": "x"})).await, CHANGED);
    bench.told("read", json!({"path": "a"})).await;
    assert_eq!(bench.told("edit", edit("2", "two")).await, "edited `a` at line 2");
    assert_eq!(bench.text("a"), "1\ntwo\nby the user\n");
}

#[tokio::test]
async fn a_patch_removes_nothing_that_has_changed() {
    let bench = Bench::new();
    bench.told("write", json!({"path": "a", "content": "one\n"})).await;
    bench.file("a", "two\n");
    let delete = json!({"patch": "*** Begin Patch\n*** Delete File: a\n*** End Patch"});
    let got = bench.refused("apply_patch", delete.clone()).await;
    assert!(
        got.contains("has changed since you saw it last") && got.ends_with("nothing was changed"),
        "{got}"
    );
    assert_eq!(bench.text("a"), "two\n");
    bench.told("read", json!({"path": "a"})).await;
    assert_eq!(bench.told("apply_patch", delete).await, "removed `a`");
    assert!(!bench.path("a").exists());
    bench.file("a", "new\n");
    let got = bench.refused("write", json!({"path": "a", "content": "x"})).await;
    assert_eq!(got, UNREAD, "another file of that name is not known");
}

#[tokio::test]
async fn a_hunk_that_is_told_by_its_number_alone_needs_a_file_that_is_known() {
    let bench = Bench::new();
    bench.file("a", "one\ntwo\n");
    let patch = json!({"patch": "--- a/a\n+++ b/a\n@@ -1,0 +2 @@\n+one and a half\n"});
    let got = bench.refused("apply_patch", patch.clone()).await;
    assert!(got.contains("only adds lines"), "{got}");
    bench.told("read", json!({"path": "a"})).await;
    assert_eq!(bench.told("apply_patch", patch).await, "edited `a` at line 2");
    assert_eq!(bench.text("a"), "one\none and a half\ntwo\n");
}

#[tokio::test]
async fn what_a_patch_makes_or_moves_is_known_as_far_as_it_was_before() {
    let bench = Bench::new();
    bench.file("read", "r\n");
    bench.file("unread", "u\n");
    bench.told("read", json!({"path": "read"})).await;
    let patch = "*** Begin Patch\n*** Add File: new\n+n\n*** Update File: read\n*** Move to: read2\n*** Update File: unread\n*** Move to: unread2\n*** End Patch";
    bench.told("apply_patch", json!({"patch": patch})).await;
    for (path, known) in [("new", true), ("read2", true), ("unread2", false)] {
        let got = bench.call("write", json!({"path": path, "content": "x"})).await;
        assert_eq!(got.is_ok(), known, "{path}: {got:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_to_be_known_is_not_replaced() {
    let bench = Bench::new();
    let file = std::fs::File::create(bench.path("a")).unwrap();
    file.set_len((32 << 20) + 1).unwrap();
    let got = bench.refused("write", json!({"path": "a", "content": "x"})).await;
    assert!(got.contains("larger than 33.5 MB"), "{got}");
}
