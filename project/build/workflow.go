package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/taucloud/tau/yamltree"
)

// workflowMax bounds the scripts of a folder.
const workflowMax = 32

var (
	scriptName   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

var workflowDialect = yamltree.Dialect{
	LenMax: 64 << 10, Nesting: 8, Keys: 256,
	Large: "nothing in a workflow needs that", Empty: "write workflow: [build], and build.sh beside it", Excess: "nothing in a workflow needs that",
	Alias: "put text that begins with * in quotes", Several: "a file is one document",
}

// workflow is how the files of .taubyte say that a folder is built.
type workflow struct {
	scripts   []string // by their paths in the folder
	variables []Variable
	// image is that of a container to build in, where the place that names it; "" for none.
	image, where string
}

// Variable is one of the environment of scripts.
type Variable struct{ Name, Value string }

// workflowOf reads the workflow of a folder; nil: it has none.
func workflowOf(fsys fs.FS, folder string, website bool) (*workflow, error) {
	dir := ""
	for _, name := range []string{".taubyte", "taubyte"} {
		plain := name[0] != '.' // which a site may have for itself
		if dir == "" && has(fsys, folder, name+"/config.yaml") && !(website && plain) {
			dir = name
		}
	}
	if docker := ".taubyte/Docker/Dockerfile"; dir == "" && has(fsys, folder, docker) {
		return &workflow{image: docker, where: path.Join(folder, docker) + ":1:1"}, nil
	}
	if dir == "" {
		return nil, nil
	}
	file := path.Join(folder, dir, "config.yaml")
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	r := &workflowReader{file: file, lines: strings.Split(string(data), "\n")}
	root, wrong := yamltree.Read(file, data, workflowDialect)
	r.wrong = wrong
	if root == nil || len(wrong) > 0 {
		return nil, r.wrong
	}
	if root.Kind != yamltree.Mapping {
		r.fail(root, "write workflow: [build], and build.sh beside it", "expected a mapping of keys")
		return nil, r.wrong
	}
	w := &workflow{}
	image := (*yamltree.Value)(nil)
	for _, e := range root.Entries {
		switch key := e.Key.Text; key {
		case "version":
		case "environment", "enviroment": // as tau reads it
			image = r.environment(w, e.Value)
		case "workflow":
			for _, name := range r.texts(e.Value) {
				script := path.Join(dir, name.Text+".sh")
				switch {
				case !scriptName.MatchString(name.Text):
					r.fail(name, "letters, digits, _, . and -: build is for build.sh", "%q is no name of a script", name.Text)
				case !has(fsys, folder, script):
					r.fail(name, "make it, or take the word out", "there is no %s", path.Join(folder, script))
				case len(w.scripts) == workflowMax:
					r.fail(name, "call several from one", "more than %d scripts", workflowMax)
					return nil, r.wrong
				default:
					w.scripts = append(w.scripts, script)
				}
			}
		default:
			r.fail(e.Key, yamltree.Suggest(key, []string{"version", "environment", "workflow"}), "unknown key %q", key)
		}
	}
	switch {
	case len(r.wrong) > 0:
		return nil, r.wrong
	case image != nil:
		w.image = image.Text
		w.where = fmt.Sprintf("%s:%d:%d", file, max(1, image.Line), max(1, image.Col))
	}
	if len(w.scripts) == 0 && image == nil {
		r.fail(root, "write workflow: [build], and build.sh beside it", "there is no workflow")
		return nil, r.wrong
	}
	return w, nil
}

type workflowReader struct {
	file  string
	lines []string
	wrong yamltree.Errors
}

func (r *workflowReader) fail(at *yamltree.Value, hint, format string, args ...any) {
	source := ""
	if at.Line >= 1 && at.Line <= len(r.lines) {
		source = r.lines[at.Line-1]
	}
	r.wrong = append(r.wrong, &yamltree.Error{File: r.file, Line: max(1, at.Line), Col: max(1, at.Col), What: fmt.Sprintf(format, args...), Hint: hint, Source: source})
}

// environment reads the variables, and returns the image if there is one.
func (r *workflowReader) environment(w *workflow, v *yamltree.Value) (image *yamltree.Value) {
	if v.Kind == yamltree.Null {
		return nil
	}
	if v.Kind != yamltree.Mapping {
		r.fail(v, "write variables below it", "environment: expected a mapping of keys")
		return nil
	}
	for _, e := range v.Entries {
		switch key := e.Key.Text; {
		case key == "image" && e.Value.Kind == yamltree.Scalar && e.Value.Text != "":
			image = e.Value
		case key == "image" && e.Value.Kind != yamltree.Mapping && e.Value.Kind != yamltree.Sequence:
		case key == "variables" && e.Value.Kind == yamltree.Null:
		case key == "variables" && e.Value.Kind == yamltree.Mapping:
			for _, one := range e.Value.Entries {
				if !variableName.MatchString(one.Key.Text) || one.Value.Kind != yamltree.Scalar {
					r.fail(one.Key, "NAME: text", "expected the name of a variable and its text")
					continue
				}
				w.variables = append(w.variables, Variable{one.Key.Text, one.Value.Text})
			}
		default:
			r.fail(e.Key, yamltree.Suggest(key, []string{"image", "variables"}), "environment: expected variables, a mapping of names to texts")
		}
	}
	return image
}

// texts are those of a list, or of a single text.
func (r *workflowReader) texts(v *yamltree.Value) (list []*yamltree.Value) {
	switch v.Kind {
	case yamltree.Scalar:
		return []*yamltree.Value{v}
	case yamltree.Sequence:
		for _, item := range v.Items {
			if item.Kind != yamltree.Scalar {
				r.fail(item, "workflow: [build]", "workflow: expected names of scripts")
				continue
			}
			list = append(list, item)
		}
	default:
		r.fail(v, "workflow: [build]", "workflow: expected a list of names of scripts")
	}
	return list
}

// Left makes the asset of what the scripts of a step have left: the site, or the module.
func Left(s Step, files []File) ([]byte, error) {
	if len(files) == 0 {
		return nil, errors.New("the scripts have left no files in $OUT")
	}
	if s.Website {
		return packSite(files)
	}
	for _, name := range []string{"main.wasm", "artifact.wasm"} {
		for _, f := range files {
			if f.Path == name {
				return f.Data, nil
			}
		}
	}
	return nil, errors.New("the scripts have left no main.wasm in $OUT")
}
