// SPDX-License-Identifier: MIT
// ports - a port for a server that is to be started, and when it answers there.
import net from 'node:net'

const PATIENCE_MS = 60000

function canListen (port) {
  return new Promise(resolve => {
    const server = net.createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

// Below those that the kernel gives to clients, as in tests/lib/brim_node.py: one of them could take
// it before the server does, and one that asks for it could even reach itself.
export async function freePort () {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 20000)
    if (await canListen(port)) return port
  }
}

// Until isUp(response) of what url gives. Throws when child has ended, or nothing came of it.
export async function waitFor (url, child, isUp = response => response.ok) {
  const until = Date.now() + PATIENCE_MS
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended: ${child.log ?? ''}`)
    try {
      if (isUp(await fetch(url))) return
    } catch {} // not yet
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error(`nothing answers at ${url}: ${child.log ?? ''}`)
}
