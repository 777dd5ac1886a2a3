//! The model asks the user: at a terminal one line answers, by number or in words; where nobody is, it goes on.

use codetether_testkit::{Reply, redact};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::terminal::{INTERRUPT, KILL, answered};

/// What every question of the model's ends in.
const AWAITED: &str = "says more to it) > ";

fn question(several: bool) -> Value {
    json!({
        "question": "Which store?",
        "options": [{ "label": "SQLite", "description": "one file" }, { "label": "Postgres" }, { "label": "\u{1b}[2JNone" }],
        "several": several,
    })
}

fn bench(several: bool) -> Bench {
    Bench::new([Reply::call("question", question(several)), Reply::text("as you like")])
}

/// What the model was told.
fn told(bench: &Bench) -> String {
    let requests = bench.server.requests();
    let body = requests.last().unwrap().json();
    body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[test]
fn options_are_numbered_and_a_number_chooses() {
    let bench = bench(false);
    let (code, screen) = answered(&bench, &["go"], AWAITED, &["2"]);
    assert_eq!((code, told(&bench).as_str()), (0, "the user chose \"Postgres\""), "{screen}");
    let from = screen.find("Which store?").unwrap();
    let shown = screen[from..].lines().take(5).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(redact(&shown), @r"
    Which store?
      1) SQLite: one file
      2) Postgres
      3) \u{1b}[2JNone
    a number from 1 to 3, or your own words (`1: …` says more to it) > 2
    ");
    insta::assert_snapshot!(bench.events(), @r"
    session.opened
    session.attached
    turn.started
    item.begun
    context.epoch
    context.added
    sample.started
    sample.ended
    item.begun
    call.authorized
    ask.opened
    ask.answered
    call.ended
    sample.started
    sample.ended
    turn.ended
    ");
    let shown = bench.bare(&["session", "show", "last"]).stdout;
    assert!(shown.contains("the model asks: Which store?\n[SQLite] [Postgres]"), "{shown}");
    assert!(shown.contains("the user chose \"Postgres\""), "{shown}");
}

#[test]
fn words_answer_too_and_several_can_be_chosen_where_it_says_so() {
    for (several, answer, result) in [
        (false, "neither: a plain file", "the user says: neither: a plain file"),
        (false, "sqlite: in memory", "the user chose \"SQLite\"\nthe user says: in memory"),
        (true, "1,2", "the user chose \"SQLite\" and \"Postgres\""),
    ] {
        let bench = bench(several);
        let (code, screen) = answered(&bench, &["go"], AWAITED, &[answer]);
        assert_eq!((code, told(&bench).as_str()), (0, result), "{screen}");
    }
    let bench = bench(false);
    let (code, screen) = answered(&bench, &["go"], AWAITED, &["1,2\n2"]);
    assert!(screen.contains("please answer with a number from 1 to 3, or in words > "), "{screen}");
    assert_eq!((code, told(&bench).as_str()), (0, "the user chose \"Postgres\""), "{screen}");
}

#[test]
fn it_needs_no_permission_in_any_mode() {
    for mode in ["plan", "ask", "auto-edit", "bypass"] {
        let bench = bench(false);
        let args = ["go", "--mode", mode, "--ask", "question"];
        let (code, screen) = answered(&bench, &args, AWAITED, &["1"]);
        assert_eq!((code, told(&bench).as_str()), (0, "the user chose \"SQLite\""), "{mode}: {screen}");
    }
    let bench = bench(false);
    assert_eq!(bench.run(&["go", "--deny", "question"]).code, 7, "but it can be forbidden");
}

#[test]
fn with_nobody_there_the_model_is_told_to_go_on_with_an_assumption() {
    let bench = bench(false);
    let run = bench.run(&["go"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "as you like\n"), "{}", run.shown());
    insta::assert_snapshot!(
        told(&bench),
        @"error: nobody is here to answer; go on with the assumption that is most likely right, and say in your last answer which one you made"
    );
    assert!(!run.stderr.contains("refused"), "{}", run.stderr);
}

#[test]
fn a_question_that_is_none_goes_back_to_the_model() {
    let one = json!({ "question": "Which?", "options": [{ "label": "only" }] });
    let bench = Bench::new([Reply::call("question", one), Reply::text("done")]);
    assert_eq!(bench.run(&["go"]).code, 0);
    assert!(told(&bench).contains("there are 1 options, and there must be 2 to 6"), "{}", told(&bench));
}

#[test]
fn it_is_a_record_like_all() {
    let bench = bench(false);
    let (code, screen) = answered(&bench, &["go", "--format", "jsonl"], AWAITED, &["1: yes"]);
    assert_eq!(code, 0, "{screen}");
    let records = bench.event_values();
    let of = |kind: &str| records.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(of("ask.opened")["ask"]["kind"], "question");
    assert_eq!(
        of("ask.opened")["ask"]["options"][0],
        json!({ "label": "SQLite", "description": "one file" })
    );
    let answer = json!({ "type": "chosen", "options": ["SQLite"], "text": "yes" });
    assert_eq!(of("ask.answered")["answer"], answer);
    assert!(
        screen.contains(r#""type":"ask.opened""#) && screen.contains(r#""type":"ask.answered""#),
        "{screen}"
    );
}

#[test]
fn an_interrupt_withdraws_it() {
    let bench = bench(false);
    let (code, screen) = answered(&bench, &["go"], AWAITED, &[INTERRUPT]);
    assert_eq!(code, 130, "{screen}");
    let events = bench.events();
    assert!(
        events.ends_with("ask.opened\nturn.interrupted\nask.withdrawn\ncall.ended\nturn.ended\n"),
        "{events}"
    );
}

#[test]
fn after_a_kill_it_is_asked_anew_or_the_model_hears_that_nobody_is_there() {
    let bench = bench(false);
    let (_, screen) = answered(&bench, &["go"], AWAITED, &[KILL]);
    let run = bench.run_as_it_was(&["--last"]);
    assert_eq!(run.code, 0, "{screen}\n{}", run.shown());
    assert!(told(&bench).contains("nobody is here to answer"), "{}", told(&bench));
    let events = bench.events();
    assert!(events.contains("ask.opened\nsession.adopted\nask.withdrawn\n"), "{events}");
}
