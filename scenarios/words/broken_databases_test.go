package words

import (
	"fmt"
	"testing"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage/memdisk"
)

// TestALaterVersionIsEnoughToLetAnOlderOneGo has three versions of a database. Whoever lets the
// first one go must have found all copies of a later one, but need not have heard of the last.
func TestALaterVersionIsEnoughToLetAnOlderOneGo(t *testing.T) {
	const first, second, third = 1, 2, 3
	roots := map[int]string{}
	stands := func(beside ...[]byte) func() *fakeWorld { // on the first disk, the second ...
		var disks []*memdisk.Disk
		for _, b := range beside {
			list, _ := shelves(t, 9, storeroom{beside: b})
			disks = append(disks, list...)
		}
		return after(stores(1<<30, disks, "none")...)
	}
	for version := first; version <= third; version++ {
		_, roots[version] = shelves(t, byte(version), storeroom{})
	}
	say := func(at int, who, fact string, version int, more string) string {
		return fmt.Sprintf("%d %s %s %s root=%s owner=client/o name=db seq=0 kind=database version=%d bytes=300000 %s\n",
			at, who, map[bool]string{true: who, false: hoarderapi.Service}[who == "client"], fact, roots[version], version, more)
	}
	holds := func(version int, stores ...int) (all string) {
		all = say(4, "client", "store-sent", version, "digest=d")
		for _, i := range stores {
			all += say(5, fmt.Sprint("store-", i), "item-claimed", version, "")
		}
		return all + say(6, "client", "store-acknowledged", version, "copies=2 records=2 target=3 took=1000 holder=store-1")
	}
	released := say(60, "store-1", "item-released", first, "why=supersede copies=3 asked=0")
	judge(t, []broken{
		{"last-copy-kept", "", stands([]byte{first, second}, []byte{first, second}, []byte{second}), holds(first, 1, 2) + holds(second, 1, 2, 3) + quiet(50) + released},
		{"last-copy-kept", "while version 2 is on 2 disks of 3", stands([]byte{first, second}, []byte{first, second}, nil), holds(first, 1, 2) + holds(second, 1, 2) + quiet(50) + released},
		{"last-copy-kept", "", stands([]byte{first, second}, []byte{first, second, third}, []byte{second, third}), holds(first, 1, 2) + holds(second, 1, 2, 3) + holds(third, 2, 3) + quiet(50) + released},
		{"last-copy-kept", "while version 3 is on 2 disks of 3", stands([]byte{first, second}, []byte{first, second, third}, []byte{third}), holds(first, 1, 2) + holds(second, 1, 2) + holds(third, 2, 3) + quiet(50) + released},
	})
}
