package patrick

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// told are the fields of all facts of a name, oldest first.
func (o *office) told(name string) (list []map[string]any) {
	for _, f := range o.Facts(name) {
		list = append(list, f.Fields)
	}
	return list
}

type fields = map[string]any

// What checkers are told is what happened, field by field.
func TestWhatIsReported(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.LossesMax, s.AttemptsMax, s.KeepFinished = 1, 1, 1 }}, func(o *office) {
		m := o.monkeys[0]
		push := func(commit string, order uint64) (string, fencing.Token) {
			job := o.push(aPush(commit, order))
			return job, m.mustClaim(job)
		}
		of := func(job string, t fencing.Token, more fields) fields {
			all := fields{"job": job, "attempt": t.Attempt, "holder": t.Holder}
			for k, v := range more {
				all[k] = v
			}
			return all
		}

		built, token := push("built", 1)
		_, err := o.deliver(aPush("built", 1))
		require.NoError(t, err)
		require.Equal(t, []fields{{
			"job": built, "project": "p", "branch": "b", "commit": "built", "event": "e-built", "order": uint64(1), "bytes": int64(len("tree of built")),
		}}, o.told("job-accepted"))
		require.Equal(t, []fields{{"job": built, "duplicate": false, "copies": 2}, {"job": built, "duplicate": true, "copies": 2}}, o.told("job-acked"))
		require.Equal(t, []fields{of(built, token, nil)}, o.told("job-granted"))
		require.NoError(t, m.renew(built, token))
		require.Equal(t, []fields{of(built, token, nil)}, o.told("job-renewed"))
		for range 2 {
			_, err = m.finish(patrickapi.FinishRequest{Job: built, Token: token, Success: true, Artifact: "a"})
			require.NoError(t, err)
		}
		released := []fields{of(built, token, fields{"success": true, "abandoned": false})}
		finished := []fields{of(built, token, fields{"status": "success", "artifact": "a", "rebuilds": 0})}
		require.Equal(t, released, o.told("job-released"))
		require.Equal(t, finished, o.told("job-finished"))

		given, token := push("given back", 2)
		_, err = m.finish(patrickapi.FinishRequest{Job: given, Token: token, Abandoned: true})
		require.NoError(t, err)
		nodetest.Sleep(2 * second)
		released = append(released, of(given, token, fields{"success": false, "abandoned": true}))
		finished = append(finished, of(given, token, fields{"status": "failed", "artifact": "", "rebuilds": 0}))
		require.Equal(t, released, o.told("job-released"))
		require.Equal(t, finished, o.told("job-finished"))
		require.Equal(t, []fields{{"job": built, "status": "success"}}, o.told("job-forgotten"))

		_, err = o.rebuild(given)
		require.NoError(t, err)
		require.Equal(t, []fields{{"job": given, "rebuilds": 1}}, o.told("job-rebuilt"))
		again := m.mustClaim(given)
		_, err = o.cancel(given)
		require.NoError(t, err)
		expired := []fields{of(given, again, fields{"reason": "the job was cancelled"})}
		finished = append(finished, of(given, again, fields{"status": "cancelled", "artifact": "", "rebuilds": 1}))
		require.Equal(t, expired, o.told("job-expired"))
		require.Equal(t, finished, o.told("job-finished"))

		lost, token := push("lost", 3)
		o.registry.publish(lost, token, 3)
		nodetest.Sleep(12 * second)
		expired = append(expired, of(lost, token, fields{"reason": "not renewed"}))
		finished = append(finished, of(lost, token, fields{"status": "success", "artifact": "artifact", "rebuilds": 0}))
		require.Equal(t, expired, o.told("job-expired"))
		require.Equal(t, finished, o.told("job-finished"))
		require.Equal(t, []fields{of(lost, token, nil)}, o.told("job-settled"))
	})
}
