package source

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// fake is a git that runs a script, whatever it is asked.
func fake(t *testing.T, script string) *Git {
	r := newRepository(t)
	g := r.fetcher()
	g.Program = filepath.Join(t.TempDir(), "git")
	require.NoError(t, os.WriteFile(g.Program, []byte("#!/bin/sh\n"+script), 0o700))
	return g
}

// A node may have been started with files open that nobody has marked to be closed.
func TestGitInheritsNoDescriptor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it is not known which descriptors there are")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600))
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0) // without O_CLOEXEC
	require.NoError(t, err)
	defer syscall.Close(fd)
	g := fake(t, `for d in /proc/self/fd/*; do [ -e "$d/secret" ] && echo "fatal: reached $d" >&2; done; echo fatal: none >&2; exit 1`)
	_, err = g.Refs(t.Context(), Request{URL: "file:///x"})
	require.EqualError(t, err, "failed: fatal: none")
}

// What a forge says is repeated by git, and is no sign of what went wrong here: a forge out of memory is one that is tried again.
func TestWhatAForgeSaysIsNoSign(t *testing.T) {
	for said, kind := range map[string]Kind{"remote: fatal: Out of memory, malloc failed": Failed, "remote: Permission denied": Failed, "fatal: Out of memory, malloc failed": TooLarge, "Permission denied (publickey).": Denied} {
		g := fake(t, "echo '"+said+"' >&2; echo 'fatal: early EOF' >&2; exit 128")
		_, err := g.Refs(t.Context(), Request{URL: "file:///x"})
		requireKind(t, kind, err)
	}
}

// A scratch directory may be named from where the process is: Git runs somewhere else.
func TestAScratchThatIsNamedFromHere(t *testing.T) {
	both(t, func(t *testing.T, r *repository) {
		commit := r.commit("main", r.small("x"))
		g := r.fetcher()
		t.Chdir(filepath.Dir(g.Scratch))
		whole := g.Scratch
		defer func() { g.Scratch = whole }()
		g.Scratch = filepath.Base(whole)
		require.Equal(t, keysOf(whole), keysOf(g.Scratch))
		_, files, err := r.fetch(t.Context(), g, Request{URL: r.url(), Commit: commit})
		require.NoError(t, err)
		require.Len(t, files, 3)
	})
}

// All that git has started ends with a fetch.
func TestNothingOfGitIsLeft(t *testing.T) {
	n := fmt.Sprintf("86400.%d", os.Getpid())
	g := fake(t, "sleep "+n+" & (sleep "+n+"; sleep "+n+") & sleep "+n+"\n")
	g.Within = time.Second
	_, err := g.Refs(t.Context(), Request{URL: "file:///x"})
	require.EqualError(t, err, "failed: the fetch took too long")
	require.Eventually(t, func() bool {
		out, _ := exec.Command("pgrep", "-f", strings.Replace(n, ".", "[.]", 1)).Output()
		return len(out) == 0
	}, 20*time.Second, 20*time.Millisecond)
}

// shell is a server of ssh that lets one key in, and serves a repository's fetches.
func shell(r *repository, host, user ed25519.PrivateKey) (address string) {
	signer, err := ssh.NewSignerFromKey(host)
	require.NoError(r, err)
	of, err := ssh.NewSignerFromKey(user)
	require.NoError(r, err)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(of.PublicKey().Marshal()) {
			return nil, fmt.Errorf("another key")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(r, err)
	r.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveShell(c, config, r.dir)
		}
	}()
	return l.Addr().String()
}

func serveShell(c net.Conn, config *ssh.ServerConfig, dir string) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for a := range asked {
				_ = a.Reply(a.Type == "exec" || a.Type == "env", nil)
				if a.Type != "exec" {
					continue
				}
				cmd := exec.Command("git", "upload-pack", dir)
				cmd.Stdout = channel
				in, _ := cmd.StdinPipe()
				_ = cmd.Start()
				go func() { _, _ = io.Copy(in, channel); _ = in.Close() }()
				_ = cmd.Wait()
				_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
				_ = channel.Close()
			}
		}()
	}
}

// A forge over ssh: the host that is named and no other, the key that it knows and no other; and no key is left in memory.
func TestAForgeOverSSH(t *testing.T) { both(t, aForgeOverSSH) }

func aForgeOverSSH(t *testing.T, r *repository) {
	if _, err := exec.LookPath("ssh"); err != nil && !r.own {
		t.Skip("there is no ssh")
	}
	commit := r.commit("main", r.small("over ssh"))
	seed := func(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(b), 32))) }
	address := shell(r, seed(1), seed(2))
	known := func(key ed25519.PrivateKey) []byte {
		public, err := ssh.NewPublicKey(key.Public())
		require.NoError(t, err)
		host, port, _ := net.SplitHostPort(address)
		return fmt.Appendf(nil, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(public))
	}
	private := func(key ed25519.PrivateKey) []byte {
		block, err := ssh.MarshalPrivateKey(key, "")
		require.NoError(t, err)
		return pem.EncodeToMemory(block)
	}
	g := r.fetcher()
	req := Request{URL: "ssh://git@" + address + "/ada/shop.git", Commit: commit, Branch: "main", Key: private(seed(2)), KnownHosts: known(seed(1))}
	got, files, err := r.fetch(t.Context(), g, req)
	require.NoError(t, err)
	require.Equal(t, 3, got.Files)
	require.Equal(t, "-rw-r--r-- over ssh", files["a.txt"])
	list, err := g.Refs(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, []Ref{{"refs/heads/main", commit}}, list)

	stranger, other := req, req
	stranger.Key, other.KnownHosts = private(seed(3)), known(seed(4))
	for _, wrong := range []Request{stranger, other} {
		_, _, err = r.fetch(t.Context(), g, wrong)
		requireKind(t, Denied, err)
		_, err = g.Head(t.Context(), wrong)
		requireKind(t, Denied, err)
	}
	left, err := filepath.Glob(filepath.Join(memory, keysOf(g.Scratch)))
	require.NoError(t, err)
	require.Empty(t, left, "keys are left in memory")
}
