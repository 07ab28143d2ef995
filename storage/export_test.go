package storage

// DiskKeys are the keys below a place of a disk.
func DiskKeys(disk Disk, at Key) (keys []Key, err error) {
	err = scanDisk(disk, at, func(k Key, _ []byte) error {
		keys = append(keys, k)
		return nil
	})
	return keys, err
}
