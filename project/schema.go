package project

import (
	"fmt"
	"slices"
	"strings"
)

const draft = "https://json-schema.org/draft/2020-12/schema"

// Schema is the JSON Schema of tau.yaml. It says of each key what its table says; what depends on several keys, such as
// names of domains and paths that two functions have, only reading finds.
func Schema() map[string]any {
	defs := map[string]any{}
	top := objectOf(projectTable, Mono)
	application := objectOf(applicationTable, Mono)
	application["type"] = []string{"object", "null"}
	for _, t := range kinds {
		defs[t.one] = resourceShape(t)
		named := namedShape(t.kind, t.doc, map[string]any{"$ref": "#/$defs/" + t.one}, ResourcesMax)
		top["properties"].(map[string]any)[t.kind] = named
		application["properties"].(map[string]any)[t.kind] = named
	}
	defs[applicationTable.one] = application
	top["properties"].(map[string]any)["applications"] = namedShape("applications", applicationTable.doc, map[string]any{"$ref": "#/$defs/" + applicationTable.one}, ApplicationsMax)
	top["$schema"], top["title"], top["$defs"] = draft, "A project of a tau cloud: tau.yaml", defs
	return top
}

// Files are the kinds of files of a configuration repository: config.yaml of a project, of an application, and those of
// resources.
func Files() (kinds []string) {
	for _, t := range fileTables() {
		kinds = append(kinds, t.one)
	}
	return kinds
}

func fileTables() []*table { return append([]*table{projectTable, applicationTable}, kinds...) }

// FileSchema is the JSON Schema of a kind of files of a configuration repository.
func FileSchema(kind string) (map[string]any, error) {
	for _, t := range fileTables() {
		if t.one == kind || t.kind == kind {
			shape := objectOf(t, Repository)
			shape["$schema"], shape["title"] = draft, fmt.Sprintf("A %s of a tau cloud, in a configuration repository", t.one)
			return shape, nil
		}
	}
	return nil, fmt.Errorf("there is no kind %q of files: known are %s", kind, strings.Join(Files(), ", "))
}

func namedShape(kind, doc string, one map[string]any, most int) map[string]any {
	return map[string]any{"type": []string{"object", "null"}, "description": doc, "propertyNames": map[string]any{"pattern": namePattern}, "maxProperties": min(most, dialect.Keys), "additionalProperties": one}
}

// resourceShape is a resource of tau.yaml: a mapping, or its short form.
func resourceShape(t *table) map[string]any {
	object := objectOf(t, Mono)
	if object["required"] == nil {
		object["type"] = []string{"object", "null"}
	}
	if t.short == "" {
		return object
	}
	return map[string]any{"anyOf": []any{fieldShape(t.field(t.short), t), object}}
}

// objectOf is the mapping of a table's fields.
func objectOf(t *table, form Form) map[string]any {
	root := emptyObject()
	root["description"] = t.doc
	for i := range t.fields {
		f := &t.fields[i]
		for _, path := range f.paths(form) {
			put(root, strings.Split(path, "."), fieldShape(f, t))
		}
		if !f.required {
			continue
		}
		var ways []any
		for _, path := range f.paths(form) {
			ways = append(ways, requiring(strings.Split(path, ".")))
		}
		if len(ways) == 1 {
			demand(root, strings.Split(f.path(form), "."))
		} else if len(ways) > 1 {
			root["anyOf"] = ways
		}
	}
	if form == Repository && t != projectTable {
		root["properties"].(map[string]any)["name"] = map[string]any{"type": []string{"string", "null"}, "description": "The name of the file, or nothing."}
	}
	return root
}

func emptyObject() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
}

// put gives a shape to what is below keys.
func put(object map[string]any, keys []string, shape map[string]any) {
	properties := object["properties"].(map[string]any)
	if len(keys) == 1 {
		properties[keys[0]] = shape
		return
	}
	below, _ := properties[keys[0]].(map[string]any)
	if below == nil {
		below = emptyObject()
		below["type"] = []string{"object", "null"}
		properties[keys[0]] = below
	}
	put(below, keys[1:], shape)
}

// demand makes keys required, each below the one before.
func demand(object map[string]any, keys []string) {
	for _, key := range keys {
		required, _ := object["required"].([]string)
		if !slices.Contains(required, key) {
			object["required"] = append(required, key)
		}
		object["type"] = "object"
		object, _ = object["properties"].(map[string]any)[key].(map[string]any)
	}
}

// requiring is the shape of what has something below keys.
func requiring(keys []string) map[string]any {
	shape := map[string]any{"type": "object", "required": []string{keys[0]}}
	if len(keys) > 1 {
		shape["properties"] = map[string]any{keys[0]: requiring(keys[1:])}
	}
	return shape
}

// fieldShape is what a field's value looks like.
func fieldShape(f *field, t *table) map[string]any {
	shape := f.shape
	if shape == nil {
		shape = valueShape(f, t)
	}
	out := map[string]any{"description": f.doc}
	for key, v := range shape {
		out[key] = v
	}
	switch {
	case f.in == nil:
		out["description"], out["deprecated"] = "Has no effect: "+f.ignored+".", true
	case f.initial != "":
		out["default"] = f.initial
	}
	return out
}

func valueShape(f *field, t *table) map[string]any {
	if f.in == nil {
		return map[string]any{}
	}
	switch f.in(sample(t)).(type) {
	case *bool:
		return map[string]any{"type": []string{"boolean", "null"}}
	case *int:
		return map[string]any{"type": []string{"integer", "null"}, "minimum": 1, "maximum": f.rule.max}
	case *[]string:
		item := oneShape(f)
		return map[string]any{"anyOf": []any{item, map[string]any{"type": "array", "items": item, "maxItems": itemsMax}}}
	case *map[string]string:
		return map[string]any{"type": []string{"object", "null"}, "maxProperties": itemsMax, "propertyNames": map[string]any{"pattern": f.rule.keys.pattern}, "additionalProperties": textShape()}
	}
	return oneShape(f)
}

// sample is something that a table's fields are of.
func sample(t *table) any {
	switch t {
	case projectTable:
		return &Project{}
	case applicationTable:
		return &Application{}
	}
	return t.new()
}

// oneShape is a single value. An empty text is as if there was none.
func oneShape(f *field) map[string]any {
	switch {
	case len(f.rule.words) > 0:
		words := []any{nil, ""}
		for _, w := range f.rule.words {
			words = append(words, w)
			if lower := strings.ToLower(w); f.rule.fold && lower != w {
				words = append(words, lower)
			}
		}
		return map[string]any{"enum": words}
	case f.rule.pattern == "":
		return textShape()
	case strings.HasPrefix(f.rule.pattern, "^[0-9]"):
		return map[string]any{"type": []string{"string", "integer", "null"}, "pattern": "^$|" + f.rule.pattern}
	}
	return map[string]any{"type": []string{"string", "null"}, "pattern": "^$|" + f.rule.pattern}
}

func textShape() map[string]any {
	return map[string]any{"type": []string{"string", "number", "boolean", "null"}}
}
