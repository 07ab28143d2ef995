package replicated

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// A fold is the whole state of a replica, frozen: all live elements, and the context (the deltas
// that were merged). An element whose delta is in the context and that is not listed is dead. It is
// sent as a sequence of length-prefixed items: the header, then the elements in order.
const (
	foldLenMax    = 1 << 21  // elements
	foldBytesMax  = 1 << 30  // all of it
	foldHeaderMax = 16 << 20 // the context and the heads
	foldHeadsMax  = 1 << 16
	foldItemMax   = deltaRawMax + 64<<10 // an element with its key
)

// foldSource is a fold that is served. Its memory is that of the elements superseded since it was
// frozen.
type foldSource struct {
	id       uint64
	vector   *vector
	header   []byte
	elements ordered.Snapshot[*element]
	frozen   time.Duration // when, in Elapsed
	used     time.Duration // when it was last asked for
}

// foldCursor is a place in a fold: so many bytes into an item.
type foldCursor struct {
	Item int `cbor:"1,keyasint"`
	Skip int `cbor:"2,keyasint"`
}

// freeze shares its elements: it costs a pointer per some hundred of them.
func (r *replica) freeze(id uint64) *foldSource {
	o := r.index
	heads := o.headList()
	o.mu.Lock()
	defer o.mu.Unlock()
	f := &foldSource{id: id, vector: o.vector.clone(), elements: o.elements.Freeze()}
	f.header = appendBytes(nil, f.vector.encode())
	f.header = binary.AppendUvarint(f.header, uint64(len(heads)))
	for _, h := range heads {
		f.header = append(f.header, h.encode()...)
	}
	f.header = binary.AppendUvarint(f.header, uint64(f.elements.Len()))
	f.header = binary.LittleEndian.AppendUint64(f.header, o.sum)
	return f
}

func (f *foldSource) item(i int) []byte {
	if i == 0 {
		return appendBytes(nil, f.header)
	}
	e := f.elements.At(i - 1)
	return appendBytes(nil, e.encode(appendBytes(make([]byte, 0, len(e.key)+len(e.value)+100), e.key)))
}

// page returns about sizeMax bytes from a place on, at least one, and the place
// after them; done if there is no more. A place that is not in the fold has no
// bytes.
func (f *foldSource) page(at foldCursor, sizeMax int) (raw []byte, next foldCursor, done bool) {
	if at.Item < 0 || at.Skip < 0 {
		return nil, at, true
	}
	for sizeMax = max(1, sizeMax); at.Item <= f.elements.Len(); at = (foldCursor{Item: at.Item + 1}) {
		rest := f.item(at.Item)
		rest = rest[min(at.Skip, len(rest)):]
		if room := sizeMax - len(raw); len(rest) > room {
			return append(raw, rest[:room]...), foldCursor{at.Item, at.Skip + room}, false
		}
		raw = append(raw, rest...)
	}
	return raw, at, true
}

// foldSink is a fold being received. It is untrusted: everything is bounded before it is decoded.
type foldSink struct {
	id       uint64
	at       foldCursor
	rest     []byte // of an item that is not complete
	size     int
	vector   *vector // nil until there is a header
	heads    []*head
	len      uint64
	sum      uint64
	elements []*element
}

// take adds the bytes of a page.
func (f *foldSink) take(raw []byte) error {
	if f.size += len(raw); f.size > foldBytesMax {
		return fmt.Errorf("%w: a fold of over %d bytes", storage.ErrTooLarge, foldBytesMax)
	}
	f.rest = append(f.rest, raw...)
	rest := f.rest
	for {
		item, after, complete, err := f.cutItem(rest)
		if err != nil {
			return err
		}
		if !complete {
			break
		}
		if f.vector == nil {
			err = f.takeHeader(item)
		} else {
			err = f.takeElement(item)
		}
		if err != nil {
			return err
		}
		rest = after
	}
	f.rest = append(f.rest[:0], rest...)
	return nil
}

// cutItem returns the next item, if it is complete.
func (f *foldSink) cutItem(raw []byte) (item, rest []byte, complete bool, err error) {
	limit := uint64(foldItemMax)
	if f.vector == nil {
		limit = foldHeaderMax
	}
	size, n := binary.Uvarint(raw)
	if n < 0 || size > limit {
		return nil, nil, false, fmt.Errorf("%w: an item of a fold", storage.ErrTooLarge)
	}
	if n == 0 || size > uint64(len(raw)-n) {
		return nil, nil, false, nil
	}
	end := n + int(size)
	return raw[n:end], raw[end:], true, nil
}

func (f *foldSink) takeHeader(raw []byte) error {
	context, raw, err := cutBytes(raw)
	if err != nil {
		return err
	}
	vector, err := decodeVector(context)
	if err != nil {
		return err
	}
	n, raw, err := cutUvarint(raw)
	if err != nil || n > foldHeadsMax {
		return fmt.Errorf("%w: heads of a fold", storage.ErrCorrupt)
	}
	for range n {
		var h *head
		if h, raw, err = cutHead(raw); err != nil {
			return err
		}
		if !vector.has(h.dot) {
			return fmt.Errorf("%w: a head outside of its context", storage.ErrCorrupt)
		}
		f.heads = append(f.heads, h)
	}
	if f.len, raw, err = cutUvarint(raw); err != nil || f.len > foldLenMax || len(raw) != 8 {
		return fmt.Errorf("%w: header of a fold", storage.ErrCorrupt)
	}
	f.sum, f.vector = binary.LittleEndian.Uint64(raw), vector
	return nil
}

func (f *foldSink) takeElement(raw []byte) error {
	key, raw, err := cutBytes(raw)
	if err != nil {
		return err
	}
	k := string(key)
	if !storage.IsKey(k) || k == dotKey {
		return fmt.Errorf("%w: key in a fold", storage.ErrCorrupt)
	}
	e, raw, err := cutElement(k, raw)
	switch {
	case err != nil:
		return err
	case len(raw) > 0 || uint64(len(f.elements)) >= f.len || !f.vector.has(e.dot):
		return fmt.Errorf("%w: element of a fold", storage.ErrCorrupt)
	case len(f.elements) > 0 && compareElements(f.elements[len(f.elements)-1], e) >= 0:
		return fmt.Errorf("%w: a fold out of order", storage.ErrCorrupt)
	}
	f.elements = append(f.elements, e)
	return nil
}

// check verifies that the fold is complete.
func (f *foldSink) check() error {
	if f.vector == nil || len(f.rest) > 0 || uint64(len(f.elements)) != f.len || sumOf(f.elements) != f.sum {
		return fmt.Errorf("%w: a fold that is not whole", storage.ErrCorrupt)
	}
	return nil
}
