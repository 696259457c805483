#!/usr/bin/env bash
# Opens reports of each kind in a real Chromium, offline: light, dark and on a narrow screen; and
# prints them. Fails on a request, a script, an error, what is clipped or hard to read, a file that
# does not come, and on paper on what is cut, dark, wider than it or of no use there.
# Where Chromium is missing and this is root on a Debian, it is installed first.
#   scripts/check_report.sh [<folder to keep pages, pictures and PDFs in>]
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
uv run --quiet --locked --with 'playwright==1.65.2' --with 'pypdf==7.1.1' \
    python scripts/report_pages.py "$@"
