import { describe, expect, it } from 'vitest'
import { banner } from '../../src/banner.ts'
import { type Config, type Environment, readConfig } from '../../src/config.ts'

const ports = { tcp: 6789, http: null, grpc: null }

describe('the banner', () => {
  it('says in its first lines what listens where', () => {
    const lines = banner(config({ UNIX_SOCKET: '/tmp/q.sock' }), {
      tcp: 6789,
      http: 6790,
      grpc: 6791,
    }).split('\n')
    expect(lines[0]).toMatch(/^FlashQ \d+\.\d+\.\d+ listens on$/)
    expect(lines[1]).toBe('  TCP          127.0.0.1:6789')
    expect(lines[2]).toBe('  HTTP         http://127.0.0.1:6790')
    expect(lines[3]).toBe('  gRPC         127.0.0.1:6791')
    expect(lines[4]).toBe('  Unix socket  /tmp/q.sock')
  })

  it('offers commands that are valid JSON, one on a line', () => {
    const [, script = ''] = /printf '([^']+)'/.exec(banner(config(), ports)) ?? []
    const commands = script.replaceAll('\\n', '\n').trimEnd().split('\n')
    expect(commands.map((line) => JSON.parse(line).cmd)).toEqual(['PUSH', 'PULL'])
  })

  it('offers an address that works from this machine when it listens on all', () => {
    const everywhere = banner(config({ HOST: '0.0.0.0' }), { ...ports, tcp: 7000 })
    expect(everywhere).toContain('nc -w 1 127.0.0.1 7000')
    expect(everywhere).toContain('FLASHQ_PORT=7000 node examples/')
    expect(banner(config({ HOST: '::' }), { ...ports, tcp: 1 })).toContain('[::]:1')
  })

  it('asks for a token where one is needed, and shows none', () => {
    const text = banner(config({ AUTH_TOKENS: 'hush-hush' }), ports)
    expect(text).toContain('FLASHQ_TOKEN=YOUR-TOKEN npx flashq push')
    expect(text).toContain('tokens needed')
    expect(text).not.toContain('hush-hush')
  })

  it('shows the warnings', () => {
    expect(banner(config(), ports, ['Look out'])).toContain('Warning: Look out')
  })
})

function config(env: Environment = {}): Config {
  const result = readConfig(env, { parallelism: 2, memoryBytes: 1e9 })
  if (!result.ok) throw new Error(result.errors.join('\n'))
  return result.config
}
