// What becomes of those who hear events, at the doors of one worker: how many there are, what they miss, why they are
// cut off. A part of Traffic.

/** Where events are heard: subscriptions of the line protocol, and streams. */
export const eventDoors = ['tcp', 'unix', 'sse', 'ws', 'grpc'] as const
export type EventDoor = (typeof eventDoors)[number]

/**
 * Why the server ends a stream: the client takes nothing, or answers no ping; it says too much; its token is gone; the
 * worker stops.
 */
export const cutReasons = ['slow', 'silent', 'flood', 'revoked', 'draining'] as const
export type CutReason = (typeof cutReasons)[number]

export class EventTraffic {
  private readonly droppedAt = new Map<EventDoor, number>()
  private readonly openAt = new Map<EventDoor, number>()
  private readonly cutAt = new Map<string, number>()

  /** So many were not sent to somebody who was too slow, or they were too many for everybody. */
  dropped(door: EventDoor, count = 1): void {
    add(this.droppedAt, door, count)
  }

  /** A stream: `count` 1 or -1. */
  opened(door: EventDoor, count: 1 | -1): void {
    add(this.openAt, door, count)
  }

  cut(door: EventDoor, reason: CutReason): void {
    add(this.cutAt, `${door} ${reason}`, 1)
  }

  droppedOf(door: EventDoor): number {
    return this.droppedAt.get(door) ?? 0
  }

  openOf(door: EventDoor): number {
    return this.openAt.get(door) ?? 0
  }

  cutOf(door: EventDoor, reason: CutReason): number {
    return this.cutAt.get(`${door} ${reason}`) ?? 0
  }
}

function add<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
