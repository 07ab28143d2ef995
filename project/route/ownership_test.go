package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func claim(host, path string) Claim {
	p, err := Parse(path)
	if err != nil {
		panic(err)
	}
	return Claim{Host: host, Path: path, Key: p.Key(), Methods: []string{"GET"}, Target: "functions/f"}
}

func TestOwnership(t *testing.T) {
	first := Claimant{Project: "first", Since: map[string]uint64{"a": 1, "b": 9}, Claims: []Claim{claim("a", "/"), claim("b", "/x")}}
	late := Claimant{Project: "late", Since: map[string]uint64{"a": 2, "b": 8}, Claims: []Claim{claim("a", "/other"), claim("b", "/x")}}
	owned, refused := Decide([]Claimant{late, first})
	require.Equal(t, map[string][]Claim{"first": {claim("a", "/")}, "late": {claim("b", "/x")}}, owned, "a host that nobody has proved is the first comer's")
	require.Equal(t, []Refusal{{"first", claim("b", "/x"), "late", true}, {"late", claim("a", "/other"), "first", true}}, refused)

	late.Verified = map[string]bool{"a": true}
	owned, _ = Decide([]Claimant{late, first})
	require.Equal(t, map[string][]Claim{"late": {claim("a", "/other"), claim("b", "/x")}}, owned, "whoever has proved it comes first")

	first.Verified = map[string]bool{"a": true}
	late.Claims = append(late.Claims, claim("a", "/"))
	owned, refused = Decide([]Claimant{late, first})
	require.Equal(t, map[string][]Claim{"first": {claim("a", "/")}, "late": {claim("a", "/other"), claim("b", "/x")}}, owned, "those who have share it by path")
	require.Equal(t, Refusal{"late", claim("a", "/"), "first", false}, refused[1])

	first.Claims = nil
	owned, _ = Decide([]Claimant{late, first})
	require.Len(t, owned["late"], 3, "what is not claimed any more is free")
}

func TestTheBestClaim(t *testing.T) {
	post := claim("a", "/users/me")
	post.Methods = []string{"POST"}
	claims := []Claim{claim("a", "/*"), claim("a", "/users/{id}"), post, claim("b", "/users/me")}
	best, with, ok := Best(claims, "a", "GET", "/users/me")
	require.True(t, ok)
	require.Equal(t, "/users/{id}", best.Path)
	require.Equal(t, map[string]string{"id": "me"}, with)
	best, _, _ = Best(claims, "a", "POST", "/users/me")
	require.Equal(t, "/users/me", best.Path)
	_, _, ok = Best(claims, "b", "GET", "/")
	require.False(t, ok)
}

func claimants() *rapid.Generator[[]Claimant] {
	return rapid.Custom(func(t *rapid.T) []Claimant {
		var list []Claimant
		for i := range rapid.IntRange(1, 5).Draw(t, "projects") {
			c := Claimant{Project: fmt.Sprintf("p%d", i), Since: map[string]uint64{}, Verified: map[string]bool{}}
			for _, host := range []string{"a", "b"} {
				c.Since[host] = rapid.Uint64Range(0, 3).Draw(t, "since")
				c.Verified[host] = rapid.Bool().Draw(t, "verified")
				for _, path := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"/", "/x", "/{id}", "/*"}), 0, 3, rapid.ID).Draw(t, "paths") {
					c.Claims = append(c.Claims, claim(host, path))
				}
			}
			list = append(list, c)
		}
		return list
	})
}

type spot struct{ host, key string }

func ownersOf(t *rapid.T, owned map[string][]Claim) map[spot]string {
	out := map[spot]string{}
	for project, claims := range owned {
		for _, c := range claims {
			at := spot{c.Host, c.Key}
			if other, taken := out[at]; taken && other != project {
				t.Fatalf("%v is owned by %s and %s", at, other, project)
			}
			out[at] = project
		}
	}
	return out
}

// TestWhatIsOwned: one owner for each host and path, whatever the order in which claims are known; each claim counts or
// is refused, in favour of somebody who has it; and what others do on another host changes nothing.
func TestWhatIsOwned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := claimants().Draw(t, "claimants")
		owned, refused := Decide(list)
		owners := ownersOf(t, owned)

		shuffled := slices.Clone(list)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, refusedAgain := Decide(shuffled)
		require.Equal(t, owned, again)
		require.Equal(t, refused, refusedAgain)

		count := len(refused)
		for _, claims := range owned {
			count += len(claims)
		}
		for _, c := range list {
			count -= len(c.Claims)
		}
		require.Zero(t, count, "each claim counts or is refused")
		for _, r := range refused {
			if r.Host {
				require.True(t, slices.ContainsFunc(owned[r.Owner], func(c Claim) bool { return c.Host == r.Claim.Host }))
			} else {
				require.Equal(t, r.Owner, owners[spot{r.Claim.Host, r.Claim.Key}])
			}
		}
	})
}

// TestLateComersTakeNothing: one more project, that came later than all and has proved nothing, changes no owner. One
// that goes takes only what it had.
func TestLateComersTakeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := claimants().Draw(t, "claimants")
		owned, _ := Decide(list)
		before := ownersOf(t, owned)
		owned, _ = Decide(append(slices.Clone(list), Claimant{Project: "late", Since: map[string]uint64{"a": 99, "b": 99}, Claims: []Claim{claim("a", "/"), claim("b", "/x"), claim("b", "/new")}}))
		after := ownersOf(t, owned)
		for at, owner := range before {
			require.Equal(t, owner, after[at], at)
		}
		gone := rapid.IntRange(0, len(list)-1).Draw(t, "gone")
		owned, _ = Decide(slices.Delete(slices.Clone(list), gone, gone+1))
		after = ownersOf(t, owned)
		for at, owner := range before {
			// Whoever goes may have kept a host from others who came first to a path of it.
			if owner != list[gone].Project && !claims(list[gone], at.host) {
				require.Equal(t, owner, after[at], at)
			}
		}
		for _, owner := range after {
			require.NotEqual(t, list[gone].Project, owner)
		}
	})
}

// claims reports whether a project has claims on a host at all.
func claims(c Claimant, host string) bool {
	return slices.ContainsFunc(c.Claims, func(claim Claim) bool { return claim.Host == host })
}
