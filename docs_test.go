package tau_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const howTo = "docs/add-a-service.md"

// TestAddAServiceTellsTheTruth: the files that the document shows are put into the
// tree (as an overlay, nothing is written to it), with its line in the catalogue;
// they are built, and their test is run.
func TestAddAServiceTellsTheTruth(t *testing.T) {
	raw, err := os.ReadFile(howTo)
	require.NoError(t, err)
	root, err := os.Getwd()
	require.NoError(t, err)
	tmp := t.TempDir()
	replace := map[string]string{}
	put := func(path, text string) {
		file := filepath.Join(tmp, strings.ReplaceAll(path, "/", "_"))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		replace[filepath.Join(root, path)] = file
	}
	for _, block := range regexp.MustCompile("(?s)```go (\\S+)\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		require.NoFileExists(t, block[1], "the toy is no service: name it otherwise")
		put(block[1], block[2])
	}
	for _, file := range serviceFiles {
		if strings.HasSuffix(file, ".go") {
			require.Contains(t, replace, filepath.Join(root, "services/counter", file), "%s does not show a file that each service has", howTo)
		}
	}
	for _, file := range apiFiles {
		require.Contains(t, replace, filepath.Join(root, "services/counter/counterapi", file), "%s does not show a file that each API has", howTo)
	}
	require.Contains(t, string(raw), "\n\t\tcounter.Spec(),\n")
	catalogue, err := os.ReadFile("services/services.go")
	require.NoError(t, err)
	text := strings.Replace(string(catalogue), "\t\tmonkey.Spec(", "\t\tcounter.Spec(),\n\t\tmonkey.Spec(", 1)
	text = strings.Replace(text, "import (\n", "import (\n\t\"github.com/taucloud/tau/services/counter\"\n", 1)
	put("services/services.go", text)

	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(tmp, "overlay.json")
	require.NoError(t, os.WriteFile(file, overlay, 0o644))
	binary := filepath.Join(tmp, "counter.test")
	run := func(dir, name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: what it shows does not work:\n%s", howTo, out)
		return string(out)
	}
	run(root, "go", "test", "-vet=off", "-overlay", file, "-skip", "TestMethodsAreListed", "./services") // whose table is no Go file
	run(root, "go", "test", "-vet=off", "-overlay", file, "-c", "-o", os.DevNull, "./services/counter/counterapi")
	run(root, "go", "test", "-vet=off", "-overlay", file, "-c", "-o", binary, "./services/counter")
	require.Contains(t, run(tmp, binary, "-test.v"), "--- PASS: TestWhatIsAcknowledgedSurvives")
}

var (
	fenced  = regexp.MustCompile("(?s)```.*?```")
	quoted  = regexp.MustCompile("`([A-Za-z_][\\w.-]*(?:/[\\w.*-]+)*/?)`")
	linked  = regexp.MustCompile(`\]\(([^)#\s]+)`)
	hasFile = regexp.MustCompile(`^[\w-]+\.(?:go|md|yaml|patch)$`)
	// placeholders stand for any service, as a document says.
	placeholders = []string{"services/x", "services/x/xapi", "bin/dreamland", "bin/tau"}
)

// TestDocumentsNameWhatIsThere: each link and each path in a document of ours leads
// somewhere, but for those of the toy. A path begins with a folder of the root, or of
// the document's own; a name of a file alone is of a file below the document's folder,
// of the root, or of a story, or, in a document about everything, of any file.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	bases := map[string][]string{} // by the name of a file: the folders that have one
	var documents []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".":
			return filepath.SkipDir
		case !d.IsDir():
			bases[d.Name()] = append(bases[d.Name()], filepath.Dir(path))
			if strings.HasSuffix(path, ".md") {
				documents = append(documents, path)
			}
		}
		return nil
	}))
	found := 0
	for _, document := range documents {
		raw, err := os.ReadFile(document)
		require.NoError(t, err)
		dir := filepath.Dir(document)
		for _, m := range linked.FindAllStringSubmatch(string(raw), -1) {
			if !strings.Contains(m[1], "://") {
				_, err := os.Stat(filepath.Join(dir, m[1]))
				require.NoError(t, err, "%s has a link to it", document)
				found++
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(fenced.ReplaceAllString(string(raw), ""), -1) {
			if document == howTo && strings.Contains(m[1], "count") || slices.Contains(placeholders, m[1]) {
				continue
			}
			there, isPath := named(m[1], dir, bases)
			require.True(t, there, "%s names %s, which is not there", document, m[1])
			if isPath {
				found++
			}
		}
	}
	require.Greater(t, found, 200, "no paths were found")
}

// named reports whether what a document of a folder quotes is there, as far as it is
// a path at all.
func named(name, dir string, bases map[string][]string) (there, isPath bool) {
	if hasFile.MatchString(name) {
		general := dir == "." || dir == "docs" || dir == "scenarios"
		return slices.ContainsFunc(bases[name], func(at string) bool {
			return general || at == "." || at == dir || strings.HasPrefix(at, dir+"/") || at == "scenarios"
		}), true
	}
	first, _, deeper := strings.Cut(name, "/")
	if _, err := os.Stat(first); err != nil || !deeper {
		return true, false // the name of something else
	}
	for _, at := range []string{name, filepath.Join(dir, name)} {
		if matches, err := filepath.Glob(at); err == nil && len(matches) > 0 {
			return true, true
		}
	}
	return false, true
}
