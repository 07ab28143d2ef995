package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/fixtures/guests"
	"github.com/taucloud/tau/project"
)

// TestCloudServingRatios is the second half of make bench-serving: a node with a gateway and a substrate on loopback, its processor time for a request from the door to a function or
// a file of a website and back, and the ratio to that of plain net/http in this process. What a node does at rest is taken off.
func TestCloudServingRatios(t *testing.T) {
	if os.Getenv("TAU_SERVING") == "" {
		t.Skip("make bench-serving")
	}
	o := &operator{t, t.TempDir()}
	s := &served{operator: o, dir: filepath.Join(t.TempDir(), "hello"), at: fmt.Sprintf("127.0.0.1:%d", cmdtest.FreePort(t))}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one", "--http-listen", s.at)
	p := o.start("one")
	o.ready("one", 0)
	s.write("functions/page/main.wasm", string(guests.Version("bench")))
	s.write("websites/site/small.html", strings.Repeat("small ", 20))
	large := make([]byte, 2<<20) // of a tree of 3 MiB at most
	for i := range large {
		large[i] = byte(i * i >> 7)
	}
	s.write("websites/site/large.bin", string(large))
	s.write("tau.yaml", "name: hello\nfunctions:\n  page: {paths: [/page], memory: 1MB, concurrency: 1000}\nwebsites:\n  site: {paths: [/]}\n")
	loaded, err := project.Load(os.DirFS(s.dir))
	require.NoError(t, err)
	compiled, err := project.Compile(loaded.Project, project.Options{Project: "hello"})
	require.NoError(t, err)
	s.host = compiled.Claims[0].Host
	s.push()
	for _, path := range []string{"/page", "/small.html"} {
		o.within(2*time.Minute, path+" is served", func() bool { status, _ := s.get(path); return status == 200 })
	}
	plain := plainServer(t, large)
	spent := func() time.Duration { return processorTimeOf(t, p.cmd.Process.Pid) }
	begun := spent()
	time.Sleep(5 * time.Second)
	rest := float64(spent()-begun) / 5e9 // at rest, by the second
	var ratios []string
	for _, c := range []struct {
		name, path        string
		clients, requests int
	}{{"cloud-c", "/page", 1, 1000}, {"cloud-c", "/page", 16, 3000}, {"cloud-c", "/page", 64, 3000}, {"cloud-c", "/page", 1000, 3000},
		{"cloud-site", "/small.html", 1, 1000}, {"cloud-site", "/small.html", 16, 3000}, {"cloud-site", "/small.html", 64, 3000}, {"cloud-large", "/large.bin", 1, 20}, {"cloud-large", "/large.bin", 16, 48}} {
		var ours, theirs []float64
		failed := 0
		for range 4 { // the first warms up
			began, at := time.Now(), spent()
			failed += hammer(t, s.at, s.host, c.path, c.clients, c.requests)
			used := spent() - at - time.Duration(rest*float64(time.Since(began)))
			ours = append(ours, float64(used.Microseconds())/float64(c.requests))
			at = plain.spent()
			failed += hammer(t, plain.at, s.host, c.path, c.clients, c.requests)
			theirs = append(theirs, float64((plain.spent()-at).Microseconds())/float64(c.requests))
		}
		a, b := median(ours[1:]), median(theirs[1:])
		fmt.Printf("serving %s-%d %.1f us of processor time a request, plain %.1f, %d failed\n", c.name, c.clients, a, b, failed)
		ratios = append(ratios, fmt.Sprintf("ratio %s-%d %.2f", c.name, c.clients, a/b))
	}
	for _, r := range ratios {
		fmt.Println(r)
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// processorTimeOf is that of a process, in hundredths of a second.
func processorTimeOf(t *testing.T, pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(after)
	user, err := strconv.Atoi(fields[11])
	require.NoError(t, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// hammer sends so many requests by so many clients, and returns how many failed.
func hammer(t *testing.T, at, host, path string, clients, requests int) (failed int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	var mu sync.Mutex
	left := requests
	for range clients {
		all.Go(func() {
			for {
				mu.Lock()
				left--
				more := left >= 0
				mu.Unlock()
				if !more {
					return
				}
				q, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+at+path, http.NoBody)
				require.NoError(t, err)
				q.Host = host
				response, err := client.Do(q)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
				if err != nil || response.StatusCode != 200 {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return failed
}

// plainProcess is plain net/http with the same bodies, in a process of its own.
type plainProcess struct {
	at    string
	spent func() time.Duration
}

// plainAt is set in that process: where it listens.
const plainAt = "TAU_SERVING_PLAIN"

func plainServer(t *testing.T, large []byte) plainProcess {
	at := fmt.Sprintf("127.0.0.1:%d", cmdtest.FreePort(t))
	file := filepath.Join(t.TempDir(), "large.bin")
	require.NoError(t, os.WriteFile(file, large, 0o600))
	c := exec.Command(os.Args[0], "-test.run", "^TestPlainServer$")
	c.Env = append(os.Environ(), plainAt+"="+at+" "+file)
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
			break
		}
		require.True(t, time.Now().Before(end), "%v", err)
	}
	return plainProcess{at, func() time.Duration { return processorTimeOf(t, c.Process.Pid) }}
}

// TestPlainServer is that process.
func TestPlainServer(t *testing.T) {
	at, file, _ := strings.Cut(os.Getenv(plainAt), " ")
	if at == "" {
		t.Skip("make bench-serving")
	}
	large, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, http.ListenAndServe(at, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/large.bin":
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
			_, _ = w.Write(large)
		default:
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, strings.Repeat("small ", 20))
		}
	})))
}
