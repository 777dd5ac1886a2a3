use codetether_builtin::{Builtin, Shell};
use codetether_event::{ToolName, Touches};
use codetether_tool::ToolSource;
use serde_json::{Value, json};

use crate::bench::touches;

#[test]
fn the_tools_are_small_and_in_a_stable_order() {
    let manifest = Builtin::new(Shell::Confined).manifest();
    let names: Vec<&str> = manifest.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "read",
            "write",
            "edit",
            "list",
            "glob",
            "grep",
            "bash",
            "recall",
            "todo",
            "question",
            "process",
            "delegate",
            "multi_edit",
            "apply_patch",
            "web_fetch"
        ]
    );
    let shown: Vec<_> = manifest
        .iter()
        .map(|spec| json!({"name": spec.name, "description": spec.description, "parameters": spec.schema}))
        .collect();
    // What is shown always leaves room for others below 6 KB, and none takes all of that.
    let bytes = |shown: &[Value]| serde_json::to_string(shown).unwrap().len();
    let core = bytes(&shown[..Builtin::new(Shell::Confined).core()]);
    assert!(core < 4_500, "{core}");
    assert!(shown.iter().all(|tool| bytes(std::slice::from_ref(tool)) < 1_200), "{shown:?}");
    assert!(Builtin::new(Shell::Bare).tool(&ToolName::new("no-such-tool")).is_none());
}

#[test]
fn a_schema_is_what_a_model_needs_and_no_more() {
    let manifest = Builtin::new(Shell::Bare).manifest();
    let read = serde_json::to_string_pretty(&manifest[0].schema).unwrap();
    insta::assert_snapshot!(read, @r#"
    {
      "type": "object",
      "properties": {
        "path": {
          "type": "string",
          "description": "Relative to the workspace"
        },
        "offset": {
          "type": "integer",
          "description": "First line, from 1",
          "minimum": 0
        },
        "limit": {
          "type": "integer",
          "description": "Number of lines, 2000 by default",
          "minimum": 0
        }
      },
      "required": [
        "path"
      ],
      "additionalProperties": false
    }
    "#);
}

#[test]
fn what_a_call_touches_is_told_before_it_runs() {
    let reads = |path: &str| Touches { reads: vec![path.into()], ..Touches::default() };
    assert_eq!(touches("read", json!({"path": "a"})), reads("a"));
    assert_eq!(touches("list", json!({})), reads("."));
    assert_eq!(touches("glob", json!({"pattern": "*", "path": "b"})), reads("b"));
    assert_eq!(touches("grep", json!({"pattern": "x"})), reads("."));
    let write = touches("write", json!({"path": "a", "content": ""}));
    assert_eq!(write, Touches { writes: vec!["a".into()], ..Touches::default() });
    let edit = touches("edit", json!({"path": "a", "old": "x", "new": "y"}));
    assert_eq!(edit, Touches { writes: vec!["a".into()], ..reads("a") });
    let edits = json!([{"path": "a", "old": "x", "new": "y"}, {"path": "b", "old": "x", "new": "y"}]);
    let both = || vec!["a".to_owned(), "b".to_owned()];
    let multi_edit = touches("multi_edit", json!({"edits": edits}));
    assert_eq!(multi_edit, Touches { reads: both(), writes: both(), ..Touches::default() });
    let bash = touches("bash", json!({"command": "rm -rf x"}));
    assert_eq!(bash, Touches { commands: vec!["rm -rf x".into()], ..Touches::default() });
    let page = touches("web_fetch", json!({"url": "https://Docs.RS/x#y"}));
    assert_eq!(page, Touches { hosts: vec!["docs.rs".into()], ..Touches::default() });
    assert_eq!(touches("web_fetch", json!({"url": "file:///etc/passwd"})), Touches::default());
}
