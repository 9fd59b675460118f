#!/usr/bin/env bash
# Prints the transferred bytes of a page of the report site and of all files it loads: first_load.sh URL [ENCODINGS]
set -euo pipefail
url=${1:?the address of a page, such as http://localhost:5080/}
encodings=${2:-gzip}
page=$(curl -fsS --compressed "$url")
{
  echo ""
  grep -oE '(src|href)="[^"]+\.(js|css|woff2|svg)"' <<<"$page" | sed -E 's/^[a-z]+="//; s/"$//' | sort -u
} | while read -r name; do
  curl -fsS -H "Accept-Encoding: $encodings" -o /dev/null -w '%{size_download}\n' "${url%/}/$name"
done | awk '{ sum += $1 } END { print sum }'
