package project

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const document = "../docs/projects.md"

// reference is the tables of all fields.
func reference() string {
	var b strings.Builder
	for _, t := range fileTables() {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", t.kind, t.doc)
		if t.short != "" {
			fmt.Fprintf(&b, "In `tau.yaml` a plain value is its `%s`.\n\n", t.short)
		}
		b.WriteString("| `tau.yaml` | configuration repository | what | if it is left out | example |\n|---|---|---|---|---|\n")
		for i := range t.fields {
			f := &t.fields[i]
			doc := f.doc
			if f.in == nil {
				doc = "Has no effect: " + f.ignored + "."
			}
			if f.better {
				doc = "**new** " + doc
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(f.mono), cell(f.repo...), strings.ReplaceAll(doc, "|", `\|`), leftOut(f), cell(f.example))
		}
	}
	return b.String()
}

func cell(texts ...string) string {
	var out []string
	for _, text := range texts {
		if text != "" {
			out = append(out, "`"+strings.ReplaceAll(text, "|", `\|`)+"`")
		}
	}
	return strings.Join(out, ", ")
}

func leftOut(f *field) string {
	switch {
	case f.in == nil:
		return ""
	case f.required:
		return "an error"
	case f.initial != "":
		return cell(f.initial)
	}
	return f.meant
}

// TestTheReferenceIsOfTheTable; UPDATE=1 writes it.
func TestTheReferenceIsOfTheTable(t *testing.T) {
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), "<!-- reference -->\n")
	require.True(t, found)
	got, after, found := strings.Cut(rest, "<!-- end of reference -->")
	require.True(t, found)
	if os.Getenv("UPDATE") == "" {
		require.Equal(t, reference(), got)
		return
	}
	require.NoError(t, os.WriteFile(document, []byte(before+"<!-- reference -->\n"+reference()+"<!-- end of reference -->"+after), 0o644))
}

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestTheExamplesOfTheDocument are projects, or files of one.
func TestTheExamplesOfTheDocument(t *testing.T) {
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	examples := example.FindAllStringSubmatch(string(raw), -1)
	require.Len(t, examples, 4)
	for _, m := range examples {
		first, _, _ := strings.Cut(m[1], "\n")
		if file, of := strings.CutPrefix(first, "# "); of {
			_, err = Load(fstest.MapFS{RepositoryFile: {Data: []byte("name: a")}, "domains/main.yaml": {Data: []byte("fqdn: a.example.com")}, file: {Data: []byte(m[1])}})
		} else {
			_, err = Parse(MonoFile, []byte(m[1]))
		}
		require.NoError(t, err, m[1])
	}
}

// TestEveryFieldIsDocumented, in words that end.
func TestEveryFieldIsDocumented(t *testing.T) {
	for _, table := range fileTables() {
		require.True(t, strings.HasSuffix(table.doc, "."), table.kind)
		for i := range table.fields {
			f := &table.fields[i]
			require.True(t, strings.HasSuffix(f.doc, "."), "%s: %s", table.kind, f.doc)
			require.True(t, f.in != nil || f.ignored != "", "%s: %s", table.kind, f.doc)
		}
	}
}
