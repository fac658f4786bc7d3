import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { Authenticator, type IssuedToken } from '../../../../src/transports/auth/authenticator.ts'
import { clientOf } from '../../../../src/transports/auth/client-address.ts'
import {
  anybody,
  mayAll,
  mayUse,
  type Scope,
  scopes,
} from '../../../../src/transports/auth/principal.ts'
import { digestOf, makeToken, tokenIdOf } from '../../../../src/transports/auth/token.ts'
import { TokenSource } from '../../../../src/transports/auth/token-source.ts'
import { Strangers } from '../../../../src/transports/tcp/strangers.ts'
import { CapturedLog } from '../../../support/captured-log.ts'
import { scratchFolder } from '../../../support/scratch-folder.ts'

function issued(
  token: string,
  fields: Partial<IssuedToken> = {},
  held: Scope[] = ['read'],
): IssuedToken {
  return {
    digest: digestOf(token),
    id: tokenIdOf(token),
    principal: { name: token, scopes: new Set(held), queues: null },
    expiresAtMs: Number.POSITIVE_INFINITY,
    ...fields,
  }
}

class Clock {
  ms = 1000
  nowMs(): number {
    return this.ms
  }
}

describe('tokens with limits', () => {
  it('are found by their id, or without one, and alone suffice for AUTH to be required', () => {
    const [first, second] = [makeToken(), makeToken()]
    const tokens = [issued(first), issued('plain'), issued(second, { id: null })]
    const auth = new Authenticator([], new Clock(), { issued: tokens })
    expect(auth.required).toBe(true)
    for (const { principal } of tokens) expect(auth.attempt(principal.name, null)).toBe(principal)
    const wrong = [`${first.slice(0, 12)}${second.slice(12)}`, `${first}x`, first.slice(0, -1), '']
    for (const guess of wrong) expect(auth.attempt(guess, null)).toBe('invalid')
    expect(new Authenticator([], new Clock(), { issued: [] }).attempt('', null)).toBe('invalid')
  })

  it('may share an id, which is no secret', () => {
    const one = issued(`fq_samesame_${'a'.repeat(43)}`)
    const two = issued(`fq_samesame_${'b'.repeat(43)}`)
    const auth = new Authenticator([], new Clock(), { issued: [one, two] })
    for (const { principal } of [one, two]) {
      expect(auth.attempt(principal.name, null)).toBe(principal)
    }
  })

  it('do not limit one that AUTH_TOKENS has, too', () => {
    const auth = new Authenticator(['both'], new Clock(), { issued: [issued('both')] })
    expect(auth.attempt('both', null)).toBe(anybody)
  })

  it('keep their principals while they stay as they are, and lose them when they do not', () => {
    const tokens = [issued('same'), issued('less', {}, ['read', 'admin']), issued('gone')]
    const auth = new Authenticator(['lasting'], new Clock(), { issued: tokens })
    const principals = tokens.map(({ principal }) => principal)
    const keys = principals.map((principal) => auth.keyOf(principal))
    let changes = 0
    const stop = auth.onChange(() => changes++)
    auth.replace([issued('less'), issued('same'), issued('new')])
    expect(principals.map((principal) => auth.isValid(principal))).toEqual([true, false, false])
    expect(auth.attempt('same', null)).toBe(principals[0])
    expect(auth.byKey(keys[0] ?? '')).toBe(principals[0])
    expect(auth.byKey(keys[1] ?? '')).not.toBe(principals[1])
    expect(auth.byKey(keys[2] ?? '')).toBe(null)
    expect(auth.isValid(anybody)).toBe(true)
    expect(auth.keyOf(anybody)).toBe('')
    expect(auth.byKey('')).toBe(anybody)
    expect(changes).toBe(1)
    auth.replace([issued('less'), issued('same'), issued('new'), issued('newer')])
    expect(changes).toBe(1)
    stop()
    auth.replace([])
    expect(changes).toBe(1)
  })

  it('end when their time is over, also before anybody has looked', () => {
    const clock = new Clock()
    const token = issued('brief', { expiresAtMs: 2000 })
    const auth = new Authenticator([], clock, {
      issued: [token, issued('later', { expiresAtMs: 3000 })],
    })
    let changes = 0
    auth.onChange(() => changes++)
    expect(auth.attempt('brief', null)).toBe(token.principal)
    clock.ms = 1999
    auth.expire()
    expect(changes).toBe(0)
    clock.ms = 2000
    expect(auth.attempt('brief', null)).toBe('invalid')
    auth.expire()
    expect(auth.isValid(token.principal)).toBe(false)
    expect(auth.byKey(token.digest.toString('hex'))).toBe(null)
    auth.expire()
    expect(changes).toBe(1)
    clock.ms = 3000
    auth.expire()
    expect(changes).toBe(2)
  })
})

describe('a principal', () => {
  it('may use the queues that it names, whole or by their beginning', () => {
    const queues = ['orders', 'mail.*']
    const principal = { name: 'p', scopes: new Set(scopes), queues }
    const may = ['orders', 'mail.', 'mail.a', 'mail.a.b']
    const mayNot = ['', 'order', 'orders.a', 'ordersx', 'mail', 'mailx', 'MAIL.a', '*', 'mail*']
    for (const queue of may) expect(mayUse(principal, queue), queue).toBe(true)
    for (const queue of mayNot) expect(mayUse(principal, queue), queue).toBe(false)
    expect(mayUse(anybody, 'anything')).toBe(true)
    expect(mayAll(anybody)).toBe(true)
    expect(mayAll(principal)).toBe(false)
    expect(mayAll({ ...anybody, scopes: new Set<Scope>(['admin']) })).toBe(false)
  })
})

describe('a made token', () => {
  it('has its form, and is another one each time', () => {
    const tokens = Array.from({ length: 100 }, makeToken)
    for (const token of tokens) expect(token).toMatch(/^fq_[\w-]{8}_[\w-]{43}$/)
    expect(new Set(tokens.map(tokenIdOf)).size).toBe(100)
    expect(tokenIdOf('fq_abcd1234_short')).toBe(null)
  })
})

describe('the file of tokens', () => {
  const folder = scratchFolder()

  function write(path: string, text: string): void {
    writeFileSync(`${path}.next`, text)
    renameSync(`${path}.next`, path)
  }

  it('is read again when it changes; when it is wrong or gone, what it said before holds', async () => {
    const path = join(folder, 'tokens.json')
    const entry = (token: string) => ({ name: token, token, scopes: ['read'] })
    const textOf = (...tokens: string[]) => JSON.stringify({ tokens: tokens.map(entry) })
    write(path, textOf('one'))
    const log = new CapturedLog()
    const source = new TokenSource(path, log)
    const auth = new Authenticator([], new Clock(), { issued: source.read() })
    source.follow(auth)
    source.stop()
    const known = () => ['one', 'two'].filter((token) => auth.attempt(token, null) !== 'invalid')
    await source.look()
    expect(known()).toEqual(['one'])
    write(path, textOf('one', 'two'))
    await source.look()
    expect(known()).toEqual(['one', 'two'])
    write(path, '{"tokens":[')
    await source.look()
    expect(known()).toEqual(['one', 'two'])
    renameSync(path, `${path}.away`)
    await source.look()
    await source.look()
    expect(known()).toEqual(['one', 'two'])
    write(path, textOf('two'))
    await source.look()
    await source.look()
    expect(known()).toEqual(['two'])
    expect(log.lines.map(({ level, text }) => `${level} ${text}`)).toEqual([
      'info AUTH_FILE was read again',
      'error AUTH_FILE is wrong: its tokens stay as they were',
      'error AUTH_FILE cannot be read: its tokens stay as they were',
      'info AUTH_FILE was read again',
    ])
  })

  it('that is wrong when a worker starts lets nobody in until it is right', async () => {
    const path = join(folder, 'late.json')
    write(path, 'nonsense')
    const log = new CapturedLog()
    const source = new TokenSource(path, log)
    const auth = new Authenticator([], new Clock(), { issued: source.read() })
    source.follow(auth)
    source.stop()
    expect(auth.attempt('nonsense', null)).toBe('invalid')
    write(path, '{"tokens":[{"name":"n","token":"right","scopes":["read"]}]}')
    await source.look()
    expect(auth.attempt('right', null)).toMatchObject({ name: 'n' })
  })
})

describe('clients', () => {
  it('are told apart by address, those of IPv6 by their network', () => {
    const same = ['2001:db8:0:1::5', '2001:db8:0:1:ffff::', '2001:db8:0:1:2:3:4:5']
    expect(new Set(same.map(clientOf)).size).toBe(1)
    expect(clientOf('2001:db8:0:2::5')).not.toBe(clientOf('2001:db8:0:1::5'))
    expect(clientOf('::ffff:10.0.0.1')).toBe('10.0.0.1')
    expect(clientOf('10.0.0.1')).toBe('10.0.0.1')
    expect(clientOf('::1')).toBe(clientOf('::2'))
    expect(clientOf('fe80::1%eth0')).toBe(clientOf('fe80::2%eth1'))
  })

  it('are throttled as one, whichever address of their network they take', () => {
    const auth = new Authenticator(['sesame'], new Clock())
    for (let i = 0; i < limits.authFailuresMax; i++) auth.attempt('guess', `2001:db8::${i}`)
    expect(auth.attempt('sesame', '2001:db8::ffff')).toBe('throttled')
    expect(auth.attempt('sesame', '2001:db9::1')).toBe(anybody)
  })

  it('may have so many connections that have not said who they are', () => {
    const strangers = new Strangers(2)
    const [a, b, c] = [{}, {}, {}]
    expect([a, b, c].map((each) => strangers.add(each, '10.0.0.1'))).toEqual([true, true, false])
    expect(strangers.add(c, '10.0.0.2')).toBe(true)
    strangers.remove(a)
    strangers.remove(a)
    expect(strangers.add(a, '10.0.0.1')).toBe(true)
    expect(strangers.add({}, '10.0.0.1')).toBe(false)
    for (let i = 0; i < 10; i++) expect(strangers.add({}, null)).toBe(true)
  })
})
