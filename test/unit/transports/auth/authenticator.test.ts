import { describe, expect, it } from 'vitest'
import { limits } from '../../../../src/engine/limits.ts'
import { Authenticator } from '../../../../src/transports/auth/authenticator.ts'
import { anybody } from '../../../../src/transports/auth/principal.ts'
import { listening } from '../../../support/listening.ts'

const OK = '{"ok":true}'
const REQUIRED = '{"ok":false,"error":"Authentication required","code":"auth_required"}'
const INVALID = '{"ok":false,"error":"Invalid token","code":"auth_invalid"}'
const THROTTLED =
  '{"ok":false,"error":"Too many failed attempts, try again later","code":"auth_throttled"}'
const STATS = '{"ok":true,"queued":0,"processing":0,"delayed":0,"dlq":0}'

const auth = (token: unknown): object => ({ cmd: 'AUTH', token })

describe('AUTH', () => {
  it('of any token is right where none is configured', async () => {
    const { client } = await listening()
    const peer = await client()
    peer.send(auth('whatever'), auth(''), { cmd: 'STATS' })
    expect(await peer.linesOf(3)).toEqual([OK, OK, STATS])
  })

  it('is required before anything else, and lasts as long as the connection', async () => {
    const { client, gate } = await listening({ tokens: ['other', 'sesame'] })
    const peer = await client()
    peer.send({ cmd: 'STATS' }, { cmd: 'SUBSCRIBE', queue: 'q', events: [] }, auth('wrong'))
    expect(await peer.linesOf(3)).toEqual([REQUIRED, REQUIRED, INVALID])
    expect(gate.ops).toEqual([])
    peer.send(auth('sesame'), { cmd: 'STATS' }, auth('wrong'), { cmd: 'STATS' })
    expect(await peer.linesOf(4)).toEqual([OK, STATS, INVALID, STATS])
    const another = await client()
    another.send({ cmd: 'STATS' })
    expect(await another.line()).toBe(REQUIRED)
  })

  it('holds for what is pipelined behind it, not for what came before', async () => {
    const { client } = await listening({ tokens: ['sesame'] })
    const peer = await client()
    peer.send(
      { cmd: 'PUSH', queue: 'q', data: 1 },
      { reqId: 1, cmd: 'AUTH', token: 'sesame' },
      { cmd: 'PUSH', queue: 'q', data: 1 },
    )
    expect(await peer.linesOf(3)).toEqual([REQUIRED, '{"ok":true,"reqId":1}', OK])
  })

  it('is not even asked for by a line that is no command', async () => {
    const { client } = await listening({ tokens: ['sesame'] })
    const peer = await client()
    peer.send('nonsense\n', '{"cmd":"AUTH"}\n', auth(null), auth(7), '{"cmd":"auth","token":"x"}\n')
    for (const line of await peer.linesOf(5)) expect(line).toContain('"error":"Invalid: ')
    peer.send(auth('sesame'))
    expect(await peer.line()).toBe(OK)
  })

  it('refuses what only resembles a token', async () => {
    const { client } = await listening({ tokens: ['sesame'] })
    const guesses = [
      '',
      'sesam',
      'sesamee',
      'Sesame',
      ' sesame',
      'sesame\u0000',
      'sésame',
      '\u0000',
    ]
    const peer = await client()
    peer.send(...guesses.map(auth))
    expect(await peer.linesOf(guesses.length)).toEqual(guesses.map(() => INVALID))
  })

  it('reads a token that is written with escapes', async () => {
    const { client } = await listening({ tokens: ['sésame"'] })
    const peer = await client()
    peer.send('{"cmd":"\\u0041UTH","token":"s\\u00e9same\\""}\n', { cmd: 'STATS' })
    expect(await peer.linesOf(2)).toEqual([OK, STATS])
  })

  it('lets a stranger send short lines only', async () => {
    const { client } = await listening({ tokens: ['sesame'] })
    const stranger = await client()
    stranger.send(auth('x'.repeat(limits.frameBytesMaxBeforeAuth)))
    expect(await stranger.rests()).toEqual([
      '{"ok":false,"error":"Frame too large (max 4096 bytes)","code":"frame_too_large"}',
    ])
    const friend = await client()
    const long = { cmd: 'PUSH', queue: 'q', data: 'x'.repeat(100_000) }
    friend.send(auth('sesame'), long)
    expect(await friend.linesOf(2)).toEqual([OK, OK])
  })

  it('closes on an address that guesses too often, until the window is over', async () => {
    const { client, clock, logged } = await listening({ tokens: ['sesame'] })
    const peer = await client()
    const max = limits.authFailuresMax
    peer.send(...Array(max + 1).fill(auth('guess')), auth('sesame'))
    expect(await peer.rests()).toEqual([...Array(max).fill(INVALID), THROTTLED])
    expect(logged.join()).not.toContain('guess')
    const again = await client()
    again.send(auth('sesame'))
    expect(await again.rests()).toEqual([THROTTLED])
    clock.ms += limits.authFailureWindowMs
    const later = await client()
    later.send(auth('guess'), auth('sesame'))
    expect(await later.linesOf(2)).toEqual([INVALID, OK])
  })
})

describe('the brake on guessing', () => {
  it('is per address, and spares Unix sockets', () => {
    const authenticator = new Authenticator(['sesame'], { nowMs: () => 0 })
    for (let i = 0; i < limits.authFailuresMax; i++) {
      expect(authenticator.attempt('guess', '10.0.0.1')).toBe('invalid')
      expect(authenticator.attempt('guess', null)).toBe('invalid')
    }
    expect(authenticator.attempt('sesame', '10.0.0.1')).toBe('throttled')
    expect(authenticator.attempt('sesame', '10.0.0.2')).toBe(anybody)
    expect(authenticator.attempt('guess', null)).toBe('invalid')
    expect(authenticator.attempt('sesame', null)).toBe(anybody)
  })

  it('forgets the oldest address rather than remember without bound', () => {
    const authenticator = new Authenticator(['sesame'], { nowMs: () => 0 })
    for (let i = 0; i <= limits.authFailuresMax; i++) authenticator.attempt('guess', 'first')
    expect(authenticator.attempt('sesame', 'first')).toBe('throttled')
    for (let i = 0; i < 10_000; i++) authenticator.attempt('guess', `address ${i}`)
    expect(authenticator.attempt('sesame', 'first')).toBe(anybody)
  })
})
