// Prints the kstatus of one object, given as JSON on standard input: Current, InProgress, Failed, Terminating,
// NotFound or Unknown. Flux, Argo CD and `helm --wait` judge objects this way, so the tests ask the same judge.
package main

import (
	"fmt"
	"io"
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
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("failed to read the object: %w", err)
	}
	// Not encoding/json alone: it makes floats of whole numbers, and a generation is none.
	if err := object.UnmarshalJSON(text); err != nil {
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
