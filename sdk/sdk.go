// Package sdk is for functions in Go: their handlers are those of net/http.
//
//	package main
//
//	import (
//		"fmt"
//		"net/http"
//
//		"github.com/taucloud/tau/sdk"
//	)
//
//	func init() {
//		sdk.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
//			fmt.Fprintf(w, "Hello, %s.\n", r.PathValue("name"))
//		})
//	}
//
//	func main() {}
//
// The project says that requests are for what this package exports:
//
//	functions:
//	  hello: {paths: ["/hello/{name}"], call: serve}
//
// Handlers are registered in init: main is not run, and what init has made is there for each request, as it was. Nothing of
// a request is there for the next one. Requests go to other hosts, those of the function's `outbound`, by Do, or by an
// http.Client with Transport. Package log and standard error are the function's log; environment and secrets are read by
// os.Getenv.
//
// On a machine of one's own handlers are tested with net/http/httptest, as any others are.
package sdk

import (
	"fmt"
	"net/http"
	"os"
)

// Mux has the handlers. Replace what it does by a handler for "/", if another router is wanted.
var Mux = http.NewServeMux()

// Handle registers a handler for a pattern of http.ServeMux. Call it in init.
func Handle(pattern string, h http.Handler) { Mux.Handle(pattern, h) }

// HandleFunc registers a function as a handler for a pattern of http.ServeMux. Call it in init.
func HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	Mux.HandleFunc(pattern, h)
}

// Secret is one of the function's secrets. An error says how to give it to the cloud.
func Secret(name string) (string, error) {
	if v, is := os.LookupEnv(name); is {
		return v, nil
	}
	return "", fmt.Errorf("sdk: there is no secret %s: name it in the function's secrets, and put its value with `tau auth secret put function PROJECT %s`", name, name)
}

// Itself is what a function knows of itself.
type Itself struct{ Project, Application, Function, Branch, Commit string }

// RequestID is the name that the cloud has given a request: its log lines have it.
func RequestID(r *http.Request) string { return r.Header.Get("X-Request-Id") }

// Do sends a request to a host that the function's `outbound` has, and returns the response, after redirects. It is less than half as much code as
// an http.Client, which with Transport does the same.
func Do(r *http.Request) (*http.Response, error) { return Transport{}.RoundTrip(r) }
