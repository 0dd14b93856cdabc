package main

import (
	"strings"
	"time"

	"github.com/hibiken/asynq"
)

// enqueue puts -count equal tasks in (with -id only one) and prints the id of each.
func enqueue(args []string) error {
	set, redis, queue := flags("enqueue")
	kind := set.String("type", "greet", "task type")
	payload := set.String("payload", "{}", "task payload")
	id := set.String("id", "", "task id")
	in := set.Duration("in", 0, "time until the task is due")
	retry := set.Int("retry", 25, "most retries")
	timeout := set.Duration("timeout", 30*time.Second, "time an attempt may take")
	unique := set.Duration("unique", 0, "how long no equal task is accepted")
	retention := set.Duration("retention", 0, "how long a succeeded task is kept")
	header := set.String("header", "", "key=value")
	count := set.Int("count", 1, "number of tasks")
	if err := set.Parse(args); err != nil {
		return err
	}
	opt, err := server(*redis)
	if err != nil {
		return err
	}
	client := asynq.NewClient(opt)
	defer client.Close()
	options := []asynq.Option{asynq.Queue(*queue), asynq.MaxRetry(*retry), asynq.Timeout(*timeout), asynq.Retention(*retention)}
	if *id != "" {
		options = append(options, asynq.TaskID(*id))
	}
	if *in > 0 {
		options = append(options, asynq.ProcessIn(*in))
	}
	if *unique > 0 {
		options = append(options, asynq.Unique(*unique))
	}
	task := asynq.NewTask(*kind, []byte(*payload))
	if key, value, found := strings.Cut(*header, "="); found {
		task = asynq.NewTaskWithHeaders(*kind, []byte(*payload), map[string]string{key: value})
	}
	for range *count {
		info, err := client.Enqueue(task, options...)
		if err != nil {
			return err
		}
		if err := report(map[string]string{"id": info.ID}); err != nil {
			return err
		}
	}
	return nil
}
