// Which methods a path has, for `Allow`: the router only says that one is not among them.

import type { FastifyInstance } from 'fastify'

interface Known {
  readonly pattern: RegExp
  readonly methods: Set<string>
}

export class RoutePaths {
  private readonly byUrl = new Map<string, Known>()

  /** Before any route is registered. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, method }) => {
      const known = this.byUrl.get(url) ?? { pattern: patternOf(url), methods: new Set() }
      for (const each of [method].flat()) known.methods.add(each)
      this.byUrl.set(url, known)
    })
  }

  /** Sorted; empty: there is no such path. */
  methodsOf(target: string): string[] {
    const path = target.split('?', 1)[0] as string
    const methods = [...this.byUrl.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap((known) => [...known.methods])
    return [...new Set(methods)].sort()
  }
}

/** `/jobs/:id/ack`, `/static/*`. */
function patternOf(url: string): RegExp {
  const source = url
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:\w+/g, '[^/]+')
    .replace(/\*/g, '.*')
  return new RegExp(`^${source}$`)
}
