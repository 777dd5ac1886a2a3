//! Which tools the model is shown from the start, and which are late: found through one of two more tools, and called
//! through the other, so that they cost nothing until they are used and the prefix never changes.

use codetether_event::{BlobId, ToolName};
use codetether_files::BlobStore;
use codetether_tool::{CALL_TOOL, TOOL_SEARCH, ToolSource, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A tool as it stands in the tools' blob.
#[derive(Serialize, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: ToolName,
    pub(crate) description: String,
    pub(crate) schema: Value,
}

impl From<ToolSpec> for Declared {
    fn from(ToolSpec { name, description, schema }: ToolSpec) -> Self {
        Self { name, description, schema }
    }
}

impl Declared {
    /// Bytes in the blob.
    fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len().saturating_add(1))
    }
}

/// What is shown of the tools: all, where they fit into `room` bytes; else the core ones, those behind them that fit too,
/// and the two by which the rest is found and called.
pub(crate) fn shown(
    source: &dyn ToolSource,
    specs: Vec<ToolSpec>,
    offered: Option<&[ToolName]>,
    room: usize,
) -> Vec<Declared> {
    let core = source.core();
    let offers = |name: &ToolName| offered.is_none_or(|offered| offered.contains(name));
    let all = specs.into_iter().enumerate().filter(|(_, spec)| offers(&spec.name));
    let mut all: Vec<(usize, Declared)> = all.map(|(at, spec)| (at, spec.into())).collect();
    let bytes = |tools: &[(usize, Declared)]| -> usize {
        tools.iter().fold(2, |sum: usize, (_, tool)| sum.saturating_add(tool.bytes()))
    };
    let means: Vec<Declared> = [TOOL_SEARCH, CALL_TOOL]
        .iter()
        .filter_map(|name| Some(source.tool(&ToolName::new(*name))?.spec().clone().into()))
        .collect();
    if means.len() == 2 && bytes(&all) > room {
        let mut used = means.iter().fold(2, |sum: usize, tool| sum.saturating_add(tool.bytes()));
        let mut fits = 0;
        for (at, tool) in &all {
            used = used.saturating_add(tool.bytes());
            if *at >= core && used > room {
                break;
            }
            fits += 1;
        }
        if fits < all.len() {
            all.truncate(fits);
            return all.into_iter().map(|(_, tool)| tool).chain(means).collect();
        }
    }
    all.into_iter().map(|(_, tool)| tool).collect()
}

/// How late tools are known.
pub(crate) struct Late {
    pub(crate) tools: Arc<dyn ToolSource>,
    /// Those that are offered; all when absent.
    pub(crate) offered: Option<Vec<ToolName>>,
    /// The tools' blob of the epoch.
    pub(crate) declared: Option<BlobId>,
}

impl Late {
    /// What is offered and was not declared.
    pub(crate) fn specs(&self, blobs: &BlobStore) -> Vec<ToolSpec> {
        let json = self.declared.as_ref().and_then(|blob| blobs.get(blob).ok()).unwrap_or_default();
        let declared: Vec<Declared> = serde_json::from_slice(&json).unwrap_or_default();
        let offers = |name: &ToolName| self.offered.as_ref().is_none_or(|offered| offered.contains(name));
        let mut specs = self.tools.manifest();
        specs.retain(|spec| offers(&spec.name) && !declared.iter().any(|tool| tool.name == spec.name));
        specs
    }
}

/// Names that come close to one that is none, the closest first.
pub(crate) fn near(name: &ToolName, names: Vec<ToolName>) -> Vec<ToolName> {
    const NEAR: usize = 5;
    let mut near: Vec<(f64, ToolName)> = names
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name.as_str(), other.as_str()), other))
        .filter(|(likeness, _)| *likeness > 0.7)
        .collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().take(NEAR).map(|(_, name)| name).collect()
}
