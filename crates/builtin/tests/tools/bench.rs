//! A folder, a host that runs nothing, and calls as the gate makes them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use codetether_builtin::{Builtin, Shell};
use codetether_event::{ContentId, ItemId, Piece, Seq, ToolName, Touches};
use codetether_files::Root;
use codetether_tool::{
    Args, BoxFuture, Cancel, Command, Exit, ExitStatus, Heard, Hidden, Host, Hosts, Known, Limits, Tool,
    ToolContext, ToolError, ToolOutput, ToolSource, Wish,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) cx: ToolContext,
    pub(crate) host: Arc<Fake>,
    /// What the model knows of files, as the session keeps it.
    known: Arc<Mutex<BTreeMap<String, ContentId>>>,
}

/// Answers every command with the same end.
pub(crate) struct Fake {
    pub(crate) exit: Mutex<Exit>,
    pub(crate) ran: Mutex<Vec<Command>>,
    pub(crate) wishes: Mutex<Vec<Wish>>,
    /// What is heard of processes, whatever is wanted.
    pub(crate) heard: Mutex<Vec<Heard>>,
}

impl Host for Fake {
    fn exec<'a>(&'a self, command: Command, _: &'a ToolContext) -> BoxFuture<'a, Result<Exit, ToolError>> {
        self.ran.lock().unwrap().push(command);
        let exit = self.exit.lock().unwrap().clone();
        Box::pin(async move { Ok(exit) })
    }

    fn process<'a>(&'a self, wish: Wish, _: &'a ToolContext) -> BoxFuture<'a, Result<Vec<Heard>, ToolError>> {
        if let Wish::Start(command) = &wish {
            self.ran.lock().unwrap().push(command.clone());
        }
        self.wishes.lock().unwrap().push(wish);
        let heard = self.heard.lock().unwrap().clone();
        Box::pin(async move { Ok(heard) })
    }

    fn recall(&self, call: ItemId) -> BoxFuture<'_, Result<Option<String>, ToolError>> {
        let text = (call == ItemId::at(Seq(1))).then(|| "remembered\n".to_owned());
        Box::pin(async move { Ok(text) })
    }

    fn emit(&self, _: ItemId, _: Piece) {}
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let root = Root::open(dir.path().join("root")).unwrap();
        let exit =
            Exit { status: ExitStatus::Code(0), output: String::new(), whole: None, notes: Vec::new() };
        let host = Arc::new(Fake {
            exit: Mutex::new(exit),
            ran: Mutex::default(),
            wishes: Mutex::default(),
            heard: Mutex::default(),
        });
        let known = Arc::<Mutex<BTreeMap<String, ContentId>>>::default();
        let cx = ToolContext {
            call: ItemId::at(Seq(1)),
            root: Arc::new(root),
            limits: Limits::default(),
            cancel: Cancel::new(),
            host: Arc::clone(&host) as Arc<dyn Host>,
            hidden: Hidden::default(),
            known: Known::by({
                let known = Arc::clone(&known);
                move |path| known.lock().unwrap().get(path).cloned()
            }),
            hosts: Hosts::default(),
        };
        Self { dir, cx, host, known }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    /// A file in the root, with its folders.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A file beside the root, which no tool may see.
    pub(crate) fn outside(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn link(&self, name: &str, target: impl AsRef<std::path::Path>) {
        std::os::unix::fs::symlink(target, self.path(name)).unwrap();
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        self.path(name).metadata().unwrap().permissions().mode() & 0o7777
    }

    pub(crate) async fn call(&self, tool: &str, args: Value) -> Result<ToolOutput, ToolError> {
        let output = find(tool).call(Args(args), &self.cx).await?;
        let mut known = self.known.lock().unwrap();
        for file in &output.known {
            match &file.content {
                Some(content) => known.insert(file.path.clone(), content.clone()),
                None => known.remove(&file.path),
            };
        }
        Ok(output)
    }

    /// What the model is told by a call that succeeds.
    pub(crate) async fn told(&self, tool: &str, args: Value) -> String {
        self.call(tool, args).await.unwrap().text
    }

    /// What the model is told by a call that cannot be done.
    pub(crate) async fn refused(&self, tool: &str, args: Value) -> String {
        match self.call(tool, args).await {
            Err(ToolError::ForModel(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn preview(&self, tool: &str, args: Value) -> String {
        find(tool).preview(&Args(args), &self.cx).await
    }
}

pub(crate) fn touches(tool: &str, args: Value) -> Touches {
    find(tool).touches(&Args(args))
}

/// The tools of a session whose commands are not confined.
fn find(tool: &str) -> Arc<dyn Tool> {
    find_in(Shell::Bare, tool)
}

pub(crate) fn find_in(shell: Shell, tool: &str) -> Arc<dyn Tool> {
    Builtin::new(shell).tool(&ToolName::new(tool)).unwrap()
}
