//! What other feature systems mean where the configuration is silent: `[project] profile`.
//!
//! A profile is a layer of defaults between what is written and what is built in:
//!
//! ```text
//! --set  over  the file  over  the profile  over  the built-in default
//! ```
//!
//! [`apply`] puts a profile's values into the tree wherever no key is written, so that every later step reads them like
//! any other value; [`Places`](super::Places) remembers which they are. Only what a system's own documentation or source
//! says is here; `docs/profiles.md` names the sources, and what of a system no key expresses. A test holds its table
//! against [`PROFILES`].

use std::collections::BTreeSet;

use super::kind::Default::{self, Text};
use super::tree::{Entry, Node, Value};

/// The names, as `project.profile` takes them.
pub(super) const NAMES: &[&str] = &["risingwave", "feast", "chronon", "openmldb", "tecton"];

/// One system's defaults.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    /// Dotted keys, `*` for every name that is written.
    pub(super) keys: &'static [(&'static str, Default)],
    pub(super) missing: Missing,
}

/// What a feature is where the view has no row for the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// NULL, whatever the feature.
    Null,
    /// 0 for a `COUNT`, NULL for all others.
    CountIsZero {
        /// Also for a `COUNT(DISTINCT …)`.
        distinct: bool,
    },
}

pub(super) static PROFILES: [Profile; 5] = [
    Profile {
        name: "risingwave",
        keys: &[("labels.tie", Text("include")), ("sources.*.future_events", Text("visible"))],
        missing: Missing::Null,
    },
    Profile {
        name: "feast",
        keys: &[
            ("labels.tie", Text("include")),
            ("labels.timezone", Text("UTC")),
            ("sources.*.future_events", Text("hidden")),
            ("sources.*.timezone", Text("UTC")),
        ],
        missing: Missing::Null,
    },
    Profile {
        name: "chronon",
        keys: &[("labels.tie", Text("exclude")), ("sources.*.future_events", Text("hidden"))],
        missing: Missing::Null,
    },
    Profile {
        name: "openmldb",
        keys: &[("labels.tie", Text("include")), ("sources.*.future_events", Text("hidden"))],
        missing: Missing::CountIsZero { distinct: true },
    },
    Profile {
        name: "tecton",
        keys: &[
            ("labels.tie", Text("include")),
            ("labels.timezone", Text("UTC")),
            ("sources.*.future_events", Text("hidden")),
            ("sources.*.timezone", Text("UTC")),
        ],
        missing: Missing::CountIsZero { distinct: false },
    },
];

/// What a profile gave to one configuration.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    pub(super) profile: &'static Profile,
    /// The dotted keys that have their value from it, segments joined as they are.
    pub(super) keys: BTreeSet<String>,
}

/// Puts the values of the profile that the tree names into it, where nothing is written. A name that is not known has
/// been told already.
pub(super) fn apply(root: &mut Node) -> Option<Applied> {
    let named = root.get("project")?.get("profile")?.clone();
    let profile = PROFILES.iter().find(|profile| named.text() == Some(profile.name))?;
    let mut applied = Applied { profile, keys: BTreeSet::new() };
    for (key, value) in profile.keys {
        let segments: Vec<&str> = key.split('.').collect();
        put(root, &segments, &Node { value: value_of(*value), ..named.clone() }, "", &mut applied.keys);
    }
    Some(applied)
}

fn put(node: &mut Node, segments: &[&str], leaf: &Node, path: &str, keys: &mut BTreeSet<String>) {
    let (Some((first, rest)), Value::Table(entries)) = (segments.split_first(), &mut node.value) else { return };
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    if rest.is_empty() {
        if entries.iter().all(|entry| entry.key != *first) {
            keys.insert(below(first));
            entries.push(Entry { key: (*first).to_string(), spot: leaf.spot.clone(), node: leaf.clone() });
        }
        return;
    }
    for entry in entries.iter_mut().filter(|entry| *first == "*" || entry.key == *first) {
        let path = below(&entry.key);
        put(&mut entry.node, rest, leaf, &path, keys);
    }
}

fn value_of(default: Default) -> Value {
    match default {
        Default::Bool(value) => Value::Bool(value),
        Default::Integer(value) => Value::Integer(value),
        Default::Float(value) => Value::Float(value),
        Text(value) => Value::Text(value.to_string()),
    }
}
