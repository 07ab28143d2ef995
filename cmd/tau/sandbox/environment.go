package sandbox

import (
	"maps"
	"slices"
)

// environment is that of a run - and of bubblewrap, whose arguments everybody could read. at says where a mount is seen.
func environment(j Job, path, build, result string, at func(Mount) string) []string {
	env := []string{"PATH=" + path, "HOME=/tmp", "LC_ALL=C.UTF-8", "BUILD=" + build, "RESULT=" + result}
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		env = append(env, name+"="+j.Env[name])
	}
	for _, m := range j.Mounts {
		if m.Env != "" {
			env = append(env, m.Env+"="+at(m))
		}
	}
	return env
}
