//! `codetether chat`: a conversation at a terminal, by the keys that a person would type.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use codetether_testkit::{Reply, planted};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::pty::Terminal;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_R: &str = "\x12";
const PROMPT: &str = "> ";

fn command(bench: &Bench, args: &[&str], term: &str) -> Command {
    let mut command = bench.home.command("setsid".as_ref());
    command.args(["-c", env!("CARGO_BIN_EXE_codetether")]).args(args);
    command.current_dir(bench.path("")).env("TERM", term).env_remove("NO_COLOR");
    command.env("OPENAI_BASE_URL", bench.server.base_url()).env("OPENAI_API_KEY", planted::KEY);
    command
}

fn chat(bench: &Bench, args: &[&str]) -> Terminal {
    at(bench, args, "xterm-256color")
}

fn at(bench: &Bench, args: &[&str], term: &str) -> Terminal {
    let args = [&["chat", "-m", "openai/scripted"], args].concat();
    let mut terminal = Terminal::start(command(bench, &args, term));
    terminal.expect("Ctrl-D leaves");
    terminal.expect(PROMPT);
    terminal
}

/// The texts of the user's messages in a request, but for the one about the place.
fn said(bench: &Bench, request: usize) -> Vec<String> {
    let body: Value = serde_json::from_slice(&bench.server.requests()[request].body).unwrap();
    let messages = body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user");
    let texts = messages.map(|message| message["content"].as_str().unwrap_or_default().to_owned());
    texts.filter(|text| !text.starts_with("<environment>")).collect()
}

#[test]
fn turns_follow_each_other_in_one_session_in_any_script() {
    let bench = Bench::new([Reply::text("Grüße, 世界."), Reply::text("again")]);
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("héllo 你好 e\u{301}!\x7f?\r");
    terminal.expect("Grüße, 世界.");
    terminal.expect(" tokens in ");
    terminal.expect(PROMPT);
    terminal.type_keys("und nun\r");
    terminal.expect("again");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(said(&bench, 1), ["héllo 你好 e\u{301}?", "und nun"]);
    assert_eq!(bench.events().matches("turn.ended").count(), 2);
    assert_eq!(bench.events().matches("session.").count(), 2, "opened and attached once: {}", bench.events());
    let colours = screen
        .split("\x1b[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'));
    assert!(!colours, "{screen:?}");
    assert!(screen.contains("codetether chat --resume"), "{screen}");
}

#[test]
fn several_lines_are_pasted_or_typed_as_one_prompt() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two"), Reply::text("three")]);
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("\x1b[200~first \\\rsecond\r\rthird\x1b[201~");
    terminal.type_keys("!\r");
    terminal.expect("one\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys("a\x1b\rb\r");
    terminal.expect("two\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys("c\\\rd\r");
    terminal.expect("three\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(said(&bench, 2), ["first \\\nsecond\n\nthird!", "a\nb", "c\nd"]);
}

#[test]
fn an_ask_is_answered_inline_and_a_no_reaches_the_model() {
    let call = |file: &str| Reply::call("bash", json!({ "command": format!("touch {file}") }));
    let bench = Bench::new([call("yes"), Reply::text("made"), call("no"), Reply::text("not made")]);
    let mut terminal = chat(&bench, &["--mode", "ask"]);
    terminal.type_keys("go\r");
    terminal.expect("run `touch yes`");
    terminal.expect("(a reason may follow) > ");
    terminal.type_keys("y\n");
    terminal.expect("made\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys("again\r");
    terminal.expect("(a reason may follow) > ");
    terminal.type_keys("n rather not\n");
    terminal.expect("not made\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(bench.path("yes").exists() && !bench.path("no").exists());
    let body = String::from_utf8(bench.server.requests()[3].body.clone()).unwrap();
    assert!(body.contains("the user said no: rather not"), "{body}");
}

#[test]
fn ctrl_c_stops_the_turn_and_twice_at_an_empty_prompt_leaves() {
    let bench = Bench::new([Reply::stall(), Reply::text("here again")]);
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("go\r");
    terminal.expect("thinking");
    terminal.type_keys(CTRL_C);
    terminal.expect("stopped");
    terminal.expect(PROMPT);
    terminal.type_keys("go on\r");
    terminal.expect("here again");
    terminal.expect(PROMPT);
    terminal.type_keys("half a thought");
    terminal.expect("thought");
    terminal.type_keys(CTRL_C);
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_C);
    terminal.expect("Ctrl-C once more, or Ctrl-D, leaves");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_C);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(bench.server.requests().len(), 2, "{screen}");
    assert!(bench.events().contains("turn.interrupted"));
}

#[test]
fn a_question_is_interrupted_like_any_other_work() {
    let bench =
        Bench::new([Reply::call("bash", json!({ "command": "touch made" })), Reply::text("well then")]);
    let mut terminal = chat(&bench, &["--mode", "ask"]);
    terminal.type_keys("go\r");
    terminal.expect("(a reason may follow) > ");
    terminal.type_keys(CTRL_C);
    terminal.expect("stopped");
    terminal.expect(PROMPT);
    terminal.type_keys("and now\r");
    terminal.expect("well then");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    assert!(!bench.path("made").exists());
}

/// A chat in whose first turn a command waits until something is written into the file `gate`.
fn held(bench: &Bench) -> Terminal {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, bench.path("gate"), kind, mode, 0).unwrap();
    let mut terminal = chat(bench, &["--yes", "--no-sandbox"]);
    terminal.type_keys("go\r");
    terminal.expect("bash head -n 1 gate");
    terminal
}

/// Lets the turn of `held` go on to its end, and leaves.
fn let_go(bench: &Bench, mut terminal: Terminal, last: &str) -> String {
    // Held open until the end, so that what is written is there whenever the other side begins to read.
    let mut gate = codetether_files::open_append(bench.path("gate"), 0o600).unwrap();
    gate.write_all(b"open\n").unwrap();
    terminal.expect("turned left");
    terminal.expect(last);
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    screen
}

fn held_replies() -> [Reply; 2] {
    [Reply::call("bash", json!({ "command": "head -n 1 gate" })), Reply::text("turned left")]
}

#[test]
fn an_interrupt_while_steering_throws_away_the_line_alone() {
    let bench = Bench::new(held_replies());
    let mut terminal = held(&bench);
    terminal.type_keys("half a thought");
    terminal.expect("steer> ");
    terminal.expect("thought");
    terminal.type_keys(CTRL_C);
    // The spinner comes back, and the turn goes on.
    terminal.expect("bash head -n 1 gate");
    let screen = let_go(&bench, terminal, " tokens in ");
    assert!(!screen.contains("stopp"), "{screen}");
    assert_eq!(said(&bench, 1), ["go"]);
}

#[test]
fn a_command_waits_for_the_end_of_the_turn_and_steering_goes_on() {
    let bench = Bench::new(held_replies());
    bench.file("notes.txt", "mind the gap\n");
    let mut terminal = held(&bench);
    terminal.type_keys("/title Two turns\r");
    terminal.expect("that waits for the end of the turn");
    terminal.expect("bash head -n 1 gate");
    terminal.type_keys("look at @notes.txt\r");
    terminal.expect("steer> ");
    terminal.expect("bash head -n 1 gate");
    let_go(&bench, terminal, " tokens in ");
    let body = String::from_utf8(bench.server.requests()[1].body.clone()).unwrap();
    assert!(body.contains("look at @notes.txt") && body.contains("mind the gap"), "{body}");
    let list = bench.bare(&["session", "list"]).stdout;
    assert!(list.contains("Two turns"), "{list}");
}

#[test]
fn what_is_typed_while_the_model_works_is_steering() {
    let bench =
        Bench::new([Reply::call("bash", json!({ "command": "head -n 1 gate" })), Reply::text("turned left")]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.path("gate"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut terminal = chat(&bench, &["--yes", "--no-sandbox"]);
    terminal.type_keys("go\r");
    terminal.expect("bash head -n 1 gate");
    terminal.type_keys("look lëft\r");
    terminal.expect("steer> ");
    // The spinner comes back when the line was taken in.
    terminal.expect("bash head -n 1 gate");
    // Held open until the end, so that what is written is there whenever the other side begins to read.
    let mut gate = codetether_files::open_append(bench.path("gate"), 0o600).unwrap();
    gate.write_all(b"open\n").unwrap();
    terminal.expect("turned left");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(said(&bench, 1), ["go", "look lëft"]);
    assert!(bench.events().contains("turn.steered"), "{}", bench.events());
}

#[test]
fn a_terminal_that_is_resized_keeps_the_line() {
    let bench = Bench::new([Reply::text("seen")]);
    let mut terminal = chat(&bench, &[]);
    let words = "every word of it ".repeat(8);
    terminal.type_keys(&words);
    terminal.expect("every word");
    terminal.resize(20);
    terminal.type_keys("and more");
    terminal.expect("more");
    terminal.resize(120);
    terminal.type_keys("!\r");
    terminal.expect("seen");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(said(&bench, 0), [format!("{words}and more!")]);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let bench = Bench::new([]);
        let mut terminal = chat(&bench, &[]);
        terminal.type_keys("half a");
        terminal.expect("half a");
        terminal.signal(signal);
        assert_eq!(terminal.end().0, 0, "at the prompt");

        let bench = Bench::new([Reply::stall()]);
        let mut terminal = chat(&bench, &[]);
        terminal.type_keys("go\r");
        terminal.expect("thinking");
        terminal.signal(signal);
        assert_eq!(terminal.end().0, 130, "in a turn");
        assert!(bench.events().ends_with("turn.ended\n"), "{}", bench.events());

        let bench = Bench::new([Reply::stall()]);
        let mut terminal = chat(&bench, &[]);
        terminal.type_keys("go\r");
        terminal.expect("thinking");
        terminal.type_keys("left");
        terminal.expect("steer> ");
        terminal.expect("left");
        terminal.signal(signal);
        assert_eq!(terminal.end().0, 130, "while steering");
    }
}

#[test]
fn a_session_is_taken_up_again() {
    let bench =
        Bench::new([Reply::text("the first answer"), Reply::text("other"), Reply::text("the second")]);
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("first question\r");
    terminal.expect("the first answer");
    terminal.expect(PROMPT);
    terminal.type_keys("/new\r");
    terminal.expect("a new session begins in ");
    terminal.expect("model, mode and agent stay");
    terminal.expect(PROMPT);
    terminal.type_keys("elsewhere\r");
    terminal.expect("other");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(said(&bench, 1), ["elsewhere"]);
    let list = bench.bare(&["session", "list"]).stdout;
    let id = list.lines().find(|line| line.contains("first question")).unwrap().split(' ').next().unwrap();

    let args = ["chat", "-m", "openai/scripted", "--resume", id];
    let mut terminal = Terminal::start(command(&bench, &args, "xterm"));
    terminal.expect("1 turns so far");
    terminal.expect("> first question");
    terminal.expect("the first answer");
    terminal.expect(PROMPT);
    terminal.type_keys("/resume\r");
    terminal.expect("elsewhere");
    terminal.expect("first question");
    terminal.expect(PROMPT);
    terminal.type_keys("second question\r");
    terminal.expect("the second");
    terminal.expect(PROMPT);
    terminal.type_keys("/exit\r");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(said(&bench, 2), ["first question", "second question"]);
}

#[test]
fn commands_do_what_help_says() {
    let bench = Bench::new([
        Reply::call("write", json!({ "path": "new.txt", "content": "one\n" })),
        Reply::text("written"),
        Reply::text("by another"),
    ]);
    let mut terminal = chat(&bench, &[]);
    let mut does = |typed: &str, shown: &[&str]| {
        terminal.type_keys(&format!("{typed}\r"));
        shown.iter().for_each(|text| terminal.expect(text));
        terminal.expect(PROMPT);
    };
    does("/help", &["/undo [N]", "/exit", "Ctrl-R searches"]);
    does("/undo", &["nothing has been said in this session yet"]);
    does("/modle", &["there is no command `/modle`", "did you mean", "`/model`"]);
    does("/mode loud", &["there is no mode `loud`"]);
    does("write it", &["written"]);
    does("/changes", &["created", "new.txt"]);
    does("/diff", &["+one"]);
    does("/undo", &["changed  new.txt", "1 file changed; `/redo` turns it round"]);
    assert!(!bench.path("new.txt").exists());
    does("/undo", &["has changed no files, or all was taken back"]);
    does("/diff", &["this session has changed no files"]);
    does("/redo", &["1 file changed; `/undo` turns it round"]);
    does("/undo 2", &["no more than 1 step changed files"]);
    does("/redo", &["1 file changed"]);
    assert_eq!(bench.read("new.txt"), "one\n");
    does("/cost", &["2 requests", "price unknown"]);
    does("/title", &["write it; `/title TEXT` gives another"]);
    does("/title A new text", &["the title is now: A new text"]);
    does("/help model", &["/model [PROVIDER/MODEL]"]);
    does("/model", &["openai/scripted"]);
    does("/model nowhere/x", &["there is no provider `nowhere`", "set up here: `openai`"]);
    does("/model openai", &["`openai` is a provider: write `openai/MODEL`"]);
    does("/model openai/other", &["openai/other is asked from here on"]);
    does("/mode plan", &["mode plan from here on"]);
    does("and now", &["by another"]);
    terminal.type_keys("/exit\r");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("codetether::"), "{screen}");
    let body: Value = serde_json::from_slice(&bench.server.requests()[2].body).unwrap();
    assert_eq!(body["model"], "other");
    assert!(bench.bare(&["session", "list"]).stdout.contains("A new text"));
}

#[test]
fn another_sandbox_is_another_opening_of_the_same_session() {
    let bench = Bench::new([
        Reply::text("first"),
        Reply::call("bash", json!({ "command": "echo free > out" })),
        Reply::text("second"),
    ]);
    bench.user_settings("[sandbox]\nbypass = \"unconfined\"\n");
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("one\r");
    terminal.expect("first");
    terminal.expect(PROMPT);
    terminal.type_keys("/mode bypass\r");
    terminal.expect("mode bypass · no sandbox");
    terminal.expect(PROMPT);
    terminal.type_keys("two\r");
    terminal.expect("second");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(bench.events().matches("session.opened").count(), 1);
    assert_eq!(bench.events().matches("session.adopted").count(), 1);
    assert_eq!(said(&bench, 1), ["one", "two"]);
    assert_eq!(bench.read("out"), "free\n");
}

#[test]
fn what_was_typed_is_found_again_and_kept_for_its_owner_alone() {
    let bench = Bench::new([Reply::text("one"), Reply::text("two"), Reply::text("three")]);
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("mend the gate\r");
    terminal.expect("one\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys(&format!("my key is {}\r", planted::KEY));
    terminal.expect("two\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    // What was typed is on the screen, but in no file.
    drop(terminal);
    let path = bench.home.data().join("codetether/chat_history.jsonl");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("\"mend the gate\"\n"));

    let mut terminal = chat(&bench, &[]);
    terminal.type_keys(CTRL_R);
    terminal.expect("search");
    terminal.type_keys("gate");
    terminal.expect("mend the gate");
    terminal.type_keys("\r");
    terminal.expect("three\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(said(&bench, 2), ["mend the gate"]);
}

#[test]
fn tab_completes_commands_and_paths() {
    let bench = Bench::new([Reply::text("read")]);
    bench.file("déjà vu.txt", "seen before\n");
    let mut terminal = chat(&bench, &[]);
    terminal.type_keys("/hel\t\r");
    terminal.expect("list what can be typed");
    terminal.expect(PROMPT);
    terminal.type_keys("see @dé\t and @mai\t\r");
    terminal.expect("read\r\n");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    let body = String::from_utf8(bench.server.requests()[0].body.clone()).unwrap();
    assert!(body.contains(r#"see @\"déjà vu.txt\" and @main.py"#), "{body}");
    assert!(body.contains("seen before") && body.contains("print("), "both are attached: {body}");
}

#[test]
fn a_dumb_terminal_gets_plain_lines_and_nothing_is_drawn_twice() {
    for term in ["dumb", ""] {
        let bench = Bench::new([
            Reply::call("bash", json!({ "command": "touch made" })),
            Reply::text("first\nsecond"),
            Reply::stall(),
        ]);
        let mut terminal = at(&bench, &["--mode", "ask"], term);
        terminal.type_keys("one \\\ntwo\n");
        terminal.expect("(a reason may follow) > ");
        terminal.type_keys("y\n");
        terminal.expect("second");
        terminal.expect("tokens in");
        terminal.expect(PROMPT);
        terminal.type_keys("more\n");
        while bench.server.requests().len() < 3 {
            std::thread::yield_now();
        }
        terminal.type_keys(CTRL_C);
        terminal.expect("stopped");
        terminal.expect(PROMPT);
        terminal.type_keys(CTRL_C);
        terminal.expect("leaves");
        terminal.expect(PROMPT);
        terminal.type_keys(CTRL_C);
        let (code, screen) = terminal.end();
        assert_eq!(code, 0, "{screen}");
        assert!(!screen.contains('\x1b'), "{screen:?}");
        assert_eq!(said(&bench, 0), ["one \ntwo"]);
        assert!(bench.path("made").exists());
    }
}

#[test]
fn without_a_command_there_is_a_chat_at_a_terminal_and_else_the_help() {
    let bench = Bench::new([Reply::text("hello")]);
    bench.user_settings("model = \"openai/scripted\"\n");
    let mut terminal = Terminal::start(command(&bench, &[], "xterm"));
    terminal.expect(PROMPT);
    terminal.type_keys("hi\r");
    terminal.expect("hello");
    terminal.expect(PROMPT);
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    let help = bench.bare(&[]);
    assert_eq!((help.code, help.stdout.as_str()), (2, ""));
    assert!(help.stderr.contains("Usage: codetether") && help.stderr.contains("chat"), "{}", help.stderr);
    let chat = bench.bare(&["chat"]);
    assert_eq!(chat.code, 2);
    assert!(chat.stderr.contains("`chat` needs a terminal"), "{}", chat.stderr);
}

#[test]
fn agents_and_commands_that_files_define_are_there_and_a_summary_when_it_is_asked_for() {
    let long = "what was found out, at length. ".repeat(3_000);
    let bench = Bench::new([
        Reply::text(&long).no_usage(),
        Reply::text("reviewed").no_usage(),
        Reply::text("the third").no_usage(),
        Reply::text("They found it out.").no_usage(),
        Reply::text("the last").no_usage(),
    ]);
    let own = bench.home.config().join("codetether/commands/review.md");
    codetether_files::create_dir_all(own.parent().unwrap()).unwrap();
    codetether_files::write_atomic(own, b"Review $1 with care.\n", &<_>::default()).unwrap();
    let mut terminal = chat(&bench, &[]);
    let mut does = |typed: &str, expected: &str| {
        terminal.type_keys(&format!("{typed}\r"));
        terminal.expect(expected);
        terminal.expect(PROMPT);
    };
    does("/compact", "nothing has been said");
    does("look", "at length");
    does("/agent nobody", "nobody");
    does("/agent plan", "agent plan from here on");
    does("/mode auto-edit", "mode auto-edit is kept; agent `plan` narrows it to plan");
    does("/review main.py", "reviewed");
    does("/agent build", "agent build from here on");
    does("/reviews x", "there is no command");
    does("and now", "the third");
    does("/compact", "gave way");
    does("go on", "the last");
    terminal.type_keys(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(said(&bench, 1), ["look", "Review main.py with care."]);
    let offered = |request: usize| bench.server.json(request)["tools"].to_string();
    assert!(!offered(1).contains("\"write\"") && offered(2).contains("\"write\""));
    assert!(!bench.server.json(4).to_string().contains("at length. what"), "it gave way");
    assert!(bench.server.json(4).to_string().contains("They found it out."));
}

#[test]
fn a_fork_goes_on_by_itself_and_the_conversation_goes_back() {
    let bench = Bench::new([
        Reply::call("write", json!({ "path": "new.txt", "content": "one\n" })),
        Reply::text("written"),
        Reply::text("only words"),
        Reply::text("in the fork"),
    ]);
    let mut terminal = chat(&bench, &["--mode", "auto-edit"]);
    let mut does = |line: &str, shown: &[&str]| {
        terminal.type_keys(&format!("{line}\r"));
        shown.iter().for_each(|text| terminal.expect(text));
        terminal.expect(PROMPT);
    };
    does("write it", &["written"]);
    does("say something", &["only words"]);
    let first = bench.last_session();
    does("/fork", &[&format!("session {}", &first[..8])]);
    does("/changes", &["new.txt"]);
    does("/undo --conversation", &["changed  new.txt"]);
    assert!(!bench.path("new.txt").exists());
    does("and now", &["in the fork"]);
    terminal.type_keys("/exit\r");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    // The fork's conversation went back to before the step that wrote, and the other session has all of it.
    let body = String::from_utf8(bench.server.requests()[3].body.clone()).unwrap();
    assert!(!body.contains("only words") && body.contains("and now"), "{body}");
    let whole = bench.bare(&["session", "show", &first]).stdout;
    assert!(whole.contains("only words") && !whole.contains("and now"), "{whole}");
}
