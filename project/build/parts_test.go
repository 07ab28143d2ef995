package build

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
)

func partOf(name string, files ...string) Part {
	p := Part{Name: name}
	for i := 0; i < len(files); i += 2 {
		p.Files = append(p.Files, File{files[i], []byte(files[i+1])})
	}
	return p
}

// apart is a project as people of tau keep it: a repository for the configuration, one for the code, one for the website and one for a library.
func apart() (configuration, code, site, library Part) {
	function := func(source, call string) string {
		return "trigger: {type: https, method: GET, paths: [/" + call + "]}\nsource: " + source + "\nexecution: {timeout: 1s, memory: 1MB, call: " + call + "}\n"
	}
	configuration = partOf("config",
		"README.md", "of the configuration",
		"applications/back/config.yaml", "description: the back\n",
		"applications/back/functions/sum.yaml", function(".", "sum"),
		"config.yaml", "name: shop\n",
		"functions/order.yaml", function("libraries/orders", "order"),
		"functions/ping.yaml", function(".", "ping"),
		"libraries/orders.yaml", "source: {path: lib, github: {id: \"7\", fullname: acme/orders}}\n",
		"websites/site.yaml", "paths: [/]\nsource: {repository: \"https://git.example.com/acme/site.git\", path: /, branch: live}\n")
	code = partOf("code",
		"README.md", "of the code", "go.work", "", "config.yaml", "name: another\n", "functions/ping.yaml", "an order",
		"back/functions/sum/main.wasm", string(moduleOf("sum")), "functions/ping/main.wasm", string(moduleOf("ping")), "functions/ping/config.yaml", "of the code itself")
	return configuration, code, partOf("site", "index.html", "<p>"), partOf("orders", "lib/main.wasm", string(moduleOf("order")))
}

func TestJoin(t *testing.T) {
	configuration, code, site, library := apart()
	fsys, err := FS(configuration.Files)
	require.NoError(t, err)
	loaded, err := project.Load(fsys)
	require.NoError(t, err)
	wants := Wants(loaded.Project)
	require.Len(t, wants, 2)
	places := Places{}
	for _, w := range wants {
		switch w.Ref.String() {
		case "websites/site":
			require.Equal(t, "live", w.Branch)
			for _, url := range []string{"https://git.example.com/acme/site.git", "git@GIT.example.com:acme/site", "ssh://git@git.example.com/acme/site.git/"} {
				require.True(t, w.At(url, ""), url)
			}
			require.False(t, w.At("https://git.example.com/mallory/site.git", "acme/site"))
			places.Place(w, "site")
		case "libraries/orders":
			require.Equal(t, "acme/orders", w.Where())
			require.True(t, w.At("", "Acme/Orders"))
			require.True(t, w.At("", "7"))
			require.False(t, w.At("https://github.com/acme/orders", "") || w.At("", "acme/order"))
			places.Place(w, "orders")
		}
	}

	files, err := Join(configuration, []Part{code}, []Part{site, library})
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range files {
		all[f.Path] = string(f.Data)
	}
	require.Len(t, all, len(files))
	require.Equal(t, "of the configuration", all["README.md"])
	require.Equal(t, "name: shop\n", all["config.yaml"], "code says nothing of the configuration")
	require.Contains(t, all["functions/ping.yaml"], "trigger")
	require.Equal(t, "of the code itself", all["functions/ping/config.yaml"])
	require.NotContains(t, all, "go.work")
	require.Equal(t, "<p>", all["repositories/site/index.html"])

	fsys, err = FS(files)
	require.NoError(t, err)
	again, err := project.Load(fsys)
	require.NoError(t, err)
	steps, err := Plan(again.Project, fsys, places)
	require.NoError(t, err)
	var got []string
	for _, s := range steps {
		got = append(got, s.Folder+" "+strings.Join(s.Targets, ","))
	}
	require.Equal(t, []string{
		"back/functions/sum applications/back/functions/sum", "functions/ping functions/ping",
		"repositories/orders/lib functions/order", "repositories/site websites/site",
	}, got)

	_, err = Join(configuration, []Part{code, partOf("more", "functions/ping/main.wasm", "")}, nil)
	require.EqualError(t, err, "functions/ping/main.wasm is in code and in more: remove it from one")
	_, err = Join(partOf("config", "repositories/x", ""), nil, []Part{site})
	require.ErrorContains(t, err, "name it otherwise")
}
