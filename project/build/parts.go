package build

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/project"
)

// A project is kept in one repository, or in several: its configuration in one, the code of its functions in others, each website and
// library in one of its own. A version is made of all of them at once: Join makes one tree of theirs.

// Holds says what a repository of a project has in it.
type Holds string

// What a repository may hold.
const (
	Everything    Holds = ""              // the configuration and the code, but for what has a repository of its own
	Configuration Holds = "configuration" // the configuration
	FunctionCode  Holds = "code"          // the code of functions, in folders functions/NAME and APPLICATION/functions/NAME
	Resource      Holds = "resource"      // one website or library, which the configuration names by its repository
)

// HoldsAll lists what a repository may hold, for people.
var HoldsAll = []Holds{Configuration, FunctionCode, Resource}

// Configures reports whether a project's configuration is in such a repository.
func (h Holds) Configures() bool { return h == Everything || h == Configuration }

// Part is a repository of a project at a commit.
type Part struct {
	// Name is the cloud's own for it: an identifier.
	Name  string
	Files []File
}

// Want is a website or a library that has a repository of its own.
type Want struct {
	Ref project.Ref
	// Branch of the repository that counts; "": the one that was pushed.
	Branch string
	code   project.Code
}

// Wants lists what of a project has a repository of its own, in the order of the project.
func Wants(p *project.Project) (list []Want) {
	p.Each(func(ref project.Ref, r any) {
		var code *project.Code
		switch r := r.(type) {
		case *project.Website:
			code = &r.Code
		case *project.Library:
			code = &r.Code
		}
		if code != nil && !code.Here() {
			list = append(list, Want{ref, code.Branch, *code})
		}
	})
	return list
}

// Where is the repository as the configuration names it.
func (w Want) Where() string { return cmp.Or(w.code.Repository, w.code.GithubName) }

// At reports whether a repository is the one that is wanted: by its address, or by its name or number at the forge.
func (w Want) At(url, forgeName string) bool {
	if w.code.Repository != "" {
		return address(w.code.Repository) == address(url)
	}
	return forgeName != "" && (strings.EqualFold(w.code.GithubName, forgeName) || w.code.GithubID == forgeName)
}

// address is what two ways to write the address of one repository have in common: HOST/PATH.
func address(url string) string {
	url = strings.TrimSuffix(strings.TrimRight(url, "/"), ".git")
	if _, rest, found := strings.Cut(url, "://"); found {
		url = rest
	} else if host, rest, found := strings.Cut(url, ":"); found {
		url = host + "/" + strings.TrimPrefix(rest, "/")
	}
	host, rest, _ := strings.Cut(url, "/")
	if _, after, found := strings.Cut(host, "@"); found {
		host = after
	}
	return strings.ToLower(host) + "/" + rest
}

// Places says in which folder of a joined tree the code of a resource is that has a repository of its own, by the path of its entry.
type Places map[string]string

// placesRoot is the folder of a joined tree that has the trees of resources' repositories.
const placesRoot = "repositories"

// Place adds the code of a resource, in the repository of that name.
func (p Places) Place(w Want, repository string) {
	p[w.Ref.String()] = path.Join(placesRoot, repository, w.code.Path)
}

// Join makes one tree of a project's repositories: of a configuration all files, which count before those of code at the same path; of code
// what is in folders, but for files that a configuration would be read from; of resources all, below repositories/NAME. Files are
// sorted by path. An error is the fault of whoever has pushed.
func Join(configuration Part, code, resources []Part) ([]File, error) {
	files, from := slices.Clone(configuration.Files), map[string]string{}
	for _, f := range configuration.Files {
		from[f.Path] = configuration.Name
		if strings.HasPrefix(f.Path, placesRoot+"/") && len(resources) > 0 {
			return nil, fmt.Errorf("%s of %s: the folder %s is where websites and libraries with repositories of their own go: name it otherwise", f.Path, configuration.Name, placesRoot)
		}
	}
	for _, part := range code {
		for _, f := range part.Files {
			if configures(f.Path) || strings.HasPrefix(f.Path, placesRoot+"/") {
				continue
			}
			switch by, taken := from[f.Path]; {
			case taken && by == configuration.Name:
				continue
			case taken:
				return nil, fmt.Errorf("%s is in %s and in %s: remove it from one", f.Path, by, part.Name)
			}
			from[f.Path] = part.Name
			files = append(files, f)
		}
	}
	for _, part := range resources {
		for _, f := range part.Files {
			files = append(files, File{path.Join(placesRoot, part.Name, f.Path), f.Data})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// configures reports whether a configuration would be read from a file, or the file is about its repository alone.
func configures(name string) bool {
	folder, file := path.Split(name)
	if folder == "" {
		return true
	}
	if ext := path.Ext(file); ext != ".yaml" && ext != ".yml" {
		return false
	}
	parts := strings.Split(strings.TrimSuffix(folder, "/"), "/")
	if parts[0] == "applications" {
		parts = parts[min(2, len(parts)):]
	}
	return len(parts) == 0 || len(parts) == 1 && slices.Contains(project.Kinds(), parts[0])
}
