// The package's face where there is no Node: `flashq/http`, and what bundlers for browsers take for `flashq`.
// The same names as in `index.ts`, whose types these are; none of its code is loaded.

export { BatchError, FlashQError } from './errors.ts'
export { FlashQClient } from './flashq.ts'
export { FlashQ, FlashQ as default, Worker } from './http/http-flashq.ts'
export type * from './index.ts'
export { JsonText } from './json-text.ts'
export { JobWorker } from './worker.ts'
