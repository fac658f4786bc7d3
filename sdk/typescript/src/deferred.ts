// A promise with its two ends in hand. (Promise.withResolvers needs Node 22.)
//
// The executor is one shared function, so no closure is made per promise: there is one per push.

export class Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: unknown) => void

  constructor() {
    this.promise = new Promise<T>(capture)
    this.resolve = capturedResolve
    this.reject = capturedReject
  }
}

let capturedResolve: (value: unknown) => void = () => {}
let capturedReject: (reason: unknown) => void = () => {}

function capture(resolve: (value: never) => void, reject: (reason: unknown) => void): void {
  capturedResolve = resolve as (value: unknown) => void
  capturedReject = reject
}
