#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# manifests.sh - checks deploy/kubernetes, deploy/container and the description of the admin API;
# installs the pinned packages first.
# Usage: tests/deploy/manifests.sh BRIM
set -euo pipefail
brim=$(realpath "$1")
cd "$(dirname "$0")"
if ! command -v npm >/dev/null; then
    echo "manifests.sh: npm is not installed: deploy/packages node"
    exit 77 # ctest: skipped
fi
if [ ! -d node_modules/kubernetes-models ] || [ ! -d node_modules/@seriousme ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
node openapi.mjs
exec node manifests.mjs "$brim"
