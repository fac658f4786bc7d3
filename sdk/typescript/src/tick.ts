// The end of the current tick: when everything that is ready to run has run, and before any I/O.
//
// In Node a microtask queues a nextTick: all microtasks are drained before the nextTick queue, so calls made by promise
// continuations of this tick are still included. What is gathered until then travels together. A browser has no such
// place (its timers are held back in background tabs): there the second microtask is the end, and longer chains of
// promises make a batch of their own.

const endOfTick: (callback: () => void) => void =
  typeof process === 'object' && typeof process.nextTick === 'function'
    ? (callback) => process.nextTick(callback)
    : queueMicrotask

export function atTickEnd(callback: () => void): void {
  queueMicrotask(() => endOfTick(callback))
}
