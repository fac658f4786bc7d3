import { describe, expect, it } from 'vitest'
import { AddressRules, type Network } from '../../../../src/transports/webhooks/address-rules.ts'
import { UrlPolicy, type UrlPolicyOptions } from '../../../../src/transports/webhooks/url-policy.ts'

interface Options extends Partial<Omit<UrlPolicyOptions, 'rules'>> {
  readonly allowed?: readonly Network[]
}

function policyOf({ allowed = [], ...options }: Options = {}): UrlPolicy {
  const rules = new AddressRules(allowed)
  return new UrlPolicy({ rules, allowHttp: false, ports: [], localAddresses: () => [], ...options })
}

const loopback: readonly Network[] = [
  { address: '127.0.0.0', prefix: 8 },
  { address: '::1', prefix: 128 },
]
const port = 'its port is not allowed (WEBHOOK_PORTS)'
const characters = 'its URL has blanks, control or non-ASCII characters'
const address = 'its address is not public (WEBHOOK_ALLOW)'

describe('a URL', () => {
  it.each([
    'https://example.com/hook',
    'https://example.com:443/a?b=c%20d',
    'https://example.com:80/',
    'https://93.184.215.14/',
    'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/',
    // Names are judged by their addresses, when there is something to be delivered.
    'https://127.0.0.1.nip.io/',
    'https://localhost/',
  ])('may be %s', (url) => {
    expect(policyOf().refuse(url)).toBeNull()
  })

  it.each([
    ['http://example.com/', 'its URL is not https (WEBHOOK_HTTP allows http)'],
    ['unix:/run/docker.sock', 'its URL is not https'],
    ['file:///etc/passwd', 'its URL is not https'],
    ['gopher://example.com/', 'its URL is not https'],
    ['data:text/plain,x', 'its URL is not https'],
    ['javascript:alert(1)', 'its URL is not https'],
    ['//example.com/', 'its URL is none'],
    ['example.com', 'its URL is none'],
    ['https://', 'its URL is none'],
    ['', characters],
    [' https://example.com/', characters],
    ['https://example.com/\t', characters],
    ['https://exam\nple.com/', characters],
    ['https://example.com/a b', characters],
    ['https://example.com/\u0000', characters],
    ['https://①②⑦.⓪.⓪.①/', characters],
    ['https://bücher.example/', characters],
    ['https://example.com\\@127.0.0.1/', 'its URL has a \\ or a fragment'],
    ['https://example.com/#x', 'its URL has a \\ or a fragment'],
    ['https://user@example.com/', 'its URL has credentials'],
    ['https://user:pass@example.com/', 'its URL has credentials'],
    ['https://:pass@example.com/', 'its URL has credentials'],
    ['https://example.com:22/', port],
    ['https://example.com:6789/', port],
    ['https://example.com:0/', port],
    ['https://example.com:99999/', 'its URL is none'],
  ])('may not be %j', (url, why) => {
    expect(policyOf().refuse(url)).toBe(why)
  })

  it('may be http, and have other ports, where the operator says so', () => {
    const policy = policyOf({ allowHttp: true, ports: [8443] })
    expect(policy.refuse('http://example.com/')).toBeNull()
    expect(policy.refuse('https://example.com:8443/')).toBeNull()
    expect(policy.refuse('ftp://example.com/')).toBe('its URL is not https')
  })

  // One address in all the ways that it can be written.
  it.each([
    'https://127.0.0.1/',
    'https://127.1/',
    'https://0x7f000001/',
    'https://0x7f.0.0.1/',
    'https://0177.0.0.1/',
    'https://2130706433/',
    'https://127.0.0.1./',
    'https://%31%32%37.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[0:0:0:0:0:ffff:7f00:0001]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::127.0.0.1]/',
    'https://0/',
    'https://[::]/',
  ])('may not be %s, which is this host', (url) => {
    expect(policyOf().refuse(url)).toBe(address)
  })
})

describe('an address', () => {
  const rules = new AddressRules([])

  it.each([
    '0.0.0.0',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '127.255.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '::10.0.0.1',
    '64:ff9b::808:808',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '4000::1',
    'fe80::1%eth0',
    '2606:4700::1%1',
    'example.com',
    '',
  ])('%s is not reached', (each) => {
    expect(rules.mayReach(each)).toBe(false)
  })

  it.each([
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.0.1.1',
    '198.20.0.1',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ])('%s is', (each) => {
    expect(rules.mayReach(each)).toBe(true)
  })

  it('that is private is reached where the operator says so, in whatever dress', () => {
    const open = new AddressRules([{ address: '10.1.0.0', prefix: 16 }])
    expect(open.mayReach('10.1.2.3')).toBe(true)
    expect(open.mayReach('::ffff:10.1.2.3')).toBe(true)
    expect(open.mayReach('10.2.0.1')).toBe(false)
  })

  it('is good only when all addresses of its name are', () => {
    const policy = policyOf()
    const url = new URL('https://example.com/')
    expect(policy.refuseAddresses(url, ['8.8.8.8', '2606:4700::1'])).toBeNull()
    expect(policy.refuseAddresses(url, ['8.8.8.8', '127.0.0.1'])).toBe(address)
    expect(policy.refuseAddresses(url, [])).toBe('its name has no address')
  })
})

describe('the server itself', () => {
  const localAddresses = (): readonly string[] => ['192.168.7.7', 'fd00::7']
  const allowed = [...loopback, { address: '192.168.0.0', prefix: 16 }]
  const policy = policyOf({ allowed, allowHttp: true, ports: [6790, 8080], localAddresses })
  policy.ownPorts = [6789, 6790]

  it.each(['127.0.0.1', '127.9.9.9', '[::1]', '[::ffff:127.0.0.1]', '192.168.7.7'])(
    'is not reached at %s, although that is allowed',
    (host) => {
      expect(policy.refuse(`http://${host}:6790/server/shutdown`)).toBe(
        'its address is this server',
      )
      expect(policy.refuse(`http://${host}:8080/`)).toBeNull()
    },
  )

  it('is not reached by a name either', () => {
    const url = new URL('http://own.example:6790/')
    expect(policy.refuseAddresses(url, ['192.168.7.7'])).toBe('its address is this server')
    expect(policy.refuseAddresses(url, ['192.168.7.8'])).toBeNull()
  })
})
