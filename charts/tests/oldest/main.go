// Decodes manifests with the types of the oldest supported Kubernetes (go.mod pins it), strictly.
//
// Takes: YAML documents on standard input. Gives: one line per document whose kind or one of whose fields that version does not
// know, exit code 1 when there is one, and the number of documents it knew. Does not: judge values, nor objects of custom resources
// and definitions, whose types are not Kubernetes' own.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// Groups of custom resources, and of the definition itself, which the API server of the other tests judges.
var foreign = map[string]bool{
	"signup.dev/v1alpha1":          true,
	"monitoring.coreos.com/v1":     true,
	"gateway.networking.k8s.io/v1": true,
	"apiextensions.k8s.io/v1":      true,
}

type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

func main() {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	known, unknown := 0, 0
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var head object
		if err == nil {
			err = yaml.Unmarshal(document, &head)
		}
		if err == nil && (head == object{} || foreign[head.APIVersion]) {
			continue
		}
		if err == nil {
			_, _, err = decoder.Decode(document, nil, nil)
		}
		if err != nil {
			unknown++
			fmt.Printf("%s %s %s: %v\n", head.APIVersion, head.Kind, head.Metadata.Name, err)
			continue
		}
		known++
	}
	fmt.Printf("%d documents known, %d not\n", known, unknown)
	if unknown > 0 || known == 0 {
		os.Exit(1)
	}
}
