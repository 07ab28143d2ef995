package up

import (
	"reflect"
	"regexp"
	"strings"
	"time"
)

// document is the API as OpenAPI has it, made of the routes and their types.
func document() map[string]any {
	d := describer{schemas: map[string]any{}}
	paths := map[string]any{}
	for _, rt := range routes() {
		of, _ := paths[rt.path].(map[string]any)
		if of == nil {
			of = map[string]any{}
			paths[rt.path] = of
		}
		of[strings.ToLower(rt.method)] = d.operation(rt)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "A universe of dreamland up", "version": "1",
			"description": "On loopback, with the token of the file token in the universe's directory, which dreamland status --json names."},
		"security":   []any{map[string]any{"token": []any{}}},
		"paths":      paths,
		"components": map[string]any{"schemas": d.schemas, "securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}}},
	}
}

type describer struct{ schemas map[string]any }

var notLetters = regexp.MustCompile(`[^a-z]+`)

func (d describer) operation(rt route) map[string]any {
	media := "application/json"
	if rt.lines {
		media = "application/x-ndjson"
	}
	content := func(media string, t reflect.Type) map[string]any {
		return map[string]any{media: map[string]any{"schema": d.schema(t)}}
	}
	op := map[string]any{
		"operationId": strings.Trim(notLetters.ReplaceAllString(strings.ToLower(rt.method+rt.path), "-"), "-"), "summary": rt.doc,
		"responses": map[string]any{
			"200":     map[string]any{"description": "Done.", "content": content(media, rt.out)},
			"default": map[string]any{"description": "Not done.", "content": content("application/json", reflect.TypeFor[Problem]())},
		},
	}
	if rt.open {
		op["security"] = []any{}
	}
	var parameters []any
	for i := range rt.in.NumField() {
		field := rt.in.Field(i)
		if where := field.Tag.Get("in"); where != "" {
			parameters = append(parameters, map[string]any{"name": jsonName(field), "in": where, "required": where == "path", "schema": d.schema(field.Type)})
		}
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if rt.method == "POST" && hasBody(rt.in) {
		op["requestBody"] = map[string]any{"required": true, "content": content("application/json", rt.in)}
	}
	return op
}

// schema is that of a type; structs with exported names have a place of their own.
func (d describer) schema(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": d.schema(t.Elem())}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object"}
	case t.Kind() != reflect.Struct:
		return map[string]any{"type": "integer"}
	}
	name := t.Name()
	if name == "" || strings.ToLower(name[:1]) == name[:1] {
		return d.object(t)
	}
	if d.schemas[name] == nil {
		d.schemas[name] = map[string]any{} // a type may hold itself
		d.schemas[name] = d.object(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

func (d describer) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	d.properties(t, properties, &required)
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

func (d describer) properties(t reflect.Type, into map[string]any, required *[]string) {
	for i := range t.NumField() {
		field := t.Field(i)
		switch {
		case field.Anonymous:
			d.properties(field.Type, into, required)
		case field.Tag.Get("in") != "":
		default:
			into[jsonName(field)] = d.schema(field.Type)
			if !strings.Contains(field.Tag.Get("json"), ",omitempty") {
				*required = append(*required, jsonName(field))
			}
		}
	}
}
