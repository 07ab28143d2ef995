package tns

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

func version(job string, order, attempt uint64) tnsapi.Version {
	return tnsapi.Version{Project: "p", Branch: "b", Commit: "c-" + job, Job: job, Order: order,
		Token: fencing.Token{Attempt: attempt, Holder: transport.Peer{byte(attempt)}}}
}

func jobs(list []tnsapi.Version) (names []string) {
	for _, v := range list {
		names = append(names, v.Job)
	}
	return names
}

func TestHistory(t *testing.T) {
	tests := map[string]struct {
		all  []tnsapi.Version
		want []string
	}{
		"nothing":            {nil, nil},
		"by order":           {[]tnsapi.Version{version("a", 1, 1), version("c", 3, 1), version("b", 2, 9)}, []string{"c", "b", "a"}},
		"equal order":        {[]tnsapi.Version{version("a", 1, 2), version("b", 1, 1)}, []string{"a", "b"}},
		"two outcomes count": {[]tnsapi.Version{version("a", 1, 1), version("a", 1, 2), version("b", 2, 1)}, []string{"b", "a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, jobs(history(test.all)))
			slices.Reverse(test.all)
			require.Equal(t, test.want, jobs(history(test.all)), "order of reading must not matter")
		})
	}
	both := history([]tnsapi.Version{version("a", 1, 2), version("a", 1, 1)})
	require.Equal(t, uint64(2), both[0].Token.Attempt, "the highest token counts")
}

func TestSurplus(t *testing.T) {
	all := []tnsapi.Version{version("a", 1, 1), version("b", 2, 1), version("b", 2, 3), version("c", 3, 1)}
	require.Equal(t, []tnsapi.Version{all[1]}, surplus(all, 9), "an outdated outcome")
	require.Equal(t, []tnsapi.Version{all[1], all[0]}, surplus(all, 2))
	require.Equal(t, []tnsapi.Version{all[1], all[2], all[0]}, surplus(all, 1), "never the current one")
}

func TestBelow(t *testing.T) {
	for _, test := range []struct {
		path, prefix string
		want         bool
	}{
		{"a/b", "", true}, {"a/b", "a", true}, {"a/b", "a/", true}, {"a/b", "a/b", true},
		{"ab", "a", false}, {"a", "a/b", false}, {"a/bc", "a/b", false},
	} {
		require.Equal(t, test.want, below(test.path, test.prefix), "%q below %q", test.path, test.prefix)
	}
}

func TestPages(t *testing.T) {
	var list []tnsapi.Entry
	for _, path := range []string{"a", "b", "c", "d"} {
		list = append(list, tnsapi.Entry{Path: path, Value: make([]byte, pageLenMax/2)})
	}
	var got []tnsapi.Entry
	after := ""
	for more := true; more; {
		var part []tnsapi.Entry
		part, more = page(list, after)
		require.NotEmpty(t, part)
		got = append(got, part...)
		after = part[len(part)-1].Path
	}
	require.Equal(t, list, got)
	part, more := page(nil, "")
	require.Empty(t, part)
	require.False(t, more)
}
