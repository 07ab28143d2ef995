package project

import (
	"cmp"
	"strings"

	"github.com/taucloud/tau/project/route"
)

// Bounds of what is read. They are checked while reading.
const (
	// FileLenMax is of tau.yaml, ResourceLenMax of each file of a configuration repository, in bytes.
	FileLenMax, ResourceLenMax = 1 << 20, 64 << 10
	// ResourcesMax is how many resources a project may have, ApplicationsMax how many applications.
	ResourcesMax, ApplicationsMax = 16_384, 256
	textLenMax                    = 4096 // bytes of a text
	itemsMax                      = 256  // items of a list, keys of a mapping of a resource
	nameLenMax                    = 64
	stepsMax                      = 32 // of a build
	concurrencyMax                = 100_000
)

// Toolchains are those that can be asked for by name.
var Toolchains = []string{"prebuilt", "go", "c", "assemblyscript", "javascript"}

const namePattern = `^[A-Za-z_][A-Za-z0-9_-]{0,63}$`

var (
	anyText  = rule{want: "a text"}
	nameRule = rule{want: "a name: up to 64 letters, digits, _ and -, a letter or _ first", pattern: namePattern}
	idRule   = rule{want: "an id: up to 128 letters, digits, _ and -", pattern: `^[A-Za-z0-9_-]{1,128}$`}
	fqdnRule = rule{want: "a domain name such as shop.example.com", norm: func(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) },
		pattern: `^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.){0,10}[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$`,
		check: func(text string) string {
			if len(text) > 253 {
				return "a domain name has at most 253 characters"
			}
			return ""
		}}
	emailRule    = rule{want: "an address such as ops@example.com", pattern: `^[^@\s]+@[^@\s]+$`}
	sizeRule     = rule{want: "a size such as 32MB", pattern: sizePattern}
	durationRule = rule{want: "a duration such as 10s or 5m", pattern: durationPattern}
	variableRule = rule{want: "the name of a variable: letters, digits and _, no digit first", pattern: `^[A-Za-z_][A-Za-z0-9_]{0,127}$`}
	outboundRule = rule{want: `a host such as api.example.com, "*.example.com" or api.example.com:8443`, norm: strings.ToLower,
		pattern: `^(\*|(\*\.)?([A-Za-z0-9_-]{1,63}\.)+[A-Za-z0-9-]{1,63}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`}
	symbolRule    = rule{want: "the name of an exported function", pattern: `^[^\s]{1,128}$`}
	branchRule    = rule{want: "a branch", pattern: `^[^\s~^:?*\[\\]{1,250}$`}
	toolchainRule = rule{want: strings.Join(Toolchains[:len(Toolchains)-1], ", ") + " or " + Toolchains[len(Toolchains)-1], words: Toolchains}
	stepRule      = rule{want: "a command for a shell", check: func(text string) string {
		if strings.ContainsRune(text, 0) {
			return "a command has no zero bytes"
		}
		return ""
	}}
	// folderRule is of folders within a repository.
	folderRule = rule{want: "a folder of the repository, such as ./site", pattern: `^[^\s\\]([^\\]{0,254}[^\s\\])?$`, check: checkFolder, norm: cleanFolder}
	// outputRule is of folders and files within the folder of the code; "." is that itself.
	outputRule = rule{want: "a folder or a file within the folder of the code, such as dist", pattern: folderRule.pattern, check: checkFolder, norm: func(text string) string {
		return cmp.Or(cleanFolder(text), ".")
	}}
	sourceRule = rule{want: `".", a folder such as ./code/ping, or libraries/NAME`, pattern: `^(\.|\./[^\\]{1,250}|(libraries|library)/[A-Za-z_][A-Za-z0-9_-]{0,63})$`,
		check: func(text string) string {
			if !strings.HasPrefix(text, "./") {
				return ""
			}
			return checkFolder(text)
		},
		norm: func(text string) string {
			if strings.HasPrefix(text, "./") {
				return "./" + cleanFolder(text)
			}
			if name, old := strings.CutPrefix(text, "library/"); old { // as old files have it
				return "libraries/" + name
			}
			return text
		}}
	pathRule   = rule{want: "a path such as /ping or /users/{id}", pattern: route.Expression, check: checkPattern}
	prefixRule = rule{want: "a path such as / or /photos", pattern: route.Expression, check: func(text string) string {
		_, err := route.Prefix(text)
		return message(err)
	}}
	methodRule = rule{want: "a method", words: []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}, fold: true, norm: strings.ToUpper}
	accessRule = rule{want: "all, subnet or host", words: []string{"all", "subnet", "host"}}
	typeRule   = rule{want: "http, https, pubsub, p2p or cron", words: []string{TriggerHTTP, TriggerHTTPS, TriggerPubSub, "pub-sub", TriggerP2P, TriggerCron},
		norm: func(text string) string { return strings.ReplaceAll(text, "pub-sub", TriggerPubSub) }}
	cronRule       = rule{want: `a moment such as "0 3 * * *" or @hourly`, check: func(text string) string { return message(checkCron(text)) }}
	wordRule       = rule{want: "a text without spaces", pattern: `^\S{1,256}$`}
	repositoryRule = rule{want: "an address such as https://git.example.com/me/site.git", pattern: `^(https?://|ssh://|git@|file://)\S{1,500}$`}
)

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func checkPattern(text string) string {
	_, err := route.Parse(text)
	return message(err)
}

// checkFolder refuses what leads out of the repository.
func checkFolder(text string) string {
	for _, part := range strings.Split(text, "/") {
		if part == ".." {
			return "a folder is within the repository: .. leads out of it"
		}
	}
	return ""
}

// cleanFolder is a folder without what says nothing: "./a//b/" is "a/b", "/" is "".
func cleanFolder(text string) string {
	var parts []string
	for _, part := range strings.Split(text, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}
