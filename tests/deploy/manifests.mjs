// SPDX-License-Identifier: MIT
// manifests - deploy/kubernetes fits the API's schemas and does what operators rely on; its config is
// one that brim takes; the Containerfile is sound.
//
//   node manifests.mjs BRIM_BINARY
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'
import yaml from 'yaml'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const directory = path.join(root, 'deploy/kubernetes')
const brim = process.argv[2]
const read = (name) => yaml.parse(fs.readFileSync(path.join(directory, name), 'utf8'))
const manifests = read('kustomization.yaml').resources.map((name) => read(name))
const byKind = Object.fromEntries(manifests.map((manifest) => [manifest.kind, manifest]))
const pod = byKind.Deployment.spec.template
const container = pod.spec.containers[0]

async function model({ apiVersion, kind }) {
  return (await import(`kubernetes-models/${apiVersion}/${kind}`))[kind]
}

test('every manifest is in the kustomization and fits its schema', async () => {
  const files = fs.readdirSync(directory).filter((name) => name !== 'kustomization.yaml')
  assert.deepEqual(files.sort(), read('kustomization.yaml').resources.sort())
  for (const manifest of manifests) {
    new (await model(manifest))(manifest).validate()
  }
})

test('the schemas see a wrong word and a wrong type', async () => {
  for (const [kind, change] of [
    ['Deployment', (copy) => { copy.spec.replicas = 'two' }],
    ['HorizontalPodAutoscaler', (copy) => { delete copy.spec.maxReplicas }],
    ['Service', (copy) => { copy.spec.ports[0].port = '80' }],
  ]) {
    const copy = structuredClone(byKind[kind])
    change(copy)
    const Model = await model(copy)
    assert.throws(() => new Model(copy).validate(), kind)
  }
})

test('labels lead from service, budget, deployment and autoscaler to the same pods', () => {
  const labels = pod.metadata.labels
  assert.deepEqual(byKind.Service.spec.selector, labels)
  assert.deepEqual(byKind.PodDisruptionBudget.spec.selector.matchLabels, labels)
  assert.deepEqual(byKind.Deployment.spec.selector.matchLabels, labels)
  const { apiVersion, kind, metadata } = byKind.Deployment
  assert.deepEqual(byKind.HorizontalPodAutoscaler.spec.scaleTargetRef,
    { apiVersion, kind, name: metadata.name })
  const volumes = new Set(pod.spec.volumes.map((volume) => volume.name))
  for (const mount of container.volumeMounts) assert(volumes.has(mount.name))
})

test('there are two pods at least, and they scale as the origins can bear', () => {
  const { minReplicas, metrics, behavior } = byKind.HorizontalPodAutoscaler.spec
  assert(byKind.Deployment.spec.replicas >= 2 && minReplicas >= 2)
  assert.equal(metrics[0].resource.target.averageUtilization, 70)
  assert.equal(behavior.scaleUp.stabilizationWindowSeconds, 180)
  assert.equal(behavior.scaleDown.stabilizationWindowSeconds, 600)
  assert(container.resources.requests.cpu, 'utilisation is measured against the request')
})

test('nothing in a pod is root or can become it', () => {
  assert.equal(pod.spec.securityContext.runAsNonRoot, true)
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] },
  })
})

test('brim takes the config, and listens where the pod and the service say', () => {
  const text = byKind.ConfigMap.data['brim.yaml']
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'brim-manifests-')), 'brim.yaml')
  fs.writeFileSync(file, text)
  try {
    assert.match(execFileSync(brim, ['check', '-c', file], { encoding: 'utf8' }), /: ok\n$/)
  } finally {
    fs.rmSync(path.dirname(file), { recursive: true })
  }
  const config = yaml.parse(text)
  assert.equal(config.listeners[0].address, `:${container.ports[0].containerPort}`)
  assert.equal(byKind.Service.spec.ports[0].targetPort, container.ports[0].name)
  const drain = parseInt(config.node.drain_timeout, 10)
  assert(drain + 5 < pod.spec.terminationGracePeriodSeconds)
})

test('probes ask for what they are named after, and the probe tells yes from no', async () => {
  assert.deepEqual(container.readinessProbe.exec.command, ['brim-probe', '/readyz'])
  assert.deepEqual(container.livenessProbe.exec.command, ['brim-probe', '/healthz'])
  const asked = []
  const server = http.createServer((request, response) => {
    asked.push([request.url, request.headers.host])
    response.writeHead(request.url === '/readyz' ? 503 : 200).end()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = String(server.address().port)
  const probe = (...words) => new Promise((resolve) =>
    spawn(path.join(root, 'deploy/container/brim-probe'), words, { stdio: 'ignore' }).on('exit', resolve))
  assert.equal(await probe('/healthz', port), 0)
  assert.equal(await probe('/readyz', port), 1)
  await new Promise((resolve) => server.close(resolve))
  assert.equal(await probe('/healthz', port), 1)
  assert.deepEqual(asked, [['/healthz', 'localhost'], ['/readyz', 'localhost']])
})

test('the Containerfile is sound: stages, pinned bases, a user by number, files that are there', () => {
  const text = fs.readFileSync(path.join(root, 'deploy/container/Containerfile'), 'utf8')
  assert.deepEqual(validate(text).map((fault) => fault.message), [])
  const lines = text.replace(/\\\n\s*/g, ' ').split('\n')
  const words = (instruction) => lines.filter((line) => line.startsWith(`${instruction} `))
    .map((line) => line.split(/\s+/).slice(1))
  const bases = words('FROM')
  assert(bases.length >= 2, 'one stage builds, another runs')
  for (const [base] of bases) assert.match(base, /^[a-z]+:\d[\w.-]*$/, 'a version, never latest')
  assert.deepEqual(words('USER').at(-1), [`${pod.spec.securityContext.runAsUser}:${pod.spec.securityContext.runAsGroup}`])
  for (const copied of words('COPY').filter((copy) => !copy[0].startsWith('--from')))
    for (const source of copied.slice(0, -1)) assert(fs.existsSync(path.join(root, source)), source)
  for (const run of lines.filter((line) => line.startsWith('RUN ') && line.includes('apt-get install')))
    assert.match(run, /--no-install-recommends/)
  assert.equal(spawnSync('bash', ['-n', path.join(root, 'deploy/container/brim-probe')]).status, 0)
})
