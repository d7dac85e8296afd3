# The everyday commands. `just --list` shows them.

# everything that has to hold before a change lands
ci:
    .ci/run

check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

test *ARGS:
    cargo test {{ARGS}}

# the main job on the flights fixture
flights:
    cargo run --release -- run fixtures/flights/backcast.toml

# the same against the flawed training set: exits with 3
flawed:
    cargo run --release -- run fixtures/flights/flawed.toml

# random views on both engines, until one differs or Ctrl-C: `just fuzz`, `just fuzz 5000..`, `just fuzz 0..500`
fuzz SEEDS="0..":
    BACKCAST_FUZZ_SEEDS={{SEEDS}} cargo test --release --test it engines::fuzz -- --nocapture

# rewrite golden texts and the JSON Schema after a change that is meant
golden:
    UPDATE_GOLDEN=1 cargo test --test it explain
    UPDATE_SCHEMA=1 cargo test --lib schema

# take the pictures of report.html in docs/ again
screenshots:
    UPDATE_SCREENSHOTS=1 cargo test --test it pictures
