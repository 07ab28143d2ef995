package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
)

// What is judged is the end of what the same patrick has granted or renewed, once,
// counted from when it did so last.
func TestWhichEndsOfGrantsAreJudged(t *testing.T) {
	fact := func(at time.Duration, of, name string, attempt int64, reason string) check.Fact {
		return check.Fact{At: at, Node: of, Name: name, Fields: []node.Field{
			node.F("job", "j"), node.F("attempt", attempt), node.F("holder", "h"), node.F("reason", reason),
		}}
	}
	for name, c := range map[string]struct {
		before []check.Fact
		end    check.Fact
		want   time.Duration // -1: it is not judged
	}{
		"granted":             {[]check.Fact{fact(1, "p", "job-granted", 1, "")}, fact(9, "p", "job-expired", 1, "not renewed"), 8},
		"renewed":             {[]check.Fact{fact(1, "p", "job-granted", 1, ""), fact(5, "p", "job-renewed", 1, "")}, fact(9, "p", "job-expired", 1, "not renewed"), 4},
		"by another":          {[]check.Fact{fact(1, "p", "job-granted", 1, "")}, fact(9, "q", "job-expired", 1, "not renewed"), -1},
		"for another reason":  {[]check.Fact{fact(1, "p", "job-granted", 1, "")}, fact(9, "p", "job-expired", 1, "forgotten"), -1},
		"another attempt":     {[]check.Fact{fact(1, "p", "job-granted", 2, "")}, fact(9, "p", "job-expired", 1, "not renewed"), -1},
		"was given back then": {[]check.Fact{fact(1, "p", "job-granted", 1, ""), fact(2, "p", "job-released", 1, "")}, fact(9, "p", "job-expired", 1, "not renewed"), -1},
	} {
		t.Run(name, func(t *testing.T) {
			l := leases{}
			for _, f := range c.before {
				_, judged := l.take(f)
				require.False(t, judged)
			}
			end, judged := l.take(c.end)
			require.Equal(t, c.want >= 0, judged)
			if judged {
				require.Equal(t, earlyEnd{"p", "j", c.want}, end)
				require.Empty(t, l)
			}
		})
	}
}
