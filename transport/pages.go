package transport

// CheckPage returns an error unless the keys of a page ascend strictly, from the first one after
// the key that was asked for. This ensures that a walk over a peer's pages ends: each page is the
// last one, or advances towards the end of the keys.
func CheckPage[T, K any](op string, after K, page []T, key func(T) K, compare func(a, b K) int) error {
	for _, item := range page {
		k := key(item)
		if compare(after, k) >= 0 {
			return New(Invalid, op, "a page that is out of order or repeats another")
		}
		after = k
	}
	return nil
}
