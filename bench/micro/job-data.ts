// What clients put into jobs, the n-th of a batch: the micro-benches share it.

/** With its wrapping, 72 bytes. */
export function smallData(n: number): object {
  return { userId: 100_000 + n, action: 'send', to: 'recipient@example.com' }
}

/** Every value of another length than the one before. */
export function variedData(n: number): object {
  const mixed = Math.imul(n, 0x9e37_79b1) >>> 0
  return {
    userId: mixed % 10 ** (1 + (n % 7)),
    action: ['send', 'receive', 'drop', 'transmit'][mixed % 4],
    to: `${'recipient'.slice(mixed % 9)}${'x'.repeat((mixed >>> 8) % 13)}@example.com`,
  }
}

export function shapedData(n: number): object {
  switch ((Math.imul(n, 0x9e37_79b1) >>> 16) % 4) {
    case 0:
      return smallData(n)
    case 1:
      return { a: [1, 2, n], text: 'hello there how are you', c: { d: null } }
    case 2:
      return { order: n, list: ['a', 'b', 'c'], kind: 'send', to: 'somebody' }
    default:
      return { text: 'a line of some more characters than most', urgent: true, z: 1.5 }
  }
}

/** With its wrapping, about 400 bytes. */
export function largeData(n: number): object {
  return {
    id: `order-${100_000 + n}`,
    customer: { name: 'Ada Lovelace', email: 'ada@example.com', vip: true, score: 98.5 },
    items: [
      { sku: 'A-1001', count: 2, price: 19.99 },
      { sku: 'B-2002', count: 1, price: 149.0 },
      { sku: 'C-3003', count: 12, price: 0.5 },
    ],
    shipping: { street: '12 Analytical Engine Road', city: 'London', zip: 'N1 9GU' },
    note: 'leave at the door, ring twice',
    tags: ['priority', 'gift', null],
  }
}

export function unicodeData(n: number): object {
  return { userId: 100_000 + n, greeting: 'Zdravo, ćao, grüß dich', city: '東京都港区' }
}
