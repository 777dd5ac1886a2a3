//! Images: what `read` and attached files show to a model that can see, and to one that cannot.

use std::io::Cursor;

use codetether_testkit::{Reply, planted};
use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};

use crate::bench::{Bench, Run};

/// A PNG file.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    DynamicImage::new_rgb8(width, height).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

const SEES: &str = "models.\"openai/scripted\".images=true";
const BLIND: &str = "models.\"openai/scripted\".images=false";

/// What a request's messages show, a line each: texts, and images by their kind.
fn shown(request: &Value) -> String {
    let mut lines = Vec::new();
    for message in request["messages"].as_array().unwrap().iter().skip(2) {
        let role = message["role"].as_str().unwrap();
        match &message["content"] {
            Value::Array(parts) => lines.extend(parts.iter().map(|part| {
                let url = part["image_url"]["url"].as_str().map(|url| url.split(',').next().unwrap());
                format!("{role}: {}", part["text"].as_str().or(url).unwrap())
            })),
            Value::String(text) => lines.push(format!("{role}: {text}")),
            _ => lines.push(format!("{role}: a call")),
        }
    }
    lines.join("\n")
}

#[test]
fn a_model_that_sees_is_shown_the_image_that_it_reads() {
    let bench = Bench::new([Reply::call("read", json!({ "path": "wide.png" })), Reply::text("black")]);
    bench.bytes("wide.png", &png(3136, 100));
    let done = bench.run(&["what colour is it?", "-c", SEES]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "black\n"), "{}", done.stderr);
    let told = shown(&bench.server.json(1));
    let size = std::fs::metadata(bench.path("wide.png")).unwrap().len();
    let kb = format!("({}.{} KB)", size / 1000, size % 1000 / 100);
    let told = told.replace(&kb, "(SIZE)").replace(&format!("({size} bytes)"), "(SIZE)");
    insta::assert_snapshot!(told, @r"
    user: what colour is it?
    assistant: a call
    tool: `wide.png` is a PNG image of 3136 x 100 pixels (SIZE), shown as at 1568 x 50
    user: data:image/png;base64
    ");
    bench.assert_prefix_stable();
    assert!(bench.events().contains("call.showed\ncall.ended\n"), "{}", bench.events());
    // A session that goes on shows it again, as it was.
    let bench_again = bench.run(&["and now?", "--last", "-c", SEES]);
    assert_eq!(bench_again.code, 5, "the script is at its end: {}", bench_again.shown());
    bench.assert_prefix_stable();
}

#[test]
fn a_model_that_is_not_known_to_see_is_told_what_it_is() {
    let script = || [Reply::call("read", json!({ "path": "dot.png" })), Reply::text("I cannot see it.")];
    for setting in [None, Some(BLIND)] {
        let bench = Bench::new(script());
        bench.bytes("dot.png", &png(64, 32));
        let set: Vec<&str> = setting.iter().flat_map(|setting| ["-c", setting]).collect();
        let done = bench.run(&[&["look"], set.as_slice()].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let told = shown(&bench.server.json(1));
        assert!(
            told.contains("is a PNG image of 64 x 32 pixels (") && told.contains("which you cannot see"),
            "{told}"
        );
        assert!(!bench.events().contains("call.showed"));
    }
}

#[test]
fn attached_images_are_made_to_fit_and_a_blind_model_is_told_what_they_are() {
    let run = |setting: &str| -> (Run, String) {
        let bench = Bench::new([Reply::text("ok")]);
        bench.bytes("big.png", &png(2000, 1000));
        bench.bytes("dot.png", &png(2, 1));
        let done = bench.run(&["look at @dot.png", "-f", "big.png", "-c", setting]);
        let body = String::from_utf8(bench.server.requests()[0].body.clone()).unwrap();
        (done, body)
    };
    let (done, body) = run(SEES);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(body.matches("data:image/png;base64,").count(), 2, "{body}");
    let (done, body) = run(BLIND);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for told in [
        "[a PNG image of 2000 x 1000 pixels, which you cannot see: this model takes no images]",
        "[a PNG image of 2 x 1 pixels, which you cannot see: this model takes no images]",
    ] {
        assert!(body.contains(told), "{body}");
    }
    assert!(!body.contains("data:image"), "{body}");
}

#[test]
fn a_bomb_and_a_broken_image_are_refused_before_anything_is_sent() {
    let bench =
        Bench::new([Reply::call("read", json!({ "path": "bomb.gif" })), Reply::text("It is too large.")]);
    // Thirty bytes that promise 65,535 x 65,535 pixels.
    let bomb = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;";
    bench.bytes("bomb.gif", bomb);
    bench.bytes("cut.png", &png(64, 64)[..40]);
    let done = bench.run(&["look", "-c", SEES]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = shown(&bench.server.json(1));
    assert!(told.contains("65535 x 65535 pixels") && !told.contains("data:"), "{told}");
    for (file, said) in [("bomb.gif", "cannot attach `bomb.gif`: "), ("cut.png", "cannot attach `cut.png`: ")]
    {
        let done = bench.run(&["look", "-f", file, "-c", SEES]);
        assert_eq!(done.code, 2, "{}", done.shown());
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    assert_eq!(bench.server.requests().len(), 2);
}

#[test]
fn an_image_goes_with_its_result_on_every_wire() {
    for (model, variable, key, picture) in [
        ("anthropic/claude-opus-5", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", r#""media_type":"image/png""#),
        ("google/gemini-3-pro-preview", "GEMINI_BASE_URL", "GOOGLE_API_KEY", r#""mimeType":"image/png""#),
        ("openai/gpt-5", "OPENAI_BASE_URL", "OPENAI_API_KEY", "data:image/png;base64,"),
    ] {
        let bench = Bench::new([Reply::call("read", json!({ "path": "dot.png" })), Reply::text("black")]);
        bench.bytes("dot.png", &png(64, 32));
        let mut command = bench.binary(&["run", "look", "-m", model]);
        command.env(variable, bench.server.base_url()).env(key, planted::KEY);
        let done: Run = command.output().unwrap().into();
        assert_eq!((done.code, done.stdout.as_str()), (0, "black\n"), "{model}: {}", done.stderr);
        let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
        assert!(body.contains(picture), "{model}: {body}");
    }
}
