// SPDX-License-Identifier: MIT
// oracle - a second opinion: npm http-cache-semantics decides the same exchanges as the real binary.
//
//   node oracle.mjs BRIM_BINARY [SEED [COUNT]]
//
// Every case is a URL of its own: a first request whose answer is drawn at random, then a second one.
// Three decisions are compared: is the answer stored, for how long (ttl), may it serve the second
// request. Where the two differ, a row of `differences` must say why brim is right, with the sentence
// of the RFC; any other difference fails, with what is needed to see it again. So does, with
// the seed that is used where none is given, a row that no case needs: it would hide a regression.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { freePort, waitFor } from './ports.mjs'

const CachePolicy = createRequire(import.meta.url)('http-cache-semantics')
const [brim, seedText, countText] = process.argv.slice(2)
const SEED = 9111 // draws every row of `differences` that is not rare
const seed = Number(seedText ?? SEED)
const count = Number(countText ?? 4000)
const AT_ONCE = 16
const TTL_SLACK_S = 20 // a loaded machine; what the two could disagree on is 50 s and more apart
const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE })

// ---- cases ----

let state = seed >>> 0
function random () { // mulberry32
  state = (state + 0x6D2B79F5) >>> 0
  let t = state
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const pick = list => list[Math.floor(random() * list.length)]
const chance = p => random() < p
const date = seconds => new Date(Date.now() + seconds * 1000).toUTCString()

function makeResponse () {
  const headers = { date: date(pick([0, 0, 0, -300])) }
  const directives = []
  const add = (p, list) => { if (chance(p)) directives.push(pick(list)) }
  add(0.5, ['max-age=0', 'max-age=100', 'max-age=1000'])
  add(0.2, ['s-maxage=0', 's-maxage=200', 's-maxage=2000'])
  add(0.1, ['no-store'])
  add(0.1, ['private', 'private="x-user"'])
  add(0.1, ['no-cache', 'no-cache="x-user"'])
  add(0.2, ['public'])
  add(0.1, ['must-revalidate', 'proxy-revalidate'])
  add(0.1, ['stale-while-revalidate=600'])
  add(0.1, ['unknown', 'unknown="a"', 'immutable'])
  if (directives.length > 0) headers['cache-control'] = directives.join(', ')
  if (chance(0.25)) headers.expires = pick([date(500), date(5000), date(-500), '0'])
  if (chance(0.2)) headers.age = pick(['50', '150', '5000'])
  if (chance(0.3)) headers['last-modified'] = date(-100000)
  if (chance(0.4)) headers.etag = '"v1"'
  if (chance(0.1)) headers.pragma = 'no-cache'
  if (chance(0.2)) headers.vary = pick(['x-v', 'x-v', '*'])
  if (chance(0.1)) headers['set-cookie'] = 'a=b'
  return { status: pick([200, 200, 200, 200, 203, 301, 302, 307, 404, 410, 403, 500, 503]), headers }
}

function makeRequest (isSecond) {
  const headers = { host: 'oracle.example', 'x-v': isSecond && chance(0.3) ? 'b' : 'a' }
  if (chance(0.1)) headers.authorization = 'Basic eA=='
  if (!isSecond) {
    if (chance(0.05)) headers['cache-control'] = 'no-store'
    return { method: 'GET', headers }
  }
  if (chance(0.3)) headers['cache-control'] =
    pick(['no-cache', 'max-age=0', 'max-age=20', 'max-age=9000', 'min-fresh=730', 'max-stale', 'max-stale=250'])
  else if (chance(0.05)) headers.pragma = 'no-cache'
  return { method: 'GET', headers }
}

// ---- what each of the two says ----

function askOracle (it) {
  const policy = new CachePolicy({ ...it.first, url: it.url }, it.response)
  return {
    stored: policy.storable(),
    ttl: policy.maxAge() - policy.age(),
    reused: policy.evaluateRequest({ ...it.second, url: it.url }).response !== undefined
  }
}

function ask (port, it, request) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path: it.url, headers: request.headers, agent }, response => {
      response.resume()
      response.on('end', () => resolve(response.headers['cache-status'] ?? ''))
    }).on('error', reject)
  })
}

async function askBrim (port, it) {
  const first = await ask(port, it, it.first)
  const second = await ask(port, it, it.second)
  const ttl = /; stored.*; ttl=(-?\d+)/.exec(first)
  return { stored: ttl !== null, ttl: ttl ? Number(ttl[1]) : NaN, reused: / hit(;|$)/.test(second) }
}

// ---- differences that brim means ----

const says = (it, directive) =>
  new RegExp(`(^|, )${directive}(=|,|$)`).test(it.response.headers['cache-control'] ?? '')
const has = (it, name) => name in it.response.headers

// How much older than its Age says a response is by its Date, which the oracle does not look at.
const unseenAge = it => Math.max(0,
  (it.madeAt - Date.parse(it.response.headers.date)) / 1000 - Number(it.response.headers.age ?? 0))
const left = (it, theirs) => theirs.ttl - unseenAge(it)

const differences = [
  {
    field: 'stored',
    why: 'RFC 9111 4.1: a Vary of "*" "always fails to match": kept, it would be of no use',
    when: (it, ours) => !ours.stored && it.response.headers.vary === '*'
  },
  {
    field: 'stored',
    why: 'RFC 9111 7.3: Set-Cookie is stored only where the origin says public or s-maxage; a cache is never obliged to store',
    when: (it, ours) => !ours.stored && has(it, 'set-cookie')
  },
  {
    field: 'stored',
    why: 'RFC 9111 4: stale from the start, or no-cache, and without a validator to ask with: kept, it would be of no use',
    when: (it, ours, theirs) => !ours.stored && !has(it, 'etag') && !has(it, 'last-modified') &&
      (left(it, theirs) <= 0 || says(it, 'no-cache'))
  },
  {
    field: 'stored',
    why: 'RFC 9111 3.5: s-maxage=0 does not say that what came to credentials may be shared; nothing obliges to store',
    when: (it, ours) => !ours.stored && 'authorization' in it.first.headers && says(it, 's-maxage=0')
  },
  {
    field: 'stored',
    why: 'RFC 9111 3: any final status code with explicit freshness or public, not only those of RFC 9110 15.1',
    when: (it, ours) => ours.stored && [403, 500, 503].includes(it.response.status) &&
      (has(it, 'expires') || says(it, 'max-age') || says(it, 's-maxage') || says(it, 'public'))
  },
  {
    field: 'stored',
    why: 'RFC 9111 5.2.2.7: private="names": "the private response directive limits the prohibition to the listed header fields"',
    when: (it, ours) => ours.stored && says(it, 'private="x-user"')
  },
  {
    field: 'ttl',
    why: 'RFC 9111 4.2.3: apparent_age, the time since Date, counts where it is more than Age',
    when: (it, ours, theirs) => unseenAge(it) > 1 && Math.abs(ours.ttl - left(it, theirs)) <= TTL_SLACK_S
  },
  {
    field: 'stored',
    why: 'RFC 8246 2: immutable gives no lifetime, and there is no validator',
    when: (it, ours) => !ours.stored && says(it, 'immutable') && !has(it, 'etag') && !has(it, 'last-modified')
  },
  {
    field: 'ttl',
    why: 'RFC 8246 2: immutable is about reloads of a fresh response; it gives no lifetime',
    when: it => says(it, 'immutable')
  },
  {
    field: 'reused',
    why: 'RFC 9111 5.2.2.2, 5.2.2.8: must-revalidate and proxy-revalidate speak of "once the response has become stale"; a fresh one is reused',
    when: (it, ours) => ours.reused && (says(it, 'must-revalidate') || says(it, 'proxy-revalidate'))
  },
  {
    field: 'reused',
    why: 'RFC 9111 5.2.2.4: no-cache="names": the listed fields are left out, the rest is reused',
    when: (it, ours) => ours.reused && says(it, 'no-cache="x-user"')
  },
  {
    field: 'reused',
    why: 'RFC 9111 5.4: Pragma in a response is not specified; Expires decides',
    when: (it, ours) => ours.reused && has(it, 'pragma') && !has(it, 'cache-control')
  },
  {
    field: 'reused',
    why: 'RFC 9111 7.3: stored with Set-Cookie because s-maxage says that it is for all, and so reused',
    when: (it, ours) => ours.reused && has(it, 'set-cookie') && says(it, 's-maxage')
  },
  {
    field: 'reused',
    why: 'RFC 9111 4.2.3: apparent_age, as above: stale, or too old for the request',
    when: (it, ours) => !ours.reused && unseenAge(it) > 1
  },
  {
    field: 'reused',
    rare: true, // both agree but for a clock that has not moved
    why: 'RFC 9111 5.2.1.1: max-age=0 asks for validation even in the second of receipt',
    when: (it, ours) => !ours.reused && it.second.headers['cache-control'] === 'max-age=0'
  },
  {
    field: 'reused',
    why: 'RFC 9111 5.2.2.10, 5.2.2.8: s-maxage and proxy-revalidate forbid stale, whatever max-stale or stale-while-revalidate say',
    when: (it, ours) => !ours.reused && (says(it, 's-maxage') || says(it, 'proxy-revalidate'))
  },
  {
    field: 'reused',
    why: 'RFC 9111 4.2.4: "MUST NOT generate a stale response if it is prohibited by ... a no-cache response directive"',
    when: (it, ours) => !ours.reused && says(it, 'no-cache')
  },
  {
    field: 'reused',
    why: 'RFC 9111 5.2.1.1: a request with max-age and without max-stale does not want a stale response; stale-while-revalidate does not change that',
    when: (it, ours) => !ours.reused && /^max-age/.test(it.second.headers['cache-control'] ?? '') &&
      says(it, 'stale-while-revalidate')
  },
  {
    field: 'reused',
    rare: true,
    why: 'RFC 8246 2: immutable gives no lifetime, as above',
    when: (it, ours) => !ours.reused && says(it, 'immutable')
  }
]

function reasonFor (field, it, ours, theirs) {
  return differences.find(row => row.field === field && row.when(it, ours, theirs))
}

function compare (it, ours, theirs, bad) {
  const differs = {
    stored: ours.stored !== theirs.stored,
    ttl: ours.stored && theirs.stored && theirs.ttl > 0 && Math.abs(ours.ttl - theirs.ttl) > TTL_SLACK_S,
    reused: ours.stored && theirs.stored && ours.reused !== theirs.reused
  }
  for (const field of Object.keys(differs)) {
    const row = differs[field] ? reasonFor(field, it, ours, theirs) : null
    if (row) row.used = (row.used ?? 0) + 1
    else if (differs[field]) bad.push({ field, ours, theirs, ...it })
  }
}

// ---- the run ----

function listen (server) {
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))
}

async function startBrim (originPort, tmp) {
  const [port, admin] = [await freePort(), await freePort()]
  fs.writeFileSync(path.join(tmp, 'brim.yaml'), `listeners: [{address: "127.0.0.1:${port}"}]
admin: {address: "127.0.0.1:${admin}"}
cache: {memory: 64MiB}
origins: [{name: oracle, servers: [{url: "http://127.0.0.1:${originPort}"}]}]
sites: [{hosts: ["*"], origin: oracle, cache: {negative_ttl: off}}]
`)
  const child = spawn(brim, ['serve', '-c', path.join(tmp, 'brim.yaml')], { stdio: 'ignore' })
  try {
    await waitFor(`http://127.0.0.1:${admin}/readyz`, child)
    return { child, port }
  } catch (error) {
    child.kill('SIGTERM')
    throw error
  }
}

// Drawn when it is asked for, so that its dates are of that moment; always in the same order.
function makeCase (i) {
  return { url: `/${i}`, madeAt: Date.now(), first: makeRequest(false), response: makeResponse(), second: makeRequest(true) }
}

async function run () {
  const cases = []
  const origin = http.createServer((request, response) => {
    const it = cases[Number(request.url.slice(1))]
    response.sendDate = false
    response.writeHead(it.response.status, { ...it.response.headers, 'content-length': 4 })
    response.end('body')
  })
  origin.keepAliveTimeout = 60000
  const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'brim-oracle-'))
  const { child, port } = await startBrim(await listen(origin), tmp)
  const bad = []
  let next = 0
  const work = async () => {
    while (next < count) {
      const it = makeCase(next++)
      cases.push(it) // in order: nothing is awaited in between
      const theirs = askOracle(it) // first: it judges what has not been asked for a moment later
      compare(it, await askBrim(port, it), theirs, bad)
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  } finally {
    child.kill('SIGTERM')
    agent.destroy()
    origin.close()
    origin.closeAllConnections()
    fs.rmSync(tmp, { recursive: true, force: true })
  }
  return bad
}

const bad = await run()
for (const row of differences) console.log(`${String(row.used ?? 0).padStart(6)}  ${row.field}: ${row.why}`)
for (const it of bad.slice(0, 20)) console.log(JSON.stringify(it))
const unused = seed === SEED ? differences.filter(row => !row.used && !row.rare) : []
for (const row of unused) console.log(`no case used this row: ${row.why}`)
console.log(`seed ${seed}: ${count - bad.length} agree or are explained, ${bad.length} differ`)
process.exitCode = bad.length > 0 || unused.length > 0 ? 1 : 0
