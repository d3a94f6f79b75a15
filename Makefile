# `make help` lists what there is. Everything is a short call of a script in dev/, where the reasons are told.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-fast verify image images bench cluster cluster-down tools

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## Lifeboat in a cluster with a database, a bucket and a proven backup
	dev/demo/up

demo-down: ## takes the demo down again
	dev/demo/down

test: ## all tests, with a real cluster, real servers and the real image
	dev/test all

test-fast: ## the tests that need nothing but cargo
	dev/test fast

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
