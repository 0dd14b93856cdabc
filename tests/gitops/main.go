// Judges objects as GitOps tools do, and applies them and waits for them as Flux does, with the code of those tools.
//
//	gitops judge LUA EXPRESSIONS <OBJECTS
//	gitops apply|wait|delete URL TOKEN <OBJECTS
//
// Takes: on standard input one object in JSON a line. To judge, also a file with Argo CD's health check in Lua and one
// with Flux's health check expressions in JSON ({"current", "inProgress", "failed"}); else an API server, and the token
// of somebody who may do everything there. Gives: one line of JSON for each object, in their order: what kstatus (Helm,
// kpt, Flux without expressions), Flux with the expressions and Argo CD say; or what Flux did with it, or how its wait
// for it ended. Does not: ask a cluster to judge.
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
	if len(os.Args) != 4 {
		fail(errors.New("usage: gitops judge LUA EXPRESSIONS <OBJECTS, or gitops apply|wait|delete URL TOKEN <OBJECTS"))
	}
	objects, err := read(os.Stdin)
	fail(err)
	if os.Args[1] == "judge" {
		judgements, err := judgeAll(os.Args[2], os.Args[3], objects)
		fail(err)
		write(judgements)
		return
	}
	outcomes, err := onCluster(os.Args[1], os.Args[2], os.Args[3], objects)
	fail(err)
	write(outcomes)
}

func read(input io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for lines := bufio.NewReader(input); ; {
		line, end := lines.ReadBytes('\n')
		if len(line) > 1 {
			var object unstructured.Unstructured
			if err := object.UnmarshalJSON(line); err != nil {
				return nil, err
			}
			objects = append(objects, &object)
		}
		if end == io.EOF {
			return objects, nil
		}
		if end != nil {
			return nil, end
		}
	}
}

func write[T any](lines []T) {
	output := json.NewEncoder(os.Stdout)
	for _, line := range lines {
		fail(output.Encode(line))
	}
}

func judgeAll(luaFile, expressionsFile string, objects []*unstructured.Unstructured) ([]*judgement, error) {
	script, err := os.ReadFile(luaFile)
	if err != nil {
		return nil, err
	}
	flux, err := fluxExpressions(expressionsFile)
	if err != nil {
		return nil, err
	}
	var judgements []*judgement
	for _, object := range objects {
		judged, err := judge(object, string(script), flux)
		if err != nil {
			return nil, err
		}
		judgements = append(judgements, judged)
	}
	return judgements, nil
}

func judge(object *unstructured.Unstructured, script string, flux []expression) (*judgement, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	evaluated, err := fluxStatus(flux, object)
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
