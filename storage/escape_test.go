package storage

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryByteOfAPart: which are escaped is part of what is stored.
func TestEveryByteOfAPart(t *testing.T) {
	for c := range 256 {
		want := fmt.Sprintf("/a%cb", c)
		if c <= 0x20 || c == '/' || c == '%' || c >= 0x7f { // above, it is no UTF-8
			want = fmt.Sprintf("/a%%%02Xb", c)
		}
		k := K("a" + string([]byte{byte(c)}) + "b")
		require.Equal(t, Key(want), k)
		require.Equal(t, []string{"a" + string([]byte{byte(c)}) + "b"}, k.Parts())
	}
}

// TestPartsOfWhatKDidNotBuild: what is no escape stays.
func TestPartsOfWhatKDidNotBuild(t *testing.T) {
	for text, want := range map[Key][]string{
		"":         nil,
		"/":        nil,
		"/a":       {"a"},
		"/%/b":     {"", "b"},
		"/%%":      {"%%"},
		"/a%":      {"a%"},
		"/a%2":     {"a%2"},
		"/a%2F":    {"a/"},
		"/%2F%2F":  {"//"},
		"/%2Fb":    {"/b"},
		"/%0Gx":    {"%0Gx"},
		"/%G0x":    {"%G0x"},
		"/%2fx":    {"%2fx"},
		"/%%41":    {"%A"},
		"/%00%FFx": {"\x00\xffx"},
	} {
		require.Equal(t, want, text.Parts(), text)
	}
}

// TestKeysAreUTF8: a datastore of protobufs takes nothing else. What is UTF-8 is not escaped.
func TestKeysAreUTF8(t *testing.T) {
	require.Equal(t, Key("/ü%20€"), K("ü €"))
	require.Equal(t, Key("/%C3%BC%FF"), K("ü\xff"))
	require.Equal(t, []string{"ü\xff"}, K("ü\xff").Parts())
	require.True(t, IsKey(string(K("\xff\xfe", "\x80"))))
}

func TestHasAndIsKey(t *testing.T) {
	for _, x := range []struct {
		key, prefix Key
		has         bool
	}{
		{"/a", "", true}, {"/a", "/", true}, {"/a", "/a", true}, {"/b", "/a", false}, {"/a/b", "/a", true}, {"/ab", "/a", false},
		{"/a", "/a/b", false}, {"/x/b", "/a", false}, {"/a/b/c", "/a/b", true}, {"/a", "/aa", false},
	} {
		require.Equal(t, x.has, x.key.Has(x.prefix), "%+v", x)
	}
	for text, is := range map[string]bool{
		"": false, "/": false, "a": false, "a/b": false, "/a": true, "/a/": false, "//": false, "/a//b": false, "/.": false, "/..": false,
		"/ü": true, "/\xff": false, "/...": true, "/a/.": false, "/a/../b": false, "/./b": false, "/a/b/c": true, "/.a": true, "/%": true,
	} {
		require.Equal(t, is, IsKey(text), text)
	}
}

// TestMemoIsBounded: it keeps between a half of its bound and the bound.
func TestMemoIsBounded(t *testing.T) {
	const entriesMax = 8
	calls := 0
	m := NewMemo(entriesMax, func(k Key, _ []byte) (Key, error) { calls++; return k, nil })
	key := func(i int) Key { return K(fmt.Sprint(i)) }
	for i := range 50 {
		_, err := m.Of(key(i), nil)
		require.NoError(t, err)
		require.LessOrEqual(t, len(m.young)+len(m.old), entriesMax)
		calls = 0
		for j := max(0, i-entriesMax/2+1); j <= i; j++ {
			got, err := m.Of(key(j), nil)
			require.NoError(t, err)
			require.Equal(t, key(j), got)
		}
		require.Zero(t, calls, "the last ones are kept")
	}
}

// TestIdentitiesOfFields: what is stored has these names: they never change.
func TestIdentitiesOfFields(t *testing.T) {
	for want, i := range map[string]*Identity{
		"c71a8c1ec77c7675": NewIdentity().Number(7),
		"9caccc24b5d7e06c": NewIdentity().Text("ab"),
		"af5570f5a1810b7a": NewIdentity().Bytes(nil),
	} {
		require.Equal(t, want, hex.EncodeToString(i.Sum()[:8]))
	}
}

func TestBatch(t *testing.T) {
	b := new(Batch).Put("/a", []byte("1")).Delete("/b")
	require.Equal(t, 2, b.Len())
	require.Equal(t, []Write{{Key: "/a", Value: []byte("1")}, {Key: "/b", Delete: true}}, b.Writes())
}
