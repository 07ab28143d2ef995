package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// AssetsPrefix begins the paths of the entries that say where the asset of a target is: "assets/functions/ping". The value
// is an [Asset].
const AssetsPrefix = "assets/"

// ProvenancePath is the entry that says what made a version. The value is a [Provenance].
const ProvenancePath = "provenance"

// BundleLenMax bounds the assets of a version together, in bytes.
const BundleLenMax = 64 << 20

// Asset says what was built for a target, and where it is in the bundle, which is the artifact of the version.
type Asset struct {
	// Key is the step's.
	Key string `json:"key"`
	// Toolchain is the step's, Version what the toolchain says of itself, "" if it runs no program.
	Toolchain Toolchain `json:"toolchain"`
	Version   string    `json:"version,omitempty"`
	// Hash is the SHA-256 of the asset, in hexadecimal digits.
	Hash string `json:"hash"`
	// Offset and Size are in bytes.
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
}

// Provenance says what a version was made of, and by whom.
type Provenance struct {
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
	Commit     string `json:"commit"`
	// Parts are the commits of the project's other repositories that went into it, by the cloud's names for them.
	Parts map[string]string `json:"parts,omitempty"`
	// Tree is the SHA-256 of the encoded tree, in hexadecimal digits.
	Tree string `json:"tree"`
	// Job, Attempt and Builder (a peer) are those that published.
	Job     string `json:"job"`
	Attempt uint64 `json:"attempt"`
	Builder string `json:"builder"`
	// Built and Reused count the assets that were made, and those that an earlier version had.
	Built  int `json:"built"`
	Reused int `json:"reused"`
	// Sandbox is what kept apart what was built by programs, "" if nothing was.
	Sandbox string `json:"sandbox,omitempty"`
}

// Bundle collects the assets of a version. Assets that are equal are in it once.
type Bundle struct {
	content []byte
	at      map[string]int64 // by hash
	assets  map[string]Asset // by target
}

// NewBundle returns a bundle without assets.
func NewBundle() *Bundle { return &Bundle{at: map[string]int64{}, assets: map[string]Asset{}} }

// Add puts the asset of a step in; version is that of its toolchain. An error is the fault of whoever has pushed.
func (b *Bundle) Add(s Step, version string, asset []byte) error {
	sum := sha256.Sum256(asset)
	a := Asset{Key: s.Key, Toolchain: s.Toolchain, Version: version, Hash: hex.EncodeToString(sum[:]), Size: int64(len(asset))}
	at, known := b.at[a.Hash]
	if !known {
		if len(asset) > BundleLenMax-len(b.content) {
			return fmt.Errorf("%s: with it the assets have more than %d MiB", s.Targets[0], BundleLenMax>>20)
		}
		at = int64(len(b.content))
		b.at[a.Hash] = at
		b.content = append(b.content, asset...)
	}
	a.Offset = at
	for _, target := range s.Targets {
		b.assets[target] = a
	}
	return nil
}

// Content is the bundle itself, which is nobody else's to change.
func (b *Bundle) Content() []byte { return b.content }

// Entries are those of the assets, by path.
func (b *Bundle) Entries() map[string]string {
	out := make(map[string]string, len(b.assets))
	for target, a := range b.assets {
		out[AssetsPrefix+target] = string(Encode(a))
	}
	return out
}

// Cut takes an asset out of a bundle, and checks that it is the one that was put in.
func Cut(bundle []byte, a Asset) ([]byte, bool) {
	if a.Offset < 0 || a.Size < 0 || a.Size > int64(len(bundle)) || a.Offset > int64(len(bundle))-a.Size {
		return nil, false
	}
	asset := bundle[a.Offset : a.Offset+a.Size]
	sum := sha256.Sum256(asset)
	return asset, hex.EncodeToString(sum[:]) == a.Hash
}

var encoding, decoding = func() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}()

// Encode returns the value of an entry: equal values have equal bytes.
func Encode(v any) []byte {
	raw, err := encoding.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("build: %T cannot be encoded: %v", v, err)) // it has plain fields only
	}
	return raw
}

// DecodeAsset reads the value of an asset's entry; fields that it does not know are skipped.
func DecodeAsset(value []byte) (a Asset, err error) {
	err = decoding.Unmarshal(value, &a)
	return a, err
}

// DecodeProvenance reads the value of the entry of that name; fields that it does not know are skipped.
func DecodeProvenance(value []byte) (p Provenance, err error) {
	err = decoding.Unmarshal(value, &p)
	return p, err
}
