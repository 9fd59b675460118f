#!/usr/bin/env bash
# Sizes and speed of lossless files on CIFAR-10's test images, beside JPEG XL, WebP and PNG on one mosaic of the same images.
#
#   docs/compare/lossless_speed.sh CIFAR-DIR OUT-DIR
#
# CIFAR-DIR holds test_batch.bin and the others (the binary version). Needs `dq` (or DQ="dotnet …/dq.dll"), python3, and Debian's packages
# webp and libjxl-tools. Speeds are raw megabytes a second of wall time, files read and written included.
set -euo pipefail
cifar=$1 out=$2 dq=${DQ:-dq}
mkdir -p "$out"

seconds() { # of a command, on the last line
  local start end
  start=$(date +%s.%N)
  "$@" > /dev/null 2>&1
  end=$(date +%s.%N)
  echo "$end - $start" | bc
}

row() { # name, bytes, seconds to encode, seconds to decode
  awk -v name="$1" -v bytes="$2" -v enc="$3" -v dec="$4" 'BEGIN {
    raw = 10000 * 3072
    printf "| %s | %.4f | %.2f | %.2f |\n", name, 8 * bytes / raw, raw / enc / 1e6, raw / dec / 1e6
  }'
}

python3 - "$cifar" "$out/mosaic.ppm" <<'PYTHON'
import sys
raw = open(sys.argv[1] + '/test_batch.bin', 'rb').read()
side, columns = 32, 100
with open(sys.argv[2], 'wb') as ppm:
    ppm.write(b'P6\n3200 3200\n255\n')
    for row in range(columns * side):
        line = bytearray(columns * side * 3)
        for column in range(columns):
            start = ((row // side) * columns + column) * 3073 + 1 + row % side * side
            for channel in range(3):
                line[column * 96 + channel:column * 96 + 96:3] = raw[start + channel * 1024:start + channel * 1024 + side]
        ppm.write(line)
PYTHON

$dq ingest configs/cifar10-small.json --set data.path="$cifar" --artifacts "$out/artifacts" --quiet > /dev/null
dataset=$(ls -d "$out"/artifacts/datasets/*)
encode=$($dq compress "$dataset" --split test -o "$out/test.dqz" --json --quiet | python3 -c 'import json, sys; print(json.load(sys.stdin)["seconds"])')
decode=$($dq info "$out/test.dqz" --verify --json --quiet | python3 -c 'import json, sys; print(json.load(sys.stdin)["seconds"])')

echo '| files | bits/dim | encoding, MB/s | decoding, MB/s |'
echo '|---|---|---|---|'
row 'dq compress, one file of 10,000 images' "$(stat -c %s "$out/test.dqz")" "$encode" "$decode"
encode=$(seconds cjxl -d 0 -e 7 "$out/mosaic.ppm" "$out/mosaic.jxl")
row 'cjxl -d 0 -e 7, one mosaic' "$(stat -c %s "$out/mosaic.jxl")" "$encode" "$(seconds djxl "$out/mosaic.jxl" "$out/back.ppm")"
encode=$(seconds cwebp -lossless -z 9 "$out/mosaic.ppm" -o "$out/mosaic.webp")
row 'cwebp -lossless -z 9, one mosaic' "$(stat -c %s "$out/mosaic.webp")" "$encode" "$(seconds dwebp -ppm "$out/mosaic.webp" -o "$out/back.ppm")"
