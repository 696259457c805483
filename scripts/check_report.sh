#!/usr/bin/env bash
# Opens reports of each kind in a real Chromium, offline: light, dark and on a narrow screen. Fails
# on a request, a script, an error, what is clipped or hard to read, and a file that does not come.
# Where Chromium is missing and this is root on a Debian, it is installed first.
#   scripts/check_report.sh [<folder to keep pages and pictures in>]
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            --no-install-recommends chromium >/dev/null
    else
        echo "reports: not opened, as no Chromium is installed and this cannot install it"
        exit 0
    fi
fi
uv run --quiet --locked --with 'playwright==1.65.2' python scripts/report_pages.py "$@"
