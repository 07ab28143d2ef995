package replicated_test

import (
	"context"
	"testing"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	crdt "github.com/ipfs/go-ds-crdt"
	golibp2p "github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/stretchr/testify/require"
)

// openPlain wires go-ds-crdt as its README and ipfs-lite do.
func openPlain(b *testing.B, replicas int) *benchStore {
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	counts := newArrivals(replicas)
	var hosts []host.Host
	var topics []*pubsub.PubSub
	var stores []*crdt.Datastore
	for i := range replicas {
		h, err := golibp2p.New(golibp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
		require.NoError(b, err)
		b.Cleanup(func() { h.Close() })
		hosts = append(hosts, h)
		ps, err := pubsub.NewGossipSub(ctx, h)
		require.NoError(b, err)
		topics = append(topics, ps)
		store := dssync.MutexWrap(datastore.NewMapDatastore())
		bstore := blockstore.NewBlockstore(store)
		swap := bitswap.New(ctx, bsnet.NewFromIpfsHost(h), nil, bstore)
		b.Cleanup(func() { swap.Close() })
		dag := merkledag.NewDAGService(blockservice.New(bstore, swap))
		topicCtx, leave := context.WithCancel(ctx)
		topic, err := crdt.NewPubSubBroadcaster(topicCtx, ps, "bench")
		require.NoError(b, err)
		options := crdt.DefaultOptions()
		options.PutHook = func(datastore.Key, []byte) { counts.add(i) }
		db, err := crdt.New(store, datastore.NewKey("/crdt"), dag, topic, options)
		require.NoError(b, err)
		b.Cleanup(func() {
			leave()
			db.Close()
		})
		stores = append(stores, db)
	}
	for i, h := range hosts {
		for _, other := range hosts[:i] {
			require.NoError(b, h.Connect(ctx, *host.InfoFromHost(other)))
		}
	}
	for _, ps := range topics {
		for len(ps.ListPeers("bench")) < replicas-1 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	time.Sleep(2 * time.Second) // the mesh forms at heartbeats
	put := func(keys []string) {
		if len(keys) == 1 {
			require.NoError(b, stores[0].Put(ctx, datastore.NewKey(keys[0]), benchValue))
			return
		}
		batch, err := stores[0].Batch(ctx)
		require.NoError(b, err)
		for _, k := range keys {
			require.NoError(b, batch.Put(ctx, datastore.NewKey(k), benchValue))
		}
		require.NoError(b, batch.Commit(ctx))
	}
	return &benchStore{put: put, seen: counts.seen, arrived: counts.arrived}
}
