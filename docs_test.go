package tau_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	run(root, "go", "test", "-vet=off", "-overlay", file, "./services")
	run(root, "go", "test", "-vet=off", "-overlay", file, "-c", "-o", binary, "./services/counter")
	require.Contains(t, run(tmp, binary, "-test.v"), "--- PASS: TestWhatIsAcknowledgedSurvives")
}

// TestAddAServiceNamesWhatIsThere: each path in the document, but for those of the
// toy, exists.
func TestAddAServiceNamesWhatIsThere(t *testing.T) {
	raw, err := os.ReadFile(howTo)
	require.NoError(t, err)
	prose := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(raw), "")
	found := 0
	for _, m := range regexp.MustCompile("`([a-z_]+(?:/[a-zA-Z_.-]+)+|[A-Za-z_]+\\.(?:md|go))`").FindAllStringSubmatch(prose, -1) {
		path := m[1]
		inService := !strings.Contains(path, "/") && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
		if strings.Contains(path, "count") || inService || path == "services/x" {
			continue
		}
		_, err := os.Stat(path)
		require.NoError(t, err, "%s names %s, which is not there", howTo, path)
		found++
	}
	require.Greater(t, found, 10)
}
