package toolchains

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
)

const ascRemedy = "install Node.js, npm install assemblyscript somewhere, and set assemblyscript to the node_modules directory that it is in then"

// entries are where the source of a module begins, the first that is there.
var entries = []string{"assembly/index.ts", "src/index.ts", "index.ts", "main.ts"}

func (s *Set) findAssemblyScript(ctx context.Context, r Runner) (*tool, error) {
	dir := s.cfg.AssemblyScript
	for _, d := range []string{"/usr/local/lib/node_modules", "/usr/lib/node_modules"} {
		if dir == "" && hasCompiler(d) {
			dir = d
		}
	}
	if dir == "" {
		return nil, &Missing{"AssemblyScript's compiler is not configured", ascRemedy}
	}
	if !hasCompiler(dir) {
		return nil, &Missing{"there is no assemblyscript/bin/asc.js in " + dir, ascRemedy}
	}
	node := s.cfg.Node
	if node == "" {
		found, err := exec.LookPath("node")
		if err != nil {
			return nil, &Missing{"there is no Node.js on this machine", ascRemedy}
		}
		node = found
	}
	node, err := filepath.EvalSymlinks(node)
	if err != nil {
		return nil, &Missing{err.Error(), "set node to the program"}
	}
	// The compiler finds its parts by the name of the directory that it is in.
	t := &tool{mounts: []sandbox.Mount{{From: dir, To: "/opt/node_modules", Env: "MODULES"}, {From: node, To: "/opt/node", Env: "NODE"}}}
	const asc = `"$NODE" "$MODULES/assemblyscript/bin/asc.js" `
	t.version, err = probe(ctx, r, t.mounts, nil, asc+`--version >"$RESULT"`)
	if err != nil {
		return nil, &Missing{fmt.Sprintf("AssemblyScript's compiler in %s does not run (%v)", dir, err), ascRemedy + "; all users must be able to read it"}
	}
	t.version = "asc " + strings.TrimPrefix(t.version, "Version ")
	t.script = func(_ build.Step, files []sandbox.File) (string, error) {
		entry, flags := "", "--use abort= " // nobody is told of a failed assertion: it is a trap
		for _, e := range slices.Backward(entries) {
			if hasFile(files, e) {
				entry = e
			}
		}
		if entry == "" {
			return "", fault("nothing says where the source begins: expected one of %s", strings.Join(entries, ", "))
		}
		if hasFile(files, "asconfig.json") {
			flags = ""
		}
		return asc + quoted(entry) + ` -O3 ` + flags + `--outFile "$RESULT"`, nil
	}
	return t, nil
}

func hasCompiler(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "assemblyscript", "bin", "asc.js"))
	return err == nil
}

func hasFile(files []sandbox.File, name string) bool {
	return slices.ContainsFunc(files, func(f sandbox.File) bool { return f.Path == path.Join(source, name) })
}
