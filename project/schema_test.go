package project

import (
	"bytes"
	"encoding/json"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// schemas compiles the schemas of all files.
type schemas map[string]*jsonschema.Schema

func compileSchemas(t testing.TB) schemas {
	out := schemas{}
	add := func(name string, schema map[string]any) {
		raw, err := json.Marshal(schema)
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource(name+".json", doc))
		out[name], err = c.Compile(name + ".json")
		require.NoError(t, err)
	}
	add(MonoFile, Schema())
	for _, kind := range Files() {
		schema, err := FileSchema(kind)
		require.NoError(t, err)
		add(kind, schema)
	}
	return out
}

// of is the schema of a file, nil if it is none that is read.
func (s schemas) of(file string) *jsonschema.Schema {
	dir := path.Base(path.Dir(file))
	switch {
	case file == MonoFile:
		return s[MonoFile]
	case file == RepositoryFile:
		return s["project"]
	case path.Base(file) == RepositoryFile && strings.HasPrefix(file, "applications/"):
		return s["application"]
	case kindNamed(dir) != nil && path.Ext(file) == ".yaml":
		return s[kindNamed(dir).one]
	}
	return nil
}

// validate holds a YAML text against the schema of its file.
func (s schemas) validate(file string, text []byte) error {
	schema := s.of(file)
	if schema == nil {
		return nil
	}
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// beyondSchemas are invalid fixtures of which each file alone is fine.
var beyondSchemas = []string{"mono-overlap", "mono-folders", "both-forms", "no-project", "wrong-ending"}

// TestSchemasAndFixtures: what is valid is so by the schema, and what is not is not, as far as one file can tell.
func TestSchemasAndFixtures(t *testing.T) {
	s := compileSchemas(t)
	for _, f := range fixtures(t, "valid") {
		for name, file := range f.files {
			require.NoError(t, s.validate(name, file.Data), "%s: %s", f.name, name)
		}
	}
	for _, f := range fixtures(t, "invalid") {
		refused := false
		for name, file := range f.files {
			refused = refused || s.validate(name, file.Data) != nil
		}
		require.Equal(t, !slices.Contains(beyondSchemas, strings.TrimSuffix(filepath.Base(f.name), ".txtar")), refused, f.name)
	}
}

// TestWhatIsPrintedIsValid by the schema.
func TestWhatIsPrintedIsValid(t *testing.T) {
	s := compileSchemas(t)
	for _, form := range []Form{Mono, Repository} {
		rapid.Check(t, func(t *rapid.T) {
			for name, text := range projects(form).Draw(t, "project").Print(form) {
				require.NoError(t, s.validate(name, []byte(text)), text)
			}
		})
	}
}

// around is the least valid file of a kind with more below it, by the form.
func around(t *table, form Form, more string) (file, text string) {
	base := map[string]map[Form]string{
		"domains":   {Mono: "fqdn: a.example.com", Repository: "fqdn: a.example.com"},
		"functions": {Mono: "channel: c", Repository: "trigger: {type: pubsub, channel: c}"},
		"websites":  {Repository: `source: {repository: "https://x.example.com/a"}`},
		"libraries": {Repository: `source: {repository: "https://x.example.com/a"}`},
		"databases": {Mono: "size: 1MB", Repository: "storage: {size: 1MB}"},
		"storages":  {Mono: "size: 1MB", Repository: "object: {size: 1MB}"},
		"services":  {Mono: "protocol: /a", Repository: "protocol: /a"},
		"project":   {Mono: "name: a", Repository: "name: a"},
	}[t.kind][form]
	key, _, _ := strings.Cut(more, ":")
	if form == Repository && (key == StorageObject || key == StorageStreaming) && !strings.Contains(more, "size") {
		more = strings.Replace(more, "}", ", size: 1MB}", 1)
	}
	lines := []string{more}
	if first, _, _ := strings.Cut(base, ":"); base != "" && first != key {
		lines = append(lines, base)
	}
	switch {
	case t == projectTable:
		return map[Form]string{Mono: MonoFile, Repository: RepositoryFile}[form], strings.Join(lines, "\n")
	case form == Repository && t == applicationTable:
		return "applications/a/config.yaml", strings.Join(lines, "\n")
	case form == Repository:
		return t.kind + "/a.yaml", strings.Join(lines, "\n")
	}
	return MonoFile, "name: a\n" + t.kind + ":\n  a:\n    " + strings.Join(lines, "\n    ") + "\n"
}

// nested writes a value below the keys of a path, in one line.
func nested(path, value string) string {
	keys := strings.Split(path, ".")
	text := value
	for _, key := range slices.Backward(keys) {
		text = key + ": " + text
		if key != keys[0] {
			text = "{" + text + "}"
		}
	}
	return text
}

// TestEachFieldIsInTheSchema: its example is read and valid; a value of the wrong kind, and a key that is misspelt, are
// refused by both.
func TestEachFieldIsInTheSchema(t *testing.T) {
	s := compileSchemas(t)
	count := 0
	for _, table := range fileTables() {
		for _, form := range []Form{Mono, Repository} {
			for i := range table.fields {
				f := &table.fields[i]
				for _, at := range f.paths(form) {
					count++
					if f.example != "" {
						file, text := around(table, form, nested(at, f.example))
						require.NoError(t, s.validate(file, []byte(text)), text)
						require.NotContains(t, problemsOf(form, file, text), "unknown key", text)
						require.NotContains(t, problemsOf(form, file, text), "expected", text)
					}
					file, text := around(table, form, nested(at+"x", "a"))
					require.Error(t, s.validate(file, []byte(text)), text)
					require.Contains(t, problemsOf(form, file, text), "unknown key", text)
					if f.in == nil {
						continue
					}
					file, text = around(table, form, nested(at, "[{odd: 1}]"))
					require.Error(t, s.validate(file, []byte(text)), text)
					require.Contains(t, problemsOf(form, file, text), "expected", text)
					if f.rule.form != nil || len(f.rule.words) > 0 {
						file, text = around(table, form, nested(at, `" # "`))
						require.Error(t, s.validate(file, []byte(text)), text)
						require.Contains(t, problemsOf(form, file, text), "expected", text)
					}
				}
			}
		}
	}
	require.Greater(t, count, 120)
}

// problemsOf are what is wrong with one file of a project.
func problemsOf(form Form, file, text string) string {
	var err error
	if form == Mono {
		_, err = Parse(file, []byte(text))
	} else {
		files := fstest.MapFS{RepositoryFile: {Data: []byte("name: a")}}
		files[file] = &fstest.MapFile{Data: []byte(text)}
		_, err = Load(files)
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSchemasByKind(t *testing.T) {
	require.Equal(t, []string{"project", "application", "domain", "function", "website", "library", "database", "storage", "channel", "service", "smartop"}, Files())
	_, err := FileSchema("functions")
	require.NoError(t, err)
	_, err = FileSchema("nothing")
	require.ErrorContains(t, err, "known are project, application")
}
