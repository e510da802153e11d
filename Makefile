# What one does with sluice. `make run` needs Rust, a C compiler and PostgreSQL's programs, and Node for GraphiQL;
# `make test` needs Node, Chromium, Python, curl, jq, NATS, PgBouncer, nginx and Caddy, too. What is missing they
# install where root may (Debian).

.PHONY: run test chaos leaks cuts fuzz lint check build console bench schema fmt postgres nats pgbouncer proxies

run:        ## the gateway with a stand-in Okta org that delivers to it; Ctrl-C stops both
	@scripts/run

test: postgres nats pgbouncer proxies ## every test, with PostgreSQLs of their own
	@scripts/console
	@scripts/npm-ci tests/npm
	@scripts/chromium
	@scripts/python-env tests/python
	@scripts/curl-and-jq
	cargo test --workspace --locked

chaos: postgres nats ## make chaos ROUNDS=200: the test that kills everything at random, for longer
	SLUICE_CHAOS_ROUNDS=$(or $(ROUNDS),200) cargo test --locked -p sluice --test it -- --nocapture whatever_is_killed

leaks: postgres ## make leaks ROUNDS=10000: the test that no reader sees what is not theirs, with more random requests
	SLUICE_LEAK_ROUNDS=$(or $(ROUNDS),10000) cargo test --locked -p sluice --test it -- --nocapture random_readers_read

cuts:       ## make cuts ROUNDS=200: the tests that cut the connections of clients at random, for longer
	SLUICE_CLIENT_CUTS=$(or $(ROUNDS),200) cargo test --workspace --locked --test it -- --nocapture npm::clients npm::a_browsers python::

fuzz:       ## make fuzz TARGET=token SECONDS=60: fuzzes what reads the input of strangers, by default each target for 600 s
	@scripts/fuzz $(or $(SECONDS),600) $(TARGET)

lint:       ## formatting, clippy, licences and bans of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	scripts/deny

check: lint test ## what every change must pass

build:      ## target/release/sluice and target/release/okta-sim; with GraphiQL where there is Node
	@scripts/console --if-there
	cargo build --release --locked -p sluice -p okta-sim

console:    ## GraphiQL, for the next build
	@scripts/console

bench:      ## make bench BENCH=ingest ARGS="--runs 5"; with ARGS="--against PROGRAM", beside another build
	@scripts/bench $(BENCH) $(ARGS)

schema:     ## writes the graph to schema.graphql, after a change of it
	cargo run --quiet --locked -p sluice -- schema > schema.graphql.new
	mv schema.graphql.new schema.graphql

fmt:        ## formats the code
	cargo fmt --all

postgres:   ## makes sure that PostgreSQL's programs are on the machine
	@scripts/postgres

nats:       ## makes sure that a NATS server's program is on the machine
	@scripts/nats

pgbouncer:  ## makes sure that PgBouncer's program is on the machine
	@scripts/pgbouncer

proxies:    ## makes sure that the programs of nginx and Caddy are on the machine
	@scripts/proxies
