package patrick

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// page is what people see of a job who follow the link beside a commit. It is the same of all jobs, whether there is one or not: what it shows
// it asks the API for, by the token of who looks.
//
//go:embed page.html
var page string

// pagePolicy lets the page do what it does and nothing else, whatever a log has in it.
var pagePolicy = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src " + hashOf("script") + "; style-src " + hashOf("style")

// hashOf is how a policy names what is between the tags of an element.
func hashOf(element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// PagePath is the path of a job's page at the front door.
func PagePath(job string) string { return "/jobs/" + job }

func servePage(w http.ResponseWriter, r *http.Request) {
	if !patrickapi.IsJobID(r.PathValue("job")) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write([]byte(page)) // who asks may be gone
}
