use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn a_file_is_created_with_its_folders() {
    let bench = Bench::new();
    let got = bench.call("write", json!({"path": "a/b/c.txt", "content": "ä\nb\n"})).await.unwrap();
    assert_eq!(got.text, "created `a/b/c.txt`: 2 lines, 5 bytes");
    assert_eq!(got.wrote, ["a/b/c.txt"]);
    assert_eq!(bench.text("a/b/c.txt"), "ä\nb\n");
}

#[tokio::test]
async fn a_file_is_replaced_and_keeps_its_mode() {
    let bench = Bench::new();
    bench.file("run.sh", "old");
    bench.set_mode("run.sh", 0o750);
    bench.told("read", json!({"path": "run.sh"})).await;
    let got = bench.call("write", json!({"path": "./x/../run.sh", "content": ""})).await.unwrap();
    assert_eq!(
        (got.text.as_str(), got.wrote),
        ("overwrote `./x/../run.sh`: 0 lines, 0 bytes", vec!["run.sh".into()])
    );
    assert_eq!((bench.text("run.sh").as_str(), bench.mode("run.sh")), ("", 0o750));
}

#[tokio::test]
async fn the_same_content_is_not_written_again() {
    let bench = Bench::new();
    let before = bench.file("a", "same").metadata().unwrap().modified().unwrap();
    let got = bench.call("write", json!({"path": "a", "content": "same"})).await.unwrap();
    assert!(got.text.contains("unchanged") && got.wrote.is_empty());
    assert_eq!(bench.path("a").metadata().unwrap().modified().unwrap(), before);
}

#[tokio::test]
async fn a_folder_is_no_file() {
    let bench = Bench::new();
    bench.file("dir/a", "");
    assert!(bench.refused("write", json!({"path": "dir", "content": "x"})).await.contains("is a folder"));
    assert!(!bench.refused("write", json!({"path": "dir/a/b", "content": "x"})).await.is_empty());
}

#[tokio::test]
async fn the_preview_is_the_change() {
    let bench = Bench::new();
    bench.file("a.txt", "1\n2\n");
    bench.file("bin", b"\xff\0");
    bench.told("read", json!({"path": "a.txt"})).await;
    let got = bench.preview("write", json!({"path": "a.txt", "content": "1\n3\n"})).await;
    assert_eq!(got, "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n");
    let got = bench.preview("write", json!({"path": "bin", "content": "text"})).await;
    assert_eq!(
        got,
        "`bin` is there and you have not read it: `read` it first; to change a part of it use `edit`"
    );
    assert!(
        bench.preview("write", json!({"path": "new", "content": "x\n"})).await.starts_with("--- /dev/null")
    );
    assert_eq!(bench.text("a.txt"), "1\n2\n", "a preview writes nothing");
}
