use codetether_event::Touches;
use serde_json::{Value, json};

use crate::bench::{Bench, touches};

fn patch(text: &str) -> Value {
    json!({"patch": text})
}

/// An envelope around these lines.
fn envelope(body: &str) -> Value {
    patch(&format!("*** Begin Patch\n{body}\n*** End Patch\n"))
}

#[tokio::test]
async fn an_envelope_adds_updates_moves_and_removes_files() {
    let bench = Bench::new();
    bench.file("src/a.py", "import os\n\ndef f():\n    return 1\n\ndef g():\n    return 1\n");
    bench.file("old.txt", "one\ntwo\nthree");
    bench.set_mode("old.txt", 0o750);
    bench.file("gone.txt", "x\n");
    let args = envelope(
        "*** Add File: docs/new.md\n+# New\n+\n+text\n*** Update File: src/a.py\n@@ def g():\n-    return 1\n+    return 2\n@@\n*** End of File\n*** Delete File: gone.txt",
    );
    assert!(bench.refused("apply_patch", args).await.contains("the hunk has no lines"));
    let args = envelope(
        "*** Add File: docs/new.md\n+# New\n+\n+text\n\n*** Update File: src/a.py\n@@ def g():\n-    return 1\n+    return 2\n*** Delete File: gone.txt\n*** Update File: old.txt\n*** Move to: moved/new.txt\n@@\n two\n-three\n+3\n*** End of File",
    );
    let touched = touches("apply_patch", args.clone());
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        touched,
        Touches {
            reads: paths(&["src/a.py", "gone.txt", "old.txt"]),
            writes: paths(&["docs/new.md", "src/a.py", "gone.txt", "old.txt", "moved/new.txt"]),
            ..Touches::default()
        }
    );
    let shown = bench.preview("apply_patch", args.clone()).await;
    insta::assert_snapshot!(shown, @r"
    --- /dev/null
    +++ b/docs/new.md
    @@ -0,0 +1,3 @@
    +# New
    +
    +text
    --- a/gone.txt
    +++ /dev/null
    @@ -1 +0,0 @@
    -x
    rename from old.txt
    rename to moved/new.txt
    --- a/old.txt
    +++ b/moved/new.txt
    @@ -1,3 +1,3 @@
     one
     two
    -three
    \ No newline at end of file
    +3
    \ No newline at end of file
    --- a/src/a.py
    +++ b/src/a.py
    @@ -4,4 +4,4 @@
         return 1
     
     def g():
    -    return 1
    +    return 2
    ");
    let got = bench.call("apply_patch", args).await.unwrap();
    assert_eq!(
        got.text,
        "created `docs/new.md`\nedited `src/a.py` at line 7\nremoved `gone.txt`\nmoved `old.txt` to `moved/new.txt`, edited at line 3"
    );
    assert_eq!(got.wrote, ["docs/new.md", "gone.txt", "moved/new.txt", "old.txt", "src/a.py"]);
    assert_eq!(bench.text("docs/new.md"), "# New\n\ntext\n");
    assert_eq!(bench.text("src/a.py"), "import os\n\ndef f():\n    return 1\n\ndef g():\n    return 2\n");
    assert_eq!((bench.text("moved/new.txt").as_str(), bench.mode("moved/new.txt")), ("one\ntwo\n3", 0o750));
    assert!(!bench.path("old.txt").exists() && !bench.path("gone.txt").exists());
}

#[tokio::test]
async fn what_stands_around_a_patch_is_passed_over() {
    let body = "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n*** End Patch";
    for text in [
        format!("\n{body}\n\n"),
        format!("```\n{body}\n```\n"),
        format!("```diff\n{body}\n```"),
        format!("apply_patch <<'EOF'\n{body}\nEOF\n"),
        format!("<<\"PATCH\"\n{body}\nPATCH"),
        body.replace('\n', "\r\n"),
        "```diff\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n```\n".to_owned(),
        "Fix it.\n\n--- a/a\n+++ b/a\n@@ -7,9 +7,9 @@\n-x\n+y\n\n".to_owned(),
        "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n\n--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+z\n".to_owned(),
        "--- a\n+++ a\n@@ @@\n-x\n+y".to_owned(),
        "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n-- \n2.47.3\n\n"
            .to_owned(),
    ] {
        let bench = Bench::new();
        bench.file("a", "x\n");
        assert!(bench.told("apply_patch", patch(&text)).await.starts_with("edited `a` at line 1"), "{text}");
        assert_eq!(bench.text("a"), "y\n", "{text}");
    }
}

#[tokio::test]
async fn what_is_no_patch_touches_nothing_and_is_refused() {
    let bench = Bench::new();
    bench.file("a", "x\n");
    let table = [
        ("", "this is no patch"),
        ("change x to y in a", "this is no patch"),
        ("*** Update File: a\n-x\n+y", "its first line must be `*** Begin Patch`"),
        ("*** Begin Patch\n*** End Patch", "the patch is empty"),
        ("*** Begin Patch\n*** Update File: a\n-x\n+y\n", "does not end in `*** End Patch`"),
        ("*** Begin Patch\n*** Update File: a\n-x\n+y\n*** End Patch\nand more", "line 6: something follows"),
        ("*** Begin Patch\n*** Frobnicate File: a\n*** End Patch", "line 2: expected `*** Add File: `"),
        ("*** Begin Patch\n*** Add File:\n+x\n*** End Patch", "line 2: a path is missing"),
        ("*** Begin Patch\n*** Add File: b\nx\n*** End Patch", "line 3: each line of a new file"),
        ("*** Begin Patch\n*** Update File: a\n*** End Patch", "line 2: nothing is to be done to `a`"),
        ("*** Begin Patch\n*** Update File: a\nx\n*** End Patch", "line 3: a line of a hunk must begin"),
        ("@@ -1 +1 @@\n-x\n+y\n", "line 1: a hunk without a file"),
        ("--- a/a\n+++ b/a\n@@ -1 +1 @@\nx\n+y\n", "line 4: a line of a hunk must begin"),
        ("--- a/a\n+++ b/a\n", "line 1: nothing is to be done"),
        ("--- /dev/null\n+++ b/b\n", "line 1: nothing is to be done"),
        ("--- a/a\n+++ b/a\n@@ -1 +1 @@\n", "line 3: the hunk has no lines"),
        ("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\nz\n+z\n", "line 6: this is no line of a hunk"),
        ("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n\n+z\n", "line 7: this is no line of a hunk"),
        ("--- a/a\n+++ b/b\n@@ -1 +1 @@\n-x\n+y\n", "it names both `a` and `b`"),
        ("diff --git a/a b/a\nBinary files a/a and b/a differ\n", "line 2: a binary file cannot be patched"),
        ("diff --git a/a b/a\nindex 1..2 100644\nGIT binary patch\nliteral 1\n", "a binary file cannot"),
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+a\n",
            "line 2: a symbolic link",
        ),
        ("diff --git a/l b/l\nindex 1..2 160000\n", "line 2: a submodule"),
        ("diff --git a/l b/l\nold mode 100644\nnew mode 7\n", "line 3: `7` is no mode"),
        ("diff --cc a\nindex 1,2..3\n", "a merge's combined diff"),
    ];
    for (text, problem) in table {
        assert_eq!(touches("apply_patch", patch(text)), Touches::default(), "{text}");
        let got = bench.refused("apply_patch", patch(text)).await;
        assert!(got.contains(problem) && got.ends_with("\nnothing was changed"), "{text}: {got}");
        assert!(bench.preview("apply_patch", patch(text)).await.contains(problem));
    }
    assert_eq!(bench.text("a"), "x\n");
}

#[tokio::test]
async fn a_hunk_that_does_not_fit_is_named_and_nothing_is_written() {
    let bench = Bench::new();
    bench.file("a", "one\n");
    bench.file("b", "fn main() {\n\tlet total = price * count;\n}\n");
    let args = envelope(
        "*** Update File: a\n-one\n+1\n*** Update File: b\n@@\n-fn main() {\n+fn start() {\n@@\n-    let total = price * counts;\n+    let total = 0;",
    );
    let got = bench.refused("apply_patch", args).await;
    assert_eq!(
        got,
        "hunk 2 of 2 of `b` does not fit: its lines are not in the file. Nearest is line 2:\n     2\t\tlet total = price * count;\nnothing was changed"
    );
    let got = bench.refused("apply_patch", envelope("*** Update File: b\n@@ fn other() {\n-}\n+]")).await;
    assert!(got.contains("no line of the file is `fn other() {`, which it is to follow"), "{got}");
    let got = bench.refused("apply_patch", envelope("*** Update File: none\n-x\n+y")).await;
    assert_eq!(got, "there is no `none`; `list` shows what there is\nnothing was changed");
    let got = bench.refused("apply_patch", envelope("*** Add File: a\n+y")).await;
    assert!(got.contains("`a` is there already"), "{got}");
    let got = bench.refused("apply_patch", envelope("*** Update File: a\n*** Move to: b\n-one\n+1")).await;
    assert!(got.contains("`b` is there already"), "{got}");
    let got = bench.refused("apply_patch", envelope("*** Update File: a\n-one\n+one")).await;
    assert!(got.contains("changes nothing"), "{got}");
    assert_eq!(bench.text("a"), "one\n");
}

#[tokio::test]
async fn lines_that_are_in_several_places_are_told_apart_or_refused() {
    let text = "a:\n  x\n  y\nb:\n  x\n  y\nc:\n  x\n  y\n";
    let bench = Bench::new();
    bench.file("f", text);
    let got = bench.refused("apply_patch", envelope("*** Update File: f\n@@\n   x\n-  y\n+  z")).await;
    assert!(got.contains("the hunk of `f` fits equally at lines 2, 5, 8: give more"), "{got}");
    for (hunk, line) in [
        ("@@ b:\n   x\n-  y\n+  z", 6),
        ("@@ c:\n   x\n-  y\n+  z", 9),
        ("@@\n   x\n-  y\n+  z\n*** End of File", 9),
        ("@@ b:\n@@   x\n-  y\n+  z", 6),
        ("@@ -5,2 +5,2 @@\n   x\n-  y\n+  z", 6),
    ] {
        bench.file("f", text);
        let got = bench.told("apply_patch", envelope(&format!("*** Update File: f\n{hunk}"))).await;
        assert_eq!(got, format!("edited `f` at line {line}"), "{hunk}");
    }
    // The number of a unified diff decides, and need not be right; but not when two places are as near.
    for (at, line) in [(1, Some(3)), (5, Some(6)), (6, Some(6)), (90, Some(9))] {
        bench.file("f", text);
        let got = bench
            .call(
                "apply_patch",
                patch(&format!("--- a/f\n+++ b/f\n@@ -{at},2 +{at},2 @@\n   x\n-  y\n+  z\n")),
            )
            .await;
        assert_eq!(
            got.ok().map(|got| got.text),
            line.map(|line| format!("edited `f` at line {line}")),
            "{at}"
        );
    }
    bench.file("f", "x\nmiddle\nx\n");
    let got = bench.refused("apply_patch", patch("--- a/f\n+++ b/f\n@@ -2 +2 @@\n-x\n+y\n")).await;
    assert!(got.contains("fits equally at lines 1, 3:"), "{got}");
}

#[tokio::test]
async fn line_ends_marks_and_the_lack_of_a_final_newline_stay() {
    let hunk = "*** Update File: f\n@@\n one\n-two\n+2\n+2b";
    for (before, after) in [
        ("one\r\ntwo\r\nthree\r\n", "one\r\n2\r\n2b\r\nthree\r\n"),
        ("\u{FEFF}one\r\ntwo", "\u{FEFF}one\r\n2\r\n2b"),
        ("one\ntwo", "one\n2\n2b"),
        ("one  \ntwo\t\nthree", "one  \n2\n2b\nthree"),
        ("\u{FEFF}one\ntwo\n", "\u{FEFF}one\n2\n2b\n"),
    ] {
        let bench = Bench::new();
        bench.file("f", before);
        bench.told("apply_patch", envelope(hunk)).await;
        assert_eq!(bench.text("f"), after, "{before:?}");
    }
    let bench = Bench::new();
    bench.file("f", "one  \ntwo\n");
    let got = bench.told("apply_patch", envelope(hunk)).await;
    assert_eq!(got, "edited `f` at line 2 (white space at line ends was not as in the patch)");
    for (before, text, after) in [
        ("a", "-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n", "a\nb"),
        ("a", "-a\n\\ No newline at end of file\n+a\n", "a\n"),
        ("a\n", "-a\n+a\n\\ No newline at end of file\n", "a"),
        ("\u{FEFF}a\n", "-a\n+b\n", "\u{FEFF}b\n"),
        ("\u{FEFF}a\n", "+top\n a\n", "\u{FEFF}top\na\n"),
        ("\u{FEFF}a\n", "-\u{FEFF}a\n+a\n", "a\n"),
        ("a\r\nb", "-b\n+c\n+d\n", "a\r\nc\r\nd"),
    ] {
        bench.file("f", before);
        bench.told("apply_patch", patch(&format!("--- a/f\n+++ b/f\n@@ -1 +1 @@\n{text}"))).await;
        assert_eq!(bench.text("f"), after, "{before:?} {text:?}");
    }
    bench.file("f", b"caf\xe9\nx\n");
    bench.told("apply_patch", envelope("*** Update File: f\n-x\n+y")).await;
    assert_eq!(bench.bytes("f"), b"caf\xe9\ny\n", "what is no UTF-8 stays as it is");
}

#[tokio::test]
async fn sections_of_an_envelope_build_on_each_other() {
    let bench = Bench::new();
    bench.file("a", "one\ntwo\n");
    let args = envelope(
        "*** Update File: a\n-one\n+1\n*** Update File: a\n-1\n+uno\n*** Update File: a\n*** Move to: b\n*** Add File: a\n+new\n*** Update File: b\n-two\n+2",
    );
    bench.told("apply_patch", args).await;
    assert_eq!((bench.text("a").as_str(), bench.text("b").as_str()), ("new\n", "uno\n2\n"));
}

#[tokio::test]
async fn hunks_may_share_context_and_come_in_any_order_where_that_is_clear() {
    let bench = Bench::new();
    let text: String = (1..=9).map(|n| format!("line {n}\n")).collect();
    for hunks in [
        "@@\n line 2\n-line 3\n+3\n line 4\n@@\n line 4\n-line 5\n+5\n line 6",
        "@@\n line 4\n-line 5\n+5\n line 6\n@@\n line 2\n-line 3\n+3\n line 4",
    ] {
        bench.file("f", &text);
        bench.told("apply_patch", envelope(&format!("*** Update File: f\n{hunks}"))).await;
        assert_eq!(bench.text("f"), text.replace("line 3", "3").replace("line 5", "5"));
    }
    bench.file("f", &text);
    let twice = "*** Update File: f\n@@\n-line 3\n+3\n@@\n-line 3\n+drei";
    assert!(
        bench
            .refused("apply_patch", envelope(twice))
            .await
            .contains("hunk 2 of 2 of `f` does not fit: the patch changes")
    );
}

#[tokio::test]
async fn modes_links_and_names_are_as_git_has_them() {
    let bench = Bench::new();
    bench.file("tool.sh", "x\n");
    bench.set_mode("tool.sh", 0o640);
    bench.file("sw ap1", "1\n");
    bench.file("sw ap2", "2\n");
    bench.file("target", "t\n");
    bench.link("link", "target");
    let text = "diff --git a/tool.sh b/tool.sh\nold mode 100644\nnew mode 100755\n\
        diff --git a/new.sh b/new.sh\nnew file mode 100755\nindex 0..1\n--- /dev/null\n+++ b/new.sh\n@@ -0,0 +1 @@\n+#!/bin/sh\n\
        diff --git a/empty b/empty\nnew file mode 100644\nindex 0..0\n\
        diff --git a/sw ap1 b/sw ap2\nsimilarity index 100%\nrename from sw ap1\nrename to sw ap2\n\
        diff --git a/sw ap2 b/sw ap1\nsimilarity index 100%\nrename from sw ap2\nrename to sw ap1\n\
        diff --git a/target \"b/na\\303\\257ve \\\"q\\\"\"\nsimilarity index 100%\ncopy from target\ncopy to \"na\\303\\257ve \\\"q\\\"\"\n";
    let got = bench.told("apply_patch", patch(text)).await;
    assert_eq!(
        got,
        "made `tool.sh` executable\ncreated `new.sh`\ncreated `empty`\nmoved `sw ap1` to `sw ap2`\nmoved `sw ap2` to `sw ap1`\ncopied `target` to `naïve \"q\"`"
    );
    assert_eq!((bench.mode("tool.sh"), bench.mode("new.sh") & 0o100), (0o750, 0o100));
    assert_eq!((bench.text("sw ap1").as_str(), bench.text("sw ap2").as_str()), ("2\n", "1\n"));
    assert_eq!((bench.text("empty").as_str(), bench.text("naïve \"q\"").as_str()), ("", "t\n"));
    for args in [
        envelope("*** Delete File: link"),
        envelope("*** Update File: link\n*** Move to: other"),
        patch("--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-t\n"),
    ] {
        let got = bench.refused("apply_patch", args).await;
        assert!(got.contains("`link` is a symbolic link"), "{got}");
    }
    bench.told("apply_patch", envelope("*** Update File: link\n-t\n+u")).await;
    assert!(bench.path("link").is_symlink());
    assert_eq!(bench.text("target"), "u\n", "what it leads to is edited");
}

#[tokio::test]
async fn a_diff_that_removes_a_file_must_know_all_of_it() {
    let bench = Bench::new();
    bench.file("a", "one\ntwo\n");
    let got = bench.refused("apply_patch", patch("--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n")).await;
    assert!(got.contains("holds more than the lines it removes"), "{got}");
    let got = bench
        .refused("apply_patch", patch("diff --git a/a b/a\ndeleted file mode 100644\nindex 1..0\n"))
        .await;
    assert!(got.contains("holds more than"), "{got}");
    assert_eq!(
        bench.told("apply_patch", patch("--- a/a\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n")).await,
        "removed `a`"
    );
    assert!(!bench.path("a").exists());
}

#[tokio::test]
async fn a_line_that_a_hunk_follows_decides_before_white_space_does() {
    let bench = Bench::new();
    bench.file("f", "x\nb:\nx \n");
    let got = bench.told("apply_patch", envelope("*** Update File: f\n@@ b:\n-x\n+y")).await;
    assert!(got.starts_with("edited `f` at line 3"), "{got}");
    assert_eq!(bench.text("f"), "x\nb:\ny\n");
}

#[tokio::test]
async fn two_names_of_one_file_are_refused() {
    let bench = Bench::new();
    bench.file("a", "one\ntwo\n");
    bench.link("b", "a");
    let edits = json!([{"path": "a", "old": "one", "new": "1"}, {"path": "b", "old": "two", "new": "2"}]);
    let got = bench.refused("multi_edit", json!({"edits": edits})).await;
    assert_eq!(got, "`a` and `b` are one file: change it by one of its names");
    let args = envelope("*** Update File: a\n-one\n+1\n*** Update File: b\n-two\n+2");
    assert!(bench.refused("apply_patch", args).await.contains("are one file"));
    assert_eq!(bench.text("a"), "one\ntwo\n");
}
