#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# oracle.sh - compares a brim binary with npm http-cache-semantics: installs the pinned packages, runs.
# Usage: tests/conformance/oracle.sh BRIM [SEED [COUNT]]
set -euo pipefail
brim=$(realpath "$1")
shift
cd "$(dirname "$0")"
if ! command -v npm >/dev/null; then
    echo "oracle.sh: npm is not installed: deploy/packages node"
    exit 77 # ctest: skipped
fi
if [ ! -d node_modules/http-cache-semantics ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
exec node oracle.mjs "$brim" "$@"
