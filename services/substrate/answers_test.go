package substrate

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// TestSectionsAreParts of what they are of: wherever one reads, it is what lies there, and nothing beyond.
func TestSectionsAreParts(t *testing.T) {
	whole := []byte("0123456789abcdef")
	for base := range int64(len(whole) + 1) {
		for size := range int64(len(whole)) - base + 1 {
			s := &section{from: bytes.NewReader(whole), base: base, size: size}
			require.NoError(t, iotest.TestReader(s, whole[base:base+size]), "%d bytes at %d", size, base)
		}
	}
	short := &section{from: bytes.NewReader(whole[:4]), base: 2, size: 5}
	got, err := io.ReadAll(short)
	require.Equal(t, "23", string(got))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "what is missing is no end")
}

// TestHostOf a field is what projects call it.
func TestHostOf(t *testing.T) {
	for field, want := range map[string]string{
		"Shop.Example.com": "shop.example.com", "shop.example.com.": "shop.example.com", "shop.example.com:80": "shop.example.com", "a.:1": "a", "a;1": "a;1",
		"[::1]:80": "[::1]", "[::1]": "[::1]", "": "", ":80": "",
	} {
		require.Equal(t, want, HostOf(field), field)
	}
}

// TestPlainWords are an answer of their length, which nobody keeps.
func TestPlainWords(t *testing.T) {
	w := httptest.NewRecorder()
	say(w, http.StatusNotFound, "nothing is here")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "404 Not Found: nothing is here\n", w.Body.String())
	require.Equal(t, http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}, "Content-Length": {"31"}}, w.Header())
}

// TestUsageOfAProject: all of it without one named, and of its branch of users otherwise; what is told is a copy.
func TestUsageOfAProject(t *testing.T) {
	s := &Service{env: node.Env{Incarnation: 7}, settings: Settings{Branch: "main"}}
	add := func(of, branch, path string, ran Ran) {
		v := tnsapi.Version{Project: of, Branch: branch, Commit: "c"}
		f := &project.Function{Memory: 9}
		s.usages.add(of+branch+path, &target{release: &release{version: v}, path: path, function: f}, ran, time.Second, 5)
	}
	add("shop", "main", "b", Ran{Ended: Answered, Status: 499, Fuel: 3, Memory: 4, Cold: true})
	add("shop", "main", "b", Ran{Ended: Answered, Status: 500, Fuel: 2, Memory: 6})
	add("shop", "main", "b", Ran{Ended: Gone})
	add("shop", "main", "b", Ran{Ended: "x"})
	add("shop", "main", "a", Ran{})
	add("shop", "dev", "a", Ran{})
	add("other", "main", "a", Ran{})
	ask := func(of, branch string) (list []string) {
		resp, err := s.usage(t.Context(), transport.Peer{}, substrateapi.UsageRequest{Project: of, Branch: branch})
		require.NoError(t, err)
		require.EqualValues(t, 7, resp.Run)
		for _, f := range resp.Functions {
			list = append(list, f.Project+" "+f.Branch+" "+f.Function)
			for i := range f.Took {
				f.Took[i] = 99
			}
		}
		return list
	}
	require.Equal(t, []string{"shop main a", "shop main b"}, ask("shop", ""))
	require.Equal(t, []string{"shop dev a"}, ask("shop", "dev"))
	require.Len(t, ask("", ""), 4)
	require.Empty(t, ask("nobody", ""))
	resp, err := s.usage(t.Context(), transport.Peer{}, substrateapi.UsageRequest{Project: "shop"})
	require.NoError(t, err)
	b := resp.Functions[1]
	sum := uint64(0)
	for _, n := range b.Took {
		sum += n
	}
	require.EqualValues(t, 4, sum)
	b.Took = nil
	require.Equal(t, substrateapi.Usage{Project: "shop", Branch: "main", Function: "b", Commit: "c", LimitMemory: 9, At: 5, Requests: 4, Errors: 2, Cold: 1, Fuel: 5, FuelMax: 3, MemoryMax: 6, TookAll: 4 * time.Second}, b)
}
