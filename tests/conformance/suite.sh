#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# suite.sh - the public HTTP cache suite against a brim binary: installs the pinned packages, runs.
# Usage: tests/conformance/suite.sh BRIM
set -euo pipefail
brim=$(realpath "$1")
cd "$(dirname "$0")"
if ! command -v npm >/dev/null; then
    echo "suite.sh: npm is not installed: deploy/packages node"
    exit 77 # ctest: skipped
fi
if [ ! -d node_modules/http-cache-tests ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
exec node run.mjs "$brim"
