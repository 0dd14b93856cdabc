package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
)

const (
	// settle is the rest before the first task: by then the loops of the server are in their idle rhythm.
	settle = 2 * time.Second
	// meanDistance is how far apart tasks come, on average; at random, so that no polling loop falls in step with them.
	meanDistance = 50 * time.Millisecond
)

// waits is what latency and delayed print.
type waits struct {
	SamplesMS []float64 `json:"samples_ms"`
}

// latency enqueues one task at a time, at random, about 20 a second: the worker is idle almost always.
func latency(redis asynq.RedisConnOpt, given options) (any, error) {
	return measure(redis, given, func(client *asynq.Client) error {
		for range given.tasks {
			time.Sleep(rand.N(2 * meanDistance))
			if _, err := client.Enqueue(stamped(time.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}

// delayed schedules all tasks at once; the first is due after settle.
func delayed(redis asynq.RedisConnOpt, given options) (any, error) {
	return measure(redis, given, func(client *asynq.Client) error {
		first := time.Now().Add(settle)
		for range given.tasks {
			due := first.Add(rand.N(time.Duration(given.spreadMS) * time.Millisecond))
			if _, err := client.Enqueue(stamped(due), asynq.ProcessAt(due)); err != nil {
				return err
			}
		}
		return nil
	})
}

// measure runs a server with asynq's default settings that compares the time in each payload with now.
func measure(redis asynq.RedisConnOpt, given options, produce func(*asynq.Client) error) (any, error) {
	samples := make(chan float64, given.tasks)
	handler := func(_ context.Context, task *asynq.Task) error {
		now := time.Now().UnixNano()
		written, err := strconv.ParseInt(string(task.Payload()), 10, 64)
		if err != nil {
			return fmt.Errorf("payload is not a time: %w", asynq.SkipRetry)
		}
		samples <- float64(now-written) / 1e6
		return nil
	}
	server := asynq.NewServer(redis, asynq.Config{Concurrency: 10, LogLevel: asynq.ErrorLevel})
	if err := server.Start(asynq.HandlerFunc(handler)); err != nil {
		return nil, err
	}
	client := asynq.NewClient(redis)
	defer client.Close()
	if err := client.Ping(); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	if err := produce(client); err != nil {
		return nil, err
	}
	result := waits{}
	for range given.tasks {
		result.SamplesMS = append(result.SamplesMS, <-samples)
	}
	server.Shutdown()
	return result, nil
}

// hold takes tasks, prints the id of each and never finishes one.
func hold(redis asynq.RedisConnOpt, _ options) (any, error) {
	handler := func(_ context.Context, task *asynq.Task) error {
		fmt.Println(task.ResultWriter().TaskID())
		select {}
	}
	server := asynq.NewServer(redis, asynq.Config{Concurrency: 1, LogLevel: asynq.ErrorLevel})
	if err := server.Start(asynq.HandlerFunc(handler)); err != nil {
		return nil, err
	}
	select {}
}

func stamped(at time.Time) *asynq.Task {
	return asynq.NewTask(taskType, strconv.AppendInt(nil, at.UnixNano(), 10))
}
