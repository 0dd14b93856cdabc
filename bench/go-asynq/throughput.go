package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

// throughput is what enqueue and process print.
type throughput struct {
	Tasks   int     `json:"tasks"`
	Seconds float64 `json:"seconds"`
}

// enqueue enqueues as fast as it can, one by one, on one client shared by all goroutines.
func enqueue(redis asynq.RedisConnOpt, given options) (any, error) {
	queues, err := weights(given.queues)
	if err != nil {
		return nil, err
	}
	cycle := []string{}
	for _, part := range strings.Split(given.queues, ",") {
		name, _, _ := strings.Cut(part, ":")
		cycle = append(cycle, slices.Repeat([]string{name}, queues[name])...)
	}
	client := asynq.NewClient(redis)
	defer client.Close()
	if err := client.Ping(); err != nil {
		return nil, err
	}
	share := given.tasks / given.callers
	failures := make(chan error, given.callers)
	var callers sync.WaitGroup
	start := time.Now()
	for caller := range given.callers {
		callers.Go(func() { failures <- call(client, caller*share, share, cycle) })
	}
	callers.Wait()
	elapsed := time.Since(start)
	for range given.callers {
		if err := <-failures; err != nil {
			return nil, err
		}
	}
	return throughput{share * given.callers, elapsed.Seconds()}, nil
}

func call(client *asynq.Client, first, count int, cycle []string) error {
	for number := first; number < first+count; number++ {
		payload := fmt.Appendf(nil, `{"username":"user_%08d","intent_id":"0198c0de-0000-7000-8000-%012d"}`, number, number)
		task := asynq.NewTask(taskType, payload)
		if _, err := client.Enqueue(task, asynq.Queue(cycle[number%len(cycle)])); err != nil {
			return err
		}
	}
	return nil
}

// process handles what is there, doing nothing for each task: from the start of the server until the last handler ran.
func process(redis asynq.RedisConnOpt, given options) (any, error) {
	queues, err := weights(given.queues)
	if err != nil {
		return nil, err
	}
	config := asynq.Config{Concurrency: given.concurrency, Queues: queues, LogLevel: asynq.ErrorLevel}
	server := asynq.NewServer(redis, config)
	var handled atomic.Int64
	all := make(chan struct{})
	handler := func(context.Context, *asynq.Task) error {
		if handled.Add(1) == int64(given.tasks) {
			close(all)
		}
		return nil
	}
	start := time.Now()
	if err := server.Start(asynq.HandlerFunc(handler)); err != nil {
		return nil, err
	}
	<-all
	elapsed := time.Since(start)
	server.Shutdown()
	return throughput{given.tasks, elapsed.Seconds()}, nil
}
