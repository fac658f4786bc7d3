// What the tests stand on: the shared PostgreSQL, and how it is chosen.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTestDatabase } from '../support/database.ts'
import { startDatabase } from '../support/database-source.ts'
import { dockerAnswers } from '../support/docker-probe.ts'
import { queryOnce } from '../support/own-postgres.ts'

describe('the PostgreSQL of the tests', () => {
  it('gives everybody a schema of his own on one server', async () => {
    const [one, two] = await Promise.all([openTestDatabase(), openTestDatabase()])
    expect(one.url).toBe(two.url)
    expect(one.schema).not.toBe(two.schema)
    for (const { url, schema } of [one, two]) {
      await queryOnce(url, `create schema ${schema}; create table ${schema}.job (n int)`)
    }
    await one.drop()
    await one.drop()
    await expect(queryOnce(one.url, `select * from ${one.schema}.job`)).rejects.toThrow()
    expect(await queryOnce(two.url, `select * from ${two.schema}.job`)).toEqual([])
    await two.drop()
  })

  it('is TEST_DATABASE_URL when that is set, and is not stopped', async () => {
    const { url } = await openTestDatabase()
    const told: string[] = []
    const source = await startDatabase({ TEST_DATABASE_URL: url }, (text) => told.push(text))
    expect(source.url).toBe(url)
    expect(told).toEqual([expect.stringMatching(/PostgreSQL: TEST_DATABASE_URL, version \d+/)])
    await source.stop()
    expect(await queryOnce(url, 'select 1 n')).toEqual([{ n: 1 }])
  })

  it('is nothing else when TEST_DATABASE_URL cannot be reached', async () => {
    const url = 'postgresql://nobody@127.0.0.1:1/none'
    await expect(startDatabase({ TEST_DATABASE_URL: url }, () => {})).rejects.toThrow(
      'ECONNREFUSED',
    )
  })
})

describe('the probe for Docker', () => {
  it('believes an engine that answers, and nothing else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flashq-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'docker.sock')
    expect(await dockerAnswers({ DOCKER_HOST: `unix://${path}` })).toBe(false)
    let status = 200
    const engine = createServer((_, response) => {
      response.statusCode = status
      response.end('OK')
    })
    await new Promise<void>((resolve) => engine.listen(path, resolve))
    onTestFinished(() => void engine.close())
    expect(await dockerAnswers({ DOCKER_HOST: `unix://${path}` })).toBe(true)
    status = 500
    expect(await dockerAnswers({ DOCKER_HOST: `unix://${path}` })).toBe(false)
    expect(await dockerAnswers({ DOCKER_HOST: 'tcp://127.0.0.1:1' })).toBe(false)
    expect(await dockerAnswers({ DOCKER_HOST: 'nonsense' })).toBe(false)
  })
})
