// The letters of one shard whose records are kept: each leaves when everything that the shard recorded with it is durable.

import type { JobId } from '../engine/job-id.ts'
import type { CronTick, DurableLog, ParentMail, ParentOutcome } from '../engine/ports.ts'
import type { WebhookLetter } from '../engine/webhook-ports.ts'
import type { ReplyHold } from './reply-hold.ts'

export class HeldMail implements ParentMail {
  private readonly mail: ParentMail
  private readonly log: DurableLog
  private readonly hold: Pick<ReplyHold, 'letter'>

  constructor(mail: ParentMail, log: DurableLog, hold: Pick<ReplyHold, 'letter'>) {
    this.mail = mail
    this.log = log
    this.hold = hold
  }

  ask(parent: JobId, child: JobId): void {
    this.hold.letter(this.log, () => this.mail.ask(parent, child))
  }

  tell(child: JobId, parent: JobId, outcome: ParentOutcome): void {
    this.hold.letter(this.log, () => this.mail.tell(child, parent, outcome))
  }

  cronTick(tick: CronTick): void {
    this.hold.letter(this.log, () => this.mail.cronTick(tick))
  }

  cronTaken(name: string, tickMs: number): void {
    this.hold.letter(this.log, () => this.mail.cronTaken(name, tickMs))
  }

  webhook(letter: WebhookLetter): void {
    this.hold.letter(this.log, () => this.mail.webhook(letter))
  }
}
