//! What must hold between keys.

use super::tree::Node;
use super::types::Config;
use crate::finding::Finding;

pub(super) fn check(_config: &Config, _root: &Node) -> Vec<Finding> {
    Vec::new()
}
