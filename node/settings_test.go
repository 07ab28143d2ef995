package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
)

type bounded struct {
	Size  int64         `yaml:"size" range:"0..64MiB"`
	Share float64       `yaml:"share" range:"0.1..0.5"`
	Wait  time.Duration `yaml:"wait" range:"1s..1m"`
	Name  string        `range:"..8"`
	Peers []string      `yaml:"peers" range:"1.."`
	Inner struct {
		Count uint8 `yaml:"count" range:"2..200"`
	} `yaml:"inner"`
	Free int
}

// Conflicts implements node.Ruled.
func (b *bounded) Conflicts() []*node.SettingError {
	if b.Free == 13 {
		return []*node.SettingError{{Key: "free", What: "13 is unlucky", Hint: "allowed: others"}}
	}
	return nil
}

func good() *bounded {
	b := &bounded{Size: 64 << 20, Share: 0.1, Wait: time.Second, Name: "12345678", Peers: []string{"a"}}
	b.Inner.Count = 200
	return b
}

func TestSettingsWithinTheirRanges(t *testing.T) {
	require.NoError(t, node.CheckSettings(good()))
	require.NoError(t, node.CheckSettings(nil))
	require.NoError(t, node.CheckSettings(&struct{}{}))
	for want, spoil := range map[string]func(*bounded){
		"size: -1 is out of range (allowed: 0 to 64MiB)":              func(b *bounded) { b.Size = -1 },
		"size: 67108865 is out of range (allowed: 0 to 64MiB)":        func(b *bounded) { b.Size++ },
		"share: 0.6 is out of range (allowed: 0.1 to 0.5)":            func(b *bounded) { b.Share = 0.6 },
		"wait: 0s is out of range (allowed: 1s to 1m)":                func(b *bounded) { b.Wait = 0 },
		"wait: 1m0.000000001s is out of range (allowed: 1s to 1m)":    func(b *bounded) { b.Wait = time.Minute + 1 },
		"name: 9 bytes are out of range (allowed: at most 8)":         func(b *bounded) { b.Name += "9" },
		"peers: 0 entries are out of range (allowed: at least 1)":     func(b *bounded) { b.Peers = nil },
		"inner.count: 1 is out of range (allowed: 2 to 200)":          func(b *bounded) { b.Inner.Count = 1 },
		"free: 13 is unlucky (allowed: others)":                       func(b *bounded) { b.Free = 13 },
		"size: -1 is out of range (allowed: 0 to 64MiB)\nwait: 0s is": func(b *bounded) { b.Size, b.Wait, b.Free = -1, 0, 13 },
	} {
		b := good()
		spoil(b)
		err := node.CheckSettings(b)
		require.Error(t, err, want)
		require.Truef(t, strings.HasPrefix(err.Error(), want), "%s\n%s", want, err)
		var one *node.SettingError
		require.True(t, errors.As(err, &one))
	}
}

func TestSpecDecode(t *testing.T) {
	spec := node.Spec{Name: "s", Settings: func() any { return good() }}
	got, err := spec.Decode(func(into any) error { into.(*bounded).Size = 7; return nil })
	require.NoError(t, err)
	require.Equal(t, int64(7), got.(*bounded).Size)
	_, err = spec.Decode(func(into any) error { into.(*bounded).Size = -7; return nil })
	require.ErrorContains(t, err, "settings of s: size: -7 is out of range")
	_, err = spec.Decode(func(any) error { return errors.New("no such key") })
	require.ErrorContains(t, err, "settings of s: no such key")
	_, err = node.Spec{Name: "s"}.Decode(nil)
	require.ErrorContains(t, err, "no settings")
}

func TestAMalformedRangeIsABug(t *testing.T) {
	require.Panics(t, func() {
		_ = node.CheckSettings(&struct {
			N int `range:"5"`
		}{})
	})
	require.Panics(t, func() {
		_ = node.CheckSettings(&struct {
			N int `range:"5..1"`
		}{})
	})
	require.Panics(t, func() {
		_ = node.CheckSettings(&struct {
			N int `range:"a..b"`
		}{})
	})
	require.Panics(t, func() {
		_ = node.CheckSettings(&struct {
			B bool `range:"0..1"`
		}{})
	})
}

// Ranges of bytes are in powers of 1024; what a service keeps to itself has no range.
func TestSizesInRanges(t *testing.T) {
	type sizes struct {
		A      int `range:"1KiB.."`
		B      int `range:"1MiB.."`
		C      int `range:"1GiB.."`
		D      int `range:"1TiB.."`
		E      int `range:"0.5KiB.."`
		hidden int `range:"nonsense"`
	}
	least := sizes{1 << 10, 1 << 20, 1 << 30, 1 << 40, 512, 7}
	require.NoError(t, node.CheckSettings(&least))
	require.Equal(t, 7, least.hidden)
	for want, spoil := range map[string]func(s *sizes){
		"a: 1023": func(s *sizes) { s.A-- }, "b: 1048575": func(s *sizes) { s.B-- }, "c: 1073741823": func(s *sizes) { s.C-- },
		"d: 1099511627775": func(s *sizes) { s.D-- }, "e: 511": func(s *sizes) { s.E-- },
	} {
		bad := least
		spoil(&bad)
		require.ErrorContains(t, node.CheckSettings(&bad), want)
	}
}
