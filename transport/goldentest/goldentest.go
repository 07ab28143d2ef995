// Package goldentest checks that stored and sent types still decode what earlier releases encoded.
// For tests.
//
// A package keeps one file a release, testdata/golden/<release>.txt, with a line
// for each of its types: its name, and the encoding of a value of which every
// field is set, in hex. The files are never changed once a release is out, so that
// everything that was ever stored or sent stays readable.
package goldentest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

// dir is where a package keeps its files, and update the environment variable that makes Check
// rewrite the newest of them.
const (
	dir    = "testdata/golden"
	update = "GOLDEN_UPDATE"
)

// Check compares the types of values with all releases: today's encoding of each equals that in the
// newest file, and decoding loses nothing of any file. Values are zero values, one of each type.
func Check(t *testing.T, values ...any) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	require.NoError(t, err)
	if len(files) == 0 {
		files = []string{filepath.Join(dir, "v1.txt")}
	}
	newest := files[len(files)-1]
	today := encodings(values)
	if os.Getenv(update) != "" {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(newest, format(today), 0o644))
	}
	for _, file := range files {
		written := read(t, file)
		for name, data := range written {
			value, found := find(values, name)
			require.True(t, found, "%s: %s is no type any more, but it was stored or sent", file, name)
			require.NoError(t, readable(data, value), "%s: %s", file, name)
		}
		if file != newest {
			continue
		}
		for name, data := range today {
			require.Equal(t, hex.EncodeToString(written[name]), hex.EncodeToString(data),
				"%s: %s is not encoded as before. If %s is not released yet, run the test with %s=1, else begin a new file first", file, name, file, update)
		}
	}
}

// readable decodes data and reports what decoding loses.
func readable(data []byte, zero any) error {
	v := reflect.New(reflect.TypeOf(zero))
	if err := transport.Decode(data, v.Interface()); err != nil {
		return err
	}
	var before, after any
	if err := cbor.Unmarshal(data, &before); err != nil {
		return err
	}
	if err := cbor.Unmarshal(transport.Encode(v.Elem().Interface()), &after); err != nil {
		return err
	}
	return within("", before, after)
}

// within reports the parts of a that are missing in b. Maps of b may have more keys.
func within(at string, a, b any) error {
	switch a := a.(type) {
	case map[any]any:
		m, ok := b.(map[any]any)
		if !ok {
			return fmt.Errorf("%s is no map any more", at)
		}
		for k, v := range a {
			if err := within(fmt.Sprintf("%s/%v", at, k), v, m[k]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		l, ok := b.([]any)
		if !ok || len(l) != len(a) {
			return fmt.Errorf("%s has not %d elements any more", at, len(a))
		}
		for i := range a {
			if err := within(fmt.Sprintf("%s/%d", at, i), a[i], l[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Errorf("%s was %v and is read as %v", at, a, b)
	}
	return nil
}

func encodings(values []any) map[string][]byte {
	list := map[string][]byte{}
	for _, v := range values {
		full := reflect.New(reflect.TypeOf(v)).Elem()
		fill(full, 1)
		list[nameOf(v)] = transport.Encode(full.Interface())
	}
	return list
}

func nameOf(v any) string { return reflect.TypeOf(v).String() }

func find(values []any, name string) (any, bool) {
	i := slices.IndexFunc(values, func(v any) bool { return nameOf(v) == name })
	if i < 0 {
		return nil, false
	}
	return values[i], true
}

// fill sets all fields to distinct, fixed values.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(v.Field(i), n*8+i)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n+i)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n%100 + 1))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n%100 + 1))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(n) / 2)
	default:
		panic("goldentest: no values of " + v.Type().String())
	}
}

func format(list map[string][]byte) []byte {
	var lines []string
	for name, data := range list {
		lines = append(lines, name+" "+hex.EncodeToString(data)+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// Values are all values of some golden files, each file's in the order of their names: where fuzzing begins.
func Values(t testing.TB, files ...string) (list [][]byte) {
	for _, file := range files {
		values := read(t, file)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			list = append(list, values[name])
		}
	}
	return list
}

func read(t testing.TB, file string) map[string][]byte {
	text, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with %s=1 to begin it", update)
	list := map[string][]byte{}
	for line := range bytes.Lines(text) {
		name, data, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		raw, err := hex.DecodeString(data)
		require.NoError(t, err, "%s: %s", file, name)
		list[name] = raw
	}
	return list
}
