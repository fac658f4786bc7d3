import { describe, expect, it } from 'vitest'
import { isMeant, parseOptions } from './options.ts'

describe('the options of the benches', () => {
  it('name a scenario, or all that begin with a name and a dash', () => {
    const scenarios = ['batch', 'durable-life', 'durable-single', 'durability']
    const meant = (only: string) => scenarios.filter((name) => isMeant(only, name))
    expect(meant('batch')).toEqual(['batch'])
    expect(meant('durable')).toEqual(['durable-life', 'durable-single'])
    expect(meant('durable-single')).toEqual(['durable-single'])
    expect(meant('dur')).toEqual([])
  })

  it('change the mode that was chosen, and leave that of others alone', () => {
    const long = parseOptions(['--quick', '--long', '--no-peers']).mode
    expect([long.name, long.durable.heldMs, long.peers]).toEqual(['quick', 300_000, false])
    const plain = parseOptions(['--quick']).mode
    expect([plain.durable.heldMs, plain.peers]).toEqual([10_000, true])
  })
})
