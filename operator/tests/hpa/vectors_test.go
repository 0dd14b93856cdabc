// Asks the HorizontalPodAutoscaler's own code what it would do, for random behaviors and recommendations.
//
// It is compiled into a copy of k8s.io/kubernetes/pkg/controller/podautoscaler, because the functions it calls are not exported
// (see generate.sh). Time is that of testing/synctest. Gives: one line per series in the file that VECTORS names; the forms are in
// its first lines. Does not: compute anything itself.
package podautoscaler

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

const (
	serieses = 600
	steps    = 20
	bands    = 400
	key      = "namespace/name"
)

func TestVectors(t *testing.T) {
	var lines []string
	random := rand.New(rand.NewSource(16))
	for i := 0; i < serieses; i++ {
		synctest.Test(t, func(*testing.T) { lines = append(lines, series(random)) })
	}
	for i := 0; i < bands; i++ {
		lines = append(lines, band(t, random))
	}
	if err := os.WriteFile(os.Getenv("VECTORS"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// One series: what runs follows the answers.
func series(random *rand.Rand) string {
	minimum := int32(1 + random.Intn(3))
	maximum := minimum + int32(1+random.Intn(120))
	behavior := &autoscalingv2.HorizontalPodAutoscalerBehavior{
		ScaleUp: rules(random, 120), ScaleDown: rules(random, 300),
	}
	line := fmt.Sprintf("behavior\t%d\t%d\t%s\t%s\t", minimum, maximum, write(behavior.ScaleUp), write(behavior.ScaleDown))
	hpa := &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		MinReplicas: &minimum, MaxReplicas: maximum, Behavior: behavior,
	}}
	defaults.SetDefaults_HorizontalPodAutoscalerBehavior(hpa)
	controller := &HorizontalController{
		recommendations: map[string][]timestampedRecommendation{},
		scaleUpEvents:   map[string][]timestampedScaleEvent{},
		scaleDownEvents: map[string][]timestampedScaleEvent{},
	}
	current := minimum + random.Int31n(maximum-minimum+1)
	line += fmt.Sprint(current)
	controller.recordInitialRecommendation(current, key)
	recommended := current
	for range steps {
		// Seconds and 7 ms: windows end between two steps.
		waited := time.Duration(1+random.Intn(40))*time.Second + 7*time.Millisecond
		time.Sleep(waited)
		if random.Intn(3) > 0 {
			recommended = random.Int31n(maximum + maximum/4 + 1)
		}
		desired := controller.normalizeDesiredReplicasWithBehaviors(hpa, key, current, recommended, minimum)
		if desired != current {
			controller.storeScaleEvent(hpa.Spec.Behavior, key, current, desired)
		}
		line += fmt.Sprintf("\t%d:%d:%d", waited.Milliseconds(), recommended, desired)
		current = desired
	}
	return line
}

// The window is always written out; the rest sometimes is left to the defaults.
func rules(random *rand.Rand, window int) *autoscalingv2.HPAScalingRules {
	seconds := int32(0)
	if random.Intn(3) > 0 {
		seconds = int32(random.Intn(window))
	}
	made := &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &seconds}
	selects := []autoscalingv2.ScalingPolicySelect{autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect}
	// Disabled rarely: it answers little.
	if i := random.Intn(8); i < 5 {
		made.SelectPolicy = &selects[i/2]
	}
	for range random.Intn(4) {
		policy := autoscalingv2.HPAScalingPolicy{
			Type: autoscalingv2.PodsScalingPolicy, Value: int32(1 + random.Intn(20)), PeriodSeconds: int32(1 + random.Intn(90)),
		}
		if random.Intn(2) == 0 {
			policy.Type, policy.Value = autoscalingv2.PercentScalingPolicy, int32(1+random.Intn(150))
		}
		made.Policies = append(made.Policies, policy)
	}
	return made
}

func write(rules *autoscalingv2.HPAScalingRules) string {
	text := fmt.Sprint(*rules.StabilizationWindowSeconds)
	if rules.SelectPolicy != nil {
		text += " " + string(*rules.SelectPolicy)
	} else {
		text += " -"
	}
	for _, policy := range rules.Policies {
		text += fmt.Sprintf(" %s:%d:%d", policy.Type, policy.Value, policy.PeriodSeconds)
	}
	return text
}

// One answer of the tolerance: a metric in thousandths, its target per pod, and what runs.
func band(t *testing.T, random *rand.Rand) string {
	up, down := float64(random.Intn(30))/100, float64(random.Intn(30))/100
	running, target := int32(1+random.Intn(60)), int64(1+random.Intn(20_000))
	usage := int64(float64(running) * float64(target) * (0.6 + 0.8*random.Float64()))
	calculator := &ReplicaCalculator{metricsClient: metric(usage)}
	tolerances := Tolerances{scaleDown: down, scaleUp: up}
	selector := &metav1.LabelSelector{}
	desired, _, _, err := calculator.GetExternalPerPodMetricReplicas(running, target, "metric", tolerances, "namespace", selector)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("tolerance\t%g\t%g\t%d\t%d\t%d\t%d", up, down, running, target, usage, desired)
}

// An external metric with one value.
type metric int64

func (value metric) GetExternalMetric(string, string, labels.Selector) ([]int64, time.Time, error) {
	return []int64{int64(value)}, time.Time{}, nil
}

func (metric) GetResourceMetric(context.Context, v1.ResourceName, string, labels.Selector, string) (metricsclient.PodMetricsInfo, time.Time, error) {
	panic("not asked")
}

func (metric) GetRawMetric(string, string, labels.Selector, labels.Selector) (metricsclient.PodMetricsInfo, time.Time, error) {
	panic("not asked")
}

func (metric) GetObjectMetric(string, string, *autoscalingv2.CrossVersionObjectReference, labels.Selector) (int64, time.Time, error) {
	panic("not asked")
}
