// Argo CD's health of an object: its Lua, with the libraries that Argo CD opens (util/lua, useOpenLibs off).

package main

import (
	"context"
	"errors"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// As a script returns it.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Argo CD gives a script one second.
const timeout = time.Second

func argoHealth(script string, object map[string]any) (*health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), NRet: 0, Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", luaValue(state, object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	returned, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return nil, errors.New("the script returns no table")
	}
	text := func(key string) string { return lua.LVAsString(returned.RawGetString(key)) }
	return &health{Status: text("status"), Message: text("message")}, nil
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(luaValue(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	}
	return lua.LNil
}
