package patrick

import (
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/taucloud/tau/services/auth/authapi"
)

// The scopes of tokens, as auth calls them.
const readScope, writeScope = "read", "write"

func scopeOf(name string) authapi.Scope { return authapi.Scope(name) }

// route is one of the front door's. The API's document is made of the same table.
type route struct {
	method, path string
	serve        func(w http.ResponseWriter, r *http.Request, in inside)
	does         string
	// scope is what a token must allow, "" if none is needed.
	scope string
	query []string
	// says is a value of the answer's type, status that of the answer.
	says   any
	status int
}

// routes are all of them.
func routes() []route {
	return []route{
		{"POST", "/hooks/{hook}", serveHook, "Takes a webhook of a forge, signed with its secret.", "", nil, hookAnswer{}, http.StatusAccepted},
		{"GET", "/v1/projects/{project}/jobs", serveJobs, "Lists jobs of a project, newest first.", readScope, []string{"branch", "after", "limit"}, jobsView{}, http.StatusOK},
		{"GET", "/v1/jobs/{job}", serveJob, "Shows a job.", readScope, nil, jobView{}, http.StatusOK},
		{"GET", "/v1/jobs/{job}/logs", serveLogs, "Shows the log of a job as far as it is known or, if text/event-stream is accepted, streams its lines, each a JSON string, until the event end.", readScope, nil, logView{}, http.StatusOK},
		{"POST", "/v1/jobs/{job}/cancel", serveCancel, "Ends a job without an outcome.", writeScope, nil, jobView{}, http.StatusOK},
		{"POST", "/v1/jobs/{job}/rebuild", serveRebuild, "Begins a job anew that failed or was cancelled.", writeScope, nil, jobView{}, http.StatusOK},
		{"GET", "/v1/openapi.json", serveDocument, "Describes all this, as OpenAPI.", "", nil, map[string]any{}, http.StatusOK},
	}
}

func serveDocument(w http.ResponseWriter, _ *http.Request, _ inside) {
	answer(w, http.StatusOK, document())
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

// document is the API as OpenAPI 3.1.
func document() map[string]any {
	paths := map[string]any{}
	for _, r := range routes() {
		of, _ := paths[r.path].(map[string]any)
		if of == nil {
			of = map[string]any{}
			paths[r.path] = of
		}
		of[strings.ToLower(r.method)] = operation(r)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "tau: jobs", "version": "1"},
		"paths":   paths,
		"components": map[string]any{
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer", "description": "an API token of tau auth token create"}},
		},
	}
}

func operation(r route) map[string]any {
	problems := content(problem{})
	responses := map[string]any{
		strconv.Itoa(r.status): map[string]any{"description": "done", "content": content(r.says)},
		"default":              map[string]any{"description": "refused, or not possible now", "content": problems},
	}
	parameters := []any{}
	for _, m := range inBraces.FindAllStringSubmatch(r.path, -1) {
		parameters = append(parameters, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, q := range r.query {
		parameters = append(parameters, map[string]any{"name": q, "in": "query", "schema": map[string]any{"type": "string"}})
	}
	op := map[string]any{"summary": r.does, "responses": responses, "parameters": parameters}
	if r.scope != "" {
		op["security"] = []any{map[string]any{"token": []string{}}}
		op["description"] = "The token's scopes have " + r.scope + " for the project."
	}
	return op
}

func content(v any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": schemaOf(reflect.TypeOf(v))}}
}

// schemaOf is the schema of what encoding/json makes of a type.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t.PkgPath() == "time" && t.Name() == "Time":
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() != reflect.Struct:
		return map[string]any{"type": "object"}
	}
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		properties[name] = schemaOf(t.Field(i).Type)
		if options != "omitempty" {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}
