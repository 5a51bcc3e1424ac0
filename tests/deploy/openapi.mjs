// SPDX-License-Identifier: MIT
// openapi - what GET /v1/openapi.json says is an OpenAPI 3.1 document; that it lists the calls that
// there are, tests/cli/admin.py checks.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { Validator } from '@seriousme/openapi-schema-validator'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const text = fs.readFileSync(path.join(root, 'src/serve/page/openapi.json'), 'utf8')

test('the description of the admin API fits the schema of OpenAPI 3.1', async () => {
  const validator = new Validator()
  const result = await validator.validate(JSON.parse(text))
  assert.deepEqual(result.errors ?? [], [])
  assert(result.valid)
  assert.equal(validator.version, '3.1')
})

test('every reference leads somewhere, and every part is referred to', () => {
  const document = JSON.parse(text)
  const refs = new Set([...text.matchAll(/"\$ref": *"(#[^"]+)"/g)].map((match) => match[1]))
  for (const ref of refs) {
    const found = ref.slice(2).split('/').reduce((place, name) => place?.[name], document)
    assert(found !== undefined, ref)
  }
  for (const name of Object.keys(document.components.schemas))
    assert(refs.has(`#/components/schemas/${name}`), name)
})

test('the schema sees a wrong word', async () => {
  const document = JSON.parse(text)
  document.paths['/v1/purge'].post.responses['200'] = { text: 'no description' }
  assert.equal((await new Validator().validate(document)).valid, false)
})
