// Command asynq-baseline is asynq's half of the queue rows of the benchmarks; `bench queue` has the same commands with
// our queue. It takes a command and REDIS_URI, and prints one JSON object ("hold": a line per task). It ends when its
// standard input does, so it never outlives the program that started it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/hibiken/asynq"
)

// taskType is the type of all tasks of the benchmarks.
const taskType = "bench:task"

// options are the flags of all commands; each command reads those it needs.
type options struct {
	tasks       int
	callers     int
	concurrency int
	spreadMS    int64
	queues      string
}

func main() {
	go endWithStandardInput()
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: asynq-baseline enqueue|process|latency|delayed|hold [flags]"))
	}
	command, given := os.Args[1], options{}
	flags := flag.NewFlagSet(command, flag.ExitOnError)
	flags.IntVar(&given.tasks, "tasks", 0, "tasks in total")
	flags.IntVar(&given.callers, "callers", 1, "goroutines at work at once")
	flags.Int("batch", 1, "accepted for symmetry; asynq v0.26.0 enqueues one by one")
	flags.IntVar(&given.concurrency, "concurrency", 10, "tasks run at once")
	flags.Int64Var(&given.spreadMS, "spread-ms", 0, "due times are spread over this many milliseconds")
	flags.StringVar(&given.queues, "queues", "default:1", "name:weight, separated by commas")
	_ = flags.Parse(os.Args[2:]) // ExitOnError
	redis, err := asynq.ParseRedisURI(os.Getenv("REDIS_URI"))
	if err != nil {
		fail(err)
	}
	run := map[string]func(asynq.RedisConnOpt, options) (any, error){
		"enqueue": enqueue, "process": process, "latency": latency, "delayed": delayed, "hold": hold,
	}[command]
	if run == nil {
		fail(fmt.Errorf("unknown command %q", command))
	}
	result, err := run(redis, given)
	if err != nil {
		fail(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(result) // a closed output means nobody waits for it
}

// weights reads "critical:6,default:3".
func weights(text string) (map[string]int, error) {
	queues := map[string]int{}
	for part := range strings.SplitSeq(text, ",") {
		name, weight, found := strings.Cut(part, ":")
		number, err := strconv.Atoi(weight)
		if !found || err != nil {
			return nil, fmt.Errorf("write queues as name:weight, not %q", part)
		}
		queues[name] = number
	}
	return queues, nil
}

func endWithStandardInput() {
	_, _ = io.Copy(io.Discard, os.Stdin) // an unreadable standard input is an ended one
	os.Exit(3)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "asynq-baseline:", err)
	os.Exit(1)
}
