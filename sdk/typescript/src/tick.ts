// The end of the current tick: when everything that is ready to run has run, and before any I/O.
//
// A microtask queues a nextTick: Node drains all microtasks before it returns to the nextTick queue, so calls made
// by promise continuations of this tick are still included. What is gathered until then travels together.

export function atTickEnd(callback: () => void): void {
  queueMicrotask(() => process.nextTick(callback))
}
