use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codetether_tool::{ToolError, ToolOutput};
use serde_json::{Value, json};

use crate::bench::Bench;

/// Every way of naming a file for every tool that takes one.
fn calls(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("read", json!({"path": path})),
        ("write", json!({"path": path, "content": "overwritten"})),
        ("edit", json!({"path": path, "old": "secret", "new": "changed"})),
        ("multi_edit", json!({"edits": [{"path": path, "old": "secret", "new": "changed"}]})),
        (
            "apply_patch",
            json!({"patch": format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch")}),
        ),
        ("apply_patch", json!({"patch": format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch")})),
        (
            "apply_patch",
            json!({"patch": format!("*** Begin Patch\n*** Update File: {path}\n-secret line\n+x\n*** End Patch")}),
        ),
        (
            "apply_patch",
            json!({"patch": format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-secret line\n+x\n")}),
        ),
        (
            "apply_patch",
            json!({"patch": format!("--- a/{path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-secret line\n")}),
        ),
        ("list", json!({"path": path})),
        ("glob", json!({"pattern": "**", "path": path})),
        ("grep", json!({"pattern": "secret", "path": path})),
    ]
}

fn is_refused(got: &Result<ToolOutput, ToolError>) -> bool {
    matches!(got, Err(ToolError::ForModel(text)) if !text.contains("secret line"))
}

#[tokio::test]
async fn no_path_leads_out() {
    let bench = Bench::new();
    let secret = bench.outside("secret.txt", "secret line\n");
    let folder = secret.parent().unwrap().to_owned();
    bench.file("inside/x", "");
    bench.link("link", &secret);
    bench.link("up", "..");
    bench.link("inside/folder", &folder);
    let absolute = secret.to_str().unwrap();
    let paths = [
        "../secret.txt",
        "inside/../../secret.txt",
        absolute,
        "link",
        "up/secret.txt",
        "up",
        "..",
        "/",
        "/etc/passwd",
        "inside/folder",
        "inside/folder/secret.txt",
        "/proc/self/environ",
    ];
    for path in paths {
        for (tool, args) in calls(path) {
            let got = bench.call(tool, args).await;
            assert!(is_refused(&got), "{tool} {path}: {got:?}");
        }
        let preview = bench.preview("write", json!({"path": path, "content": "x"})).await;
        assert!(!preview.contains("secret line"), "{path}: {preview}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret line\n");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "nothing was made beside the root");
}

#[tokio::test]
async fn no_walk_follows_a_link_out() {
    let bench = Bench::new();
    let secret = bench.outside("secret.txt", "secret line\n");
    bench.link("folder", secret.parent().unwrap());
    bench.link("file.txt", &secret);
    bench.link("loop", ".");
    assert_eq!(bench.told("grep", json!({"pattern": "secret"})).await, "no match in 0 files\n");
    assert_eq!(bench.told("glob", json!({"pattern": "*.txt"})).await, "file.txt\n");
}

#[tokio::test]
async fn a_pipe_or_a_device_does_not_hold_us() {
    let bench = Bench::new();
    let fifo = bench.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    for (tool, args) in calls("fifo") {
        let got = bench.call(tool, args).await;
        assert!(is_refused(&got), "{tool}: {got:?}");
    }
    assert!(fifo.metadata().unwrap().file_type().is_fifo(), "it was not replaced");
    assert_eq!(bench.told("grep", json!({"pattern": "x"})).await, "no match in 0 files\n");
}

#[tokio::test]
async fn odd_paths_are_answered() {
    let bench = Bench::new();
    for path in ["", "\0", "a\0b", "\u{202e}x", &"x".repeat(10_000), &"x/".repeat(5_000)] {
        for (tool, args) in calls(path) {
            let creates = tool == "write" || args.to_string().contains("*** Add File");
            if !matches!((tool, path), ("list" | "glob" | "grep", "")) && !creates {
                let got = bench.call(tool, args).await;
                assert!(is_refused(&got), "{tool} {path:?}: {got:?}");
            }
        }
    }
    for path in ["", "\0", "a\0b"] {
        let got = bench.call("write", json!({"path": path, "content": "x"})).await;
        assert!(is_refused(&got), "{path:?}: {got:?}");
    }
}

#[tokio::test]
async fn arguments_of_another_shape_are_answered() {
    let bench = Bench::new();
    for tool in ["read", "write", "edit", "multi_edit", "apply_patch", "list", "glob", "grep", "bash"] {
        for args in
            [json!(null), json!([]), json!("x"), json!({"path": 1, "command": 1, "pattern": 1, "patch": 1})]
        {
            let got = bench.call(tool, args.clone()).await;
            assert!(is_refused(&got), "{tool} {args}: {got:?}");
            assert!(!bench.preview(tool, args).await.is_empty());
        }
    }
}

#[tokio::test]
async fn ignore_files_that_are_none_hold_nothing_and_read_nothing_outside() {
    let bench = Bench::new();
    bench.file("a.txt", "x\n");
    bench.file("folder/b.txt", "x\n");
    bench.file("folder/deep/c.txt", "x\n");
    let rules = bench.outside("rules", "*.txt\n");
    bench.link(".ignore", "/dev/zero");
    let fifo = |name: &str| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, bench.path(name), kind, mode, 0).unwrap();
    };
    fifo(".gitignore");
    bench.link("folder/.gitignore", &rules);
    // What a work tree elsewhere would say.
    std::fs::create_dir(rules.with_file_name("info")).unwrap();
    bench.outside("info/exclude", "*.txt\n");
    bench.file("folder/.git", format!("gitdir: {}\n", rules.parent().unwrap().display()));
    bench.file("folder/deep/.ignore", vec![b'a'; (1 << 20) + 1]);
    // The folder above the root ignores all of it.
    bench.outside(".gitignore", "*\n");
    let got = bench.told("glob", json!({"pattern": "*.txt"})).await;
    assert_eq!(got, "a.txt\nfolder/b.txt\nfolder/deep/c.txt\n[4 files or folders could not be read]\n");
    let got = bench.told("grep", json!({"pattern": "x", "glob": "*.txt", "path": "folder"})).await;
    assert!(got.starts_with("folder/b.txt:1:x\nfolder/deep/c.txt:1:x\n"), "{got}");
}

#[tokio::test]
async fn no_name_outside_is_shown_while_a_folder_is_swapped_for_a_link() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("../other")).unwrap();
    bench.outside("other/secret.txt", "secret line\n");
    bench.file("folder/in.txt", "");
    bench.link("link", bench.path("../other"));
    let over = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (over, folder, link) = (Arc::clone(&over), bench.path("folder"), bench.path("link"));
        move || {
            let (cwd, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            while !over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(cwd, &folder, cwd, &link, flags).unwrap();
            }
        }
    });
    let mut told = String::new();
    for _ in 0..300 {
        for (tool, args) in [
            ("list", json!({"path": "folder"})),
            ("glob", json!({"pattern": "**"})),
            ("glob", json!({"pattern": "**", "path": "folder"})),
            ("read", json!({"path": "folder/in.tx"})),
        ] {
            match bench.call(tool, args).await {
                Ok(output) => told += &output.text,
                Err(error) => told += &error.to_string(),
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(told.contains("in.txt") && !told.contains("secret"), "{told}");
}
