// SPDX-License-Identifier: MIT
// run - the conformance gate: the public suite against the real binary, compared with a table.
//
//   node run.mjs BRIM_BINARY [--only SUITE_OR_TEST] [--verbose]
//
// Fails when a test that exceptions.json does not name fails, and when it names one that passes
// (so that the table never hides a regression or an improvement). Prints a table by suite, then the
// plain closing line `N passed, N failed`.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, waitFor } from './ports.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const brim = process.argv[2]
const verbose = process.argv.includes('--verbose')
const onlyAt = process.argv.indexOf('--only')
const only = onlyAt > 0 ? process.argv[onlyAt + 1] : null
const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'brim-conformance-'))
const children = []

function start (command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  child.log = ''
  child.stdout.on('data', text => { child.log += text })
  child.stderr.on('data', text => { child.log += text })
  children.push(child)
  return child
}

function stop () {
  for (const child of children) if (child.exitCode === null) child.kill('SIGTERM')
}

function capture (child) {
  return new Promise((resolve, reject) => {
    let out = ''
    child.stdout.removeAllListeners('data')
    child.stdout.on('data', text => { out += text })
    child.on('close', code => code === 0 ? resolve(out) : reject(new Error(child.log)))
  })
}

async function startBrim (originPort) {
  const [port, admin] = [await freePort(), await freePort()]
  const config = path.join(tmp, 'brim.yaml')
  fs.writeFileSync(config, `listeners: [{address: "127.0.0.1:${port}"}]
admin: {address: "127.0.0.1:${admin}"}
cache: {path: "${tmp}/cache", disk: 256MiB, memory: 64MiB}
origins: [{name: suite, servers: [{url: "http://127.0.0.1:${originPort}"}]}]
sites: [{hosts: ["*"], origin: suite}]
`)
  const child = start(brim, ['serve', '-c', config])
  await waitFor(`http://127.0.0.1:${admin}/readyz`, child)
  return `http://127.0.0.1:${port}`
}

function judge (report, exceptions) {
  const bad = []
  const suites = new Map()
  for (const [id, test] of Object.entries(report)) {
    if (only && test.suite !== only && id !== only) continue
    const row = suites.get(test.suite) ?? {}
    const cell = row[test.kind] ?? [0, 0]
    cell[0] += test.passed ? 1 : 0
    cell[1] += 1
    row[test.kind] = cell
    suites.set(test.suite, row)
    if (test.kind === 'check') continue
    if (!test.passed && !exceptions[id]) bad.push(`${test.kind} ${id}: ${test.why}`)
    if (test.passed && exceptions[id]) bad.push(`${id} passes: take it out of exceptions.json`)
    if (verbose && !test.passed) console.log(`# ${test.kind} ${id}: ${test.why}`)
  }
  for (const id of Object.keys(exceptions)) {
    if (!report[id]) bad.push(`exceptions.json names ${id}, which the suite does not have`)
  }
  return { bad, suites }
}

function print (suites) {
  const kinds = ['required', 'optimal', 'check']
  const total = {}
  const line = (name, row) => console.log(name.padEnd(24) + kinds.map(kind =>
    (row[kind] ? `${row[kind][0]}/${row[kind][1]}` : '-').padStart(12)).join(''))
  console.log('suite'.padEnd(24) + kinds.map(kind => kind.padStart(12)).join(''))
  for (const [name, row] of suites) {
    line(name, row)
    for (const kind of kinds) {
      if (!row[kind]) continue
      total[kind] = total[kind] ?? [0, 0]
      total[kind][0] += row[kind][0]
      total[kind][1] += row[kind][1]
    }
  }
  line('all', total)
}

async function main () {
  const originPort = await freePort()
  const root = path.join(here, 'node_modules', 'http-cache-tests')
  const origin = start('node', ['server/server.mjs'], {
    cwd: root,
    env: {
      ...process.env,
      npm_config_protocol: 'http',
      npm_config_port: String(originPort),
      npm_config_pidfile: path.join(tmp, 'origin.pid')
    }
  })
  await waitFor(`http://127.0.0.1:${originPort}/state/none`, origin, () => true)
  const base = await startBrim(originPort)
  const report = JSON.parse(await capture(
    start('node', ['--no-warnings', path.join(here, 'suite.mjs'), base], { cwd: here })))
  const exceptions = JSON.parse(fs.readFileSync(path.join(here, 'exceptions.json')))
  delete exceptions._ // the table's heading
  const { bad, suites } = judge(report, exceptions)
  print(suites)
  for (const text of bad) console.log(`not ok - ${text}`)
  const judged = Object.values(report).filter(test => test.kind !== 'check').length
  console.log(`${judged - bad.length} passed, ${bad.length} failed`)
  return bad.length === 0 ? 0 : 1
}

let status = 1
try {
  status = await main()
} catch (error) {
  console.error(`conformance: ${error.message}`)
} finally {
  stop()
  fs.rmSync(tmp, { recursive: true, force: true })
}
process.exit(status)
