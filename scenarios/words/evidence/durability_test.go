package evidence

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
)

// TestDurability: excuses are as narrow as what was promised.
func TestDurability(t *testing.T) {
	crash := func(d *Durability, at time.Duration, name string) {
		d.Learn(check.Fact{At: at, Service: "node", Node: name, Name: "crashed", Fields: []node.Field{node.F("disk-lost", true)}})
	}
	member := func(name, service string) check.NodeView {
		return check.NodeView{Name: name, Services: []string{service}, Up: true}
	}
	w := &crowd{nodes: []check.NodeView{member("core-1", "patrick"), member("core-2", "patrick"), member("monkey-1", "monkey")}}
	d := NewDurability("patrick", 5*time.Second)
	d.Look(w)
	crash(&d, 10*time.Second, "core-1")
	d.Promise("after", 2, 30*time.Second)
	d.Promise("during", 2, 12*time.Second)
	require.False(t, d.Void("after"), "what was lost before the promise was made does not count")
	crash(&d, 31*time.Second, "core-2")
	require.False(t, d.Void("after"), "one of two copies")
	require.True(t, d.Void("during"), "both")
	require.True(t, d.Void("never promised"))
	crash(&d, 31*time.Second, "monkey-1")
	require.False(t, d.Void("after"), "it is no patrick")

	d = NewDurability("patrick", 5*time.Second)
	d.Look(w)
	d.Promise("x", 2, 10*time.Second)
	crash(&d, 20*time.Second, "core-1")
	for w.now = 20 * time.Second; w.now < 60*time.Second; w.now += time.Second {
		d.Look(w)
	}
	crash(&d, 61*time.Second, "core-2")
	require.False(t, d.Void("x"), "core-1 has got everything back meanwhile")
	w.cut = true
	for ; w.now < 120*time.Second; w.now += time.Second {
		d.Look(w)
	}
	crash(&d, 121*time.Second, "core-1")
	require.True(t, d.Void("x"), "core-2 was cut off and has got nothing back")
}
