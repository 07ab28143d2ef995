package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheTutorial runs docs/tutorial.md as it stands, but for the port; blocks marked long only with TUTORIAL=all.
func TestTheTutorial(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl on this machine")
	}
	d := newDeveloper(t)
	raw, err := os.ReadFile("../../docs/tutorial.md")
	require.NoError(t, err)
	ports := [3]string{d.port(), d.port(), d.port()} // others of this machine may have the usual ones, and tests that run beside this one

	script := "set -e -o pipefail\ncd \"$HOME\"\ngit config --global user.name A\ngit config --global user.email a@example.com\n"
	for _, block := range regexp.MustCompile("(?s)```sh( long)?\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		if block[1] == "" || os.Getenv("TUTORIAL") == "all" {
			script += fmt.Sprintf("echo '== %s'\n", strings.ReplaceAll(strings.SplitN(block[2], "\n", 2)[0], "'", "")) + block[2]
		}
	}
	script = strings.ReplaceAll(script, ":7480/", ":"+ports[0]+"/")
	up := "dreamland up --detach --http-port " + ports[0] + " --admin-port " + ports[1] + " --git-port " + ports[2]
	script = strings.Replace(script, "\ndreamland up --detach\n", "\n"+up+"\n", 1)
	said := d.must("", "bash", "-c", script)
	require.NotContains(t, said, "404")
	parts := strings.Split(said, "\n== ")
	find := func(begins string) string {
		for _, p := range parts {
			if strings.HasPrefix(p, begins) {
				return p
			}
		}
		require.Fail(t, "no such block", begins)
		return ""
	}
	require.Contains(t, find("curl -s"), "<h1>", "the website of the template")
	require.Contains(t, find("echo <h1>Oolong"), "\n<h1>Oolong</h1>\n")
	require.NotContains(t, find("dreamland rollback tea"), "Oolong")
	require.Regexp(t, `published .*http://green\.tea\.localhost:`, find("git switch"))
	require.Contains(t, find("git switch"), "\n<h1>Sencha</h1>")
	mistake := find("sed s/paths:/pths:/")
	require.Contains(t, mistake, "tau.yaml:6:", "in which line")
	require.Contains(t, mistake, "did you mean", "what was meant")
	require.Contains(t, find("dreamland kill substrate"), "published")
	require.Contains(t, find("cat > storm"), "5 of 5 seeds")
	if os.Getenv("TUTORIAL") == "all" {
		require.Contains(t, find("cd .."), "\nHello.")
	}
}
