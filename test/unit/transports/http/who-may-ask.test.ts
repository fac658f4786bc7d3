// Host, Origin and Authorization: who may ask at all.

import { describe, expect, it } from 'vitest'
import { Authenticator } from '../../../../src/transports/auth/authenticator.ts'
import { anybody } from '../../../../src/transports/auth/principal.ts'
import { AllowedHosts } from '../../../../src/transports/http/allowed-hosts.ts'
import { Bearer, tokenOf } from '../../../../src/transports/http/bearer.ts'
import { OriginRule } from '../../../../src/transports/http/origin-rule.ts'

const hosts = (more: { host?: string; allowedHosts?: string[]; needsToken?: boolean } = {}) =>
  new AllowedHosts({ host: '127.0.0.1', allowedHosts: [], needsToken: false, ...more })

describe('a Host header', () => {
  it('may name the loopback, HOST, an address in digits or one of ALLOWED_HOSTS', () => {
    const allowed = hosts({ host: 'queue.internal', allowedHosts: ['jobs.example'] })
    for (const good of [
      'localhost',
      'LOCALHOST:6790',
      'localhost.',
      '127.0.0.1:6790',
      '10.0.0.7',
      '[::1]:6790',
      '[fe80::1]',
      'queue.internal:1',
      'Jobs.Example',
    ]) {
      expect(allowed.has(good), good).toBe(true)
      expect(allowed.has(good), good).toBe(true)
    }
  })

  it('may name nothing else, however it is written', () => {
    const allowed = hosts()
    for (const bad of [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'evil-localhost',
      '',
      ' localhost',
      'localhost:99999999',
      'localhost:x',
      'user@localhost',
      'localhost/x',
      '[::1',
      '[evil]',
      '[12:34]',
      '1.2.3.4.5',
      'a'.repeat(254),
    ]) {
      expect(allowed.has(bad), bad).toBe(false)
    }
  })

  it('may be any name where a token is needed, unless there is a list', () => {
    expect(hosts({ needsToken: true }).has('flashq.cluster.local')).toBe(true)
    expect(hosts({ needsToken: true }).has('')).toBe(false)
    expect(hosts({ needsToken: true, allowedHosts: ['a'] }).has('b')).toBe(false)
  })
})

describe('a page of a browser', () => {
  const rule = new OriginRule(['https://good.example'])
  const host = 'localhost:6790'

  it("may ask when it is the server's own, or in CORS_ORIGINS; and so may programs", () => {
    for (const headers of [
      {},
      { origin: 'http://localhost:6790' },
      { origin: 'https://localhost:6790' },
      { origin: 'https://good.example' },
      { origin: 'https://good.example', 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ]) {
      expect(rule.refuses({ host, ...headers }), JSON.stringify(headers)).toBe(false)
    }
  })

  it('may not otherwise (catalogue 69)', () => {
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: '' },
      { origin: 'https://good.example.evil.example' },
      { origin: 'HTTPS://GOOD.EXAMPLE' },
      { origin: 'https://good.example:8443' },
      { origin: 'http://localhost:3000' },
      { origin: 'http://localhost' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      expect(rule.refuses({ host, ...headers }), JSON.stringify(headers)).toBe(true)
    }
  })

  it('sees the answer only when its origin is in the list', () => {
    expect(rule.corsHeaders({ origin: 'https://good.example' })).toMatchObject({
      'access-control-allow-origin': 'https://good.example',
      vary: 'origin',
    })
    expect(rule.corsHeaders({ origin: 'https://evil.example' })).toBeNull()
    expect(rule.corsHeaders({})).toBeNull()
    expect(rule.preflightHeaders({ origin: 'https://evil.example' })).toBeNull()
    expect(rule.preflightHeaders({ origin: 'https://good.example' })).toMatchObject({
      'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
    })
  })
})

describe('a bearer token', () => {
  const clock = { nowMs: () => 0 }

  it('is read from its header, in UTF-8', () => {
    expect(tokenOf('Bearer abc')).toBe('abc')
    expect(tokenOf('bearer  a b ')).toBe('a b')
    expect(tokenOf(Buffer.from('Bearer é').toString('latin1'))).toBe('é')
    for (const none of [undefined, '', 'Bearer', 'Bearer ', 'Basic YTpi', 'Bearerabc', 'abc']) {
      expect(tokenOf(none), String(none)).toBeNull()
    }
  })

  it('is right, wrong, missing, or guessed too often', () => {
    const bearer = new Bearer(new Authenticator(['right'], clock))
    expect(bearer.principalOf('Bearer right', '10.0.0.1')).toEqual(anybody)
    expect(bearer.principalOf(undefined, '10.0.0.1')).toMatchObject({ code: 'auth_required' })
    expect(bearer.principalOf('Basic right', '10.0.0.1')).toMatchObject({ code: 'auth_required' })
    for (let guess = 0; guess < 10; guess++) {
      expect(bearer.principalOf('Bearer wrong', '10.0.0.1')).toMatchObject({ code: 'auth_invalid' })
    }
    expect(bearer.principalOf('Bearer right', '10.0.0.1')).toMatchObject({ code: 'auth_throttled' })
    expect(bearer.principalOf('Bearer right', '10.0.0.2')).toEqual(anybody)
  })

  it('is not asked for where there are no tokens', () => {
    expect(new Bearer(new Authenticator([], clock)).principalOf(undefined, null)).toBe(anybody)
  })
})
