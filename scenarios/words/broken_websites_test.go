package words

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
)

// fakeSubstrate serves one version of each project.
type fakeSubstrate struct {
	fake
	serves tnsapi.Version
}

func (f *fakeSubstrate) Served(_, branch string) (tnsapi.Version, bool) {
	return f.serves, f.serves.Commit != "" && branch == f.serves.Branch
}

func TestBrokenPromisesAboutWebsites(t *testing.T) {
	deployed := "1 client client deploy-sent project=p commit=c1 pages=2 size=10\n2 client client publish-acknowledged project=p commit=c1\n"
	got := func(rest string) string {
		return "60 client client http-answered project=p last=0 took=0 tries=1 " + rest + "\n"
	}
	failed := "60 client client http-failed project=p path=/ why=refused took=0 tries=1\n"
	outside := func(host, address string) string {
		return "60 run-1 substrate outside-asked project=p host=" + host + " address=" + address + "\n"
	}
	pair := func() []check.NodeView {
		return []check.NodeView{runs("core-1", map[string]node.Service{"gateway": fake{}}), runs("core-2", map[string]node.Service{"substrate": fake{}})}
	}
	following := func(serves string) func() *fakeWorld {
		list := branch("two", "one")
		s := &fakeSubstrate{}
		for _, v := range list {
			if v.Job == serves {
				s.serves = v
			}
		}
		return settled(runs("core-1", map[string]node.Service{"tns": &fakeTNS{versions: list}, "substrate": s}))
	}
	judge(t, []broken{
		{"answers-are-one-version", "", after(pair()...), deployed + got("path=/none.html status=404 version=c1")},
		{"answers-are-one-version", "with status 302", after(pair()...), deployed + got("path=/ status=302 version=c1")},
		{"answers-are-one-version", "which nobody has published", after(pair()...), deployed + got("path=/ status=200 version=c9 digest=x")},
		{"answers-are-one-version", "by something else than version c1", after(pair()...), deployed + got("path=/ status=200 version=c1 digest=x")},
		{"answers-are-one-version", "was not found", after(pair()...), deployed + got("path=/ status=404 version=c1")},
		{"answers-are-one-version", "says that it is of c0", after(pair()...), deployed + got("path=/ status=200 version=c1 said=c0 alone=yes")},
		{"answers-are-one-version", "", after(pair()...), deployed + got("path=/ status=200 version=c1 said=c1 alone=yes")},
		{"requests-are-alone", "", after(pair()...), got("path=/ status=200 version=c1 said=c1 alone=yes")},
		{"requests-are-alone", "has seen another request", after(pair()...), got("path=/ status=200 version=c1 said=c1 alone=count_2")},
		{"streams-are-whole", "", after(pair()...), "60 client client http-streamed project=p kind=events status=200 got=10 want=10 whole=true first=0 last=9000000000\n"},
		{"streams-are-whole", "as if it were whole", after(pair()...), "60 client client http-streamed project=p kind=events status=200 got=9 want=10 whole=true first=0 last=9000000000\n"},
		{"streams-are-whole", "kept back", after(pair()...), "60 client client http-streamed project=p kind=events status=200 got=10 want=10 whole=true first=9000000000 last=9000000000\n"},
		{"functions-run-once", "", after(pair()...), "60 core-1 substrate function-ran project=p id=a\n60 core-1 substrate function-ran project=p id=b\n"},
		{"functions-run-once", "was run at core-1 and at core-2", after(pair()...), "60 core-1 substrate function-ran project=p id=a\n61 core-2 substrate function-ran project=p id=a\n"},
		{"functions-are-bounded", "", after(pair()...), "60 client client http-hostile project=p path=/ status=504 took=1000000000\n"},
		{"functions-are-bounded", "does harm", after(pair()...), "60 client client http-hostile project=p path=/ status=200 took=0\n"},
		{"functions-are-bounded", "does harm", after(pair()...), "60 client client http-hostile project=p path=/ status=504 took=11000000000\n"},
		{"functions-are-bounded", "at once", after(pair()...), "1 client client deploy-sent project=p commit=c1 kind=function limit=2\n60 core-2 substrate function-ran project=p at-once=3 took=0\n"},
		{"functions-are-bounded", "has run for", after(pair()...), "60 core-2 substrate function-ran project=p at-once=1 took=11000000000\n"},
		{"functions-go-where-they-may", "", after(pair()...), outside("api.outside.example", "93.184.216.34") + got("path=/out/1 status=200 went=yes")},
		{"functions-go-where-they-may", "which is not public", after(pair()...), outside("inside.outside.example", "10.0.0.7")},
		{"functions-go-where-they-may", "nobody has allowed", after(pair()...), outside("elsewhere.example", "93.184.216.99")},
		{"functions-go-where-they-may", "says: 0_13", after(pair()...), got("path=/out/1 status=200 went=0_13")},
		{"requests-are-answered", "", after(pair()...), got("path=/ status=200 version=c1")},
		{"requests-are-answered", "was not answered after 1 tries: refused", after(pair()...), quiet(40) + failed},
		{"requests-are-answered", "status 503", after(pair()...), quiet(40) + got("path=/ status=503 version=c1")},
		{"substrates-follow", "", following("two"), quiet(3)},
		{"substrates-follow", "is current", following("one"), quiet(3)},
	})
}
