package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

// work runs a worker until SIGTERM. It prints {"event":"ready"}, and for each attempt {"event":"start",...}. -answer says what
// the handler does: ok, fail, or hang (until cancelled).
func work(args []string) error {
	set, redis, _ := flags("work")
	queues := set.String("queues", "default=1", "name=priority,...")
	concurrency := set.Int("concurrency", 4, "attempts at once")
	strict := set.Bool("strict", false, "strict priority")
	answer := set.String("answer", "ok", "ok, fail or hang")
	takes := set.Duration("takes", 0, "how long an attempt takes")
	if err := set.Parse(args); err != nil {
		return err
	}
	opt, err := server(*redis)
	if err != nil {
		return err
	}
	priorities, err := parsePriorities(*queues)
	if err != nil {
		return err
	}
	worker := asynq.NewServer(opt, asynq.Config{
		Concurrency: *concurrency, Queues: priorities, StrictPriority: *strict,
		TaskCheckInterval: 200 * time.Millisecond, LogLevel: asynq.ErrorLevel,
	})
	var output sync.Mutex
	handler := func(ctx context.Context, task *asynq.Task) error {
		id, _ := asynq.GetTaskID(ctx)
		retried, _ := asynq.GetRetryCount(ctx)
		output.Lock()
		err := report(map[string]any{
			"event": "start", "id": id, "type": task.Type(), "payload": string(task.Payload()),
			"headers": task.Headers(), "retried": retried,
		})
		output.Unlock()
		if err != nil {
			return err
		}
		time.Sleep(*takes)
		switch *answer {
		case "fail":
			return fmt.Errorf("told to fail")
		case "hang":
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	if err := worker.Start(asynq.HandlerFunc(handler)); err != nil {
		return err
	}
	if err := report(map[string]string{"event": "ready"}); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	worker.Shutdown()
	return nil
}

func parsePriorities(text string) (map[string]int, error) {
	priorities := map[string]int{}
	for _, part := range strings.Split(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		priority, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("-queues %q: want name=priority,...", text)
		}
		priorities[name] = priority
	}
	return priorities, nil
}
