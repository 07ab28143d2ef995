#!/bin/sh
# Fetches the JavaScript engine that is committed here: QuickJS-NG as a WebAssembly module, of the npm package quickjs-wasi, with its licence.
set -e
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
npm pack --silent --pack-destination "$dir" quickjs-wasi@3.6.2 >/dev/null
tar -xzf "$dir"/quickjs-wasi-3.6.2.tgz -C "$dir"
cp "$dir"/package/quickjs.wasm quickjs.wasm
cp "$dir"/package/LICENSE LICENSE.quickjs-wasi
sha256sum -c <<SUM
d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9  quickjs.wasm
SUM
