package hoarder

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// told makes a hoarder that knows entries, and answers.
func told(t *testing.T, entries ...storage.Entry) *Service {
	x := indexOf(t, entries...)
	return &Service{settings: *DefaultSettings(), index: x, roster: x.roster, holdings: newHoldings(1000, testLease, 0)}
}

func claimEntry(root string, p transport.Peer) storage.Entry {
	return storage.Entry{Key: claimKey(root, p), Value: transport.Encode(claimRecord{Bytes: 5})}
}

func TestLocateNamesLivingClaimantsInOrder(t *testing.T) {
	peers := somePeers(6)
	var entries []storage.Entry
	for _, p := range peers {
		entries = append(entries, claimEntry("r", p))
	}
	s := told(t, entries...)
	s.roster.know(peers)
	s.roster.saw(peers[2], false, 0)
	resp, err := s.locate(context.Background(), transport.Peer{}, hoarderapi.RootRequest{Root: "r"})
	require.NoError(t, err)
	want := rendezvous.Rank("r", append(peers[:2:2], peers[3:]...))
	require.Equal(t, want, resp.Holders)
	_, err = s.locate(context.Background(), transport.Peer{}, hoarderapi.RootRequest{Root: "other"})
	require.Equal(t, transport.NotFound, transport.KindOf(err))
}

func TestDatabaseIsTheNewestThatSomebodyHolds(t *testing.T) {
	p := somePeers(1)[0]
	pin := func(root string, version uint64) storage.Entry {
		return pinEntry(root, pinRecord{Kind: hoarderapi.Database, Target: 1, Owner: "o", Name: "d", Version: version})
	}
	s := told(t, pin("r1", 1), pin("r2", 2), pin("r3", 3), claimEntry("r1", p), claimEntry("r2", p))
	resp, err := s.database(context.Background(), transport.Peer{}, hoarderapi.DatabaseRequest{Owner: "o", Name: "d"})
	require.NoError(t, err)
	require.Equal(t, hoarderapi.DatabaseResponse{Root: "r2", Version: 2, Holders: []transport.Peer{p}}, resp)
	_, err = s.database(context.Background(), transport.Peer{}, hoarderapi.DatabaseRequest{Owner: "p", Name: "d"})
	require.Equal(t, transport.NotFound, transport.KindOf(err))
}

func TestStatus(t *testing.T) {
	s := told(t, claimEntry("r", somePeers(1)[0]))
	s.roster.know(somePeers(4))
	s.holdings.admit("a", 30)
	s.holdings.admit("b", 40)
	s.holdings.beginMend("b")
	s.acquiring = map[string]bool{"c": true}
	got, err := s.status(context.Background(), transport.Peer{}, hoarderapi.Done{})
	require.NoError(t, err)
	require.Equal(t, hoarderapi.StatusResponse{
		Items: 1, Held: 2, BytesUsed: 70, BytesMax: s.settings.Capacity, Acquiring: 1, Corrupted: 1, LiveOthers: 3,
	}, got)
}

func TestOwnersAndOwnedInPages(t *testing.T) {
	ctx := context.Background()
	var entries []storage.Entry
	for i := range hoarderapi.OwnedPage + 5 {
		owner := fmt.Sprintf("tns/%04d", i)
		entries = append(entries,
			pinEntry("shared", pinRecord{Kind: hoarderapi.Asset, Target: 2, Owner: owner, Seq: 3, For: time.Hour}),
			pinEntry(fmt.Sprintf("own-%04d", i), pinRecord{Kind: hoarderapi.Asset, Target: 2, Owner: owner}))
	}
	entries = append(entries, pinEntry("mine", pinRecord{Kind: hoarderapi.Asset, Owner: "user"}),
		withdrawEntry("own-0002", "tns/0002", "", hoarderapi.Forever))
	s := told(t, entries...)

	first, err := s.owners(ctx, transport.Peer{}, hoarderapi.OwnersRequest{Root: "shared"})
	require.NoError(t, err)
	require.True(t, first.More)
	require.Len(t, first.Owners, hoarderapi.OwnedPage)
	require.Equal(t, hoarderapi.Owned{Root: "shared", Owner: "tns/0000", Kind: hoarderapi.Asset, Seq: 3, Target: 2, For: time.Hour}, first.Owners[0])
	rest, err := s.owners(ctx, transport.Peer{}, hoarderapi.OwnersRequest{Root: "shared", AfterOwner: first.Owners[hoarderapi.OwnedPage-1].Owner})
	require.NoError(t, err)
	require.False(t, rest.More)
	require.Len(t, rest.Owners, 5)
	_, err = s.owners(ctx, transport.Peer{}, hoarderapi.OwnersRequest{Root: "none"})
	require.Equal(t, transport.NotFound, transport.KindOf(err))

	seen := map[string]int{}
	req := hoarderapi.OwnedRequest{Prefix: "tns/"}
	for pages := 0; ; pages++ {
		require.Less(t, pages, 10)
		resp, err := s.owned(ctx, transport.Peer{}, req)
		require.NoError(t, err)
		for _, o := range resp.Pins {
			seen[o.Root]++
		}
		if req.After = resp.Next; req.After == "" {
			break
		}
	}
	require.Equal(t, hoarderapi.OwnedPage+5, seen["shared"])
	require.Zero(t, seen["mine"], "of another owner")
	require.Zero(t, seen["own-0002"], "withdrawn")
	require.Equal(t, 1, seen["own-0003"])
	require.Len(t, seen, hoarderapi.OwnedPage+5)
}

func TestWhenEntriesAreOver(t *testing.T) {
	pin := pinRecord{Kind: hoarderapi.Asset, Target: 1, Owner: "a"}
	s := told(t, pinEntry("r", pin), withdrawEntry("r", "a", "", 0))
	s.settings.ForgetAfter = time.Hour
	it := s.index.get("r")
	it.ended.update(true, 0)
	at, any := s.collectAt(it, 0)
	require.True(t, any)
	require.Equal(t, time.Hour, at)
	peers := somePeers(2)
	_, err := s.index.apply(claimKey("r", peers[0]), transport.Encode(claimRecord{Bytes: 1}), 0)
	require.NoError(t, err)
	s.roster.self = peers[1]
	require.Empty(t, s.outdated(it, time.Hour-1), "not yet")
	require.Equal(t, []string{ownerID("a", "")}, s.outdated(it, time.Hour))
	s.roster.saw(peers[0], false, time.Minute)
	require.Empty(t, s.outdated(it, 2*time.Hour), "a claimant that is gone may bring the pin back")
	s.roster.saw(peers[0], true, 2*time.Hour)
	require.Empty(t, s.outdated(it, 3*time.Hour-1), "it has not been back for long enough")
	require.NotEmpty(t, s.outdated(it, 3*time.Hour))
}
