package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// payload is 100 bytes, like a small JSON document.
var payload = []byte(fmt.Sprintf(`{"username":"%080d"}`, 0))

// benchEnqueue measures enqueues per second by -callers goroutines.
func benchEnqueue(args []string) error {
	set, redis, queue := flags("bench-enqueue")
	callers := set.Int("callers", 1, "goroutines")
	tasks := set.Int("tasks", 50_000, "number of tasks")
	if err := set.Parse(args); err != nil {
		return err
	}
	opt, err := server(*redis)
	if err != nil {
		return err
	}
	client := asynq.NewClient(opt)
	defer client.Close()
	begun := time.Now()
	if err := enqueueAll(client, *callers, *tasks, []string{*queue}); err != nil {
		return err
	}
	return report(map[string]any{"tasks": *tasks, "callers": *callers, "per_second": float64(*tasks) / time.Since(begun).Seconds()})
}

func enqueueAll(client *asynq.Client, callers, tasks int, queues []string) error {
	var group sync.WaitGroup
	errs := make(chan error, callers)
	for caller := range callers {
		group.Go(func() {
			for at := caller; at < tasks; at += callers {
				task := asynq.NewTask("bench", payload)
				if _, err := client.Enqueue(task, asynq.Queue(queues[at%len(queues)])); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

// benchProcess measures no-op tasks per second of one worker with -queues queues of priorities 6, 3, 1; the tasks are there
// before it starts.
func benchProcess(args []string) error {
	set, redis, _ := flags("bench-process")
	queues := set.Int("queues", 1, "1 to 3")
	tasks := set.Int("tasks", 50_000, "number of tasks")
	concurrency := set.Int("concurrency", 100, "attempts at once")
	if err := set.Parse(args); err != nil {
		return err
	}
	opt, err := server(*redis)
	if err != nil {
		return err
	}
	names, priorities := []string{"bench-0", "bench-1", "bench-2"}[:*queues], map[string]int{}
	for at, name := range names {
		priorities[name] = []int{6, 3, 1}[at]
	}
	client := asynq.NewClient(opt)
	defer client.Close()
	if err := enqueueAll(client, 8, *tasks, names); err != nil {
		return err
	}
	worker := asynq.NewServer(opt, asynq.Config{Concurrency: *concurrency, Queues: priorities, LogLevel: asynq.ErrorLevel})
	var left atomic.Int64
	left.Store(int64(*tasks))
	done := make(chan struct{})
	begun := time.Now()
	err = worker.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	}))
	if err != nil {
		return err
	}
	<-done
	elapsed := time.Since(begun)
	worker.Shutdown()
	return report(map[string]any{"tasks": *tasks, "queues": *queues, "concurrency": *concurrency, "per_second": float64(*tasks) / elapsed.Seconds()})
}

// benchLatency measures the time from just before an enqueue to the handler, one task at a time, on an idle worker.
func benchLatency(args []string) error {
	set, redis, queue := flags("bench-latency")
	samples := set.Int("samples", 100, "number of tasks")
	if err := set.Parse(args); err != nil {
		return err
	}
	return measure(*redis, *queue, *samples, func(client *asynq.Client, arrived <-chan arrival) (time.Duration, error) {
		begun := time.Now()
		if _, err := client.Enqueue(asynq.NewTask("bench", payload), asynq.Queue(*queue)); err != nil {
			return 0, err
		}
		return (<-arrived).at.Sub(begun), nil
	})
}

// benchDelayed measures how late the handler starts after a task's time: -samples tasks, spread evenly over -over.
func benchDelayed(args []string) error {
	set, redis, queue := flags("bench-delayed")
	samples := set.Int("samples", 100, "number of tasks")
	delay := set.Duration("in", 2*time.Second, "delay of the first task")
	over := set.Duration("over", 10*time.Second, "time between the first and the last")
	if err := set.Parse(args); err != nil {
		return err
	}
	var due []time.Time
	return measure(*redis, *queue, *samples, func(client *asynq.Client, arrived <-chan arrival) (time.Duration, error) {
		if due == nil {
			first := time.Now().Add(*delay)
			for at := range *samples {
				due = append(due, first.Add(*over*time.Duration(at)/time.Duration(*samples)))
				task := asynq.NewTask("bench", []byte(strconv.Itoa(at)))
				if _, err := client.Enqueue(task, asynq.Queue(*queue), asynq.ProcessAt(due[at])); err != nil {
					return 0, err
				}
			}
		}
		came := <-arrived
		at, err := strconv.Atoi(string(came.payload))
		return came.at.Sub(due[at]), err
	})
}

type arrival struct {
	at      time.Time
	payload []byte
}

// measure starts an idle worker, takes samples and prints their quantiles in milliseconds.
func measure(redis, queue string, samples int, sample func(*asynq.Client, <-chan arrival) (time.Duration, error)) error {
	opt, err := server(redis)
	if err != nil {
		return err
	}
	client := asynq.NewClient(opt)
	defer client.Close()
	arrived := make(chan arrival, samples)
	worker := asynq.NewServer(opt, asynq.Config{Concurrency: 16, Queues: map[string]int{queue: 1}, LogLevel: asynq.ErrorLevel})
	err = worker.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		arrived <- arrival{time.Now(), task.Payload()}
		return nil
	}))
	if err != nil {
		return err
	}
	defer worker.Shutdown()
	var times []float64
	for range samples {
		took, err := sample(client, arrived)
		if err != nil {
			return err
		}
		times = append(times, float64(took.Microseconds())/1000)
	}
	slices.Sort(times)
	quantile := func(q float64) float64 { return times[min(int(q*float64(len(times))), len(times)-1)] }
	return report(map[string]any{"samples": samples, "p50_ms": quantile(0.5), "p95_ms": quantile(0.95), "p99_ms": quantile(0.99), "max_ms": times[len(times)-1]})
}
