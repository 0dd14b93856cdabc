package main

import (
	"fmt"

	"github.com/hibiken/asynq"
)

// task is what a listing shows of one task.
type task struct {
	ID, Type, Payload, State, LastErr string
	Retried, MaxRetry                 int
	Orphaned                          bool
	Headers                           map[string]string
}

// inspect prints everything asynq's tools read: statistics, history, every listing of every queue, the servers.
func inspect(args []string) error {
	set, redis, _ := flags("inspect")
	if err := set.Parse(args); err != nil {
		return err
	}
	opt, err := server(*redis)
	if err != nil {
		return err
	}
	inspector := asynq.NewInspector(opt)
	defer inspector.Close()
	names, err := inspector.Queues()
	if err != nil {
		return err
	}
	queues := map[string]any{}
	for _, name := range names {
		if queues[name], err = inspectQueue(inspector, name); err != nil {
			return fmt.Errorf("queue %s: %w", name, err)
		}
	}
	servers, err := inspector.Servers()
	if err != nil {
		return err
	}
	return report(map[string]any{"Queues": queues, "Servers": servers})
}

func inspectQueue(inspector *asynq.Inspector, name string) (any, error) {
	info, err := inspector.GetQueueInfo(name)
	if err != nil {
		return nil, err
	}
	history, err := inspector.History(name, 90)
	if err != nil {
		return nil, err
	}
	lists := map[string][]task{}
	for state, list := range map[string]func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		"pending": inspector.ListPendingTasks, "active": inspector.ListActiveTasks, "scheduled": inspector.ListScheduledTasks,
		"retry": inspector.ListRetryTasks, "archived": inspector.ListArchivedTasks, "completed": inspector.ListCompletedTasks,
	} {
		infos, err := list(name, asynq.PageSize(1000))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", state, err)
		}
		lists[state] = []task{}
		for _, info := range infos {
			lists[state] = append(lists[state], task{
				ID: info.ID, Type: info.Type, Payload: string(info.Payload), State: info.State.String(), LastErr: info.LastErr,
				Retried: info.Retried, MaxRetry: info.MaxRetry, Orphaned: info.IsOrphaned, Headers: info.Headers,
			})
		}
	}
	return map[string]any{"Info": info, "Today": history[0], "Tasks": lists}, nil
}

// act presses one of the tools' buttons.
func act(args []string) error {
	set, redis, queue := flags("act")
	action := set.String("action", "", "pause, unpause, cancel, run, archive or delete")
	id := set.String("id", "", "task id")
	if err := set.Parse(args); err != nil {
		return err
	}
	opt, err := server(*redis)
	if err != nil {
		return err
	}
	inspector := asynq.NewInspector(opt)
	defer inspector.Close()
	switch *action {
	case "pause":
		return inspector.PauseQueue(*queue)
	case "unpause":
		return inspector.UnpauseQueue(*queue)
	case "cancel":
		return inspector.CancelProcessing(*id)
	case "run":
		return inspector.RunTask(*queue, *id)
	case "archive":
		return inspector.ArchiveTask(*queue, *id)
	case "delete":
		return inspector.DeleteTask(*queue, *id)
	}
	return fmt.Errorf("-action %q: want pause, unpause, cancel, run, archive or delete", *action)
}
