// Peer is the other side of the queue's wire compatibility: real programs of Go's asynq, driven by our tests and benchmarks.
//
// Takes a subcommand and flags (-redis URI first of all), prints one JSON value per line on standard output, and ends with
// status 1 and the reason on standard error when asynq reports any error.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/hibiken/asynq"
)

var commands = map[string]func(args []string) error{
	"enqueue":       enqueue,
	"work":          work,
	"inspect":       inspect,
	"act":           act,
	"bench-enqueue": benchEnqueue,
	"bench-process": benchProcess,
	"bench-latency": benchLatency,
	"bench-delayed": benchDelayed,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: peer enqueue|work|inspect|act|bench-enqueue|bench-process|bench-latency|bench-delayed -redis URI ...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
		os.Exit(1)
	}
}

// flags returns a flag set with the flags that all subcommands share.
func flags(name string) (set *flag.FlagSet, redis, queue *string) {
	set = flag.NewFlagSet(name, flag.ExitOnError)
	redis = set.String("redis", "redis://127.0.0.1:6379/0", "Redis URI")
	queue = set.String("queue", "default", "queue name")
	return set, redis, queue
}

// server turns the URI into asynq's connection options. asynq has no form for a cluster; ours is read here.
func server(uri string) (asynq.RedisConnOpt, error) {
	if rest, isCluster := strings.CutPrefix(uri, "redis+cluster://"); isCluster {
		login, hosts, _ := strings.Cut(rest, "@")
		username, password, _ := strings.Cut(login, ":")
		return asynq.RedisClusterClientOpt{Addrs: strings.Split(hosts, ","), Username: username, Password: password}, nil
	}
	return asynq.ParseRedisURI(uri)
}

func report(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
