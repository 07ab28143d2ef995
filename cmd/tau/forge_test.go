package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/services/auth/authapi"
)

// hookScript sends the webhook of a push, signed as Standard Webhooks says.
const hookScript = `#!/bin/bash
set -e
while read before after ref; do
  body="{\"event\":\"push\",\"repository\":{\"id\":\"%[1]s\"},\"updates\":[{\"ref\":\"$ref\",\"before\":\"$before\",\"after\":\"$after\"}]}"
  id=$after at=$(date +%%s)
  sig=$(printf '%%s' "$id.$at.$body" | openssl dgst -sha256 -hmac "$(cat %[2]s)" -binary | base64 -w0)
  curl -sS -f -m 20 -X POST -H 'Content-Type: application/json' -H "Webhook-Id: $id" -H "Webhook-Timestamp: $at" -H "Webhook-Signature: v1,$sig" -d "$body" http://127.0.0.1:%[3]d%[4]s
done
`

// TestAGitPushIsPublished: a bare repository on this disk, a push to it, a webhook of its hook, a job, a version; and the API tells of it. No
// secret is in a file of the node.
func TestAGitPushIsPublished(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"git", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("no " + program)
		}
	}
	o := &operator{t: t, root: t.TempDir()}
	port := cmdtest.FreePort(t)
	o.must("", "config", "generate", "-n", "cloud.example.com", "-s", "one", "--protos", "all", "--p2p-port", "0")
	config := shape.PathsOf(o.root, "one").Config
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, append(text, fmt.Sprintf("\npatrick-listen: 127.0.0.1:%d\n", port)...), 0o600))
	p := o.start("one")
	o.ready("one", 0)

	bare, work := filepath.Join(t.TempDir(), "site.git"), t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "git %v: %s", args, out)
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "--bare", "-b", "main", bare)
	o.must("", "auth", "project", "add", "shop", "-s", "one")
	var made authapi.RepositoryResponse
	require.NoError(t, json.Unmarshal([]byte(o.must("", "auth", "repository", "add", "site", "--project", "shop", "--url", "file://"+bare, "--forge-name", "site", "-s", "one", "--json")), &made))
	secret := strings.TrimSpace(o.must("", "auth", "secret", "put", "hook", "site", "--generate", "-s", "one"))
	require.Len(t, secret, 64)
	const canary = "a build secret that is nowhere"
	o.must(canary+"\n", "auth", "secret", "put", "build", "shop", "API_KEY", "-s", "one")
	require.Contains(t, o.must("", "auth", "secret", "put", "deploy", "site", "--generate", "-s", "one"), "ssh-ed25519 ")
	keys := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(keys, []byte(secret), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(bare, "hooks", "post-receive"), []byte(fmt.Sprintf(hookScript, "site", keys, port, "/hooks/"+made.Repository.Hook)), 0o755))

	git("init", "-q", "-b", "main", work)
	require.NoError(t, os.WriteFile(filepath.Join(work, "index.html"), []byte("<p>hello\n"), 0o644))
	git("-C", work, "add", ".")
	git("-C", work, "commit", "-q", "-m", "one")
	commit := git("-C", work, "rev-parse", "HEAD")
	require.Contains(t, git("-C", work, "push", bare, "main"), "accepted")

	o.within(2*time.Minute, "the commit is published", func() bool {
		list, ok := ask[[]live.Version](o, "versions", "shop", "-s", "one")
		return ok && len(list) == 1 && list[0].Commit == commit && list[0].Live
	})
	token := strings.TrimSpace(o.must("", "auth", "token", "create", "--project", "shop", "-s", "one"))
	r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/v1/projects/shop/jobs", port), nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(body), commit)
	require.Contains(t, string(body), `"status":"success"`)

	require.NoError(t, filepath.WalkDir(o.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		require.NotContains(t, string(raw), canary, path)
		require.NotContains(t, string(raw), secret, path)
		return err
	}))
	require.NotContains(t, p.log.String(), canary)

	// A project in three repositories is one version of all of them.
	o.must("", "auth", "project", "add", "tea", "-s", "one")
	at := map[string]string{}
	push := func(name, holds string, files map[string]string) {
		bare, work := filepath.Join(t.TempDir(), name+".git"), t.TempDir()
		git("init", "-q", "--bare", "-b", "main", bare)
		var made authapi.RepositoryResponse
		require.NoError(t, json.Unmarshal([]byte(o.must("", "auth", "repository", "add", name, "--project", "tea", "--holds", holds, "--url", "file://"+bare, "--forge-name", "acme/"+name, "-s", "one", "--json")), &made))
		keys := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(keys, []byte(strings.TrimSpace(o.must("", "auth", "secret", "put", "hook", name, "--generate", "-s", "one"))), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(bare, "hooks", "post-receive"), []byte(fmt.Sprintf(hookScript, "acme/"+name, keys, port, "/hooks/"+made.Repository.Hook)), 0o755))
		git("init", "-q", "-b", "main", work)
		for file, content := range files {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(work, file)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(work, file), []byte(content), 0o644))
		}
		git("-C", work, "add", ".")
		git("-C", work, "commit", "-q", "-m", "one")
		at[name] = git("-C", work, "rev-parse", "HEAD")
		require.Contains(t, git("-C", work, "push", bare, "main"), "accepted")
	}
	push("tea-site", "resource", map[string]string{"index.html": "<p>tea\n"})
	push("tea-code", "code", map[string]string{"functions/ping/main.wasm": "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x08\x01\x04ping\x00\x00\x0a\x04\x01\x02\x00\x0b"})
	push("tea-config", "configuration", map[string]string{
		"config.yaml":         "name: tea\n",
		"functions/ping.yaml": "trigger: {type: https, method: GET, paths: [/ping]}\nsource: .\nexecution: {timeout: 1s, memory: 1MB, call: ping}\n",
		"websites/site.yaml":  "paths: [/]\nsource: {github: {id: \"7\", fullname: acme/tea-site}}\n",
	})
	o.within(2*time.Minute, "all three are published", func() bool {
		list, ok := ask[[]live.Version](o, "versions", "tea", "-s", "one")
		return ok && len(list) > 0 && list[0].Live && list[0].Commit == at["tea-config"]
	})
	jobs, ok := ask[[]live.Job](o, "jobs", "-s", "one")
	require.True(t, ok)
	for _, j := range jobs {
		if j.Commit == at["tea-config"] {
			log := o.must("", "logs", j.Job, "-s", "one")
			require.Contains(t, log, "with tea-code at "+at["tea-code"])
			require.Contains(t, log, "with tea-site at "+at["tea-site"])
			require.Contains(t, log, "2 assets built")
		}
	}
}
