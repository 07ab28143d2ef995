package project

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnIDThatAProjectWritesProvesNothing: where the cloud says which project it is, the last characters of the id that is
// written in it open no host; without that they do, in the form of existing projects only.
func TestAnIDThatAProjectWritesProvesNothing(t *testing.T) {
	p := &Project{ID: "zzzz12345678", Name: "evil"}
	own := Options{Project: "attacker"}.of(p).own(p)
	for fqdn, written := range map[string]bool{
		"shop-123456780.tau.localhost": true, "123456781.tau.localhost": true, "12345678anything.tau.localhost": false, "shop-12345678.tau.localhost": false, "shop-12345678-evil.tau.localhost": false,
	} {
		p.Domains = []Domain{{Base: Base{Name: "d"}, FQDN: fqdn}}
		_, err := Compile(p, Options{})
		require.Equal(t, written, err == nil, "%s: %v", fqdn, err)
		_, err = Compile(p, Options{Project: "attacker"})
		require.ErrorContains(t, err, "is not the project's", fqdn)
	}
	p.Domains[0].FQDN = own
	_, err := Compile(p, Options{Project: "attacker"})
	require.NoError(t, err)
}

// TestTheOwnHostIsOneHost, whether a domain names it or nothing does: two functions cannot both have a path of it, in
// production or a preview.
func TestTheOwnHostIsOneHost(t *testing.T) {
	p := &Project{Name: "shop"}
	f := func(name string, domains ...string) Function {
		return Function{Base: Base{Name: name}, Type: TriggerHTTP, Methods: []string{"GET"}, Paths: []string{"/a"}, Domains: domains, Source: "."}
	}
	for _, o := range []Options{{Project: "x"}, {Project: "x", Preview: "feature"}} {
		p.Domains = []Domain{{Base: Base{Name: "d"}, FQDN: o.of(p).own(p)}}
		p.Functions = []Function{f("f"), f("g", "d")}
		_, err := Compile(p, o)
		require.ErrorContains(t, err, "functions/f's already")
		p.Functions = []Function{f("g", "d")}
		named, err := Compile(p, o)
		require.NoError(t, err)
		p.Functions = []Function{f("g")}
		unnamed, err := Compile(p, o)
		require.NoError(t, err)
		require.Equal(t, unnamed.Claims, named.Claims)
	}
}
