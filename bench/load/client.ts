// The product's own TypeScript client: the same number of pushes, all at once or each awaited before the next.

import { payload } from './frames.ts'
import type { ClientSpec, LoadResult } from './spec.ts'

/** The part of the package `flashq` that is measured. */
interface Client {
  connect(): Promise<unknown>
  push(queue: string, data: unknown): Promise<unknown>
  close?(): unknown
  disconnect?(): unknown
}

interface ClientModule {
  FlashQ: new (options: { host: string; port: number }) => Client
}

export async function client(spec: ClientSpec): Promise<LoadResult> {
  const { FlashQ } = (await import(spec.modulePath)) as ClientModule
  const flashq = new FlashQ(spec.at)
  await flashq.connect()
  const data: unknown = JSON.parse(payload(spec.dataBytes))
  try {
    const startMs = performance.now()
    if (spec.concurrent)
      await Promise.all(Array.from({ length: spec.pushes }, () => flashq.push(spec.queue, data)))
    else for (let i = 0; i < spec.pushes; i++) await flashq.push(spec.queue, data)
    return { jobs: spec.pushes, perSecond: (spec.pushes * 1000) / (performance.now() - startMs) }
  } finally {
    await (flashq.close?.() ?? flashq.disconnect?.())
  }
}
