// Judges objects as GitOps tools do, with the code of those tools.
//
//	gitops LUA EXPRESSIONS <OBJECTS
//
// Takes: a file with Argo CD's health check in Lua, a file with Flux's health check expressions in JSON ({"current",
// "inProgress", "failed"}), and on standard input one object in JSON a line. Gives: one line of JSON for each, with what
// kstatus (Helm, kpt, Flux without expressions), Flux with the expressions and Argo CD say. Does not: ask a cluster.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// What the tools say about one object.
type judgement struct {
	Kstatus string `json:"kstatus"`
	Message string `json:"message"`
	Flux    string `json:"flux"`
	Argo    health `json:"argo"`
}

func main() {
	if len(os.Args) != 3 {
		fail(errors.New("usage: gitops LUA EXPRESSIONS <OBJECTS"))
	}
	script, err := os.ReadFile(os.Args[1])
	fail(err)
	flux, err := fluxExpressions(os.Args[2])
	fail(err)
	input, output := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 1 {
			judged, err := judge(line, string(script), flux)
			fail(err)
			fail(output.Encode(judged))
		}
		if err == io.EOF {
			return
		}
		fail(err)
	}
}

func judge(text []byte, script string, flux []expression) (*judgement, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	computed, err := status.Compute(&object)
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	evaluated, err := fluxStatus(flux, &object)
	if err != nil {
		return nil, fmt.Errorf("Flux: %w", err)
	}
	argo, err := argoHealth(script, object.Object)
	if err != nil {
		return nil, fmt.Errorf("Argo CD: %w", err)
	}
	return &judgement{computed.Status.String(), computed.Message, evaluated, *argo}, nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
