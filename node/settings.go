package node

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Settings are declared once, in the settings.go of their service: the default
// in Spec.Settings, the allowed range in a tag beside the field, and what two
// fields demand of each other in Conflicts.
//
//	// Lease is how long a monkey holds a job without renewing.
//	Lease time.Duration `yaml:"lease" range:"1s..24h"`
//
// A range has a lower end, an upper end or both; ends are inclusive and are
// written as the field is in a file: 1, 0.5, 1s, 64MiB. For a text, a list or a
// mapping it bounds the length. [CheckSettings] serves scenario files (which add
// the place in the file) and live nodes alike.

// SettingError is a setting that is out of its range, or in conflict with another.
type SettingError struct {
	// Key is the setting's, with dots for one within another.
	Key string
	// What says what is wrong, Hint what would be right.
	What, Hint string
}

func (e *SettingError) Error() string { return fmt.Sprintf("%s: %s (%s)", e.Key, e.What, e.Hint) }

// Ruled are settings with rules between their fields.
type Ruled interface {
	// Conflicts lists the broken rules. All fields are within their ranges.
	Conflicts() []*SettingError
}

// CheckSettings returns the errors of settings (a pointer to a struct, or nil): all that are out of
// range, else every conflict. The errors that it joins are of type *[SettingError].
func CheckSettings(settings any) error {
	v := reflect.ValueOf(settings)
	if settings == nil || v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	if err := checkRanges(v.Elem(), ""); err != nil {
		return err
	}
	return CheckConflicts(settings)
}

// CheckConflicts returns the conflicts between settings that are within their
// ranges.
func CheckConflicts(settings any) error {
	ruled, ok := settings.(Ruled)
	if !ok {
		return nil
	}
	var errs []error
	for _, e := range ruled.Conflicts() {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

func checkRanges(v reflect.Value, prefix string) error {
	var errs []error
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		key := prefix + SettingKey(f)
		if f.Type.Kind() == reflect.Struct {
			errs = append(errs, checkRanges(v.Field(i), key+"."))
			continue
		}
		if r, bounded := RangeOf(f); bounded {
			if what := r.Check(v.Field(i)); what != "" {
				errs = append(errs, &SettingError{Key: key, What: what, Hint: "allowed: " + r.String()})
			}
		}
	}
	return errors.Join(errs...)
}

// SettingKey is the name of a field in a file: its yaml tag, or its name in lower case.
func SettingKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "" {
		key = strings.ToLower(f.Name)
	}
	return key
}

// Range is the allowed values of a field.
type Range struct {
	min, max float64
	text     string
}

// RangeOf reads the range of a field, if it has one. A malformed range is a bug
// and panics.
func RangeOf(f reflect.StructField) (r Range, bounded bool) {
	tag := f.Tag.Get("range")
	if tag == "" {
		return Range{}, false
	}
	lo, hi, found := strings.Cut(tag, "..")
	r = Range{min: math.Inf(-1), max: math.Inf(1)}
	duration := f.Type == reflect.TypeFor[time.Duration]()
	var err error
	if lo != "" {
		r.min, err = rangeEnd(lo, duration)
	}
	if hi != "" && err == nil {
		r.max, err = rangeEnd(hi, duration)
	}
	if err != nil || !found || r.min > r.max {
		panic(fmt.Sprintf("node: field %s has the range %q", f.Name, tag))
	}
	switch {
	case hi == "":
		r.text = "at least " + lo
	case lo == "":
		r.text = "at most " + hi
	default:
		r.text = lo + " to " + hi
	}
	return r, true
}

// sizes are the suffixes of numbers of bytes in a range.
var sizes = map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

func rangeEnd(text string, duration bool) (float64, error) {
	if duration {
		d, err := time.ParseDuration(text)
		return float64(d), err
	}
	factor := 1.0
	if len(text) > 3 && sizes[text[len(text)-3:]] != 0 {
		text, factor = text[:len(text)-3], sizes[text[len(text)-3:]]
	}
	x, err := strconv.ParseFloat(text, 64)
	return x * factor, err
}

// String is the range for people: "1s to 24h".
func (r Range) String() string { return r.text }

// Check says what is wrong with a value of the field, "" if nothing is.
func (r Range) Check(v reflect.Value) string {
	x, counted := 0.0, ""
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		x = float64(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		x = float64(v.Uint())
	case reflect.Float32, reflect.Float64:
		x = v.Float()
	case reflect.String:
		x, counted = float64(v.Len()), "bytes"
	case reflect.Slice, reflect.Map:
		x, counted = float64(v.Len()), "entries"
	default:
		panic(fmt.Sprintf("node: a range for a %s", v.Type()))
	}
	switch {
	case x >= r.min && x <= r.max:
		return ""
	case counted != "":
		return fmt.Sprintf("%d %s are out of range", v.Len(), counted)
	}
	return fmt.Sprintf("%v is out of range", v.Interface())
}

// Decode makes the settings of an instance: the defaults, decoded over and
// checked. decode fills in the struct that it is given from whatever the
// configuration is written in, and refuses keys that the struct does not have.
func (s Spec) Decode(decode func(into any) error) (any, error) {
	if s.Settings == nil || s.Settings() == nil {
		return nil, fmt.Errorf("service %s has no settings", s.Name)
	}
	settings := s.Settings()
	if err := decode(settings); err != nil {
		return nil, fmt.Errorf("settings of %s: %w", s.Name, err)
	}
	if err := CheckSettings(settings); err != nil {
		return nil, fmt.Errorf("settings of %s: %w", s.Name, err)
	}
	return settings, nil
}

// settings are the settings that an instance starts with.
func (c Configured) settings() (any, error) {
	settings := c.Settings
	if settings == nil && c.Spec.Settings != nil {
		settings = c.Spec.Settings()
	}
	if err := CheckSettings(settings); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return settings, nil
}
