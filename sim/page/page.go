// Package page makes one self-contained HTML page of a run: what was expected and what
// came of it, a lane for each node with its faults, locks and messages, what each node
// believed at any moment, and what caused what. It knows no service and no world: all
// it shows is from a report and a trace.
//
// The page needs no network and runs no code but its own, which a policy in its head
// sees to; whatever a run says is shown as text and never as markup.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
)

//go:embed assets
var assets embed.FS

// SizeMax bounds a page, in bytes, unless its caller has another bound.
const SizeMax = 24 << 20

// Run is a run to show.
type Run struct {
	Result report.Result
	// Faults are those that the scenario has planned, in order of time.
	Faults []Fault
	// Nodes in the order of the scenario.
	Nodes []Node
	// HealedAt is when every fault was ended, 0 if the run ended before.
	HealedAt time.Duration
	// Trace is read to its end.
	Trace io.Reader
	// Object is what is highlighted at first, and Story what there is to say of it as
	// text; either may be "".
	Object, Story string
}

// Fault is a fault with its place in time; For is 0 if it lasts until everything is
// healed, or does not last.
type Fault struct {
	At, For time.Duration
	Fault   fault.Fault
}

// Node is a node and the services that it runs.
type Node struct {
	Name     string
	Services []string
}

// scripts are put together in this order.
var scripts = []string{"data.js", "search.js", "draw.js", "panel.js", "list.js", "figures.js", "app.js"}

// Write writes the page of one run, or of one that failed and one that held beside it.
// It has at most sizeMax bytes: what is least often asked for is left out until it
// fits, and the page says what.
func Write(out io.Writer, runs []Run, sizeMax int) error {
	var packed []*packedRun
	for i := range runs {
		c, err := collect(&runs[i])
		if err != nil {
			return fmt.Errorf("page: %w", err)
		}
		packed = append(packed, pack(&runs[i], c, sizeMax/len(runs)))
	}
	data, err := json.Marshal(packed) // escapes <, > and &
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	style, script, err := ownCode()
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	frame, err := assets.ReadFile("assets/page.html")
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	_, err = strings.NewReplacer(
		"{{STYLE-HASH}}", hashOf(style), "{{SCRIPT-HASH}}", hashOf(script), "{{STYLE}}", style, "{{SCRIPT}}", script,
		"{{DATA}}", string(data),
	).WriteString(out, string(frame))
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// ownCode are the style and the script of every page.
func ownCode() (style, script string, err error) {
	css, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return "", "", err
	}
	var all strings.Builder
	all.WriteString("'use strict';\n")
	for _, name := range scripts {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", "", err
		}
		all.Write(text)
	}
	return string(css), all.String(), nil
}

// hashOf is how a policy names the one script, or style, that may run.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
