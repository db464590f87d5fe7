# Shortcuts; CONTRIBUTING.md has the commands for those who have no `just`.

# List them
default:
    @just --list

# Try the service: embedded database, sample data
dev *arguments:
    cargo run -- dev {{arguments}}

# Every test, or those whose names contain a word
test *words:
    ./tests/run.sh {{words}}

# The compose stack on a Docker engine of its own, and the files of nginx
stack:
    ./tests/run.sh --stack

# The drill of the backups
backup:
    ./tests/run.sh --backup

# The rules, the dashboard and the metrics that they use
monitoring:
    ./tests/run.sh --monitoring

# What happens while things fail; --short as CI runs it
faults *arguments:
    ./tests/run.sh --faults {{arguments}}

# Is there a test for each line of the domain?
mutants:
    cargo mutants -p domain

# Which lines the tests reach
coverage:
    cargo llvm-cov --workspace --summary-only --ignore-filename-regex '(/tests/|/benches/|testing/)'

# The same for the domain alone, which has to be reached almost wholly
coverage-domain:
    cargo llvm-cov -p domain --features mocks --fail-under-lines 95 --ignore-filename-regex '(/tests/|testing/)'

# Measure the service against a hand-written server; --quick for a smoke run
bench *arguments:
    benches/run.py {{arguments}}

# Measure time entries, ten million of them; --entries N for fewer
bench-entries *arguments:
    benches/entries.py {{arguments}}

# The rules alone, in milliseconds
domain:
    cargo test -p domain

# The stages of CI: all of them, `fast`, `rest`, or by name
check *stages:
    .ci/run {{stages}}

fmt:
    cargo fmt --all

clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation of every crate: target/doc/index.html
doc:
    .ci/docs

# Licences, sources, what must not be there and, where their database can be had, advisories
deny:
    .ci/deny

# The pre-commit hooks on every file, and the tests of scripts
scripts:
    ./tests/run.sh --scripts

# Release commit of a version: `just release 1.1.0`
release version:
    .ci/release {{version}}
