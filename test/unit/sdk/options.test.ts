import { describe, expect, it } from 'vitest'
import { FlashQ as HttpFlashQ } from '../../../sdk/typescript/src/http.ts'
import { FlashQ } from '../../../sdk/typescript/src/index.ts'
import { isHttp, resolveSettings } from '../../../sdk/typescript/src/options.ts'
import { placeOfUrl } from '../../../sdk/typescript/src/server-url.ts'

describe('the URL of a server', () => {
  it('is host and port, or a socket, or HTTP, with a token', () => {
    expect(placeOfUrl('flashq://h')).toEqual({ host: 'h' })
    expect(placeOfUrl('flashq://:t%40k@[::1]:7000/')).toEqual({
      host: '::1',
      port: 7000,
      token: 't@k',
    })
    expect(placeOfUrl('flashqs://h:1')).toEqual({ host: 'h', port: 1, tls: true })
    expect(placeOfUrl('unix:/run/f.sock')).toEqual({ socketPath: '/run/f.sock' })
    expect(placeOfUrl('unix:///run/f.sock')).toEqual({ socketPath: '/run/f.sock' })
    expect(placeOfUrl('http://h:6790')).toEqual({ httpUrl: 'http://h:6790/' })
    expect(placeOfUrl('https://tok@h/base')).toEqual({ httpUrl: 'https://h/base', token: 'tok' })
  })

  it('is refused with an example when it is none', () => {
    expect(() => placeOfUrl('localhost:6789')).toThrow(/begins with flashq:|names no host/)
    expect(() => placeOfUrl('nonsense')).toThrow(
      'nonsense is no URL; an example: flashq://localhost:6789',
    )
    expect(() => placeOfUrl('ftp://h')).toThrow('begins with flashq://')
    expect(() => placeOfUrl('flashq://h/path')).toThrow('a flashq URL has no path')
    expect(() => placeOfUrl('unix:')).toThrow('needs a path')
  })
})

describe('the option `url`', () => {
  const settings = (options: object) => resolveSettings(options, isHttp(options))

  it('goes before host, port and httpUrl, and an own token before its one', () => {
    const url = 'flashqs://:of-url@h:7'
    const others = { host: 'x', port: 1, httpUrl: 'http://y', useHttp: true, socketPath: '/z' }
    expect(settings({ url, ...others })).toMatchObject({
      host: 'h',
      port: 7,
      socketPath: '',
      token: 'of-url',
      tls: {},
    })
    expect(isHttp({ url, ...others })).toBe(false)
    expect(settings({ url, token: 'own' }).token).toBe('own')
    expect(settings({ url: 'https://t@h/base/' })).toMatchObject({
      httpUrl: 'https://h/base',
      token: 't',
    })
    expect(new FlashQ({ url: 'https://h' }).isHttp).toBe(true)
  })

  it('of flashqs:// encrypts, whatever else is said, with what `tls` knows', () => {
    expect(settings({ url: 'flashqs://h', tls: { ca: 'x' } }).tls).toEqual({ ca: 'x' })
    expect(settings({ url: 'flashqs://h', tls: false }).tls).toEqual({})
    expect(settings({ url: 'flashq://h', tls: false }).tls).toBe(null)
  })

  it('is HTTP where there is nothing else', () => {
    expect(() => new HttpFlashQ({ url: 'flashq://h' })).toThrow('speaks HTTP only')
    expect(new HttpFlashQ({ url: 'https://h' }).isHttp).toBe(true)
  })
})

describe('the option `tls` over HTTP', () => {
  it('means https', () => {
    expect(resolveSettings({ useHttp: true, tls: true, host: 'h' }, true).httpUrl).toBe(
      'https://h:6790',
    )
  })

  it('is refused where it could not be kept', () => {
    expect(() => new FlashQ({ httpUrl: 'http://h', tls: true })).toThrow(RangeError)
    expect(() => new FlashQ({ url: 'http://h', tls: true })).toThrow('begin with https://')
    expect(() => new FlashQ({ httpUrl: 'https://h', tls: { ca: 'x' } })).toThrow(
      'NODE_EXTRA_CA_CERTS',
    )
  })
})
