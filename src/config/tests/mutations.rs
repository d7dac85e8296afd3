//! Whatever the file holds, loading it gives a configuration or findings, and never panics.

use super::example::EXAMPLE;
use super::*;

/// Numerical Recipes' linear congruential generator: the same sequence everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n.max(1)
    }
}

const PIECES: &[&str] = &[
    "[",
    "]",
    "\"",
    "'",
    "=",
    ".",
    ",",
    "{",
    "}",
    "\n",
    "\\",
    "#",
    "\"\"\"",
    "[[",
    "]]",
    " = 0\n",
    " = []\n",
    " = {}\n",
    "-1",
    "1e999",
    "nan",
    "true",
    "ü",
    "\u{feff}",
    "\0",
    "2025-13-01",
    "9223372036854775808",
    "''",
    "\"\"",
    "[views]\n",
    "..",
    "∞",
];

fn mutated(random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_string).collect();
    for _ in 0..=random.below(3) {
        let (a, b) = (random.below(lines.len()), random.below(lines.len()));
        match random.below(4) {
            0 => _ = lines.remove(a),
            1 => lines[a] = lines[b].clone(),
            2 => lines.swap(a, b),
            _ => lines.insert(a, PIECES[random.below(PIECES.len())].to_string()),
        }
    }
    let mut bytes = lines.join("\n").into_bytes();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => _ = bytes.remove(at),
            2 => bytes.truncate(at.max(1)),
            _ => _ = bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes()),
        }
    }
    bytes
}

#[test]
fn a_mutated_file_never_panics() {
    let project = Project::new(EXAMPLE);
    let mut random = Random(20_250_302);
    for round in 0..1500 {
        let bytes = mutated(&mut random);
        fs::write(project.path(), &bytes).unwrap();
        let outcome = std::panic::catch_unwind(|| match load(&project.path(), &[]) {
            Ok((config, findings)) => {
                assert!(findings.iter().all(|f| !f.is_error()));
                format!("{config:?}{}", shown(&findings))
            }
            Err(findings) => {
                assert!(findings.iter().any(Finding::is_error));
                shown(&findings)
            }
        });
        assert!(outcome.is_ok(), "round {round}:\n{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_mutated_override_never_panics() {
    let project = Project::new(MINIMAL);
    let mut random = Random(7);
    let keys = ["run.threads", "labels", "labels.keys", "storage.token", "views.activity.keys.x", "\"a.b\"", ""];
    for _ in 0..1500 {
        let mut set = String::from(keys[random.below(keys.len())]);
        for _ in 0..random.below(5) {
            set.push_str(PIECES[random.below(PIECES.len())]);
        }
        set.insert_str(if random.below(2) == 0 { set.len() } else { 0 }, "=1");
        let outcome = std::panic::catch_unwind(|| match project.load(&[&set]) {
            Ok((_, findings)) | Err(findings) => shown(&findings),
        });
        assert!(outcome.is_ok(), "{set:?}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = [
        format!("{}x = 1", "a.".repeat(100_000)),
        format!("[{}x]", "a.".repeat(100_000)),
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}1", "{a=".repeat(100_000)),
        format!("x = {{ {}b = 1 }}", "a.".repeat(100_000)),
        format!("x = [\n{{ {}b = 1 }}]", "a.".repeat(100_000)),
        format!("\"=\".{}b = 1", "a.".repeat(100_000)),
    ];
    for config in deep {
        let findings = refused(&config);
        assert!(findings[0].message.contains("invalid TOML"), "{}", findings[0].message);
        let set = Project::new(MINIMAL).load(&[&config]);
        assert!(set.is_err());
    }
}
