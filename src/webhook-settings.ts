// The settings of webhooks: whom they may reach, when a delivery is tried again, who signs what comes in.

import { isIP } from 'node:net'
import { integer, onOff, readInteger, type Setting } from './setting.ts'
import { isSecret } from './transports/wire/webhook-secret.ts'

export interface WebhookConfig {
  readonly webhookHttp: boolean
  readonly webhookAllow: readonly Network[]
  readonly webhookPorts: readonly number[]
  /** Null: none. */
  readonly webhookProxy: string | null
  /** After the first failed attempt, after the second, … */
  readonly webhookPausesMs: readonly number[]
  /** 0 = never. */
  readonly webhookDisableMs: number
  /** Empty = whoever may push may use the route. */
  readonly webhookIncomingSecrets: readonly string[]
}

interface Network {
  readonly address: string
  readonly prefix: number
}

const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const ITEMS_MAX = 100
const PAUSES_MAX = 30
const PAUSE_MS_MAX = 7 * 24 * HOUR_MS
/** 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: some three days in all. */
const PAUSES = '5000,300000,1800000,7200000,18000000,36000000,50400000,72000000,86400000'

export const webhookSettings: {
  readonly [Field in keyof WebhookConfig]: Setting<WebhookConfig[Field]>
} = {
  webhookHttp: onOff({
    name: 'WEBHOOK_HTTP',
    meaning: 'webhooks may have http:// URLs, whose events anybody on the way can read',
  }),
  webhookAllow: {
    name: 'WEBHOOK_ALLOW',
    default: '',
    defaultNote: 'none: only public addresses',
    allowed: `IP addresses and networks (10.1.0.0/16) separated by commas, at most ${ITEMS_MAX}`,
    meaning: 'private addresses that webhooks may reach as well',
    secret: false,
    read: (text) => readItems(text, ITEMS_MAX, readNetwork),
  },
  webhookPorts: {
    name: 'WEBHOOK_PORTS',
    default: '',
    defaultNote: 'none',
    allowed: `ports separated by commas, at most ${ITEMS_MAX}`,
    meaning: 'ports that webhooks may reach besides 443 and 80',
    secret: false,
    read: (text) => readItems(text, ITEMS_MAX, (item) => readInteger(item, 1, 65_535)),
  },
  webhookProxy: {
    name: 'WEBHOOK_PROXY',
    default: '',
    defaultNote: 'none',
    allowed:
      'http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if need be',
    meaning:
      'a proxy that all deliveries of webhooks go through (CONNECT); which addresses names lead to is then for it to judge',
    secret: true,
    read: (text) => (text === '' ? null : readProxy(text)),
  },
  webhookPausesMs: {
    name: 'WEBHOOK_RETRIES_MS',
    default: PAUSES,
    defaultNote: '',
    allowed: `integers from 1 to ${PAUSE_MS_MAX} separated by commas, at most ${PAUSES_MAX}`,
    meaning:
      'pauses between the attempts of a delivery, in ms, each a tenth longer or shorter; after the last one it is given up',
    secret: false,
    read: (text) => readItems(text, PAUSES_MAX, (item) => readInteger(item, 1, PAUSE_MS_MAX)),
  },
  webhookDisableMs: integer({
    name: 'WEBHOOK_DISABLE_HOURS',
    default: 120,
    min: 0,
    max: 24 * 365,
    unit: HOUR_MS,
    meaning: 'a webhook at which nothing has arrived for so long is disabled; 0 = never',
  }),
  webhookIncomingSecrets: {
    name: 'WEBHOOK_INCOMING_SECRET',
    default: '',
    defaultNote: 'none: POST /webhooks/incoming/{queue} is a push like any other',
    allowed: 'secrets separated by commas, at most 10, each as a webhook may have it',
    meaning:
      'what POST /webhooks/incoming/{queue} must be signed with, by one of them; a signature stands for a token',
    secret: true,
    read: (text) => readItems(text, 10, (item) => (isSecret(item) ? item : undefined)),
  },
}

function readItems<T>(
  text: string,
  max: number,
  read: (item: string) => T | undefined,
): readonly T[] | undefined {
  if (text === '') return []
  const items: T[] = []
  for (const part of text.split(',')) {
    const item = read(part.trim())
    if (item === undefined || items.length === max) return undefined
    items.push(item)
  }
  return items
}

function readProxy(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, pathname, search, hash } = new URL(text)
  const isBare = pathname === '/' && search === '' && hash === ''
  return isBare && (protocol === 'http:' || protocol === 'https:') ? text : undefined
}

function readNetwork(text: string): Network | undefined {
  const [address = '', given, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || more.length > 0) return undefined
  const widest = family === 4 ? 32 : 128
  const prefix = given === undefined ? widest : readInteger(given, 0, widest)
  return prefix === undefined ? undefined : { address, prefix }
}
