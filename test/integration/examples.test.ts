// The examples are what people copy: each of them runs to its end against a server.

import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SharedServer } from '../support/shared-server.ts'
import { within } from '../support/wire-client.ts'

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url))
const EXAMPLE_MS_MAX = 30_000

const server = new SharedServer()

describe('the example', () => {
  const examples = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'))

  it('is there', () => {
    expect(examples.length).toBeGreaterThan(0)
  })

  for (const example of examples) {
    it(`${example} exits 0, with something to show and nothing to complain about`, async () => {
      const child = spawn(process.execPath, [`${FOLDER}${example}`], {
        env: {
          PATH: process.env['PATH'],
          FLASHQ_HOST: '127.0.0.1',
          FLASHQ_PORT: `${server.process.port}`,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      let shown = ''
      let complaints = ''
      child.stdout.on('data', (text) => {
        shown += text
      })
      child.stderr.on('data', (text) => {
        complaints += text
      })
      const ended = new Promise((resolve) => {
        child.on('close', resolve)
      })
      const code = await within(EXAMPLE_MS_MAX, 'the example ends', ended)
      expect({ code, complaints }).toEqual({ code: 0, complaints: '' })
      expect(shown).not.toBe('')
    })
  }
})
