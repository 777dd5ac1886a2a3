//! From text to tree: where the tree itself is not to be trusted, the program is unclear.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, Parser, Tree, TreeCursor};

use crate::shell::LONGEST;
use crate::shell::lexer::{Nested, Unclear};

/// Times that a parse reports before it is given up: far more than any program of [`LONGEST`] bytes takes that is
/// not made to take long.
const PATIENCE: u32 = 20_000;

thread_local! {
    static PARSER: RefCell<Option<Parser>> = const { RefCell::new(None) };
}

/// The tree of a program.
pub(crate) fn parse(source: &str) -> Result<Tree, Unclear> {
    if source.len() > LONGEST {
        return Err(Unclear("it is too long to be read"));
    }
    // bash parts words at spaces, tabs and new lines alone; what else looks like a blank is not one to it.
    if source.chars().any(|c| (c.is_whitespace() || c.is_control()) && !matches!(c, ' ' | '\t' | '\n')) {
        return Err(Unclear("it holds a character that looks like a blank or acts on a terminal"));
    }
    let tree = PARSER.with_borrow_mut(|slot| {
        let parser = match slot {
            Some(parser) => parser,
            None => {
                let mut parser = Parser::new();
                parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
                slot.insert(parser)
            }
        };
        let mut reports = 0_u32;
        let mut progress = |_: &tree_sitter::ParseState| {
            reports += 1;
            if reports > PATIENCE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let bytes = source.as_bytes();
        let tree = parser.parse_with_options(
            &mut |at, _| bytes.get(at..).unwrap_or_default(),
            None,
            Some(ParseOptions::new().progress_callback(&mut progress)),
        );
        parser.reset();
        tree
    });
    let tree = tree.ok_or(Unclear("it takes too long to be read"))?;
    if tree.root_node().has_error() { Err(Unclear("it cannot be parsed")) } else { Ok(tree) }
}

/// Every node, parents first.
pub(crate) fn every<'t>(tree: &'t Tree) -> impl Iterator<Item = Node<'t>> {
    let mut cursor: TreeCursor<'t> = tree.walk();
    let mut next = Some(cursor.node());
    std::iter::from_fn(move || {
        let node = next?;
        let moved = cursor.goto_first_child() || cursor.goto_next_sibling() || {
            loop {
                if !cursor.goto_parent() {
                    break false;
                }
                if cursor.goto_next_sibling() {
                    break true;
                }
            }
        };
        next = moved.then(|| cursor.node());
        Some(node)
    })
}

/// The substitutions, by where they begin.
pub(crate) fn nested(tree: &Tree) -> BTreeMap<usize, Nested> {
    let kind = |node: &Node<'_>| match node.kind() {
        "command_substitution" | "process_substitution" => Some(false),
        "arithmetic_expansion" => Some(true),
        _ => None,
    };
    every(tree)
        .filter_map(|node| {
            Some((node.start_byte(), Nested { end: node.end_byte(), arithmetic: kind(&node)? }))
        })
        .collect()
}
