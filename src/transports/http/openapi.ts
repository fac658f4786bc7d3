// The OpenAPI document, made of the routes' schemas: `GET /openapi.json`.
//
// Routes are described where they are registered; what they have in common is added here: refusals, the token.

import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { sendBody } from './answers.ts'
import { commonSchemas } from './schemas.ts'

export function describeRoutes(app: FastifyInstance, version: string, needsToken: boolean): void {
  for (const schema of commonSchemas) app.addSchema(schema)
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'FlashQ',
        version,
        description: 'A job-queue server. Every answer is `{"ok":true,"data":…}` or an Error.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags: [...new Set(['queues', 'jobs', 'crons', 'webhooks', 'server'])].map((name) => ({
        name,
      })),
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'One of AUTH_TOKENS.' },
        },
      },
      security: needsToken ? [{ token: [] }] : [],
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, i) => String(schema['$id'] ?? `schema${i}`),
    },
  })
  app.after(() => {
    let document: Buffer | null = null
    app.get(
      '/openapi.json',
      { config: { access: 'token' }, schema: { hide: true } },
      (_, reply) => {
        document ??= Buffer.from(JSON.stringify(app.swagger()))
        return sendBody(reply, document)
      },
    )
  })
}
