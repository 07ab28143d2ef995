package storage_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
)

func TestMemo(t *testing.T) {
	calls := 0
	bad := errors.New("bad")
	m := storage.NewMemo(8, func(k storage.Key, value []byte) (string, error) {
		calls++
		if value == nil {
			return "", bad
		}
		return string(k) + "=" + string(value), nil
	})
	of := func(k, v string) string {
		got, err := m.Of(storage.K(k), []byte(v))
		require.NoError(t, err)
		return got
	}
	require.Equal(t, "/a=1", of("a", "1"))
	require.Equal(t, "/a=1", of("a", "1"))
	require.Equal(t, 1, calls)
	require.Equal(t, "/a=2", of("a", "2"), "another value is another entry")
	require.Equal(t, "/a1=", of("a1", ""), "key and value do not run together")
	require.Equal(t, 3, calls)
	for range 2 {
		_, err := m.Of("/x", nil)
		require.ErrorIs(t, err, bad)
	}
	require.Equal(t, 5, calls, "errors are not remembered")
	for i := range 100 { // what is asked for all the time stays
		of(fmt.Sprint(i), "")
		calls = 0
		of("a", "1")
		require.Zero(t, calls)
	}
	of("a", "2")
	require.Equal(t, 1, calls, "what nobody asks for goes")
}
