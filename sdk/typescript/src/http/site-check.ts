// Whether a FlashQ answers at a URL, and takes the token.

import { refusalOf } from '../reply.ts'
import { exchange, type HttpSite } from './exchange.ts'
import { httpCallOf } from './route.ts'

/** Rejects when nobody answers, or the token is refused. Without a token only the answer counts. */
export async function checkSite(site: HttpSite, signal: AbortSignal): Promise<void> {
  const reply = await exchange(site, httpCallOf('STATS', ''), signal)
  if (reply.ok === true || site.token === '') return
  const refusal = refusalOf(reply)
  // Known, but not allowed to look, or put off: it answers.
  if (refusal.code.startsWith('auth_')) throw refusal
}
