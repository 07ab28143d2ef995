package project

import (
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/taucloud/tau/project/route"
)

// What entries of a published version mean, for those who serve it: the other direction of [Compile].

// RoutesPrefix begins the paths of entries that list claims of a host: "routes/HOST/0000".
const RoutesPrefix = "routes/"

// decoding skips fields that it does not know, and refuses what is nested deeply or long.
var decoding = func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxNestedLevels: 16, MaxArrayElements: 1 << 14, MaxMapPairs: 1 << 12}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// DecodeRoutes reads an entry below RoutesPrefix. Claims of another host than that of the path are an error, and so are
// those whose key is not that of their path.
func DecodeRoutes(path string, value []byte) (claims []route.Claim, err error) {
	rest, ok := strings.CutPrefix(path, RoutesPrefix)
	host, _, parted := strings.Cut(rest, "/")
	if !ok || !parted {
		return nil, fmt.Errorf("project: %q is no entry of routes", path)
	}
	if err := decoding.Unmarshal(value, &claims); err != nil {
		return nil, fmt.Errorf("project: %s: %w", path, err)
	}
	for _, c := range claims {
		p, err := route.Parse(c.Path)
		if err != nil || c.Host != host || c.Key != p.Key() {
			return nil, fmt.Errorf("project: %s: a claim of %.40q %.40q", path, c.Host, c.Path)
		}
	}
	return claims, nil
}

// DecodeWebsite reads the entry of a website.
func DecodeWebsite(value []byte) (w Website, err error) {
	err = decoding.Unmarshal(value, &w)
	return w, err
}

// DecodeFunction reads the entry of a function.
func DecodeFunction(value []byte) (f Function, err error) {
	err = decoding.Unmarshal(value, &f)
	return f, err
}

// KindOf is the kind of the resource that an entry is of: "websites" of "applications/a/websites/w", "" of none.
func KindOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}
