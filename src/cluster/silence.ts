// A socket that is on its way to another process must not be read here: what is read is lost to its next owner.
//
// `pause` only stops the stream above the handle; the handle itself goes on reading, and a socket that has come out
// of a message begins to read at once. Node has no public way to stop that, so this one line reaches for the handle.
// test/integration/moving.test.ts shows that nothing is lost on the way.

import type { Socket } from 'node:net'

interface WithHandle {
  readonly _handle: { reading: boolean; readStop(): void } | null
}

export function silence(socket: Socket): void {
  const { _handle: handle } = socket as unknown as WithHandle
  if (handle === null) return
  handle.reading = false
  handle.readStop()
}
