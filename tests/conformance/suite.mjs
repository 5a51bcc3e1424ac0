// SPDX-License-Identifier: MIT
// suite - runs the whole http-cache-tests suite once against a proxy that is already listening.
//
//   node suite.mjs BASE_URL     prints one JSON object: { id: {suite, kind, passed, why}, ... }
//
// The suite's own server must be the proxy's origin; run.mjs starts both. Every test is run, in the
// suite's own way; nothing of it is changed or left out.
import fetch from 'node-fetch'
import { getResults, runTests } from 'http-cache-tests/client/runner.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'
import suites from 'http-cache-tests/tests/index.mjs'

const base = process.argv[2]
const all = [...suites, surrogate]

await runTests(all, fetch, false, base, 40)
const results = getResults()
const report = {}
for (const suite of all) {
  for (const test of suite.tests) {
    if (test.browser_only) continue
    const result = results[test.id]
    report[test.id] = {
      suite: suite.id,
      kind: test.kind ?? 'required',
      passed: result === true,
      why: result === true ? '' : Array.isArray(result) ? result.join(': ') : String(result)
    }
  }
}
process.stdout.write(JSON.stringify(report))
