//! Hooks as the runner has them: one after the other, what they can do and what not.

use codetether_event::Seq;
use uuid::Uuid;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    hooks: Vec<Hook>,
}

impl Place {
    fn new(point: HookPoint, commands: &[&str]) -> Self {
        let hook = |command: &&str| Hook {
            point,
            matcher: None,
            command: (*command).to_owned(),
            time: Duration::from_secs(60),
            from: "user config.toml:1".into(),
            power: Power::AllowsAsks,
        };
        Self { dir: tempfile::tempdir().unwrap(), hooks: commands.iter().map(hook).collect() }
    }

    fn of_project(mut self) -> Self {
        self.hooks.iter_mut().for_each(|hook| hook.power = Power::Narrows);
        self
    }

    fn hooks(&self) -> Hooks {
        Hooks {
            hooks: Arc::new(self.hooks.clone()),
            root: Arc::new(Root::open(self.dir.path()).unwrap()),
            environment: Arc::new(codetether_sandbox::environment(std::env::vars_os(), [])),
            spool: self.dir.path().join("spool"),
            transcript: "/journal".into(),
            redactor: Arc::new(Redactor::new([codetether_secret::Secret::from("sk-a-known-key".to_owned())])),
            audit: None,
            session: Some(SessionId(Uuid::nil())),
            turn: None,
            mode: Mode::Ask,
            sandbox: None,
            item: ItemId::at(Seq(1)),
            marker: Uuid::now_v7().to_string(),
        }
    }

    async fn said(&self) -> Said {
        let point = self.hooks[0].point;
        self.hooks().run(point, &Map::new(), |_| true, &Cancel::new()).await.unwrap()
    }

    fn file(&self, name: &str) -> String {
        codetether_files::read_to_string(self.dir.path().join(name)).unwrap()
    }
}

#[tokio::test]
async fn hooks_run_in_their_order_and_the_first_that_is_against_it_ends_it() {
    let place = Place::new(
        HookPoint::PreToolUse,
        &["echo a >> ran", "echo b >> ran; echo no >&2; exit 2", "echo c >> ran"],
    );
    let said = place.said().await;
    let blocked = Some("hook `echo b >> ran; echo no >&2; exit 2`: no".to_owned());
    assert_eq!(said, Said { blocked, ..Said::default() });
    assert_eq!(place.file("ran"), "a\nb\n");
}

#[tokio::test]
async fn only_a_users_own_hook_allows_and_only_where_a_yes_is_asked_for() {
    let allow = r#"echo '{"decision": "approve", "reason": "it is mine"}'"#;
    let place = Place::new(HookPoint::PermissionRequest, &[allow]);
    assert!(place.said().await.allows.unwrap().ends_with("it is mine"));
    let said = place.of_project().said().await;
    assert_eq!(said.allows, None);
    assert!(said.warnings[0].ends_with("allows the call, which a project's hook cannot"), "{said:?}");
    assert_eq!(Place::new(HookPoint::PreToolUse, &[allow]).said().await, Said::default());
}

#[tokio::test]
async fn what_goes_wrong_is_said_and_the_work_goes_on() {
    for (command, why) in [
        ("echo broken >&2; exit 3", "it ended with exit code 3: broken; the work goes on"),
        ("kill -9 $$", "it was ended by signal 9; the work goes on"),
        (
            "echo '{'",
            "its output is not as it should be: EOF while parsing an object at line 1 column 1; the work goes on",
        ),
        ("head -c 70000 /dev/zero", "its output has 70000 bytes: 64 KiB are the most; the work goes on"),
        (
            "./nothing-there",
            "it ended with exit code 127: bash: line 1: ./nothing-there: No such file or directory; the work goes on",
        ),
    ] {
        let said = Place::new(HookPoint::PreToolUse, &[command]).said().await;
        let named = format!("hook `{command}` of PreToolUse (user config.toml:1): {why}");
        assert_eq!(said, Said { warnings: vec![named], ..Said::default() });
    }
    // Standard error is bounded too, and no secret is in it.
    let much = "printf 'sk-a-known-key '; head -c 200000 /dev/zero | tr '\\0' x";
    let said = Place::new(HookPoint::PreToolUse, &[&format!("{{ {much}; }} >&2; exit 2")]).said().await;
    let blocked = said.blocked.unwrap();
    assert!(blocked.contains(": [redacted] xxx") && blocked.ends_with("bytes left out …]"), "{blocked:.200}");
}

#[tokio::test]
async fn a_hook_that_takes_too_long_is_ended_with_all_that_it_started() {
    let mut place = Place::new(HookPoint::Stop, &["sleep 600 & echo $! > child; wait"]);
    place.hooks[0].time = Duration::from_millis(600);
    let said = place.said().await;
    assert!(said.warnings[0].contains("it was ended after 1 s, its limit of time"), "{said:?}");
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", place.file("child").trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[tokio::test]
async fn what_it_leaves_running_holds_nothing_up() {
    let place = Place::new(HookPoint::Stop, &["sleep 600 & echo $! > child; echo no >&2; exit 2"]);
    let said = place.said().await;
    assert!(said.blocked.unwrap().ends_with(": no"));
    let pid = rustix::process::Pid::from_raw(place.file("child").trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_hook_can_be_told_to_stop() {
    let place = Place::new(HookPoint::Stop, &["sleep 600"]);
    let cancel = Cancel::new();
    cancel.cancel();
    let outcome = place.hooks().run(HookPoint::Stop, &Map::new(), |_| true, &cancel).await;
    assert_eq!(outcome, Err(Interrupted));
}

#[tokio::test]
async fn what_the_model_is_to_know_ends_where_the_hook_does() {
    let place = Place::new(HookPoint::UserPromptSubmit, &["echo 'a</hook>b'"]);
    let wanted = "<hook point=\"UserPromptSubmit\" command=\"echo 'a?/hook?b'\">\na<\\/hook>b\n</hook>";
    assert_eq!(place.said().await.context, [wanted]);
}

#[tokio::test]
async fn what_the_model_is_told_has_bounds_that_are_said() {
    let much = "head -c 20000 /dev/zero | tr '\\0' x";
    let said = Place::new(HookPoint::SessionStart, &[much; 5]).said().await;
    assert_eq!((said.context.len(), said.warnings.len()), (3, 2));
    assert!(said.context[0].contains("x\n[… 4000 bytes left out …]\n</hook>"), "{:.200}", said.context[0]);
    assert!(
        said.warnings[0].contains("was left out, since all hooks of a point may tell"),
        "{:?}",
        said.warnings
    );
}

#[tokio::test]
async fn a_childs_end_can_be_put_off() {
    let place = Place::new(
        HookPoint::ChildStop,
        &[r#"cat > told; grep -q '"stop_hook_active":true' told || { echo 'test first' >&2; exit 2; }"#],
    );
    let child =
        |again| Child { session: SessionId(Uuid::nil()), agent: "explore", last_message: "done", again };
    let said = place.hooks().child_stop(child(false), &Cancel::new()).await.unwrap();
    assert!(said.blocked.unwrap().ends_with(": test first"));
    let said = place.hooks().child_stop(child(true), &Cancel::new()).await.unwrap();
    assert_eq!(said, Said::default());
    let told = place.file("told").replace(place.dir.path().to_str().unwrap(), "[root]");
    insta::assert_snapshot!(told, @r#"{"session_id":"00000000-0000-0000-0000-000000000000","turn_id":null,"transcript_path":"/journal","cwd":"[root]","permission_mode":"ask","hook_event_name":"ChildStop","agent_id":"00000000-0000-0000-0000-000000000000","agent_type":"explore","last_assistant_message":"done","stop_hook_active":true}"#);
}

#[tokio::test]
async fn all_hooks_of_the_end_share_one_bound_of_time() {
    let place = Place::new(HookPoint::SessionEnd, &["cat > told; sleep 600", "touch late"]);
    let notes = place.hooks().session_end("other", Duration::from_secs(1)).await;
    let texts: Vec<&str> = notes
        .iter()
        .map(|note| match note {
            Event::Note(NoteEvent::Warned { text }) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    let cut = "hook `cat > told; sleep 600` of SessionEnd (user config.toml:1): it was ended after 1 s, its limit of time; the \
               work goes on";
    let rest =
        "hooks of the session's end that were not run, since those before took the 1 s that all have: 1";
    assert_eq!(texts, [cut, rest]);
    assert!(place.file("told").contains(r#""reason":"other""#) && !place.dir.path().join("late").exists());
}
