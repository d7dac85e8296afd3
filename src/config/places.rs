//! Where each key of a loaded configuration stands, for findings of later steps.

use std::collections::BTreeMap;

use super::choices::{Layer, Origin};
use super::profile::Applied;
use super::tree::{Node, Spot, Value};
use crate::finding::Place;

/// What the name of an override's text begins with.
pub(super) const FLAG: &str = "--set ";

/// The places of all keys. An empty one knows none.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// By dotted key, segments joined as they are (never quoted).
    spots: BTreeMap<String, Spot>,
    whole: Option<Spot>,
    profile: Option<Applied>,
}

impl Places {
    pub(super) fn of(root: &Node, profile: Option<Applied>) -> Self {
        let mut places = Self { spots: BTreeMap::new(), whole: Some(root.spot.clone()), profile };
        places.add(root, "");
        places
    }

    fn add(&mut self, node: &Node, dotted: &str) {
        let below = |segment: &str| if dotted.is_empty() { segment.to_string() } else { format!("{dotted}.{segment}") };
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    let dotted = below(&entry.key);
                    self.add(&entry.node, &dotted);
                    self.spots.insert(dotted, entry.node.spot.clone());
                }
            }
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    let dotted = below(&i.to_string());
                    self.add(item, &dotted);
                    self.spots.insert(dotted, item.spot.clone());
                }
            }
            _ => {}
        }
    }

    /// See [`Config::place`](super::Config::place).
    pub(super) fn find(&self, dotted: &str) -> Option<Place> {
        let unquoted = dotted.replace(['"', '\''], "");
        let mut at = unquoted.as_str();
        loop {
            if let Some(spot) = self.spots.get(at) {
                return Some(spot.place());
            }
            match at.rfind('.') {
                Some(dot) => at = &at[..dot],
                None => return self.whole.as_ref().map(Spot::place),
            }
        }
    }

    /// Where the value of this very key came from. The segments are joined as they are.
    pub(super) fn origin(&self, dotted: &str) -> Origin {
        if let Some(applied) = self.profile.as_ref().filter(|applied| applied.keys.contains(dotted)) {
            return Origin { from: Layer::Profile, at: Some(applied.profile.name.to_string()) };
        }
        let Some(place) = self.spots.get(dotted).map(Spot::place) else {
            return Origin { from: Layer::Default, at: None };
        };
        match place.file.starts_with(FLAG) {
            true => Origin { from: Layer::Flag, at: Some(place.file) },
            false => Origin { from: Layer::File, at: Some(format!("{}:{}", place.file, place.line)) },
        }
    }

    /// The same, for a key that every profile speaks of without naming it.
    pub(super) fn origin_or_profile(&self, dotted: &str) -> Origin {
        match (self.origin(dotted), &self.profile) {
            (Origin { from: Layer::Default, .. }, Some(applied)) => {
                Origin { from: Layer::Profile, at: Some(applied.profile.name.to_string()) }
            }
            (origin, _) => origin,
        }
    }
}
