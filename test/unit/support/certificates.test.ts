import { X509Certificate } from 'node:crypto'
import { expect, it } from 'vitest'
import { Authority } from '../../support/certificates.ts'

it('an authority issues what it can be seen to have issued', () => {
  const authority = new Authority('root')
  const root = new X509Certificate(authority.cert)
  expect(root.ca).toBe(true)
  expect(root.verify(root.publicKey)).toBe(true)
  const leaf = new X509Certificate(authority.issue('server').cert)
  expect(leaf.ca).toBe(false)
  expect(leaf.verify(root.publicKey)).toBe(true)
  expect(leaf.checkIssued(root)).toBe(true)
  expect(leaf.subject).toBe('CN=server')
  expect(leaf.checkHost('localhost')).toBe('localhost')
  expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1')
})
