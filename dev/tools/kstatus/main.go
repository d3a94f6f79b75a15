// Prints the kstatus of one object, given as JSON on standard input: Current, InProgress, Failed, Terminating,
// NotFound or Unknown. Flux, Argo CD and `helm --wait` judge objects this way, so the tests ask the same judge.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	object := &unstructured.Unstructured{}
	if err := json.NewDecoder(os.Stdin).Decode(&object.Object); err != nil {
		return fmt.Errorf("failed to read the object: %w", err)
	}
	result, err := status.Compute(object)
	if err != nil {
		return fmt.Errorf("failed to judge the object: %w", err)
	}
	fmt.Println(result.Status)
	// On the other stream, so that a test compares one word and a person sees why.
	fmt.Fprintln(os.Stderr, result.Message)
	return nil
}
