// Flux's health check expressions, in the order of Flux's RFC 0009 and with the CEL library that Flux uses.
//
// Flux's own package (github.com/fluxcd/pkg/runtime/cel) is these few lines and brings controller-runtime with it, which
// takes minutes to build.

package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A status of kstatus, and when the object has it.
type expression struct {
	status  string
	program cel.Program
}

// Reads {"inProgress", "failed", "current"}; top-level fields of the object are the variables.
func fluxExpressions(path string) ([]expression, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	if err := json.Unmarshal(text, &texts); err != nil {
		return nil, err
	}
	environment, err := cel.NewEnv(cel.Variable("metadata", cel.DynType), cel.Variable("spec", cel.DynType), cel.Variable("status", cel.DynType))
	if err != nil {
		return nil, err
	}
	var expressions []expression
	for _, named := range []struct{ key, status string }{{"inProgress", "InProgress"}, {"failed", "Failed"}, {"current", "Current"}} {
		compiled, issues := environment.Compile(texts[named.key])
		if issues.Err() != nil {
			return nil, fmt.Errorf("%s: %w", named.key, issues.Err())
		}
		program, err := environment.Program(compiled)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", named.key, err)
		}
		expressions = append(expressions, expression{named.status, program})
	}
	return expressions, nil
}

func fluxStatus(expressions []expression, object *unstructured.Unstructured) (string, error) {
	generation, _, _ := unstructured.NestedInt64(object.Object, "metadata", "generation")
	observed, isKnown, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if isKnown && observed != generation {
		return "InProgress", nil
	}
	for _, expression := range expressions {
		value, _, err := expression.program.Eval(object.Object)
		if err != nil {
			return "", err
		}
		if value.Value() == true {
			return expression.status, nil
		}
	}
	return "InProgress", nil
}
