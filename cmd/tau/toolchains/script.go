package toolchains

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
)

// scripts runs the workflow of a folder: shell scripts, one after the other, that leave what they make in $OUT.
func scripts() *tool {
	return &tool{
		version: "sh", secrets: true,
		script: func(step build.Step, _ []sandbox.File) (string, error) {
			var b strings.Builder
			b.WriteString("export SRC=\"$BUILD/" + source + "\" OUT=\"$BUILD/out\" HOME=\"$BUILD/home\"\nmkdir \"$OUT\" \"$HOME\"\ntau_out=$OUT tau_result=$RESULT tau_src=$SRC\n")
			for _, v := range step.Variables {
				b.WriteString("export " + v.Name + "=" + quoted(v.Value) + "\n")
			}
			for _, script := range step.Scripts {
				b.WriteString("echo " + quoted("+ "+script) + "\n(cd \"$SRC\" && sh -e " + quoted("./"+script) + ") || exit $?\n")
			}
			for _, command := range step.Commands {
				b.WriteString("echo " + quoted("+ "+firstLine(command)) + "\n(cd \"$tau_src\" && sh -e -c " + quoted(command) + ") || exit $?\n")
			}
			if step.Output != "" {
				b.WriteString(taken(step))
			}
			// Names in order and without times: equal files, equal archives.
			b.WriteString(`tar -C "$tau_out" --sort=name --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$tau_result" .`)
			return b.String(), nil
		},
		finish: made,
	}
}

// taken are the lines that take what a step says that it makes: a folder as it is, a file as the module.
func taken(step build.Step) string {
	output := quoted("./" + step.Output)
	file := `echo ` + quoted(step.Output+" is a file, and a website is a folder") + "; exit 1"
	if step.Module() {
		file = `cp ` + output + ` "$tau_out/main.wasm"`
	}
	return `cd "$tau_src"
if [ -d ` + output + ` ]; then tau_out="$tau_src/"` + quoted(step.Output) + `
elif [ -f ` + output + ` ]; then ` + file + `
else echo ` + quoted("the steps have left no "+step.Output) + `; exit 1
fi
`
}

// firstLine is what is shown of a command.
func firstLine(command string) string {
	line, _, more := strings.Cut(strings.TrimSpace(command), "\n")
	if more {
		line += " ..."
	}
	return line
}

// Engine runs scripts in containers of images that it gets.
type Engine interface {
	// Run runs the job of a step in the container of an image, and returns its result, as a [Runner] does. Image is a reference of one, or the
	// path of a Dockerfile among the files of the job.
	Run(ctx context.Context, image string, j sandbox.Job) ([]byte, error)
	// Backend says which engine it is.
	Backend() string
}

// contained runs a step in the container of its image, and refuses where no engine is.
func contained(e Engine) *tool {
	t := scripts()
	if e != nil {
		t.version, t.engine = e.Backend(), e
		return t
	}
	t.script = func(step build.Step, _ []sandbox.File) (string, error) {
		return "", fault("%s: it names a container image to build in (%s), and no container engine runs on this node: leave image out, then its scripts run in the sandbox of the node, without a network and with what "+
			"that has in /usr; or keep what the image builds in %s (a module as main.wasm) and remove its .taubyte", step.Where, step.Image, step.Folder)
	}
	return t
}

// outMax bounds the files that scripts leave.
const outMax = 10_000

// made takes what scripts have left: plain files only, since nobody follows links.
func made(step build.Step, archive []byte) ([]byte, error) {
	var files []build.File
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault("what the scripts have left in $OUT cannot be read: %v", err)
		}
		name := path.Clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg:
			return nil, fault("the scripts have left %q in $OUT, which is no plain file", name)
		case path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../"):
			return nil, fault("the scripts have left %q, which is not in $OUT", name)
		case len(files) == outMax:
			return nil, fault("the scripts have left more than %d files in $OUT", outMax)
		}
		data, err := io.ReadAll(r) // it is in memory already
		if err != nil {
			return nil, fault("what the scripts have left in $OUT cannot be read: %v", err)
		}
		files = append(files, build.File{Path: name, Data: data})
	}
	asset, err := build.Left(step, files)
	if err != nil {
		return nil, fault("%v", err)
	}
	return asset, nil
}
