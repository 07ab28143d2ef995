package authapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/transport"
)

// TestCheckRepository: each bound is allowed, and what is beyond it is not.
func TestCheckRepository(t *testing.T) {
	good := Repository{Name: "site", Project: "shop", URL: "https://forge.example.com/acme/site.git", Forge: "github", Branches: []string{"main"}}
	require.NoError(t, CheckRepository(good))
	branches := func(n int) []string { return strings.Split(strings.Repeat("b,", n-1)+"b", ",") }
	for name, c := range map[string]struct {
		change func(r *Repository)
		ok     bool
	}{
		"a name of 128":                {func(r *Repository) { r.Name = strings.Repeat("n", 128) }, true},
		"a name of 129":                {func(r *Repository) { r.Name = strings.Repeat("n", 129) }, false},
		"no project":                   {func(r *Repository) { r.Project = "" }, false},
		"no address":                   {func(r *Repository) { r.URL = "" }, false},
		"a password":                   {func(r *Repository) { r.URL = "https://u:p@h/p" }, false},
		"no forge":                     {func(r *Repository) { r.Forge = "" }, false},
		"a name at the forge of 256":   {func(r *Repository) { r.ForgeName = strings.Repeat("n", 256) }, true},
		"one of 257":                   {func(r *Repository) { r.ForgeName = strings.Repeat("n", 257) }, false},
		"one with a space":             {func(r *Repository) { r.ForgeName = "a b" }, false},
		"no branches":                  {func(r *Repository) { r.Branches = nil }, false},
		"16 branches":                  {func(r *Repository) { r.Branches = branches(BranchesMax) }, true},
		"17 branches":                  {func(r *Repository) { r.Branches = branches(BranchesMax + 1) }, false},
		"an empty pattern":             {func(r *Repository) { r.Branches = []string{"main", ""} }, false},
		"a pattern of 256":             {func(r *Repository) { r.Branches = []string{strings.Repeat("b", 256)} }, true},
		"one of 257 bytes":             {func(r *Repository) { r.Branches = []string{strings.Repeat("b", 257)} }, false},
		"a pattern with a space":       {func(r *Repository) { r.Branches = []string{"a b"} }, false},
		"a pattern that is none":       {func(r *Repository) { r.Branches = []string{"["} }, false},
		"that holds a resource":        {func(r *Repository) { r.Holds = build.Resource }, true},
		"that holds something else":    {func(r *Repository) { r.Holds = "x" }, false},
		"as many known hosts as may":   {func(r *Repository) { r.KnownHosts = []byte("#" + strings.Repeat("x", knownHostsLenMax-1)) }, true},
		"a second line that is no key": {func(r *Repository) { r.KnownHosts = []byte("# x\n\nhost\n") }, false},
		"over ssh without known hosts": {func(r *Repository) { r.URL = "git@h:p" }, false},
		"a name of what is no text":    {func(r *Repository) { r.ForgeName = "a\xff" }, false},
		"a name with a deleted one":    {func(r *Repository) { r.ForgeName = "a\x7f" }, false},
		"too many known hosts to keep": {func(r *Repository) { r.KnownHosts = []byte("#" + strings.Repeat("x", knownHostsLenMax)) }, false},
	} {
		r := good
		c.change(&r)
		err := CheckRepository(r)
		if c.ok {
			require.NoError(t, err, name)
		} else {
			require.Equal(t, transport.Invalid, transport.KindOf(err), name)
		}
	}
}

// TestCheckSecretID: a secret is of a repository, without a name, or of a project, with one of a variable.
func TestCheckSecretID(t *testing.T) {
	for id, ok := range map[SecretID]bool{
		{Kind: DeployKey, Owner: "o"}:                                            true,
		{Kind: HookSecret, Owner: "o"}:                                           true,
		{Kind: StatusToken, Owner: "o"}:                                          true,
		{Kind: BuildSecret, Owner: "o", Name: "_A1"}:                             true,
		{Kind: FunctionSecret, Owner: "o", Name: "a" + strings.Repeat("b", 127)}: true,
		{Kind: FunctionSecret, Owner: "o", Name: "a" + strings.Repeat("b", 128)}: false,
		{Kind: BuildSecret, Owner: "o", Name: "1A"}:                              false,
		{Kind: BuildSecret, Owner: "o"}:                                          false,
		{Kind: StatusToken, Owner: "o", Name: "A"}:                               false,
		{Kind: DeployKey, Owner: "a/b"}:                                          false,
		{Kind: DeployKey}:                                                        false,
		{Kind: "x", Owner: "o"}:                                                  false,
	} {
		if err := id.Check(); ok {
			require.NoError(t, err, "%v", id)
		} else {
			require.Equal(t, transport.Invalid, transport.KindOf(err), "%v", id)
		}
	}
}

// TestPages: a list is asked for page by page, each after the last one's end, until there is no more, or enough.
func TestPages(t *testing.T) {
	var asked []string
	list := func(most, of int, wrong error) ([]int, error) {
		asked = nil
		return pages(most, func(n int) string { return fmt.Sprint(n) }, func(after string) (list []int, more bool, err error) {
			asked = append(asked, after)
			from := 0
			if after != "" {
				_, _ = fmt.Sscan(after, &from)
			}
			for n := from + 1; n <= of && len(list) < 2; n++ {
				list = append(list, n)
			}
			if len(asked) > 1 {
				err = wrong
			}
			return list, from+2 < of, err
		})
	}
	all, err := list(10, 5, nil)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5}, all)
	require.Equal(t, []string{"", "2", "4"}, asked)
	all, _ = list(4, 9, nil)
	require.Equal(t, []int{1, 2, 3, 4}, all)
	require.Equal(t, []string{"", "2"}, asked)
	all, _ = list(10, 0, nil)
	require.Empty(t, all)
	all, err = list(10, 5, errors.New("wrong"))
	require.Error(t, err)
	require.Nil(t, all)
	all, err = pages(10, func(n int) string { return "" }, func(string) ([]int, bool, error) { return nil, true, nil })
	require.NoError(t, err)
	require.Empty(t, all, "who says that there is more and tells nothing is asked once")
}
