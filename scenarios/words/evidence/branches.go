package evidence

import (
	"cmp"
	"strings"

	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// CompareBranches is the order in which checks go through branches.
func CompareBranches(a, b tnsapi.BranchRequest) int {
	return cmp.Or(strings.Compare(a.Project, b.Project), strings.Compare(a.Branch, b.Branch))
}

// BranchOf is the branch that a fact is about.
func BranchOf(f check.Fact) tnsapi.BranchRequest {
	return tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")}
}
