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

# runs against a real S3-compatible server, through a proxy that throttles and cuts; installs the server where it is absent
s3 *ARGS:
    .ci/s3
    cargo test --test it s3:: -- {{ARGS}}

# rewrite golden texts and the JSON Schema after a change that is meant
golden:
    UPDATE_GOLDEN=1 cargo test --test it explain
    UPDATE_SCHEMA=1 cargo test --lib schema

# whole runs beside a bare scan, DuckDB and Polars: `just bench`, `just bench M`, `just bench S M --format json`, `just bench --help`
bench *ARGS:
    cargo bench --bench workload -- {{ARGS}}

# the sweep's algorithm alone, by criterion: `just bench-sweep`, `just bench-sweep hot_key`
bench-sweep *ARGS:
    cargo bench --bench sweep -- {{ARGS}}

# take the pictures of report.html in docs/ again
screenshots:
    UPDATE_SCREENSHOTS=1 cargo test --test it pictures
