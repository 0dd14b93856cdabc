// Flux's own apply, delete and wait, on an API server.

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const (
	// Between two looks at the API server.
	pollInterval = 100 * time.Millisecond
	// Far longer than a first look takes; what is on its way is waited for until then.
	patience = 10 * time.Second
	// Far longer than an end takes.
	patienceForEnds = time.Minute
)

// What Flux did with one object, or how its wait for it ended ("" is well).
type outcome struct {
	Name string `json:"name"`
	Said string `json:"said"`
}

// The part of Flux's kustomize-controller and helm-controller that applies, deletes and waits. The API server made its
// certificate itself a moment ago, on this machine.
func resourceManager(url, token string) (*ssa.ResourceManager, error) {
	config := &rest.Config{Host: url, BearerToken: token, QPS: -1}
	config.Insecure = true
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, http)
	if err != nil {
		return nil, err
	}
	kube, err := client.New(config, client.Options{HTTPClient: http, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(kube, mapper, polling.Options{})
	owner := ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}
	return ssa.NewResourceManager(kube, poller, owner), nil
}

// Does what `verb` says with the objects, in their order.
func onCluster(verb, url, token string, objects []*unstructured.Unstructured) ([]outcome, error) {
	manager, err := resourceManager(url, token)
	if err != nil {
		return nil, err
	}
	switch verb {
	case "apply":
		set, err := manager.ApplyAll(context.Background(), objects, ssa.DefaultApplyOptions())
		return actions(set), err
	case "delete":
		return deleted(manager, objects)
	case "wait":
		return waited(objects, func(one *unstructured.Unstructured) error {
			set := object.UnstructuredSetToObjMetadataSet([]*unstructured.Unstructured{one})
			return manager.WaitForSet(set, ssa.WaitOptions{Interval: pollInterval, Timeout: patience})
		}), nil
	}
	return nil, fmt.Errorf("no such verb: %s", verb)
}

func actions(set *ssa.ChangeSet) []outcome {
	var outcomes []outcome
	if set != nil {
		for _, entry := range set.Entries {
			outcomes = append(outcomes, outcome{entry.ObjMetadata.Name, entry.Action.String()})
		}
	}
	return outcomes
}

func deleted(manager *ssa.ResourceManager, objects []*unstructured.Unstructured) ([]outcome, error) {
	set, err := manager.DeleteAll(context.Background(), objects, ssa.DefaultDeleteOptions())
	if err != nil {
		return nil, err
	}
	if err := manager.WaitForSetTermination(set, ssa.WaitOptions{Interval: pollInterval, Timeout: patienceForEnds}); err != nil {
		return nil, err
	}
	return actions(set), nil
}

// All at once, for those that do not end well take the whole time.
func waited(objects []*unstructured.Unstructured, wait func(*unstructured.Unstructured) error) []outcome {
	outcomes := make([]outcome, len(objects))
	var all sync.WaitGroup
	for i, one := range objects {
		all.Go(func() {
			outcomes[i] = outcome{one.GetName(), ""}
			if err := wait(one); err != nil {
				outcomes[i].Said = strings.TrimSpace(err.Error())
			}
		})
	}
	all.Wait()
	return outcomes
}
