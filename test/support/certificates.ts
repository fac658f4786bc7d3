// Certificates for tests, made on the spot: an authority, and what it issues to servers and clients.
//
// X.509 is written as DER by hand, as far as these need it: names of one part, keys on P-256.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

const DAY_MS = 24 * 60 * 60 * 1000

const ECDSA_WITH_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]
const COMMON_NAME = [0x55, 0x04, 0x03]
const BASIC_CONSTRAINTS = [0x55, 0x1d, 0x13]
const ALTERNATIVE_NAMES = [0x55, 0x1d, 0x11]

export interface Issued {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface Wishes {
  /** Host names and IPv4 addresses. Default: those of the loopback. */
  readonly names?: readonly string[]
  /** Default: tomorrow. */
  readonly endsAtMs?: number
}

export class Authority {
  /** PEM. */
  readonly cert: string
  private readonly name: string
  private readonly key: KeyObject

  constructor(name = 'test authority') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.name = name
    this.key = privateKey
    const isAuthority = sequence(oid(BASIC_CONSTRAINTS), octets(sequence(tlv(0x01, [0xff]))))
    this.cert = this.certify(name, publicKey, isAuthority, Date.now() + DAY_MS)
  }

  issue(name: string, wishes: Wishes = {}): Issued {
    const { names = ['localhost', '127.0.0.1'], endsAtMs = Date.now() + DAY_MS } = wishes
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const alternatives = names.map((each) =>
      isIPv4(each) ? tlv(0x87, each.split('.').map(Number)) : tlv(0x82, Buffer.from(each)),
    )
    const extension = sequence(oid(ALTERNATIVE_NAMES), octets(sequence(...alternatives)))
    return {
      cert: this.certify(name, publicKey, extension, endsAtMs),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  private certify(name: string, key: KeyObject, extension: Buffer, endsAtMs: number): string {
    const algorithm = sequence(oid(ECDSA_WITH_SHA256))
    const body = sequence(
      tlv(0xa0, tlv(0x02, [2])),
      tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      algorithm,
      nameOf(this.name),
      sequence(moment(Date.now() - 2 * DAY_MS), moment(endsAtMs)),
      nameOf(name),
      key.export({ type: 'spki', format: 'der' }),
      tlv(0xa3, sequence(extension)),
    )
    const signature = sign('sha256', body, this.key)
    const whole = sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])))
    const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  }
}

function nameOf(text: string): Buffer {
  return sequence(tlv(0x31, sequence(oid(COMMON_NAME), tlv(0x0c, Buffer.from(text)))))
}

/** GeneralizedTime: YYYYMMDDHHMMSSZ. */
function moment(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)
  return tlv(0x18, Buffer.from(`${digits}Z`))
}

function sequence(...parts: Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function octets(content: Buffer): Buffer {
  return tlv(0x04, content)
}

function oid(bytes: readonly number[]): Buffer {
  return tlv(0x06, bytes)
}

function tlv(tag: number, content: Buffer | readonly number[]): Buffer {
  const bytes = Buffer.from(content)
  const { length } = bytes
  return Buffer.concat([Buffer.from([tag, ...lengthOf(length)]), bytes])
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
}
