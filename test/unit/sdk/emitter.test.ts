import { describe, expect, it } from 'vitest'
import { Emitter } from '../../../sdk/typescript/src/emitter.ts'

interface Events {
  told: [number]
}

describe('an emitter', () => {
  it('tells its listeners in their order, as long as they listen', () => {
    const emitter = new Emitter<Events>()
    const told: string[] = []
    const first = (n: number): void => void told.push(`first ${n}`)
    emitter.on('told', first).once('told', (n) => told.push(`once ${n}`))
    expect(emitter.emit('told', 1)).toBe(true)
    emitter.off('told', first)
    expect(emitter.emit('told', 2)).toBe(false)
    expect(told).toEqual(['first 1', 'once 1'])
  })

  it('forgets a single listener that is taken off, and all at once', () => {
    const emitter = new Emitter<Events>()
    const never = (): void => expect.fail('told')
    emitter.once('told', never).removeListener('told', never)
    emitter.on('told', never).removeAllListeners('told')
    emitter.on('told', never).removeAllListeners()
    expect(emitter.emit('told', 1)).toBe(false)
  })

  it('counts them', () => {
    const emitter = new Emitter<Events>().on('told', () => {}).addListener('told', () => {})
    expect(emitter.listenerCount('told')).toBe(2)
  })

  it('lets a listener that comes or goes meanwhile wait for the next one', () => {
    const emitter = new Emitter<Events>()
    const told: string[] = []
    const late = (): void => void told.push('late')
    emitter.on('told', () => {
      told.push('first')
      emitter.on('told', late)
    })
    emitter.emit('told', 1)
    expect(told).toEqual(['first'])
  })
})
