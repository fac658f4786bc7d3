// A way into a worker besides the line protocol, as `src/doors.ts` sees it.
//
// 1. `open` binds, or rejects and leaves nothing behind.
// 2. After `drain` no connection is left: nothing new is taken, what is in flight is answered, and what is still there
//    after `timeoutMs` is cut off. It may be called again, and before `open`.

export interface Door {
  /** 0 = any free port. Resolves to the port. */
  open(host: string, port: number): Promise<number>
  drain(timeoutMs: number): Promise<void>
  /** Answers from now on say that their connection ends, where the protocol lets them. `drain` follows. */
  announceEnd(): void
}
