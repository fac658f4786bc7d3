// What a command about a webhook says. Of WEBHOOK with an id, `undefined` keeps what there is.

export interface WebhookTerms {
  /** 0: none was given. -1: no webhook has such an id. */
  readonly no: number
  readonly url: string | undefined
  readonly events: readonly string[] | undefined
  readonly queue: string | null | undefined
  readonly secret: string | null | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly enabled: boolean | undefined
  /** Why it is not enabled. */
  readonly reason: string | undefined
}

export const noTerms: WebhookTerms = {
  no: 0,
  url: undefined,
  events: undefined,
  queue: undefined,
  secret: undefined,
  headers: undefined,
  enabled: undefined,
  reason: undefined,
}
