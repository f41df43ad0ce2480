# One command for each chore. `just --list` shows them.

# Everything CI runs.
test:
    deploy/test.sh

# Formatting, lints and dependency rules.
check:
    cargo fmt --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo deny check

# The dashboard, for the next build of the binary.
web:
    deploy/web.sh

# The dashboard as it is edited, in front of the node that TEMPS_API_URL names (http://127.0.0.1:3000).
web-dev: web
    npm --prefix web run dev

# A node on this machine with the samples deployed.
up:
    deploy/quickstart.sh

# Ends what `up` started.
down:
    deploy/quickstart.sh --stop

# Size, memory and start-up time of the release binary.
bench:
    bench/footprint.sh

# The edge beside bare Pingora, nginx, HAProxy, Caddy and Traefik.
bench-edge *ARGS:
    bench/peers.sh
    bench/edge.py {{ARGS}}

# What a dead leader costs: write gaps, failed requests, lost changes; as root.
bench-failover *ARGS:
    bench/failover.sh {{ARGS}}

# A real cluster is broken while clients use it, and what they saw is judged; as root. `just chaos --nodes 5 --minutes 60`.
chaos *ARGS:
    cargo build --release --locked -p temps -p temps-chaos-tests --bin temps --bin temps-chaos
    target/release/temps-chaos run {{ARGS}}

# The three runs of 90 s that CI makes; as root.
chaos-ci:
    cargo build --locked -p temps --bin temps
    cargo nextest run --locked -p temps-chaos-tests --test it runs::

# What a node that joins a cluster with a large state costs those that write; as root.
bench-newcomer *ARGS:
    bench/newcomer.sh {{ARGS}}

# What else an edge costs: `routes`, `idle` connections or added `latency`; after `just bench-edge`.
bench-edge-cost WHAT *ARGS:
    bench/edge_cost.py {{WHAT}} {{ARGS}}

# Instructions for a request, counted by callgrind; after `just bench-edge`.
bench-instructions *ARGS:
    bench/instructions.py {{ARGS}}

# What a lookup takes among 10, 1,000 and 100,000 names, without an edge around it.
bench-lookups:
    cargo test --release --locked -p temps-proxy --lib -- --ignored --nocapture a_lookup_takes_so_long

# Full and resumed handshakes per second of a whole node beside nginx and HAProxy.
bench-handshakes *ARGS:
    cargo build --release --locked -p temps -p temps-chaos-tests --bin temps --example handshakes
    bench/handshakes.py {{ARGS}}

# A cluster in one thread from each of so many seeds: what it does when machines, disks and links fail.
simulate SEEDS='2000' FROM='1':
    TEMPS_SIMULATION_SEEDS={{SEEDS}} TEMPS_SIMULATION_FROM={{FROM}} \
        cargo test --profile simulation --locked -p temps-raft --lib -- --exact --nocapture simulation::batch::every_seed_holds

# One seed again, with every event; all that it did, it does again.
simulate-seed SEED:
    TEMPS_SIMULATION_SEED={{SEED}} TEMPS_SIMULATION_PRINTS=1 \
        cargo test --profile simulation --locked -p temps-raft --lib -- --exact --ignored --nocapture simulation::batch::one_seed

# Whether the simulation finds bugs that are planted; prints caught/planted.
simulate-planted:
    cargo test --profile simulation --locked -p temps-raft --lib -- --exact --nocapture simulation::batch::planted_bugs_are_caught
