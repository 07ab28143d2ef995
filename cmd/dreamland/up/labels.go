package up

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// The names of hosts at which projects and their branches answer on this machine.

// labelLenMax bounds a part of a domain name, in bytes.
const labelLenMax = 63

// labelOf is a name as a part of a domain name.
func labelOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	label := strings.Join(words, "-")
	return strings.Trim(label[:min(len(label), labelLenMax)], "-")
}

// labels are those of all branches among some refs, each of which has one of its own. Of several that would be the same, Feature and
// feature, or a/b and a-b, the branch has it that is called so, or else the first of them; the others have a mark behind it.
func labels(refs []forge.Ref) map[string]string {
	var names []string
	for _, r := range refs {
		if name, is := branchOf(r.Name); is {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if exact := labelOf(a) == a; exact != (labelOf(b) == b) {
			return map[bool]int{true: -1, false: 1}[exact]
		}
		return strings.Compare(a, b)
	})
	list, taken := map[string]string{}, map[string]bool{labelOf(production): true}
	for _, name := range slices.Compact(names) {
		label := labelOf(name)
		if taken[label] && name != production || label == "" {
			const markLen = 6
			mark := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:markLen]
			label = strings.Trim(label[:min(len(label), labelLenMax-markLen-1)], "-") + "-" + mark
			label = strings.TrimPrefix(label, "-")
		}
		list[name], taken[label] = label, true
	}
	return list
}

// url is where a branch of a project answers, "" if nothing does; refs are those of the project.
func (u *Universe) url(project, branch string, refs []forge.Ref) string {
	if u.http() == "" || patrickapi.CheckProject(project) != nil {
		return ""
	}
	name := labelOf(project)
	if branch != production {
		label := labels(refs)[branch]
		if label == "" {
			label = labelOf(branch) // it has not been pushed
		}
		name = label + "." + name
	}
	return fmt.Sprintf("http://%s%s:%d/", name, localhost, u.plan.HTTP)
}

// fits refuses a project that would answer where another one does.
func fits(name string, others []string) error {
	for _, other := range others {
		if labelOf(other) == labelOf(name) {
			return fmt.Errorf("project %s would answer at http://%s%s, where project %s does: choose another name", name, labelOf(name), localhost, other)
		}
	}
	return nil
}
