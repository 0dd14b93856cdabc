// Smoke is the program in the smoke test's pods.
//
// Takes: a word and its argument. `serve ADDRESS` answers every HTTP request with its host name; `resolve NAME` prints the
// addresses of a name; `connect HOST:PORT` opens a TCP connection and closes it. Gives: exit status 0 when that worked.
// Does not: speak any protocol but HTTP.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const patience = 5 * time.Second

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: smoke serve ADDRESS | resolve NAME | connect HOST:PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(word, argument string) error {
	switch word {
	case "serve":
		return serve(argument)
	case "resolve":
		addresses, err := net.LookupHost(argument)
		fmt.Println(strings.Join(addresses, " "))
		return err
	case "connect":
		connection, err := net.DialTimeout("tcp", argument, patience)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	return errors.New("unknown word " + word)
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	answer := func(writer http.ResponseWriter, request *http.Request) { fmt.Fprintln(writer, request.Host) }
	server := http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: patience}
	return server.Serve(listener)
}
