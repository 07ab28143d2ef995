package storage

// Durable is the part of a disk that certainly survives if its node loses power at this moment:
// what was flushed. It is for checks, which do not rely on services.
type Durable interface {
	// Durable returns a value that would survive, lent.
	Durable(key string) (value []byte, found bool)
	// DurableBelow calls f for all that would survive whose key begins with
	// prefix, in byte order of keys, until f returns false.
	DurableBelow(prefix string, f func(key string, value []byte) bool)
}
