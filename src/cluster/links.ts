// The links of this worker, one to each other live worker that it has something to say to.

import { join } from 'node:path'
import type { LinkFigures } from './cluster-figures.ts'
import { Link, type LinkListener } from './link.ts'
import type { Turn } from './outbox.ts'
import type { Routes } from './routes.ts'

/** Where a worker listens for links. A new incarnation is a new path, so nobody reaches a predecessor's socket. */
export function linkPath(folder: string, worker: number, incarnation: number): string {
  return join(folder, `${worker}-${incarnation}`)
}

export class Links {
  private readonly byWorker = new Map<number, Link>()
  /** What went over links that are forgotten. */
  private readonly lost = { sentBytes: 0, receivedBytes: 0 }
  private readonly routes: Routes
  private readonly incarnation: number
  private readonly folder: string
  private readonly turn: Turn
  private readonly listener: LinkListener

  constructor(
    routes: Routes,
    incarnation: number,
    folder: string,
    turn: Turn,
    listener: LinkListener,
  ) {
    this.routes = routes
    this.incarnation = incarnation
    this.folder = folder
    this.turn = turn
    this.listener = listener
  }

  /** The link to a worker, made when there is none; null while the worker is not reachable. */
  to(worker: number): Link | null {
    const incarnation = this.routes.incarnationOf(worker)
    const known = this.byWorker.get(worker)
    if (known !== undefined && known.incarnation === incarnation) return known.isLost ? null : known
    if (incarnation === 0) return null
    const path = linkPath(this.folder, worker, incarnation)
    const from = { worker: this.routes.me, incarnation: this.incarnation }
    const link = new Link(from, { worker, incarnation, path }, this.turn, this.listener)
    if (known !== undefined) this.forget(worker, known)
    this.byWorker.set(worker, link)
    return link
  }

  /** The link to a worker if there is one that works. */
  existing(worker: number): Link | null {
    const link = this.byWorker.get(worker)
    return link === undefined || link.isLost ? null : link
  }

  /** Lost links may be made again. */
  forgetLost(): void {
    for (const [worker, link] of this.byWorker) if (link.isLost) this.forget(worker, link)
  }

  private forget(worker: number, link: Link): void {
    this.byWorker.delete(worker)
    this.lost.sentBytes += link.sentBytes
    this.lost.receivedBytes += link.receivedBytes
  }

  /** Of all links that work, together; `sent` and `received` of lost ones too. */
  figures(): LinkFigures {
    const sum = { ...this.lost, backlogBytes: 0, openRequests: 0 }
    for (const link of this.byWorker.values()) {
      sum.sentBytes += link.sentBytes
      sum.receivedBytes += link.receivedBytes
      if (link.isLost) continue
      sum.backlogBytes += link.backlogBytes
      sum.openRequests += link.openRequests
    }
    return sum
  }

  close(): void {
    for (const link of this.byWorker.values()) link.close()
  }
}
