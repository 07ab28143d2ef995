package patrick

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// A grant that ends while it becomes durable is not handed out: whoever got it
// would work on what is not its own.
func TestAGrantThatIsLostWhileItBecomesDurableIsNotHandedOut(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(o *office, job string, token fencing.Token)
		status    patrickapi.Status
		lost      string
	}{
		"nothing happens": {func(*office, string, fencing.Token) {}, patrickapi.Locked, ""},
		"the job is cancelled": {func(o *office, job string, _ fencing.Token) {
			resp, err := o.cancel(job)
			require.NoError(o, err)
			require.Equal(o, patrickapi.Cancelled, resp.Status)
		}, patrickapi.Cancelled, "lost while"},
		"it is given back": {func(o *office, job string, token fencing.Token) {
			_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Abandoned: true})
			require.NoError(o, err)
		}, patrickapi.Open, "lost while"},
		"another has it by then": {func(o *office, job string, token fencing.Token) {
			_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Abandoned: true})
			require.NoError(o, err)
			require.EqualValues(o, 2, o.monkeys[1].mustClaim(job).Attempt)
		}, patrickapi.Locked, "lost while"},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				job := o.push(aPush("c", 1))
				disable, err := fail.Enable(fail.Rule{Point: "patrick/after-grant", Do: fail.Action{Do: fail.Delay, Delay: second}, Times: 1})
				require.NoError(t, err)
				defer disable()
				answered := make(chan error, 1)
				go func() {
					_, err := o.monkeys[0].claim(job)
					answered <- err
				}()
				nodetest.Sleep(second / 2)
				require.Len(t, o.Facts("job-granted"), 1)
				c.meanwhile(o, job, fencing.Token{Attempt: 1, Holder: o.monkeys[0].Peer()})
				select {
				case err := <-answered:
					require.Fail(t, "answered too soon", err)
				default:
				}
				if err = <-answered; c.lost == "" {
					require.NoError(t, err)
				} else {
					requireKind(t, transport.Conflict, err, c.lost)
				}
				require.Equal(t, c.status, o.job(job).Status)
			})
		})
	}
}
