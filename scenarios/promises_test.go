package scenarios

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/words"
)

// promised is a row of promises/promises.yaml.
type promised struct {
	Says    string   `yaml:"says"`
	Checks  []string `yaml:"checks"`
	SeenIn  []string `yaml:"seen-in"`
	Tests   []string `yaml:"tests"`
	Mutants []string `yaml:"mutants"`
	Client  []string `yaml:"client"`
}

type promisesOf struct {
	Promises []promised          `yaml:"promises"`
	Methods  map[string]promised `yaml:"methods"`
}

func promises(t *testing.T) map[string]promisesOf {
	raw, err := os.ReadFile("promises/promises.yaml")
	require.NoError(t, err)
	var table map[string]promisesOf
	require.NoError(t, yaml.UnmarshalWithOptions(raw, &table, yaml.Strict()))
	return table
}

// serviceNames lists the services that there are.
func serviceNames(t *testing.T) (names []string) {
	files, err := filepath.Glob(filepath.Join("..", "services", "*", "service.go"))
	require.NoError(t, err)
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	require.Greater(t, len(names), 4, "no services were found")
	return names
}

// TestEveryPromiseHasACheck compares the table with what services promise.
func TestEveryPromiseHasACheck(t *testing.T) {
	table := promises(t)
	for _, service := range serviceNames(t) {
		lines := promiseLines(t, service)
		require.NotEmpty(t, lines, service)
		var says []string
		for _, p := range table[service].Promises {
			says = append(says, p.Says)
			require.True(t, slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, p.Says) }),
				"promises.yaml: the README of %s has no line that begins with %q", service, p.Says)
		}
		for _, line := range lines {
			require.True(t, slices.ContainsFunc(says, func(s string) bool { return strings.HasPrefix(line, s) }),
				"promises.yaml has no row for what the README of %s promises: %q", service, line)
		}
	}
}

// promiseLines are the items of the sections Promise and Invariants, without
// marks. An item that lists checks is none.
func promiseLines(t *testing.T, service string) (lines []string) {
	raw, err := os.ReadFile(filepath.Join("..", "services", service, "README.md"))
	require.NoError(t, err)
	inside := false
	for _, line := range strings.Split(string(raw), "\n") {
		if strings.HasPrefix(line, "## ") {
			inside = line == "## Promise" || line == "## Invariants"
		}
		line = strings.NewReplacer("*", "", "`", "").Replace(line)
		if inside && strings.HasPrefix(line, "- ") && !strings.HasPrefix(line, "- Checks:") {
			lines = append(lines, strings.TrimPrefix(line, "- "))
		}
	}
	return lines
}

var (
	clientMethod = regexp.MustCompile(`(?m)^func \(c \*Client\) ([A-Z]\w*)`)
	errorName    = regexp.MustCompile(`(?:invalid|transport\.New)\([^"\n]*"((?:\w+)/[a-z-]+)"`)
)

// TestEveryMethodHasACheck compares the table with the declared methods.
func TestEveryMethodHasACheck(t *testing.T) {
	table := promises(t)
	for _, service := range serviceNames(t) {
		rows := table[service]
		names, clients := apiOf(t, service)
		require.ElementsMatch(t, names, slices.Collect(maps.Keys(rows.Methods)), "promises.yaml: the methods of %s", service)
		var called []string
		for _, m := range rows.Methods {
			called = append(called, m.Client...)
		}
		require.ElementsMatch(t, clients, called, "promises.yaml: the methods of the client of %s", service)
	}
}

// apiOf lists the names on the wire of a service's methods, public (its api
// package) and private (its methods.go), and the methods of its client.
func apiOf(t *testing.T, service string) (names, clients []string) {
	wireName := regexp.MustCompile(`"((?:` + strings.Join(serviceNames(t), "|") + `)/[a-z-]+)"`)
	files, err := filepath.Glob(filepath.Join("..", "services", service, service+"api", "*.go"))
	require.NoError(t, err)
	if private := filepath.Join("..", "services", service, "methods.go"); fileExists(private) {
		files = append(files, private)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		errors := errorName.FindAllStringSubmatch(string(raw), -1)
		for _, m := range wireName.FindAllStringSubmatch(string(raw), -1) {
			if !slices.Contains(names, m[1]) && !slices.ContainsFunc(errors, func(e []string) bool { return e[1] == m[1] }) {
				names = append(names, m[1])
			}
		}
		for _, m := range clientMethod.FindAllStringSubmatch(string(raw), -1) {
			clients = append(clients, m[1])
		}
	}
	return names, clients
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// TestPromisesNameWhatThereIs: whatever the table refers to exists, each row says
// how its loss would be noticed.
func TestPromisesNameWhatThereIs(t *testing.T) {
	var checks []string
	for _, c := range words.Vocabulary().Checks {
		checks = append(checks, c.Name)
	}
	tests := testNames(t)
	for service, rows := range promises(t) {
		all := slices.Clone(rows.Promises)
		for name, m := range rows.Methods {
			m.Says = name
			all = append(all, m)
		}
		for _, p := range all {
			require.NotEmpty(t, append(p.Checks, p.Tests...), "%s: %s: nothing would notice", service, p.Says)
			require.NotEmpty(t, append(p.SeenIn, p.Tests...), "%s: %s: seen nowhere", service, p.Says)
			for _, name := range p.Checks {
				require.Contains(t, checks, name, "%s: %s", service, p.Says)
			}
			for _, name := range p.SeenIn {
				require.FileExists(t, name+".yaml", "%s: %s", service, p.Says)
			}
			for _, name := range p.Tests {
				require.Contains(t, tests, name, "%s: %s", service, p.Says)
			}
			for _, name := range p.Mutants {
				require.FileExists(t, filepath.Join("mutants", name+".patch"), "%s: %s", service, p.Says)
			}
		}
	}
}

// testNames lists the tests of this folder, of those below it and of the services.
func testNames(t *testing.T) (names []string) {
	pattern := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, glob := range []string{"*_test.go", "*/*_test.go", "words/*/*_test.go", "../services/*_test.go", "../services/*/*_test.go", "../project/route/*_test.go", "../cmd/tau/*_test.go", "../wasm/web/*_test.go", "../wasm/sdk/*_test.go", "../wasm/outbound/*_test.go"} {
		files, err := filepath.Glob(glob)
		require.NoError(t, err)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range pattern.FindAllStringSubmatch(string(raw), -1) {
				names = append(names, m[1])
			}
		}
	}
	return names
}
