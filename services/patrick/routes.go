package patrick

import "net/http"

// route is one of the front door's.
type route struct {
	method, path string
	serve        func(w http.ResponseWriter, r *http.Request, in inside)
}

var routes = []route{
	{"POST", "/hooks/{hook}", serveHook},
}
