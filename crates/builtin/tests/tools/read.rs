use codetether_tool::ToolError;
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn lines_come_with_their_numbers() {
    let bench = Bench::new();
    bench.file("a.txt", "one\n\n  three\nfour, with no newline");
    let got = bench.told("read", json!({"path": "a.txt"})).await;
    assert_eq!(got, "     1\tone\n     2\t\n     3\t  three\n     4\tfour, with no newline\n");
}

#[tokio::test]
async fn a_part_says_where_it_lies_and_how_to_go_on() {
    let bench = Bench::new();
    bench.file("a.txt", "1\n2\n3\n4\n5\n");
    let part = |offset: u64, limit: u64| json!({"path": "a.txt", "offset": offset, "limit": limit});
    let got = bench.told("read", part(2, 2)).await;
    assert_eq!(got, "     2\t2\n     3\t3\n[lines 2-3 of 5; go on with offset 4]\n");
    let got = bench.told("read", part(4, 2)).await;
    assert_eq!(got, "     4\t4\n     5\t5\n[lines 4-5 of 5: the end]\n");
    assert_eq!(bench.told("read", part(0, 0)).await, "     1\t1\n[lines 1-1 of 5; go on with offset 2]\n");
}

#[tokio::test]
async fn numbers_beyond_reason_are_answered() {
    let bench = Bench::new();
    bench.file("a.txt", "1\n2\n");
    for offset in [3, u64::MAX] {
        let got = bench.refused("read", json!({"path": "a.txt", "offset": offset, "limit": u64::MAX})).await;
        assert_eq!(got, format!("`a.txt` has 2 lines; line {offset} lies beyond its end"));
    }
    let got = bench.told("read", json!({"path": "a.txt", "offset": 1, "limit": u64::MAX})).await;
    assert_eq!(got, "     1\t1\n     2\t2\n");
    assert!(bench.refused("read", json!({"path": "a.txt", "offset": -1})).await.contains("do not fit"));
}

#[tokio::test]
async fn output_is_bounded_by_lines_and_by_bytes() {
    let bench = Bench::new();
    bench.file("many.txt", "x\n".repeat(2_500));
    let got = bench.told("read", json!({"path": "many.txt"})).await;
    assert!(got.ends_with("  2000\tx\n[lines 1-2000 of 2500; go on with offset 2001]\n"), "{got}");
    bench.file("wide.txt", format!("{}\n", "é".repeat(1_000)).repeat(100));
    let got = bench.told("read", json!({"path": "wide.txt"})).await;
    assert!(got.len() <= bench.cx.limits.output);
    assert!(got.ends_with("[lines 1-14 of 100; go on with offset 15]\n"), "{}", &got[got.len() - 60..]);
}

#[tokio::test]
async fn a_long_line_is_cut_between_characters() {
    let bench = Bench::new();
    bench.file("long.txt", format!("{}\nnext\n", "é".repeat(5_000)));
    let got = bench.told("read", json!({"path": "long.txt"})).await;
    let cut =
        format!("     1\t{} [... about 6001 bytes more on this line]\n     2\tnext\n", "é".repeat(2_000));
    assert_eq!(got, cut);
}

#[tokio::test]
async fn a_huge_file_is_read_in_part_without_being_held() {
    let bench = Bench::new();
    let file = std::fs::File::create(bench.path("huge.txt")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &b"line\n".repeat(20_000), 0).unwrap();
    // Sparse: the rest is zeros, far beyond what is looked at.
    file.set_len(1 << 40).unwrap();
    let got = bench.told("read", json!({"path": "huge.txt", "offset": 10, "limit": 1})).await;
    assert_eq!(got, "    10\tline\n[lines 10-10 of a file of 1099.5 GB; go on with offset 11]\n");
    bench.cx.cancel.cancel();
    let got = bench.call("read", json!({"path": "huge.txt", "offset": 30_000})).await;
    assert!(matches!(got, Err(ToolError::Interrupted)));
}

#[tokio::test]
async fn line_ends_and_a_byte_order_mark_are_not_shown() {
    let bench = Bench::new();
    bench.file("dos.txt", "\u{FEFF}a\r\nb\r\n");
    assert_eq!(bench.told("read", json!({"path": "dos.txt"})).await, "     1\ta\n     2\tb\n");
}

#[tokio::test]
async fn what_is_no_text_says_what_it_is() {
    let bench = Bench::new();
    bench.file("empty", "");
    bench.file("zero", b"text\0more");
    bench.file("noise", [0xffu8, 0xfe, 0x80, 0x81].repeat(30).split_off(1));
    bench.file("wide", b"\xff\xfea\0b\0");
    bench.file("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0");
    assert_eq!(bench.told("read", json!({"path": "empty"})).await, "`empty` is empty");
    let mut told = String::new();
    for path in ["zero", "noise", "wide", "x.png"] {
        told += &bench.refused("read", json!({"path": path})).await;
        told.push('\n');
    }
    insta::assert_snapshot!(told, @"
    `zero` is not text (9 bytes of binary data); `bash` has tools to look into it
    `noise` is not text (119 bytes of binary data); `bash` has tools to look into it
    `wide` is UTF-16 text (6 bytes); `iconv -f UTF-16 -t UTF-8` makes it readable
    `x.png` is a PNG image of 640 x 480 pixels (24 bytes), which you cannot see: nothing says that this model takes images
    ");
}

#[tokio::test]
async fn text_of_another_encoding_is_shown_as_far_as_it_goes() {
    let bench = Bench::new();
    bench.file("latin1.txt", b"caf\xe9 au lait, s'il vous plait\n");
    let got = bench.told("read", json!({"path": "latin1.txt"})).await;
    assert!(got.starts_with("     1\tcaf\u{FFFD} au lait") && got.contains("[not UTF-8"), "{got}");
}

#[tokio::test]
async fn a_missing_path_names_what_is_near() {
    let bench = Bench::new();
    bench.file("src/main.rs", "");
    bench.file("src/lib.rs", "");
    let mut told = String::new();
    for path in ["src/mian.rs", "scr/main.rs", "src/zebra", "zebra", "src/main.rs/x", "src"] {
        told += &bench.refused("read", json!({"path": path})).await;
        told.push('\n');
    }
    insta::assert_snapshot!(told, @"
    there is no `src/mian.rs`; did you mean `src/main.rs`?
    there is no `scr/main.rs`; did you mean `src/main.rs`?
    there is no `src/zebra`; `list` shows what is in `src`
    there is no `zebra`; `list` shows what there is
    there is no `src/main.rs/x`; did you mean `src/main.rs`?
    `src` is a folder; `list` shows what is in it
    ");
}

#[tokio::test]
async fn what_is_no_text_far_behind_the_start_is_seen_too() {
    let bench = Bench::new();
    let start = "text\n".repeat(20_000);
    bench.file("mixed", [start.as_bytes(), b"a\xffb\n", b"c\0d\n"].concat());
    let read =
        async |offset: u64| bench.call("read", json!({"path": "mixed", "offset": offset, "limit": 1})).await;
    assert_eq!(
        read(20_000).await.unwrap().text,
        " 20000\ttext\n[lines 20000-20000 of 20002; go on with offset 20001]\n"
    );
    let odd = read(20_001).await.unwrap().text;
    assert!(odd.starts_with(" 20001\ta\u{FFFD}b\n") && odd.contains("[not UTF-8:"), "{odd}");
    assert!(
        bench
            .refused("read", json!({"path": "mixed", "offset": 20_001}))
            .await
            .contains("binary data in line 20002")
    );
    let long = format!("{}\n", "é".repeat(100_000));
    bench.file("long", &long);
    assert!(!bench.told("read", json!({"path": "long"})).await.contains("not UTF-8"));
}
