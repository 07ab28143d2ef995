package gogit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage/memory"
	"github.com/skeema/knownhosts"
	gossh "golang.org/x/crypto/ssh"
)

// connectMax bounds how long a forge may take until it says its first word.
const connectMax = 30 * time.Second

func init() {
	ssh.DefaultSSHConfig = nil // files of this machine say nothing about forges
}

// reach makes the transports: HTTP without cookies, proxies and the environment, which goes nowhere else than it was told to.
func reach() {
	over := githttp.NewClient(&http.Client{
		Transport: &http.Transport{
			DialContext: dialSteady, TLSHandshakeTimeout: connectMax, ResponseHeaderTimeout: connectMax, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	client.InstallProtocol("http", over)
	client.InstallProtocol("https", over)
	client.InstallProtocol("git", nil)
	client.InstallProtocol("file", nil)
}

// remote is a repository somewhere else, what opens it and how it may be named by its commits.
func remote(address string, into *store) (*git.Remote, transport.AuthMethod, error) {
	reach()
	auth, err := authFor(address)
	if err != nil {
		return nil, nil, err
	}
	settings := &config.RemoteConfig{Name: "forge", URLs: []string{address}}
	if into == nil {
		return git.NewRemote(memory.NewStorage(), settings), auth, nil
	}
	return git.NewRemote(into, settings), auth, nil
}

// authFor is the key for a forge over ssh, and the only keys of hosts that are believed.
func authFor(address string) (transport.AuthMethod, error) {
	dir := os.Getenv(KeysEnv)
	at, err := transport.NewEndpoint(address)
	if err != nil {
		return nil, failed(ExitBad, "%v", err)
	}
	if at.Protocol != "ssh" || dir == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKeys(at.User, raw, "")
	if err != nil {
		return nil, failed(ExitDenied, "the key is none")
	}
	known, err := knownhosts.NewDB(filepath.Join(dir, "known_hosts"))
	if err != nil {
		return nil, failed(ExitDenied, "the keys of hosts that are believed cannot be read: %v", err)
	}
	port := at.Port
	if port == 0 {
		port = ssh.DefaultPort
	}
	key.HostKeyCallback = known.HostKeyCallback()
	key.HostKeyAlgorithms = known.HostKeyAlgorithms(net.JoinHostPort(at.Host, fmt.Sprint(port)))
	return &prompt{key}, nil
}

// prompt is a key for a forge that has to answer soon.
type prompt struct{ *ssh.PublicKeys }

// ClientConfig implements ssh.AuthMethod.
func (p *prompt) ClientConfig() (*gossh.ClientConfig, error) {
	c, err := p.PublicKeys.ClientConfig()
	if c != nil {
		c.Timeout = connectMax
	}
	return c, err
}

// fetch gets a ref, or a commit by its name, as a branch of a bare directory. A repository of this machine is read where it is.
func fetch(dir, address, spec string, shallow bool) error {
	if path, here := ofThisMachine(address); here {
		return lend(dir, path, strings.TrimPrefix(spec, "+"))
	}
	s, err := open(dir)
	if err != nil {
		return err
	}
	r, auth, err := remote(address, s)
	if err != nil {
		return err
	}
	options := &git.FetchOptions{RemoteName: "forge", RefSpecs: []config.RefSpec{config.RefSpec(spec)}, Auth: auth, Tags: git.NoTags}
	if shallow {
		options.Depth = 1
	}
	err = r.FetchContext(context.Background(), options)
	if errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	return err
}

// ofThisMachine is the path of a file:// address.
func ofThisMachine(address string) (path string, is bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return filepath.FromSlash(u.Path), true
}

// refs lists where the branches of a repository are, and what it shows first: COMMIT TAB NAME, a line each.
func refs(address string, out *bufio.Writer) error {
	if path, here := ofThisMachine(address); here {
		return refsHere(path, out)
	}
	r, auth, err := remote(address, nil)
	if err != nil {
		return err
	}
	all, err := r.ListContext(context.Background(), &git.ListOptions{Auth: auth})
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil
	}
	if err != nil {
		return err
	}
	return printRefs(all, out)
}

// printRefs prints branches and HEAD, which is a name for one of them.
func printRefs(all []*plumbing.Reference, out io.Writer) error {
	at := map[plumbing.ReferenceName]plumbing.Hash{}
	for _, r := range all {
		if r.Type() == plumbing.HashReference {
			at[r.Name()] = r.Hash()
		}
	}
	for _, r := range all {
		commit, known := at[r.Name()]
		if r.Type() == plumbing.SymbolicReference {
			commit, known = at[r.Target()]
		}
		if !known || r.Name() != plumbing.HEAD && !r.Name().IsBranch() {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s\t%s\n", commit, r.Name()); err != nil {
			return err
		}
	}
	return nil
}

// codeOf tells errors of others apart.
func codeOf(err error) int {
	var key *gossh.ServerAuthError
	switch text := err.Error(); {
	case errors.Is(err, git.ErrExactSHA1NotSupported), errors.Is(err, git.NoMatchingRefSpecError{}), errors.Is(err, plumbing.ErrObjectNotFound), errors.Is(err, plumbing.ErrReferenceNotFound),
		errors.Is(err, transport.ErrEmptyRemoteRepository), strings.Contains(text, "not our ref"), strings.Contains(text, "unadvertised object"):
		return ExitMissing
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.As(err, &key), knownhosts.IsHostKeyChanged(err),
		knownhosts.IsHostUnknown(err), strings.Contains(text, "unable to authenticate"), strings.Contains(text, "knownhosts:"):
		return ExitDenied
	case errors.Is(err, syscall.EFBIG), errors.Is(err, sideband.ErrMaxPackedExceeded):
		return ExitTooLarge
	}
	return ExitFailed
}
