import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { refusalCodes } from '../../../../src/engine/refusal.ts'
import { CODE_METADATA, statusOf, statusOfCode } from '../../../../src/transports/grpc/status.ts'

describe('the status of a refusal', () => {
  it('is there for every code, and for nothing else', () => {
    expect(Object.keys(statusOfCode).sort()).toEqual([...refusalCodes].sort())
    for (const code of refusalCodes) {
      expect(status[statusOfCode[code]], code).toBeTypeOf('string')
      expect(statusOfCode[code], code).not.toBe(status.OK)
    }
  })

  it('tells clients to try again only what did not run and may succeed as it is', () => {
    const again = refusalCodes.filter((code) => statusOfCode[code] === status.UNAVAILABLE)
    expect(again).toEqual(['draining', 'unavailable'])
  })

  it('carries the code, and a text that fits a header', () => {
    const { code, details, metadata } = statusOf({ code: 'duplicate_key', text: 'x'.repeat(5000) })
    expect(code).toBe(status.ALREADY_EXISTS)
    expect(details).toHaveLength(1024)
    expect(metadata.get(CODE_METADATA)).toEqual(['duplicate_key'])
    const cut = statusOf({ code: 'invalid', text: `${'x'.repeat(1023)}😀` })
    expect(() => encodeURI(cut.details)).not.toThrow()
  })

  it('is written down', async () => {
    const { readFile } = await import('node:fs/promises')
    const page = await readFile('docs/grpc.md', 'utf8')
    for (const code of refusalCodes) {
      const row = new RegExp(`\\| \`${status[statusOfCode[code]]}\` \\|[^\\n]*\`${code}\``)
      expect(page, code).toMatch(row)
    }
  })
})
