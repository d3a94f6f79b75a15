#!/usr/bin/env bash
# kube-cel 0.8.0 (what kube 5.0's feature `cel` validates custom resources with) against cel-go 0.26.0 (what a kube-apiserver has).
#
# A field with `format: date-time` is a timestamp in CEL, for both. `timestamp(x)` of a timestamp is that timestamp in cel-go: so
# `timestamp(self.from) < timestamp(self.to)` is a rule that an API server takes and follows. kube-cel's timestamp() takes strings
# alone: the same rule on the same valid object is an evaluation error, so a check before `kubectl apply` refuses what the server
# accepts. `self.from < self.to` means the same in both.
#
# Seen on 2026-12-01:
#   kube-cel, timestamp(self.from) < timestamp(self.to): rule evaluation error: Unexpected type: got 'Timestamp(2026-12-24T00:00:00+00:00)', want 'Arc<String>'
#   kube-cel, self.from < self.to: valid
#   cel-go, timestamp(from) < timestamp(to): true
#   cel-go, from < to: true
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=$work/target GOFLAGS=-modcacherw GOTOOLCHAIN=local

mkdir -p "$work/rust/src" "$work/go"
cat >"$work/rust/Cargo.toml" <<'END'
[package]
name = "asked"
version = "0.0.0"
edition = "2024"
[dependencies]
kube-cel = { version = "=0.8.0", features = ["validation"] }
serde_json = "1"
END
cat >"$work/rust/src/main.rs" <<'END'
use serde_json::json;
fn main() {
    for rule in ["timestamp(self.from) < timestamp(self.to)", "self.from < self.to"] {
        let time = json!({"type": "string", "format": "date-time"});
        let schema = json!({"type": "object", "properties": {"from": time, "to": time}, "x-kubernetes-validations": [{"rule": rule}]});
        let object = json!({"from": "2026-12-24T00:00:00Z", "to": "2027-12-31T00:00:00Z"});
        let errors = kube_cel::Validator::new().validate(&schema, &object, None);
        let said: Vec<String> = errors.err().iter().flat_map(|e| e.as_slice().to_vec()).map(|e| e.message.clone()).collect();
        println!("kube-cel, {rule}: {}", if said.is_empty() { "valid".to_owned() } else { said.join("; ") });
    }
}
END
cat >"$work/go/go.mod" <<'END'
module asked

go 1.24.0

require github.com/google/cel-go v0.26.0
END
cat >"$work/go/main.go" <<'END'
package main

import (
	"fmt"
	"time"

	"github.com/google/cel-go/cel"
)

func main() {
	env, err := cel.NewEnv(cel.Variable("from", cel.TimestampType), cel.Variable("to", cel.TimestampType))
	if err != nil {
		panic(err)
	}
	at := func(text string) time.Time { t, _ := time.Parse(time.RFC3339, text); return t }
	values := map[string]any{"from": at("2026-12-24T00:00:00Z"), "to": at("2027-12-31T00:00:00Z")}
	for _, rule := range []string{"timestamp(from) < timestamp(to)", "from < to"} {
		ast, issues := env.Compile(rule)
		if issues.Err() != nil {
			panic(issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			panic(err)
		}
		value, _, err := program.Eval(values)
		if err != nil {
			panic(err)
		}
		fmt.Printf("cel-go, %s: %v\n", rule, value)
	}
}
END
(cd "$work/go" && go mod tidy >/dev/null 2>&1)
said=$(
    cargo run --quiet --manifest-path "$work/rust/Cargo.toml"
    cd "$work/go" && go run .
)
echo "$said"
wanted="kube-cel, timestamp(self.from) < timestamp(self.to): rule evaluation error: Unexpected type: got 'Timestamp(2026-12-24T00:00:00+00:00)', want 'Arc<String>'
kube-cel, self.from < self.to: valid
cel-go, timestamp(from) < timestamp(to): true
cel-go, from < to: true"
if [ "$said" != "$wanted" ]; then
    echo "this has changed" >&2
    exit 1
fi
